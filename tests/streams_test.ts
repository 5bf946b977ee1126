/** Slices of a journal side by side on a real database: whatever is cut off, each row is there once. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import type { JournalRecord } from "../src/journal.ts";
import { type Bury, type Delivered, joined, type More, noCounts, type Sink } from "../src/sink.ts";
import type { Database } from "../src/postgres/database.ts";
import { DatabaseSink, type DatabaseSinkOptions } from "../src/postgres/database_sink.ts";
import { Dimensions } from "../src/postgres/dimensions.ts";
import { Partitions } from "../src/postgres/partitions.ts";
import { pg } from "../src/postgres/pg.ts";
import { PositionError, PostgresSink } from "../src/postgres/sink.ts";
import { PreparedRows } from "../src/postgres/prepared_rows.ts";
import { Transcoder } from "../src/postgres/transcode.ts";
import { classify } from "../src/retry.ts";
import { backdoor, errorOf } from "./driver_candidates.ts";
import { drivers, migratedDatabase, type TestDriver } from "./postgres.ts";
import { numbers, spans } from "./requests.ts";
import { tcpProxy } from "./tcp_proxy.ts";
import { waitAt } from "./wait_at.ts";

const NEVER = new AbortController().signal;
const NO_LETTERS = () => Promise.reject(new Error("nothing is dead here"));

interface Storage extends AsyncDisposable {
  readonly database: Database;
  readonly url: string;
  readonly journalId: string;
  /** Makes a sink. */
  sink(database?: Database, options?: DatabaseSinkOptions): Sink;
}

