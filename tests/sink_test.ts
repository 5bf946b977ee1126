/** The sink on real databases: whatever goes wrong, each batch is stored exactly once. */

import { PGlite } from "@electric-sql/pglite";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import { Batch } from "../src/postgres/batch.ts";
import type { Database, Transaction } from "../src/postgres/database.ts";
import { Dimensions } from "../src/postgres/dimensions.ts";
import { migrate } from "../src/postgres/migrate.ts";
import { Partitions } from "../src/postgres/partitions.ts";
import { pg } from "../src/postgres/pg.ts";
import { pglite } from "../src/postgres/pglite.ts";
import { DatabaseSink } from "../src/postgres/database_sink.ts";
import { PositionError, PostgresSink, speaksAgainstRecords } from "../src/postgres/sink.ts";
import { PreparedRows } from "../src/postgres/prepared_rows.ts";
import { Transcoder } from "../src/postgres/transcode.ts";
import { classify } from "../src/retry.ts";
import { noCounts } from "../src/sink.ts";
import { backdoor, errorOf } from "./driver_candidates.ts";
import {
  drivers,
  emptySnapshot,
  type TestDatabase,
  testDatabase,
  type TestDriver,
} from "./postgres.ts";
import { logs, numbers, points, type RequestOptions, spans } from "./requests.ts";
import { tcpProxy } from "./tcp_proxy.ts";

const DAY_NANOS = 86_400_000_000_000n;

/** What is done to the transactions that copy records; they commit unless told otherwise. */
interface Faults {
  /** Called within the transaction, before its end. */
  before: () => Promise<void> | void;
  /** Called once it has committed. */
  after: () => void;
  /** How many there were. */
  transactions: number;
}

