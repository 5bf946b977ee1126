/** A journal delivered to real databases: what they refuse is told apart from what they take. */

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { JournalRecord } from "../src/journal.ts";
import { type DeadLetter, type Delivered, noCounts, type Sink } from "../src/sink.ts";
import type { Database } from "../src/postgres/database.ts";
import { DatabaseSink } from "../src/postgres/database_sink.ts";
import { Dimensions } from "../src/postgres/dimensions.ts";
import { Partitions } from "../src/postgres/partitions.ts";
import { PostgresSink } from "../src/postgres/sink.ts";
import { PreparedRows } from "../src/postgres/prepared_rows.ts";
import type { BodyOf } from "../src/postgres/streams.ts";
import { Transcoder } from "../src/postgres/transcode.ts";
import type { Signal } from "../src/record.ts";
import { drivers, migratedDatabase, type TestDriver } from "./postgres.ts";
import { logs, numbers, points, spanId, spans } from "./requests.ts";

const NEVER = new AbortController().signal;
const POISON = 7;

interface Storage extends AsyncDisposable {
  readonly database: Database;
  /** Makes a sink of the journal with that id. */
  sink(journalId: string, rows?: PreparedRows, bodyOf?: BodyOf): Sink;
}

function preparedRows(): PreparedRows {
  return new PreparedRows(new Transcoder(new Dimensions()));
}

