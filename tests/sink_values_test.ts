/** The sink: what a database refuses, and what it takes in the end. */

import assert from "node:assert/strict";
import type { Batch } from "../src/postgres/batch.ts";
import { jsonToProtobuf } from "../src/otlp.ts";
import { DatabaseSink } from "../src/postgres/database_sink.ts";
import { speaksAgainstRecords } from "../src/postgres/sink.ts";
import { PreparedRows } from "../src/postgres/prepared_rows.ts";
import { Transcoder } from "../src/postgres/transcode.ts";
import { noCounts } from "../src/sink.ts";
import { errorOf } from "./driver_candidates.ts";
import { drivers } from "./postgres.ts";
import { numbers, spans } from "./requests.ts";
import { openStorage, type Storage, storedSpans, traces } from "./sink_storage.ts";

for (const driver of drivers) {
  const test = (sentence: string, run: (storage: Storage) => Promise<void>) =>
    Deno.test(`sink on ${driver} ${sentence}`, async () => {
      await using storage = await openStorage(driver);
      await run(storage);
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

  test("cuts the times of a span to the microsecond, also of one that ends before it starts", async (storage) => {
    const { database, sink } = storage;
    const start = 1_700_000_000_000_000_500n;
    const ends = [1500n, 499n, 500n, -1n, -500n, -501n, -1500n, -1501n, -3_600_000_000_000n];
    const body = jsonToProtobuf(
      "traces",
      JSON.stringify({
        resourceSpans: [{
          scopeSpans: [{
            spans: ends.map((later, i) => ({
              traceId: "5b8efff798038103d269b633813fc60c",
              spanId: String(i + 1).padStart(16, "0"),
              startTimeUnixNano: String(start),
              endTimeUnixNano: String(start + later),
            })),
          }],
        }],
      }),
    );
    await sink.store(storage.batch(["traces", body]), 1n);
    const rows = await database.query(
      `select (extract(epoch from start_time) * 1000000)::bigint as start,
         (extract(epoch from end_time) * 1000000)::bigint as end
       from otel.spans order by span_id`,
    );
    assert.deepEqual(
      rows,
      // The quotients are positive, so that division cuts them.
      ends.map((later) => ({ start: start / 1000n, end: (start + later) / 1000n })),
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