async function openStorage(driver: TestDriver): Promise<Storage> {
  const store = await migratedDatabase(driver);
  const { database, url } = store;
  const journalId = randomUUID();
  return {
    database,
    url,
    journalId,
    sink: (given = database, options = {}) => {
      const partitions = new Partitions(given, { width: "day", retentionDays: 30 });
      const sink = new PostgresSink(given, partitions, journalId);
      return new DatabaseSink(sink, new PreparedRows(new Transcoder(new Dimensions())), options);
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

/** Four requests of a hundred spans, two a slice: spans 1 to 400, positions 0 to 400. */
const FOUR: readonly JournalRecord[] = [0, 1, 2, 3].map((n) => ({
  position: BigInt(n * 100),
  next: BigInt(n * 100 + 100),
  signal: "traces",
  arrivalUnixNano: 0n,
  key: new Uint8Array(32),
  count: 100,
  before: noCounts(),
  body: spans(numbers(n * 100 + 1, 100)),
}));

/** Delivers records, so many at a time: what the sink says meanwhile and at the end, together. */
async function roll(
  sink: Sink,
  records: readonly JournalRecord[],
  each: number,
  bury: Bury = NO_LETTERS,
): Promise<Delivered> {
  let [said, at]: [Delivered | undefined, number] = [undefined, each];
  const more: More = (settled) => {
    if (settled !== undefined) said = joined(said, settled);
    return Promise.resolve(records.slice(at, at += each));
  };
  try {
    const rest = await sink.deliver(records.slice(0, each), NEVER, bury, more);
    return joined(said, rest);
  } catch (failure) {
    if (said === undefined) throw failure;
    return { ...said as Delivered, failure };
  }
}

/** Two requests a slice. */
async function deliver(sink: Sink, from = 0n): Promise<Delivered> {
  return await roll(sink, FOUR.filter(({ position }) => position >= from), 2);
}

async function storedSpans(database: Database): Promise<number[]> {
  const rows = await database.query<{ id: bigint }>(
    "select span_id as id from otel_data.spans order by span_id",
  );
  return rows.map(({ id }) => Number(id));
}

/** Each row is there once, and so is what it names. */
async function assertComplete(database: Database): Promise<void> {
  assert.deepEqual(await storedSpans(database), numbers(1, 400));
  const named = await database.query<{ n: bigint }>(
    "select count(*) as n from otel.spans where name = 'work' and service_name = 'shop'",
  );
  assert.deepEqual(named, [{ n: 400n }]);
}

/** Looks until there is a row. */
async function until(database: Database, sql: string): Promise<void> {
  while ((await database.query(sql)).length === 0) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const WAITERS = "select pid from pg_locks where locktype = 'advisory' and objid = 42 and " +
  "not granted and database = (select oid from pg_database where datname = current_database())";
/** Has copied, and waits for its turn to commit. */
const COPIED = "select from pg_stat_activity where datname = current_database() and " +
  "state = 'idle in transaction' and query like '%copy otel_data.spans%'";

Deno.test("a database sink refuses options that make no sense, by name and value", () => {
  const sink = new PostgresSink(
    { driver: "pg" } as Database,
    { ensureFor: () => assert.fail() },
    "",
  );
  const make = (options: object) => () =>
    new DatabaseSink(sink, new PreparedRows(new Transcoder(new Dimensions())), options);
  assert.throws(make({ streams: 0 }), /^RangeError: Cannot store with 'streams': 0/);
  assert.throws(make({ streams: 9 }), /^RangeError: Cannot store with 'streams': 9/);
  assert.throws(make({ stream: 1 }), /^RangeError: .*stream/);
});

for (const driver of drivers) {
  Deno.test(`streams store each row once: ${driver}`, async () => {
    await using storage = await openStorage(driver);
    for (const streams of [1, 2, 8]) {
      const { database } = storage;
      const sink = storage.sink(database, { streams });
      await database.execute("truncate otel_data.spans, otel_data.journal_position");
      assert.equal(await sink.position?.(NEVER), undefined);
      const delivered = { traces: 400, logs: 0, metrics: 0 };
      assert.deepEqual(await deliver(sink), { next: 400n, delivered, dead: [] });
      assert.equal(await sink.position?.(NEVER), 400n);
      // Given again, nothing of it is stored, and the position does not go back.
      await assert.rejects(deliver(sink), { name: "PositionError" });
      assert.equal(await sink.position?.(NEVER), 400n);
      await assertComplete(database);
    }
  });

  Deno.test(`a poison record in either of two streams is dead alone: ${driver}`, async () => {
    for (const poison of [77, 333]) {
      await using storage = await openStorage(driver);
      const { database } = storage;
      await database.execute(
        `alter table otel_data.spans add constraint no_such_span check (span_id <> ${poison})`,
      );
      const bury = () => Promise.resolve();
      const sink = storage.sink();
      let all: Delivered | undefined;
      // After a refusal a call takes no more than it has.
      for (let at = 0n; at < 400n; at = all.next) {
        const left = FOUR.filter(({ position }) => position >= at);
        all = joined(all, await roll(sink, left, 2, bury));
      }
      const { delivered, dead } = all!;
      assert.equal(delivered.traces, 399);
      const [letter, ...others] = dead.map(({ position, index }) => [position, index]);
      const n = poison - 1;
      assert.deepEqual([letter, others], [[BigInt(n - n % 100), n % 100], []]);
      assert.deepEqual(
        await storedSpans(database),
        numbers(1, 400).filter((span) => span !== poison),
      );
    }
  });

  Deno.test(`a database that has lost a journal gets it from its begin: ${driver}`, async () => {
    await using storage = await openStorage(driver);
    const { database } = storage;
    const sink = storage.sink();
    await deliver(sink);
    // As a copy from before the first delivery would be.
    await database.execute(
      "truncate otel_data.spans, otel_data.journal_position, otel_data.names, " +
        "otel_data.resources, otel_data.scopes, otel_data.services",
    );
    const further = FOUR.map((record) => ({
      ...record,
      position: record.position + 400n,
      next: record.next + 400n,
    }));
    await assert.rejects(roll(sink, further, 2), { name: "PositionError" });
    assert.deepEqual(await storedSpans(database), []);
    // Not undefined, which says that it has never had any.
    assert.equal(await sink.position?.(NEVER), 0n);
    await deliver(sink);
    await assertComplete(database);
  });
}

if (drivers.includes("postgres")) {
  Deno.test("of two streams the second copies while the first does, and commits after it", async () => {
    await using storage = await openStorage("postgres");
    const { database, url } = storage;
    await waitAt(database, 150);
    await backdoor(url, async (rival) => {
      await rival.query("select pg_advisory_lock(42)");
      const delivery = deliver(storage.sink());
      await until(database, WAITERS);
      await until(database, COPIED);
      assert.deepEqual(await storedSpans(database), []);
      await rival.query("select pg_advisory_unlock(42)");
      assert.equal((await delivery).next, 400n);
    });
    await assertComplete(database);
  });

  Deno.test("the memory of a committed slice is used for the next one while another is copied", async () => {
    await using storage = await openStorage("postgres");
    const { database, url } = storage;
    // In the third of four slices, of which two are under way at a time.
    await waitAt(database, 250);
    await backdoor(url, async (rival) => {
      await rival.query("select pg_advisory_lock(42)");
      const delivery = roll(storage.sink(), FOUR, 1);
      await until(database, WAITERS);
      await until(database, COPIED);
      assert.deepEqual(await storedSpans(database), numbers(1, 200));
      await rival.query("select pg_advisory_unlock(42)");
      const { next, delivered } = await delivery;
      assert.deepEqual([next, delivered.traces], [400n, 400]);
    });
    await assertComplete(database);
  });

  Deno.test("streams store each row once when a pool has one connection", async () => {
    await using storage = await openStorage("postgres");
    await using narrow = pg(storage.url, { maxConnections: 1 });
    assert.equal((await deliver(storage.sink(narrow))).next, 400n);
    await assertComplete(storage.database);
  });

  Deno.test("when the first of two streams is killed in mid-copy, neither has stored anything", async () => {
    await using storage = await openStorage("postgres");
    const { database, url } = storage;
    await waitAt(database, 150);
    const sink = storage.sink();
    await backdoor(url, async (rival) => {
      await rival.query("select pg_advisory_lock(42)");
      const failed = errorOf(deliver(sink));
      await until(database, WAITERS);
      await until(database, COPIED);
      await rival.query(`select pg_terminate_backend(pid) from (${WAITERS}) w`);
      assert.equal(classify(await failed).kind, "transient");
      await rival.query("select pg_advisory_unlock(42)");
    });
    assert.equal(await sink.position?.(NEVER), undefined);
    assert.deepEqual(await storedSpans(database), []);
    await deliver(sink);
    await assertComplete(database);
  });

  Deno.test("when the second of two streams is killed in mid-copy, the first is settled", async () => {
    await using storage = await openStorage("postgres");
    const { database, url, journalId } = storage;
    await waitAt(database, 350);
    const sink = storage.sink();
    await backdoor(url, async (rival) => {
      await rival.query("select pg_advisory_lock(42)");
      const delivery = deliver(sink);
      await until(database, WAITERS);
      await until(
        database,
        `select from otel_data.journal_position where journal_id = '${journalId}' and at = 200`,
      );
      await rival.query(`select pg_terminate_backend(pid) from (${WAITERS}) w`);
      const { next, delivered, failure } = await delivery;
      assert.deepEqual([next, delivered.traces], [200n, 200]);
      assert.equal(classify(failure).kind, "transient");
      await rival.query("select pg_advisory_unlock(42)");
    });
    assert.equal(await sink.position?.(NEVER), 200n);
    await deliver(sink, 200n);
    await assertComplete(database);
  });

  for (const where of ["cut before", "cut after"] as const) {
    for (const which of [1, 2]) {
      Deno.test(`when a connection is ${where} commit ${which} of two streams, each row is there once`, async () => {
        await using storage = await openStorage("postgres");
        const { database, url } = storage;
        await using proxy = await tcpProxy(Number(new URL(url).port));
        const through = new URL(url);
        through.port = String(proxy.port);
        await using proxied = pg(through.href);
        const sink = storage.sink(proxied);
        let moves = 0;
        let isCut = false;
        proxy.onSent = (bytes) => {
          const text = Buffer.from(bytes).toString("latin1");
          if (text.includes("update otel_data.journal_position")) moves++;
          if (isCut || moves < which || !text.includes("commit")) return "pass";
          isCut = true;
          return where;
        };
        const outcome = await deliver(sink).catch((error): Delivered => ({
          next: 0n,
          delivered: noCounts(),
          dead: [],
          failure: error,
        }));
        assert.equal(classify(outcome.failure).kind, "transient", String(outcome.failure));
        assert.equal(outcome.next, which === 1 ? 0n : 200n);
        // What was sent arrives or not, and who asks may do so before that: then one of two moves fails.
        let at = await sink.position?.(NEVER) ?? 0n;
        const committed = BigInt(which * 200);
        assert.ok(at === committed - 200n || where === "cut after" && at === committed, `${at}`);
        while (at < 400n) {
          await deliver(sink, at).catch((error) => assert.ok(error instanceof PositionError));
          at = await sink.position?.(NEVER) ?? 0n;
        }
        await assertComplete(database);
      });
    }
  }
}
