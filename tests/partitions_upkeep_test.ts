/** The time partitions: sealed and dropped, and what goes with them. */

import assert from "node:assert/strict";
import type { Database } from "../src/postgres/database.ts";
import { Partitions } from "../src/postgres/partitions.ts";
import { drivers, migratedDatabase } from "./postgres.ts";
import {
  count,
  DAY_MS,
  ensure,
  hourOf,
  insertSpans,
  listed,
  NOW,
  upkeep,
} from "./partition_upkeep.ts";

for (const driver of drivers) {
  Deno.test(`expire drops only what is wholly older than asked (${driver})`, async () => {
    await using test = await migratedDatabase(driver);
    const { database } = test;
    await insertSpans(database, "1970-01-01T00:00Z");
    const { partitions, clock } = upkeep(database, { retentionDays: 5 });
    await partitions.ensureFor(
      "traces",
      [18, 19, 20, 21, 22].map((day) => hourOf(`2026-11-${day}T13:00Z`)),
    );
    await insertSpans(database, "2026-11-18T23:59Z", "2026-11-19T00:00Z");
    // Half of the 18th is older than five days.
    assert.deepEqual((await partitions.maintain()).expired, []);
    assert.equal(await count(database, "otel_data.spans"), 3);
    clock.now = Date.parse("2026-11-24T00:00Z") - 1;
    assert.deepEqual((await partitions.maintain()).expired, []);
    clock.now = Date.parse("2026-11-24T00:00Z");
    assert.deepEqual((await partitions.maintain()).expired, ["spans_20261118"]);
    assert.equal(await count(database, "otel_data.spans"), 2);
    assert.equal(await count(database, "otel_data.spans_default"), 1);
    clock.now = NOW + 100 * DAY_MS;
    const report = await partitions.maintain();
    assert.equal(report.expired.filter((name) => name.startsWith("spans_")).length, 7);
    assert.equal(await count(database, "otel_data.spans_default"), 1);
  });

  Deno.test(`expire leaves alone what is not a partition by time (${driver})`, async () => {
    await using test = await migratedDatabase(driver);
    const { database } = test;
    await ensure(database, "2026-11-23T00:00Z", "2026-11-24T00:00Z", "day");
    await database.execute("create table otel_data.spans_20200101 (a int)");
    for (
      const name of ["spans_default", "spans", "services", "spans_20200101", "pg_class", "none"]
    ) {
      const rows = await database.query("select otel_data.expire($1, '2100-01-01') as dropped", [
        name,
      ]);
      assert.deepEqual(rows, [{ dropped: false }], name);
    }
    const drop = "select otel_data.expire('spans_20261123', $1::timestamptz) as dropped";
    assert.deepEqual(await database.query(drop, ["2026-11-23T23:59:59Z"]), [{ dropped: false }]);
    assert.equal((await listed(database)).length, 1);
  });

  Deno.test(`dimensions go when no record can name them any more (${driver})`, async () => {
    await using test = await migratedDatabase(driver);
    const { database } = test;
    await ensure(database, "2026-11-20T00:00Z", "2026-11-21T00:00Z", "day");
    // The oldest partition begins on the 20th: a day's width and two days before it is the 17th.
    await database.execute(`
      insert into otel_data.services values
        (1, 'old', null, now(), now(), '2026-11-16'), (2, 'used', null, now(), now(), '2026-11-17'),
        (3, 'named by a span in default', null, now(), now(), '2020-01-01'),
        (4, 'named by a resource', null, now(), now(), '2020-01-01');
      insert into otel_data.resources values
        (1, 1, null, null, '', '2026-11-16'), (2, 4, null, null, '', '2026-11-17');
      insert into otel_data.scopes values
        (1, 'old', null, null, null, '', '2026-11-16'), (2, 'in default', null, null, null, '', '2020-01-01');
      insert into otel_data.names values (1, 'old', '2026-11-16'), (2, 'in default', '2020-01-01');
      insert into otel_data.attribute_sets values (1, '{}', '{}', null, null, '2026-11-16'),
        (2, '{}', '{}', null, null, '2020-01-01'), (3, '{}', '{}', null, null, '2020-01-01'),
        (4, '{}', '{}', null, null, '2026-11-17');
      insert into otel_data.logs (time, resource_id, scope_id, attribute_set_id, flags, time_frac,
        severity_number) values ('2300-01-01', 9, 9, 3, 0, 0, 0);
      insert into otel_data.metrics values
        (1, 'old', 5, null, null, null, null, '', '2026-11-16'),
        (2, 'named by a series', 5, null, null, null, null, '', '2020-01-01');
      insert into otel_data.series values
        (1, 1, 1, 1, 1, null, '', '2026-11-16'), (2, 2, null, null, null, null, '', '2020-01-01');
      insert into otel_data.spans (trace_id, span_id, time, duration_ns, resource_id, scope_id, name_id,
        service_id, attribute_set_id, flags, time_frac, kind)
        values (gen_random_uuid(), 1, '2300-01-01', 1, 9, 2, 2, 3, 2, 0, 0, 1);
      insert into otel_data.metric_points (time, series_id, flags, time_frac) values ('1970-01-01', 2, 0, 0);`);
    const [deleted] = await database.query(
      "select otel_data.expire_dimensions('2026-12-20T00:00Z') as count",
    );
    assert.deepEqual(deleted, { count: 7n });
    for (
      const [table, ids] of [
        ["services", [2n, 3n, 4n]],
        ["resources", [2n]],
        ["scopes", [2n]],
        ["names", [2n]],
        ["attribute_sets", [2n, 3n, 4n]],
        ["metrics", [2n]],
        ["series", [2n]],
      ] as const
    ) {
      const rows = await database.query<{ id: bigint }>(
        `select id from otel_data.${table} order by id`,
      );
      assert.deepEqual(rows.map(({ id }) => id), ids, table);
    }
    // Without any partition the cutoff itself decides.
    await database.query("select otel_data.expire('spans_20261120', '2027-01-01')");
    const again = "select otel_data.expire_dimensions($1::timestamptz) as count";
    assert.deepEqual(await database.query(again, ["2026-11-19T00:00Z"]), [{ count: 0n }]);
    const report = await upkeep(database).partitions.maintain();
    assert.equal(report.expiredDimensions, 0);
    assert.deepEqual(await database.query(again, ["2026-11-22T00:00Z"]), [{ count: 4n }]);
  });

  Deno.test(`seal finishes closed partitions once (${driver})`, async () => {
    await using test = await migratedDatabase(driver);
    const { database } = test;
    const { partitions, clock } = upkeep(database);
    for (const signal of ["traces", "logs", "metrics"] as const) {
      await partitions.ensureFor(signal, [hourOf("2026-11-22T10:00Z")]);
    }
    await insertSpans(database, ...Array.from({ length: 500 }, () => "2026-11-22T10:00Z"));
    clock.now = Date.parse("2026-11-23T00:59Z"); // an hour has not passed yet
    assert.deepEqual((await partitions.maintain()).sealed, []);
    clock.now = Date.parse("2026-11-23T01:00Z");
    const report = await partitions.maintain();
    assert.deepEqual(report.sealed, ["spans_20261122", "logs_20261122", "metric_points_20261122"]);
    assert.deepEqual(report.postponed, []);
    const indexes = await database.query<{ definition: string }>(`
      select pg_get_indexdef(indexrelid) as definition from pg_index
      where indrelid in ('otel_data.spans_20261122'::regclass, 'otel_data.logs_20261122'::regclass) and indisvalid
      order by 1`);
    assert.deepEqual(indexes.map(({ definition }) => definition.replace(/ ON .* USING/, "")), [
      `CREATE INDEX logs_20261122_errors btree (service_id, "time") WHERE (severity_number >= 17)`,
      `CREATE INDEX logs_20261122_service btree (service_id, "time") WITH (fillfactor='100')`,
      `CREATE INDEX logs_20261122_time_granule_idx brin ("time", granule) WITH (pages_per_range='64')`,
      `CREATE INDEX logs_20261122_time_idx btree ("time") WITH (fillfactor='100') WHERE (granule = 0)`,
      `CREATE INDEX logs_20261122_trace_id_idx btree (trace_id) WITH (fillfactor='100') WHERE (trace_id IS NOT NULL)`,
      `CREATE INDEX spans_20261122_duration btree (service_id, duration_ns)`,
      `CREATE INDEX spans_20261122_errors btree (service_id, "time") WHERE (status = 2)`,
      `CREATE INDEX spans_20261122_service btree (service_id, "time") WITH (fillfactor='100')`,
      `CREATE INDEX spans_20261122_time_granule_idx brin ("time", granule) WITH (pages_per_range='64')`,
      `CREATE INDEX spans_20261122_time_idx btree ("time") WITH (fillfactor='100') WHERE (granule = 0)`,
      `CREATE INDEX spans_20261122_trace_id_idx btree (trace_id) WITH (fillfactor='100')`,
    ]);
    assert.deepEqual(
      await database.query(
        "select reltuples::int as rows from pg_class where relname = 'spans_20261122'",
      ),
      [{ rows: 500 }],
    );
    assert.deepEqual(
      await database.query(
        "select name, rows_estimate from otel.partitions where sealed and signal = 'traces'",
      ),
      [{ name: "spans_20261122", rows_estimate: 500n }],
    );
    assert.deepEqual((await partitions.maintain()).sealed, []);
    assert.deepEqual(await database.query("select otel_data.seal('spans_20261122') as done"), [{
      done: false,
    }]);
    // A sealed partition still takes late records, and is forgotten when it is dropped.
    await insertSpans(database, "2026-11-22T11:00Z");
    assert.equal(await count(database, "otel_data.spans_20261122"), 501);
    clock.now += 60 * DAY_MS;
    await partitions.maintain();
    assert.equal(await count(database, "otel_data.sealed where partition = 'spans_20261122'"), 0);
  });

  Deno.test(`seal does the same in one call, and refuses what is no partition (${driver})`, async () => {
    await using test = await migratedDatabase(driver);
    const { database } = test;
    await ensure(database, "2026-11-22T00:00Z", "2026-11-23T00:00Z", "day");
    assert.deepEqual(await database.query("select otel_data.seal('spans_20261122') as done"), [{
      done: true,
    }]);
    assert.deepEqual(await database.query("select otel_data.seal('spans_20261122') as done"), [{
      done: false,
    }]);
    assert.equal(await count(database, "pg_class where relname = 'spans_20261122_errors'"), 1);
    for (const name of ["spans_default", "spans", "services", "none"]) {
      await assert.rejects(
        database.query("select otel_data.seal($1)", [name]),
        new RegExp(
          `what is sealed is a partition by time of spans, logs or metric_points: ${name}`,
        ),
      );
    }
  });

  Deno.test(`maintain stops when told to (${driver})`, async () => {
    await using test = await migratedDatabase(driver);
    const { partitions } = upkeep(test.database);
    const stop = new AbortController();
    stop.abort(new Error("stopped"));
    await assert.rejects(partitions.maintain({ signal: stop.signal }), /^Error: stopped$/);
    assert.deepEqual(await listed(test.database), []);
  });
}