async function openStorage(driver: TestDriver): Promise<Storage> {
  const store = await migratedDatabase(driver);
  const { database } = store;
  const partitions = new Partitions(database, { width: "day", retentionDays: 30 });
  return {
    database,
    sink: (journalId, rows = preparedRows(), bodyOf) =>
      new DatabaseSink(
        new PostgresSink(database, partitions, journalId),
        rows,
        bodyOf === undefined ? {} : { bodyOf },
      ),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

/** Records of a journal whose positions are 100 apart. */
function journal(
  ...requests: readonly (readonly [signal: Signal, body: Uint8Array, count: number])[]
): JournalRecord[] {
  return requests.map(([signal, body, count], n) => ({
    position: BigInt(n * 100),
    next: BigInt((n + 1) * 100),
    signal,
    arrivalUnixNano: BigInt(Date.now()) * 1_000_000n,
    key: new Uint8Array(32),
    count,
    before: noCounts(),
    body,
  }));
}

/** Delivers; what is dead is buried when it is returned. */
async function deliver(sink: Sink, records: readonly JournalRecord[]): Promise<Delivered> {
  const buried: DeadLetter[] = [];
  const delivered = await sink.deliver(records, NEVER, (letters) => {
    buried.push(...letters);
    return Promise.resolve();
  });
  assert.deepEqual(buried, delivered.dead);
  return delivered;
}

/** The constraint stands for whatever a database may have against a record. */
async function refuse(database: Database, number: number): Promise<void> {
  await database.execute(
    `alter table otel_data.spans add constraint no_such_span check (span_id <> ${number})`,
  );
}

async function spanIds(database: Database): Promise<string[]> {
  const rows = await database.query<{ span_id: string }>(
    "select span_id from otel.spans order by span_id",
  );
  return rows.map(({ span_id }) => span_id);
}

for (const driver of drivers) {
  const test = (name: string, run: (storage: Storage) => Promise<void>) =>
    Deno.test(`${name}: ${driver}`, async () => {
      await using storage = await openStorage(driver);
      await run(storage);
    });

  test("a database sink stores requests of all signals and says where it stands", async ({ database, sink }) => {
    const journalId = randomUUID();
    const first = sink(journalId);
    assert.equal(await first.position?.(NEVER), undefined);
    const records = journal(
      ["traces", spans([1, 2]), 2],
      ["logs", logs([1]), 1],
      ["metrics", points([1, 2, 3]), 3],
    );
    assert.deepEqual(await deliver(first, records), {
      next: 300n,
      delivered: { traces: 2, logs: 1, metrics: 3 },
      dead: [],
    });
    assert.equal(await sink(journalId).position?.(NEVER), 300n);
    assert.equal(await sink(randomUUID()).position?.(NEVER), undefined);
    const [stored] = await database.query(
      `select (select count(*) from otel.spans) as spans, (select count(*) from otel.logs) as logs,
        (select count(*) from otel.metric_points) as points`,
    );
    assert.deepEqual(stored, { spans: 2n, logs: 1n, points: 3n });
  });

  test("of a request with one poison record the others are stored, and it is a dead letter", async ({ database, sink }) => {
    await refuse(database, POISON);
    const count = 1_000;
    const ids = numbers(1, count);
    const to = sink(randomUUID());
    const delivered = await deliver(to, journal(["traces", spans(ids), count]));
    assert.equal(delivered.next, 100n);
    assert.deepEqual(delivered.delivered, { traces: count - 1, logs: 0, metrics: 0 });
    const [letter, ...others] = delivered.dead;
    assert.deepEqual(others, []);
    assert.equal(letter?.position, 0n);
    assert.equal(letter.index, ids.indexOf(POISON));
    assert.match(letter.reason, /no_such_span/);
    assert.deepEqual(
      await spanIds(database),
      ids.filter((id) => id !== POISON).map(spanId).sort(),
    );

    await database.execute("alter table otel_data.spans drop constraint no_such_span");
    const [again] = journal(["traces", letter.body, 1]);
    await deliver(to, [{ ...again!, position: 100n, next: 200n }]);
    assert.deepEqual(await spanIds(database), ids.map(spanId).sort());
  });

  test("of many requests the one that holds a poison record is told apart", async ({ database, sink }) => {
    await refuse(database, POISON);
    const ids = numbers(1, 64);
    const records = journal(...ids.map((id) => ["traces", spans([id]), 1] as const));
    const delivered = await deliver(sink(randomUUID()), records);
    assert.equal(delivered.next, records.at(-1)!.next);
    assert.equal(delivered.delivered.traces, 63);
    assert.deepEqual(
      delivered.dead.map(({ position, index }) => [position, index]),
      [[records[ids.indexOf(POISON)]!.position, 0]],
    );
    assert.equal((await spanIds(database)).length, 63);
  });

  test("a body is asked for where rows are not there, or were and the database refuses them", async ({ database, sink }) => {
    await refuse(database, POISON);
    const bodies = [[1], [2], [3, POISON], [4]].map((ids) => spans(ids));
    const rows = preparedRows();
    const records = journal(...bodies.map((body) => ["traces", body, 1] as const));
    for (const [n, { position, arrivalUnixNano }] of records.entries()) {
      const checked = rows.check("traces", bodies[n]!, arrivalUnixNano);
      if (n !== 1) checked.keep(position);
    }
    const read = new Set<bigint>();
    const to = sink(randomUUID(), rows, (request) => {
      if (!request.isKnown) return Promise.resolve(request.body);
      read.add(request.position!);
      return Promise.resolve(bodies[Number(request.position) / 100]!);
    });
    assert.deepEqual(records.map(({ position }) => to.knows!(position)), [true, false, true, true]);
    const known = records.map(({ body: _, ...record }) => ({
      ...record,
      isKnown: true,
      get body(): never {
        throw new Error("it was not read");
      },
    }));
    // The first alone, whose rows are there.
    await deliver(to, known.slice(0, 1));
    assert.deepEqual([...read], []);
    const delivered = await deliver(to, known.slice(1));
    assert.deepEqual(delivered.dead.map(({ position, index }) => [position, index]), [[200n, 1]]);
    assert.deepEqual([...read].sort(), [100n, 200n, 300n]);
    assert.deepEqual(await spanIds(database), [1, 2, 3, 4].map(spanId));
  });

  test("of records that are refused only together, as many as can be are stored", async ({ database, sink }) => {
    await database.execute(
      "create unique index one_of_a_kind on otel_data.spans (span_id, trace_id, time)",
    );
    const twins = spans([1, 1, 2], { time: BigInt(Date.now()) * 1_000_000n });
    const delivered = await deliver(sink(randomUUID()), journal(["traces", twins, 3]));
    assert.equal(delivered.delivered.traces + delivered.dead.length, 3);
    assert.equal(delivered.dead.length, 1);
    assert.equal((await spanIds(database)).length, 2);
  });

  test("records that were rejected when they came are no dead letters", async ({ database, sink }) => {
    await refuse(database, POISON);
    // Span id 0 is none: the record was rejected, the request counts two.
    const body = spans([0, 1, POISON]);
    const delivered = await deliver(sink(randomUUID()), journal(["traces", body, 2]));
    assert.deepEqual(delivered.delivered, { traces: 1, logs: 0, metrics: 0 });
    assert.deepEqual(delivered.dead.map(({ index }) => index), [2]);
    assert.deepEqual(await spanIds(database), [spanId(1)]);
  });

  test("a request of which nothing can be stored still moves the position", async ({ database, sink }) => {
    await refuse(database, POISON);
    const journalId = randomUUID();
    const delivered = await deliver(sink(journalId), journal(["traces", spans([POISON]), 1]));
    assert.equal(delivered.dead.length, 1);
    assert.equal(await sink(journalId).position?.(NEVER), 100n);
  });

  test("what is dead is buried before the database has moved on", async ({ database, sink }) => {
    await refuse(database, POISON);
    const journalId = randomUUID();
    const records = journal(["traces", spans([1, POISON]), 2]);
    await assert.rejects(
      sink(journalId).deliver(records, NEVER, () => Promise.reject(new Error("no space"))),
      /no space/,
    );
    assert.equal(await sink(journalId).position?.(NEVER), undefined);
    assert.deepEqual(await spanIds(database), []);
  });

  test("a database that would refuse anything makes no dead letters", async ({ database, sink }) => {
    const to = sink(randomUUID());
    await to.position?.(NEVER);
    await database.execute("alter table otel_data.spans rename to elsewhere");
    await assert.rejects(
      deliver(to, journal(["traces", spans([1]), 1], ["traces", spans([2]), 1])),
      { code: "42P01" },
    );
    await database.execute("alter table otel_data.elsewhere rename to spans");
    assert.deepEqual(await spanIds(database), []);
  });
}