/** The database, whose transactions that copy can be made to fail. */
function faulty(database: Database): { database: Database; faults: Faults } {
  const faults: Faults = { before: () => {}, after: () => {}, transactions: 0 };
  const transaction: Database["transaction"] = async (run, options) => {
    let copies = false;
    const result = await database.transaction(async (inner) => {
      const observed: Transaction = {
        query: (...args) => inner.query(...args),
        copyIn: (...args) => {
          copies = true;
          return inner.copyIn(...args);
        },
      };
      const result = await run(observed);
      if (copies) await faults.before();
      return result;
    }, options);
    if (copies) {
      faults.transactions++;
      faults.after();
    }
    return result;
  };
  const proxy = new Proxy(database, {
    get(target, key) {
      if (key === "transaction") return transaction;
      const member = Reflect.get(target, key, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
  return { database: proxy, faults };
}

/** A migrated database and what stores in it. */
interface Storage extends AsyncDisposable {
  readonly database: Database;
  readonly url: string;
  readonly faults: Faults;
  readonly journalId: string;
  readonly partitions: Partitions;
  readonly sink: PostgresSink;
  readonly dimensions: Dimensions;
  /** Makes a batch of requests. */
  batch(...requests: readonly [signal: "traces" | "logs" | "metrics", body: Uint8Array][]): Batch;
}

let snapshot: Promise<Blob> | undefined;

/** A database with the schema; for PGlite it is made once and copied, which is faster. */
async function migratedDatabase(driver: TestDriver): Promise<TestDatabase> {
  if (driver === "postgres") {
    const test = await testDatabase(driver);
    await migrate(test.database);
    return test;
  }
  const database = pglite("memory://", { snapshot: await (snapshot ??= migratedSnapshot()) });
  return { database, url: "memory://", [Symbol.asyncDispose]: () => database.close() };
}

async function migratedSnapshot(): Promise<Blob> {
  const instance = await PGlite.create({ loadDataDir: await emptySnapshot() });
  const database = pglite(instance);
  await migrate(database);
  await new Partitions(database, { width: "day", retentionDays: 30 }).makeAhead();
  await database.close();
  const made = await instance.dumpDataDir("none");
  await instance.close();
  return made;
}

async function openStorage(driver: TestDriver): Promise<Storage> {
  const test = await migratedDatabase(driver);
  const { database, faults } = faulty(test.database);
  const partitions = new Partitions(test.database, { width: "day", retentionDays: 30 });
  await partitions.makeAhead();
  const journalId = randomUUID();
  const dimensions = new Dimensions();
  const transcoder = new Transcoder(dimensions);
  return {
    database: test.database,
    url: test.url,
    faults,
    journalId,
    partitions,
    sink: new PostgresSink(database, partitions, journalId),
    dimensions,
    batch: (...requests) => {
      const batch = new Batch();
      for (const [signal, body] of requests) transcoder.transcode(signal, body, 0n, batch);
      return batch;
    },
    [Symbol.asyncDispose]: () => test[Symbol.asyncDispose](),
  };
}

const traces = (numbers: readonly number[], options?: RequestOptions): ["traces", Uint8Array] => [
  "traces",
  spans(numbers, options),
];

/** The numbers of all stored spans, sorted. */
async function storedSpans(database: Database): Promise<number[]> {
  const rows = await database.query<{ id: bigint }>(
    "select span_id as id from otel_data.spans order by span_id",
  );
  return rows.map(({ id }) => Number(id));
}

async function position(database: Database, journalId: string): Promise<bigint | undefined> {
  const [row] = await database.query<{ at: bigint }>(
    "select at from otel_data.journal_position where journal_id = $1",
    [journalId],
  );
  return row?.at;
}

async function stats(database: Database): Promise<Record<string, number>> {
  const rows = await database.query<{ name: string; value: bigint }>(
    "select name, value from otel.stats",
  );
  return Object.fromEntries(rows.map(({ name, value }) => [name, Number(value)]));
}

const LOST = Object.assign(new Error("the connection was lost"), { code: "ECONNRESET" });

for (const driver of drivers) {
  const test = (sentence: string, run: (storage: Storage) => Promise<void>) =>
    Deno.test(`sink on ${driver} ${sentence}`, async () => {
      await using storage = await openStorage(driver);
      await run(storage);
    });

  test("stores records of all signals together, and counts them", async (storage) => {
    const { database, sink, faults } = storage;
    const batch = storage.batch(
      traces([1, 2]),
      ["logs", logs([3, 4, 5])],
      ["metrics", points([6])],
      traces([7]),
    );
    await sink.store(batch, 4n);
    assert.equal(faults.transactions, 1);
    assert.deepEqual(
      await database.query(
        `select (select count(*) from otel.spans where service_name = 'shop') as spans,
           (select count(*) from otel.logs where service_name = 'shop') as logs,
           (select count(*) from otel.metric_points where service_name = 'shop') as points`,
      ),
      [{ spans: 3n, logs: 3n, points: 1n }],
    );
    const counts = await stats(database);
    assert.deepEqual([counts.spans, counts.logs, counts.metric_points], [3, 3, 1]);
    assert.equal(counts.services, 1);
    assert.equal(await position(database, storage.journalId), 4n);
  });

  test("counts the records of every writer, and the texts it had to change", async (storage) => {
    const { database, partitions } = storage;
    for (const at of [1n, 2n]) {
      const sink = new PostgresSink(database, partitions, randomUUID());
      const odd = traces([1, 2], { statusMessage: "a NUL: \0" });
      await sink.store(storage.batch(odd, traces([3]), ["logs", logs([4, 5])]), at);
    }
    const counts = await stats(database);
    assert.deepEqual([counts.spans, counts.logs, counts.services], [6, 4, 1]);
    assert.equal(counts.string_replacements, 4);
  });

  test("stores a batch once when the answer to its commit is lost and it is tried again", async (storage) => {
    const { database, sink, faults } = storage;
    const batch = storage.batch(traces(numbers(1, 100)));
    faults.after = () => {
      throw LOST;
    };
    assert.equal(await errorOf(sink.store(batch, 1n)), LOST);
    faults.after = () => {};
    await sink.store(batch, 1n);
    await sink.store(batch, 1n);
    assert.equal(faults.transactions, 1);
    assert.deepEqual(await storedSpans(database), numbers(1, 100));
    assert.equal((await stats(database)).spans, 100);
  });

  test("stores a batch once when its transaction fails and it is tried again", async (storage) => {
    const { database, sink, faults } = storage;
    const batch = storage.batch(traces(numbers(1, 100)));
    faults.before = () => {
      throw LOST;
    };
    assert.equal(await errorOf(sink.store(batch, 1n)), LOST);
    assert.deepEqual(await storedSpans(database), []);
    faults.before = () => {};
    await sink.store(batch, 1n);
    assert.deepEqual(await storedSpans(database), numbers(1, 100));
  });

  test("finds out later that batches it had given up did commit, and goes on", async (storage) => {
    const { database, sink, faults } = storage;
    const give = async (at: number, fails: "before" | "after") => {
      faults.before = faults.after = () => {};
      faults[fails] = () => {
        throw LOST;
      };
      assert.equal(await errorOf(sink.store(storage.batch(traces([at])), BigInt(at))), LOST);
      faults.before = faults.after = () => {};
    };
    await sink.store(storage.batch(traces([1])), 1n);
    await give(2, "after");
    await sink.store(storage.batch(traces([3])), 3n);
    await give(4, "before");
    await give(5, "after");
    await sink.store(storage.batch(traces([6])), 6n);
    await give(7, "before");
    await sink.store(storage.batch(traces([8])), 8n);
    assert.deepEqual(await storedSpans(database), [1, 2, 3, 5, 6, 8]);
    assert.equal((await stats(database)).spans, 6);
    assert.equal(await position(database, storage.journalId), 8n);
  });

  test("stores nothing when its position is not where it has left it", async (storage) => {
    const { database, partitions } = storage;
    for (
      const [now, sql] of [
        // A stranger; a database that was restored; one that was emptied.
        ["99", "update otel_data.journal_position set at = 99"],
        ["4", "update otel_data.journal_position set at = 4"],
        ["nothing", "delete from otel_data.journal_position"],
      ] as const
    ) {
      const journalId = randomUUID();
      const sink = new PostgresSink(database, partitions, journalId);
      await sink.store(storage.batch(traces([1])), 5n);
      await database.query(sql);
      const error = await errorOf(sink.store(storage.batch(traces([2])), 6n));
      assert(error instanceof PositionError);
      assert.equal(
        error.message,
        `Cannot store a batch: journal ${journalId} stands at ${now}, expected 5 (another process ` +
          "uses the same journal id, or the database was restored)",
      );
      assert.equal(speaksAgainstRecords(error), false);
    }
    const reason = new Error("stop");
    const sink = new PostgresSink(database, partitions, randomUUID());
    const aborted = sink.store(storage.batch(traces([2])), 1n, AbortSignal.abort(reason));
    assert.equal(await errorOf(aborted), reason);
    assert.deepEqual(await storedSpans(database), [1, 1, 1]);
  });

  // Partitions

  test("stores late records in a partition of their own, made for them", async (storage) => {
    const { database, sink } = storage;
    const time = BigInt(Date.now()) * 1_000_000n - 10n * DAY_NANOS;
    await sink.store(storage.batch(traces([1], { time }), ["logs", logs([2], { time })]), 2n);
    const day = new Date(Number(time / 1_000_000n)).toISOString().slice(0, 10).replaceAll("-", "");
    assert.deepEqual(
      await database.query(
        `select tableoid::regclass::text as partition from otel_data.spans
         union all select tableoid::regclass::text from otel_data.logs`,
      ),
      [{ partition: `otel_data.spans_${day}` }, { partition: `otel_data.logs_${day}` }],
    );
  });

  test("stores records of 1970 and 2262 in the default partition, and the view has them", async (storage) => {
    const { database, sink } = storage;
    const last = 2n ** 63n - 1n;
    await sink.store(storage.batch(traces([1], { time: 1n }), traces([2], { time: last })), 2n);
    assert.deepEqual(
      await database.query(
        `select span_id, start_unix_nano::text as nanos, extract(year from start_time)::int as year
         from otel.spans order by start_time`,
      ),
      [
        { span_id: "0000000000000001", nanos: "1", year: 1970 },
        { span_id: "0000000000000002", nanos: String(last), year: 2262 },
      ],
    );
    assert.deepEqual(
      await database.query(
        "select distinct tableoid::regclass::text as partition from otel_data.spans",
      ),
      [{ partition: "otel_data.spans_default" }],
    );
  });

  // Dimensions

  test("writes what records name once, and again when it was not committed", async (storage) => {
    const { database, sink, faults } = storage;
    let writes = 0;
    const counting = new Proxy(database, {
      get(target, key) {
        if (key === "transaction") writes++;
        const member = Reflect.get(target, key, target);
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
    const flush = (batch: Batch) => batch.dimensions.flush(counting);
    const first = storage.batch(traces([1]));
    const second = storage.batch(traces([2]));
    assert.ok(first.dimensions.count > 0);
    // Neither is committed: both carry it.
    assert.equal(second.dimensions.count, first.dimensions.count);
    await flush(first);
    assert.equal(writes, 1);
    await flush(first);
    await flush(second);
    assert.equal(writes, 1);
    assert.equal(storage.batch(traces([3])).dimensions.count, 0);
    storage.dimensions.forget();
    assert.equal(storage.batch(traces([3])).dimensions.count, first.dimensions.count);
    await sink.store(second, 2n);
    assert.equal(faults.transactions, 1);
    assert.deepEqual(
      await database.query("select name, service_name from otel.spans"),
      [{ name: "work", service_name: "shop" }],
    );
  });

  test("writes names by the thousand and by the megabyte", async (storage) => {
    const { database, sink } = storage;
    const many = numbers(1, 4500).map((n) => traces([n], { name: `name ${n}` }));
    const long = numbers(5001, 30).map((n) => traces([n], { name: `${n} ${"x".repeat(1 << 20)}` }));
    const batch = storage.batch(...many, ...long);
    assert.ok(batch.bytes > 30 << 20);
    await sink.store(batch, 1n);
    assert.deepEqual(
      await database.query(
        `select count(*) as spans, count(distinct name) as names, max(length(name)) as longest
         from otel.spans where name ~ '^name|^5'`,
      ),
      [{ spans: 4530n, names: 4530n, longest: 5 + (1 << 20) }],
    );
  });

  test("fails nobody but those who name what the database refuses", async (storage) => {
    const { database, sink } = storage;
    await database.query(
      "alter table otel_data.names add constraint no_poison check (name <> 'poison')",
    );
    const to = new DatabaseSink(sink, new PreparedRows(new Transcoder(storage.dimensions)));
    let end = 0n;
    const deliver = async (...ids: number[]) => {
      const records = ids.map((n) => ({
        position: end,
        next: ++end,
        signal: "traces" as const,
        arrivalUnixNano: 0n,
        key: new Uint8Array(32),
        count: 1,
        before: noCounts(),
        body: spans([n], { name: n % 7 === 3 ? "poison" : `name ${n}` }),
      }));
      const { dead } = await to.deliver(records, new AbortController().signal, () => {
        return Promise.resolve();
      });
      assert.ok(dead.every(({ reason }) => /no_poison/.test(reason)));
      return dead.map(({ position }) => Number(position) + 1);
    };
    assert.deepEqual(await deliver(...numbers(1, 20)), [3, 10, 17]);
    assert.deepEqual(await deliver(21), []);
    assert.deepEqual(await deliver(24), [22]);
    await database.query("alter table otel_data.names drop constraint no_poison");
    assert.deepEqual(await deliver(24), []);
    assert.deepEqual(
      await database.query<{ id: string; name: string }>(
        "select otel_data.span_id(0) as id, name from otel.spans where name is null",
      ),
      [],
    );
    assert.deepEqual(
      await storedSpans(database),
      numbers(1, 21).filter((n) => n % 7 !== 3).concat(24),
    );
  });

  // Refusals

  test("refuses records that violate a constraint of the user's for good", async (storage) => {
    const { database, sink, faults } = storage;
    await database.query(
      "alter table otel_data.spans add constraint no_seven check (span_id <> 7)",
    );
    const error = await errorOf(sink.store(storage.batch(traces([6, 7, 8])), 1n));
    assert.equal(error.code, "23514");
    assert.equal(speaksAgainstRecords(error), true);
    assert.equal(faults.transactions, 0);
    assert.deepEqual(await storedSpans(database), []);
    await sink.store(storage.batch(traces([6, 8])), 2n);
    assert.deepEqual(await storedSpans(database), [6, 8]);
  });

  test("takes a missing table for the database's fault, not the records'", async (storage) => {
    const { database, sink } = storage;
    await database.query("alter table otel_data.spans rename to other");
    const error = await errorOf(sink.store(storage.batch(traces([1])), 1n));
    assert.equal(speaksAgainstRecords(error), false, String(error));
    await database.query("alter table otel_data.other rename to spans");
    await sink.store(storage.batch(traces([1])), 1n);
    assert.deepEqual(await storedSpans(database), [1]);
  });
}

Deno.test("a check violation speaks against records only if it names its constraint", () => {
  const error = (fields: object) => Object.assign(new Error("failed"), fields);
  // As npm:pg and PGlite, npm:postgres and @db/postgres say it.
  for (
    const named of [
      { code: "23514", constraint: "c" },
      { code: "23514", constraint_name: "c" },
      { fields: { code: "23514", constraint: "c" } },
    ]
  ) {
    assert.equal(speaksAgainstRecords(error(named)), true);
  }
  for (
    const nameless of [
      { code: "23514" },
      { code: "23514", constraint: undefined, table: "spans_default" },
      { fields: { code: "23514" } },
    ]
  ) {
    assert.equal(speaksAgainstRecords(error(nameless)), false);
  }
  for (const thrown of [undefined, null, "text", new TypeError("a bug")]) {
    assert.equal(speaksAgainstRecords(thrown), true);
  }
});

if (drivers.includes("postgres")) {
  /** Waits until somebody waits for the advisory lock 42. */
  const somebodyWaits = async (query: (sql: string) => Promise<{ rows: unknown[] }>) => {
    const waiting = "select from pg_locks where locktype = 'advisory' and objid = 42 and " +
      "not granted and database = (select oid from pg_database where datname = current_database())";
    while ((await query(waiting)).rows.length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  /** Span 500 waits for the advisory lock 42. */
  const WAIT_AT_500 = `
    create function wait_at_500() returns trigger language plpgsql as $$
    begin
      perform pg_advisory_xact_lock(42);
      return new;
    end $$;
    create trigger wait_at_500 before insert on otel_data.spans
      for each row when (new.span_id = 500) execute function wait_at_500()`;

  Deno.test("sink stores a batch once when its backend is killed in mid-copy", async () => {
    await using storage = await openStorage("postgres");
    const { database, url, sink } = storage;
    await database.execute(WAIT_AT_500);
    const batch = storage.batch(traces(numbers(1, 1000)));
    await backdoor(url, async (rival) => {
      await rival.query("select pg_advisory_lock(42)");
      const stored = errorOf(sink.store(batch, 1n));
      await somebodyWaits((sql) => rival.query(sql));
      await rival.query(
        `select pg_terminate_backend(pid) from pg_locks
         where locktype = 'advisory' and objid = 42 and not granted`,
      );
      const error = await stored;
      assert.equal(classify(error).kind, "transient", String(error));
      await rival.query("select pg_advisory_unlock(42)");
    });
    assert.deepEqual(await storedSpans(database), []);
    await sink.store(batch, 1n);
    assert.deepEqual(await storedSpans(database), numbers(1, 1000));
  });

  Deno.test("sink stores a batch once when a signal ends it in mid-copy", async () => {
    await using storage = await openStorage("postgres");
    const { database, url, sink } = storage;
    await database.execute(WAIT_AT_500);
    const batch = storage.batch(traces(numbers(1, 1000)));
    const reason = new DOMException("too late", "TimeoutError");
    await backdoor(url, async (rival) => {
      await rival.query("select pg_advisory_lock(42)");
      const late = new AbortController();
      const stored = errorOf(sink.store(batch, 1n, late.signal));
      await somebodyWaits((sql) => rival.query(sql));
      late.abort(reason);
      assert.equal(await stored, reason);
      await rival.query("select pg_advisory_unlock(42)");
    });
    await sink.store(batch, 1n);
    assert.deepEqual(await storedSpans(database), numbers(1, 1000));
  });

  Deno.test("sink copies again when a partition is made under its rows", async () => {
    await using storage = await openStorage("postgres");
    const { database, url, faults } = storage;
    await database.execute(WAIT_AT_500);
    // It knows of no partition to make, as if the lock had been busy when it asked.
    const partitions: Partitions = Object.assign(Object.create(storage.partitions), {
      ensureFor: () => Promise.resolve({ created: [], postponed: [] }),
    });
    const sink = new PostgresSink(faulty(database).database, partitions, storage.journalId);
    const late = BigInt(Date.now()) * 1_000_000n - 10n * DAY_NANOS;
    const batch = storage.batch(traces([1, 500]), traces([2, 3], { time: late }));
    await backdoor(url, async (rival) => {
      await rival.query("select pg_advisory_lock(42)");
      const stored = sink.store(batch, 1n);
      await somebodyWaits((sql) => rival.query(sql));
      const { created } = await storage.partitions.ensureFor("traces", [
        Number(late / 3_600_000_000_000n),
      ]);
      assert.equal(created.length, 1);
      await rival.query("select pg_advisory_unlock(42)");
      await stored;
      assert.deepEqual(
        await database.query(
          "select count(*) as n from otel_data.spans where tableoid = $1::regclass",
          [`otel_data.${created[0]}`],
        ),
        [{ n: 2n }],
      );
    });
    assert.equal(faults.transactions, 0);
    assert.deepEqual(await storedSpans(database), [1, 2, 3, 500]);
  });

  for (const cut of ["cut before", "cut after"] as const) {
    Deno.test(`sink stores a batch once when the connection is ${cut} its commit`, async () => {
      await using storage = await openStorage("postgres");
      const { database, url, journalId, partitions } = storage;
      await using proxy = await tcpProxy(Number(new URL(url).port));
      const through = new URL(url);
      through.port = String(proxy.port);
      await using proxied = pg(through.href);
      const sink = new PostgresSink(proxied, partitions, journalId);
      // So that the next commit is that of the records.
      await sink.store(storage.batch(traces([1])), 1n);
      let cuts = 0;
      proxy.onSent = (bytes) => {
        if (!Buffer.from(bytes).toString("latin1").includes("commit")) return "pass";
        return cuts++ === 0 ? cut : "pass";
      };
      const batch = storage.batch(traces(numbers(2, 100)));
      const error = await errorOf(sink.store(batch, 2n));
      assert.equal(classify(error).kind, "transient", String(error));
      await sink.store(batch, 2n);
      await sink.store(storage.batch(traces([102])), 3n);
      assert.ok(cuts > 0);
      assert.deepEqual(await storedSpans(database), numbers(1, 102));
      assert.equal((await stats(database)).spans, 102);
    });
  }

  Deno.test("sink waits for a transaction of its own whose outcome is still open", async () => {
    await using storage = await openStorage("postgres");
    const { database, url, journalId, partitions } = storage;
    const sink = new PostgresSink(database, partitions, journalId);
    await sink.store(storage.batch(traces([1])), 1n);
    // An orphan: it has moved the position and not committed yet.
    await backdoor(url, async (orphan) => {
      await orphan.query("begin");
      await orphan.query("update otel_data.journal_position set at = 2");
      const stored = sink.store(storage.batch(traces([2])), 2n);
      const waiting = "select from pg_stat_activity where wait_event_type = 'Lock' and " +
        "datname = current_database() and query like 'update otel_data.journal_position%'";
      await backdoor(url, async (observer) => {
        while ((await observer.query(waiting)).rows.length === 0) {
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      });
      await orphan.query("commit");
      await stored;
    });
    // The orphan was this very batch, and what it copied is what counts.
    assert.deepEqual(await storedSpans(database), [1]);
    await sink.store(storage.batch(traces([3])), 3n);
    assert.deepEqual(await storedSpans(database), [1, 3]);
  });

  Deno.test("sinks that name the same at once do not deadlock, and lose and double nothing", async () => {
    await using storage = await openStorage("postgres");
    const { database, url } = storage;
    const names = numbers(1, 3000);
    await Promise.all([1, 2, 3, 4].map(async (writer) => {
      await using own = pg(url);
      const partitions = new Partitions(own, { width: "day", retentionDays: 30 });
      const sink = new PostgresSink(own, partitions, randomUUID());
      const transcoder = new Transcoder(new Dimensions());
      for (let round = 0; round < 3; round++) {
        const batch = new Batch();
        const order = writer % 2 === 0 ? names : names.toReversed();
        for (const n of order) {
          const number = (writer * 10 + round) * 10_000 + n;
          transcoder.transcode("traces", spans([number], { name: `${round} ${n}` }), 0n, batch);
        }
        await sink.store(batch, BigInt(round + 1));
      }
    }));
    assert.deepEqual(
      await database.query(
        `select count(*) as spans, count(distinct span_id) as ids, count(distinct name) as names,
           count(*) filter (where name is null or service_name is null) as nameless
         from otel.spans`,
      ),
      [{ spans: 36_000n, ids: 36_000n, names: 9_000n, nameless: 0n }],
    );
    assert.equal((await stats(database)).spans, 36_000);
  });
}