Deno.test("maintain takes statistics where there is no autovacuum", async () => {
  await using test = await migratedDatabase("pglite");
  const { partitions } = upkeep(test.database);
  await partitions.makeAhead();
  await insertSpans(test.database, "2026-11-23T10:00Z", "2026-11-23T11:00Z", "1970-01-01T00:00Z");
  await partitions.maintain();
  assert.deepEqual(
    await test.database.query(
      "select relname::text, reltuples::int from pg_class where reltuples > 0 and relkind = 'r' and relname ~ '^spans' order by 1",
    ),
    [{ relname: "spans_20261123", reltuples: 2 }, { relname: "spans_default", reltuples: 1 }],
  );
});

Deno.test("upkeep of an embedded database lets a read of a time range pass over the other pages", async () => {
  await using test = await migratedDatabase("pglite");
  const { database } = test;
  const { partitions } = upkeep(database);
  await partitions.makeAhead();
  // About ten ranges of pages of the index on time, in order of time.
  await database.query(
    `insert into otel_data.spans (trace_id, span_id, time, duration_ns, resource_id, scope_id,
       name_id, service_id, flags, time_frac, kind, status)
     select gen_random_uuid(), n, $1::timestamptz + n * interval '1 millisecond', 1, 1, 1, 1, 1, 0, 0, 1, 2
     from generate_series(1, 80000) n`,
    [new Date(NOW).toISOString()],
  );
  const passedOver = async () => {
    const lines = await database.query(
      `explain (analyze, costs off, timing off) select span_id from otel_data.spans
       where time >= $1::timestamptz and time < $2::timestamptz`,
      [new Date(NOW + 1_000).toISOString(), new Date(NOW + 2_000).toISOString()],
    );
    const plan = lines.map((line) => String(Object.values(line)[0])).join("\n");
    const removed = /Rows Removed by Index Recheck: (\d+)/.exec(plan);
    return 80_000 - Number(removed?.[1] ?? 80_000);
  };
  await database.query("set enable_seqscan = off");
  await database.query("set enable_indexscan = off");
  assert.ok(await passedOver() < 2_000);
  await partitions.maintain();
  assert.ok(await passedOver() > 50_000);
});

Deno.test("a share of sealing that is none is refused by its name", () => {
  const database = {} as Database;
  for (const sealingShare of [0, -1, 1.5, NaN]) {
    assert.throws(
      () => new Partitions(database, { width: "day", retentionDays: 1, sealingShare }),
      new RegExp(`sealingShare is ${sealingShare},`),
    );
  }
});
