/** The time partitions: made, sealed and dropped, while others read and write. */

import assert from "node:assert/strict";
import type { Database, Queryable } from "../src/postgres/database.ts";
import { migrate } from "../src/postgres/migrate.ts";
import { chooseWidth, type PartitionWidth } from "../src/postgres/partition_width.ts";
import { Partitions, type PartitionsOptions } from "../src/postgres/partitions.ts";
import { pg } from "../src/postgres/pg.ts";
import { drivers, type TestDatabase, testDatabase, type TestDriver } from "./postgres.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** A Monday. */
const NOW = Date.parse("2026-11-23T12:30:00Z");

function hourOf(time: string): number {
  return Math.floor(Date.parse(time) / HOUR_MS);
}

async function migrated(driver: TestDriver): Promise<TestDatabase> {
  const test = await testDatabase(driver);
  await migrate(test.database);
  return test;
}

/** Upkeep whose clock is `clock.now`. */
function upkeep(
  database: Database,
  options: Partial<PartitionsOptions> = {},
): { partitions: Partitions; clock: { now: number } } {
  const clock = { now: NOW };
  const partitions = new Partitions(database, {
    width: "day",
    retentionDays: 30,
    clock: () => clock.now,
    ...options,
  });
  return { partitions, clock };
}

/** The partitions of a table as `name start end`, newest first. */
async function listed(database: Queryable, table = "spans"): Promise<string[]> {
  const rows = await database.query<{ line: string }>(
    `select concat_ws(' ', name, to_char(range_start at time zone 'UTC', 'MM-DD"T"HH24'),
       to_char(range_end at time zone 'UTC', 'MM-DD"T"HH24')) as line from otel_data.list($1)`,
    [table],
  );
  return rows.map(({ line }) => line);
}

async function ensure(
  database: Queryable,
  from: string,
  to: string,
  width: PartitionWidth,
): Promise<string[]> {
  const rows = await database.query<{ name: string }>(
    "select otel_data.ensure('spans', $1::timestamptz, $2::timestamptz, $3) as name",
    [from, to, width],
  );
  return rows.map(({ name }) => name);
}

async function insertSpans(database: Queryable, ...times: string[]): Promise<void> {
  await database.query(
    `insert into otel_data.spans (trace_id, span_id, time, duration_ns, resource_id, scope_id,
       name_id, service_id, flags, time_frac, kind, status)
     select gen_random_uuid(), 1, time::timestamptz, 1, 1, 1, 1, 1, 0, 0, 1, 2
     from unnest($1::text[]) time`,
    [times],
  );
}

async function count(database: Queryable, table: string): Promise<number> {
  const [row] = await database.query<{ count: number }>(
    `select count(*)::int as count from ${table}`,
  );
  return row!.count;
}

/** The database, with a look at each statement before it is sent. */
function observed(database: Database, observe: (sql: string) => Promise<void> | void): Database {
  return new Proxy(database, {
    get(target, key) {
      const member = Reflect.get(target, key, target);
      if (key === "query") {
        return async (...args: Parameters<Database["query"]>) => {
          await observe(args[0]);
          return await target.query(...args);
        };
      }
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

for (const driver of drivers) {
  Deno.test(`maintain makes the partitions of today and the next two days (${driver})`, async () => {
    await using test = await migrated(driver);
    const { partitions } = upkeep(test.database);
    const report = await partitions.maintain();
    const days = ["20261123", "20261124", "20261125"];
    assert.deepEqual(
      report.created,
      ["spans", "logs", "metric_points"].flatMap((table) => days.map((day) => `${table}_${day}`)),
    );
    assert.deepEqual(report.postponed, []);
    assert.deepEqual(await listed(test.database, "logs"), [
      "logs_20261125 11-25T00 11-26T00",
      "logs_20261124 11-24T00 11-25T00",
      "logs_20261123 11-23T00 11-24T00",
    ]);
    const view = await test.database.query(
      `select signal, name, (range_end - range_start)::text as width, rows_estimate, bytes > 0 as bytes, sealed
       from otel.partitions where signal = 'metrics' order by range_start`,
    );
    const partition = {
      signal: "metrics",
      width: "1 day",
      rows_estimate: 0n,
      bytes: true,
      sealed: false,
    };
    assert.deepEqual(view, [
      ...days.map((day) => ({ ...partition, name: `metric_points_${day}` })),
      { ...partition, name: "metric_points_default", width: null },
    ]);
    assert.deepEqual((await partitions.maintain()).created, []);
  });

  Deno.test(`late records get a partition of their own, those out of bounds none (${driver})`, async () => {
    await using test = await migrated(driver);
    const { partitions } = upkeep(test.database, { retentionDays: 10 });
    await partitions.makeAhead();
    const hours = [
      "2026-11-20T23:00Z", // late
      "2026-11-13T12:00Z", // the hour in which the retention ends
      "2026-11-13T11:00Z", // before it
      "2026-11-25T13:00Z", // more than two days ahead
      "1970-01-01T00:00Z",
      "2554-01-01T00:00Z",
      "2026-11-23T12:00Z", // has one
    ].map(hourOf);
    const report = await partitions.ensureFor("traces", hours);
    assert.deepEqual(report, { created: ["spans_20261113", "spans_20261120"], postponed: [] });
    await insertSpans(test.database, "2026-11-20T23:59:59.999999Z", "2026-11-21T00:00Z");
    assert.equal(await count(test.database, "otel_data.spans_20261120"), 1);
    assert.equal(await count(test.database, "otel_data.spans_default"), 1);
    assert.deepEqual(await listed(test.database, "metric_points"), [
      "metric_points_20261125 11-25T00 11-26T00",
      "metric_points_20261124 11-24T00 11-25T00",
      "metric_points_20261123 11-23T00 11-24T00",
    ]);
  });

  Deno.test(`ensureFor asks the database only about hours it does not know (${driver})`, async () => {
    await using test = await migrated(driver);
    let asked = 0;
    const database = observed(test.database, () => void asked++);
    const { partitions, clock } = upkeep(database);
    await partitions.makeAhead();
    asked = 0;
    const known = ["2026-11-23T00:00Z", "2026-11-25T12:00Z", "1970-01-01T00:00Z"].map(hourOf);
    await partitions.ensureFor("logs", known);
    assert.equal(asked, 0);
    await partitions.ensureFor("logs", [hourOf("2026-11-22T05:00Z")]);
    assert.notEqual(asked, 0);
    asked = 0;
    await partitions.ensureFor("logs", [hourOf("2026-11-22T23:00Z")]);
    assert.equal(asked, 0);
    clock.now += 3 * DAY_MS;
    const report = await partitions.ensureFor("logs", [hourOf("2026-11-26T12:00Z")]);
    assert.deepEqual(report.created, ["logs_20261126"]);
  });

  Deno.test(`hours that another process made partitions for are not made again (${driver})`, async () => {
    await using test = await migrated(driver);
    const one = upkeep(test.database).partitions;
    const other = upkeep(test.database).partitions;
    await one.makeAhead();
    assert.deepEqual(await other.ensureFor("traces", [hourOf("2026-11-24T00:00Z")]), {
      created: [],
      postponed: [],
    });
    assert.deepEqual((await other.maintain()).created, []);
  });

  Deno.test(`ensure moves rows that wait in the default partition (${driver})`, async () => {
    await using test = await migrated(driver);
    const { database } = test;
    const times = [
      "2026-11-22T23:59:59Z",
      "2026-11-23T00:00Z",
      "2026-11-23T23:59:59.999999Z",
      "2026-11-24T00:00Z",
    ];
    await insertSpans(database, ...times);
    const before = await database.query("select trace_id from otel_data.spans order by 1");
    assert.deepEqual(await ensure(database, "2026-11-23T05:00Z", "2026-11-23T06:00Z", "day"), [
      "spans_20261123",
    ]);
    assert.equal(await count(database, "otel_data.spans_20261123"), 2);
    assert.equal(await count(database, "otel_data.spans_default"), 2);
    assert.deepEqual(
      await database.query("select trace_id from otel_data.spans order by 1"),
      before,
    );
  });

  Deno.test(`maintain moves what went to the default partition and belongs elsewhere (${driver})`, async () => {
    await using test = await migrated(driver);
    const { database } = test;
    await insertSpans(
      database,
      "1970-01-01T00:00Z",
      "2026-11-02T00:00Z",
      "2026-11-26T00:00Z",
      "2300-01-01T00:00Z",
    );
    const { partitions, clock } = upkeep(database);
    const report = await partitions.maintain();
    assert.deepEqual(report.created.slice(0, 4), [
      "spans_20261102",
      "spans_20261123",
      "spans_20261124",
      "spans_20261125",
    ]);
    assert.equal(await count(database, "otel_data.spans_20261102"), 1);
    assert.equal(await count(database, "otel_data.spans_default"), 3);
    // What was too far ahead then.
    clock.now += DAY_MS;
    await partitions.maintain();
    assert.equal(await count(database, "otel_data.spans_20261126"), 1);
    assert.equal(await count(database, "otel_data.spans_default"), 2);
  });

  Deno.test(`partitions have UTC bounds and names whatever the session's time zone (${driver})`, async () => {
    await using test = await migrated(driver);
    const { database } = test;
    for (const zone of ["America/New_York", "Asia/Kolkata", "Pacific/Apia"]) {
      await database.transaction(async (transaction) => {
        await transaction.query(`set local timezone = '${zone}'`);
        await transaction.query("set local datestyle = 'German'");
        // Clocks in New York went back on the 1st of November 2026.
        const range = ["2026-10-31T03:00Z", "2026-11-02T05:00Z"] as const;
        await ensure(transaction, ...range, "day");
        await ensure(transaction, "2026-11-03T10:00Z", "2026-11-03T11:00Z", "hour");
        await ensure(transaction, "2026-11-11T10:00Z", "2026-11-11T11:00Z", "week");
        await ensure(transaction, "2026-12-11T10:00Z", "2027-01-01T00:00Z", "month");
        assert.deepEqual(await listed(transaction), [
          "spans_202612 12-01T00 01-01T00",
          "spans_20261109_week 11-09T00 11-16T00",
          "spans_2026110310 11-03T10 11-03T11",
          "spans_20261102 11-02T00 11-03T00",
          "spans_20261101 11-01T00 11-02T00",
          "spans_20261031 10-31T00 11-01T00",
        ], zone);
        await transaction.query(
          "select otel_data.expire(name, '2026-11-01T00:00Z') from otel_data.list('spans')",
        );
        assert.equal((await listed(transaction)).length, 5);
        await transaction.query(
          "select otel_data.expire(name, '2028-01-01') from otel_data.list('spans')",
        );
        assert.deepEqual(await listed(transaction), []);
      });
    }
  });

  Deno.test(`a new width begins where the partitions there are end (${driver})`, async () => {
    await using test = await migrated(driver);
    const { database } = test;
    await ensure(database, "2026-11-24T20:30Z", "2026-11-24T22:30Z", "hour");
    assert.deepEqual(await ensure(database, "2026-11-24T20:30Z", "2026-11-26T10:00Z", "day"), [
      "spans_2026112423", // what is left of the day
      "spans_20261125",
      "spans_20261126",
    ]);
    assert.deepEqual(
      await ensure(database, "2026-11-26T10:00Z", "2026-12-01T00:00Z", "week"),
      [
        "spans_2026112700_2026113000",
        "spans_20261130_week",
      ],
    );
    assert.deepEqual(await ensure(database, "2026-12-20T00:00Z", "2026-12-20T01:00Z", "month"), [
      "spans_2026120700_2027010100",
    ]);
    // Narrower again: what is covered stays covered.
    assert.deepEqual(await ensure(database, "2026-12-20T00:00Z", "2027-01-01T02:00Z", "hour"), [
      "spans_2027010100",
      "spans_2027010101",
    ]);
    const gaps = await database.query(`
      select from (select range_end, lead(range_start) over (order by range_start) as next
        from otel_data.list('spans')) l where next <> range_end`);
    assert.deepEqual(gaps, []);
  });

  Deno.test(`ensure refuses what it cannot do by name (${driver})`, async () => {
    await using test = await migrated(driver);
    const { database } = test;
    const call = (table: string, from: string, to: string, width: string) =>
      database.query("select otel_data.ensure($1, $2::timestamptz, $3::timestamptz, $4)", [
        table,
        from,
        to,
        width,
      ]);
    await assert.rejects(
      call("services", "2026-11-23", "2026-11-24", "day"),
      /signal table is spans, logs or metric_points: services/,
    );
    await assert.rejects(
      call("spans", "2026-11-23", "2026-11-24", "year"),
      /partition width is hour, day, week or month: year/,
    );
    await assert.rejects(
      call("spans", "2026-11-23", "2036-11-24", "hour"),
      /is at most 1000 of width hour/,
    );
    await assert.rejects(
      call("spans", "2026-11-23", "infinity", "month"),
      /is at most 1000 of width month/,
    );
    assert.deepEqual(await call("spans", "2026-11-24", "2026-11-23", "day"), []);
    assert.deepEqual(await listed(database), []);
  });

  Deno.test(`a table in the way leaves its records to the default partition (${driver})`, async () => {
    await using test = await migrated(driver);
    const { database } = test;
    await database.query("create table otel_data.spans_20261122 (kept int)");
    let asked = 0;
    const { partitions, clock } = upkeep(observed(database, () => void asked++));
    const late = [hourOf("2026-11-22T10:00Z")];
    const report = await partitions.ensureFor("traces", late);
    assert.deepEqual(report.created, []);
    assert.deepEqual(report.postponed.map(({ action, name }) => [action, name]), [
      ["create", "spans 2026-11-22T10:00:00.000Z"],
    ]);
    assert.match(
      String(report.postponed[0]!.error),
      /otel_data\.spans_20261122 is in the way of the partition of that name: rename or drop it/,
    );
    // It is not tried again with each batch, but after a minute.
    asked = 0;
    await partitions.ensureFor("traces", late);
    assert.equal(asked, 0);
    await database.query("drop table otel_data.spans_20261122");
    clock.now += 60_000;
    assert.deepEqual((await partitions.ensureFor("traces", late)).created, ["spans_20261122"]);
  });

  Deno.test(`expire drops only what is wholly older than asked (${driver})`, async () => {
    await using test = await migrated(driver);
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
    await using test = await migrated(driver);
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
    await using test = await migrated(driver);
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
    await using test = await migrated(driver);
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
      `CREATE INDEX logs_20261122_granule_idx brin (granule) WITH (pages_per_range='64')`,
      `CREATE INDEX logs_20261122_service_id_time_idx btree (service_id, "time") WITH (fillfactor='100')`,
      `CREATE INDEX logs_20261122_time_idx brin ("time")`,
      `CREATE INDEX logs_20261122_time_idx1 btree ("time") WITH (fillfactor='100') WHERE (granule = 0)`,
      `CREATE INDEX logs_20261122_trace_id_idx btree (trace_id) WITH (fillfactor='100') WHERE (trace_id IS NOT NULL)`,
      `CREATE INDEX spans_20261122_duration btree (service_id, duration_ns)`,
      `CREATE INDEX spans_20261122_errors btree (service_id, "time") WHERE (status = 2)`,
      `CREATE INDEX spans_20261122_granule_idx brin (granule) WITH (pages_per_range='64')`,
      `CREATE INDEX spans_20261122_service_id_time_idx btree (service_id, "time") WITH (fillfactor='100')`,
      `CREATE INDEX spans_20261122_time_idx brin ("time")`,
      `CREATE INDEX spans_20261122_time_idx1 btree ("time") WITH (fillfactor='100') WHERE (granule = 0)`,
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
    await using test = await migrated(driver);
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
    await using test = await migrated(driver);
    const { partitions } = upkeep(test.database);
    const stop = new AbortController();
    stop.abort(new Error("stopped"));
    await assert.rejects(partitions.maintain({ signal: stop.signal }), /^Error: stopped$/);
    assert.deepEqual(await listed(test.database), []);
  });
}

Deno.test("maintain takes statistics where there is no autovacuum", async () => {
  await using test = await migrated("pglite");
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

Deno.test("chooseWidth takes the finest from a day up with fewer than 50 partitions", () => {
  for (
    const [retentionDays, width] of [
      [1, "day"],
      [30, "day"],
      [49, "day"],
      [50, "week"],
      [343, "week"],
      [344, "month"],
      [1_400, "month"],
    ] as const
  ) {
    assert.deepEqual(chooseWidth(undefined, retentionDays), { width }, `${retentionDays}`);
  }
  assert.deepEqual(chooseWidth("hour", 2), { width: "hour" });
  assert.deepEqual(chooseWidth("month", 30), { width: "month" });
});

Deno.test("chooseWidth warns of many partitions and names what would be better", () => {
  assert.deepEqual(chooseWidth("hour", 30), {
    width: "hour",
    warning: "30 days by hour make 720 partitions a signal, and queries without a time get slow " +
      "from 50 on: partition by day",
  });
  assert.match(
    chooseWidth("day", 90).warning!,
    /90 days by day make 90 partitions.*: partition by week$/,
  );
  assert.match(
    chooseWidth(undefined, 3_650).warning!,
    /by month make 120 .*: keep telemetry for a shorter time$/,
  );
});

Deno.test("a retention of no days is refused", () => {
  for (const retentionDays of [0, -1, NaN]) {
    assert.throws(
      () => new Partitions({} as Database, { width: "day", retentionDays }),
      new RangeError(`Cannot keep partitions: retentionDays is ${retentionDays}, not above 0`),
    );
  }
});

const onServer = { ignore: !drivers.includes("postgres") };

/** A transaction that is under way until it is told to end. */
async function underWay(
  database: Database,
  sql: string,
): Promise<{ end(): Promise<void> } & AsyncDisposable> {
  const begun = Promise.withResolvers<void>();
  const ending = Promise.withResolvers<void>();
  const done = database.transaction(async (transaction) => {
    await transaction.query(sql);
    begun.resolve();
    await ending.promise;
  });
  await Promise.race([begun.promise, done]);
  const end = async () => {
    ending.resolve();
    await done;
  };
  return { end, [Symbol.asyncDispose]: end };
}

Deno.test("partitions made by eight processes at once are made once", onServer, async () => {
  await using test = await migrated("postgres");
  await using databases = new AsyncDisposableStack();
  const reports = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const database = databases.use(pg(test.url, { maxConnections: 1 }));
      return await upkeep(database).partitions.makeAhead();
    }),
  );
  assert.deepEqual(reports.flatMap(({ postponed }) => postponed), []);
  const created = reports.flatMap(({ created }) => created).sort();
  assert.deepEqual(created, [...new Set(created)]);
  assert.equal(created.length, 9);
  assert.equal((await listed(test.database)).length, 3);
});

Deno.test("rows move out of the default partition while writers go on", onServer, async () => {
  await using test = await migrated("postgres");
  const { database } = test;
  let writing = true;
  let written = 0;
  const writers = Array.from({ length: 3 }, async (_, writer) => {
    await using own = pg(test.url, { maxConnections: 1 });
    for (let n = 0; writing || n < 40; n++) {
      const time = new Date(NOW + (writer + n % 40) * HOUR_MS).toISOString();
      await insertSpans(own, time, time);
      written += 2;
    }
  });
  const report = await (async () => {
    while (written < 60) await database.query("select pg_sleep(0.01)");
    assert.notEqual(await count(database, "otel_data.spans_default"), 0);
    return await upkeep(database, { width: "hour" }).partitions.maintain();
  })().finally(() => writing = false);
  await Promise.all(writers);
  assert.deepEqual(report.postponed, []);
  assert.equal(report.created.filter((name) => name.startsWith("spans_")).length, 48);
  assert.equal(await count(database, "otel_data.spans"), written);
  assert.equal(await count(database, "otel_data.spans_default"), 0);
});

Deno.test(
  "partitions are made ahead while a writer's transaction is under way",
  onServer,
  async () => {
    await using test = await migrated("postgres");
    await ensure(test.database, "2026-11-23T00:00Z", "2026-11-24T00:00Z", "day");
    await using _writer = await underWay(
      test.database,
      `insert into otel_data.spans (trace_id, span_id, time, duration_ns, resource_id, scope_id, name_id,
       flags, time_frac, kind) values (gen_random_uuid(), 1, '2026-11-23T05:00Z', 1, 1, 1, 1, 0, 0, 1)`,
    );
    const { partitions } = upkeep(test.database, { lockAttempts: 1 });
    const report = await partitions.makeAhead();
    assert.deepEqual(report.postponed, []);
    assert.equal(report.created.length, 8);
  },
);

Deno.test("expire tries again when a reader held it up", onServer, async () => {
  await using test = await migrated("postgres");
  const { database } = test;
  await ensure(database, "2026-09-01T00:00Z", "2026-09-02T00:00Z", "day");
  await ensure(database, "2026-11-23T00:00Z", "2026-11-26T00:00Z", "day");
  await using reader = await underWay(database, "select count(*) from otel_data.spans");
  let attempts = 0;
  const { partitions } = upkeep(
    observed(database, async (sql) => {
      if (!sql.includes("otel_data.expire(")) return;
      if (++attempts === 2) await reader.end();
    }),
    { lockAttempts: 2 },
  );
  const report = await partitions.maintain();
  assert.deepEqual(report.expired, ["spans_20260901"]);
  assert.deepEqual(report.postponed, []);
  assert.equal(attempts, 2);
});

Deno.test(
  "expire reports what a long reader kept it from, and does it the next time",
  onServer,
  async () => {
    await using test = await migrated("postgres");
    const { database } = test;
    await ensure(database, "2026-09-01T00:00Z", "2026-09-03T00:00Z", "day");
    const { partitions } = upkeep(database, { lockAttempts: 1 });
    await partitions.makeAhead();
    await using reader = await underWay(database, "select count(*) from otel_data.spans");
    const report = await partitions.maintain();
    assert.deepEqual(report.expired, []);
    const [first, second, ...others] = report.postponed;
    assert.deepEqual([first?.action, first?.name], ["expire", "spans_20260901"]);
    assert.deepEqual([second?.action, second?.name], ["expire", "spans_20260902"]);
    assert.equal((first?.error as { code?: string }).code, "55P03");
    assert.deepEqual(others, []);
    assert.equal((await listed(database)).length, 5);
    await reader.end();
    const next = await partitions.maintain();
    assert.deepEqual(next.expired, ["spans_20260901", "spans_20260902"]);
    assert.deepEqual(next.postponed, []);
  },
);

Deno.test(
  "records go to the default partition while a long reader is in the way of their own",
  onServer,
  async () => {
    await using test = await migrated("postgres");
    const { database } = test;
    const { partitions } = upkeep(database);
    await partitions.makeAhead();
    await using reader = await underWay(database, "select count(*) from otel_data.spans");
    const report = await partitions.ensureFor("traces", [hourOf("2026-11-20T10:00Z")]);
    assert.deepEqual(report.created, []);
    assert.equal(report.postponed.length, 1);
    await insertSpans(database, "2026-11-20T10:00Z");
    assert.equal(await count(database, "otel_data.spans_default"), 1);
    await reader.end();
    assert.deepEqual((await partitions.maintain()).created, ["spans_20261120"]);
    assert.equal(await count(database, "otel_data.spans_20261120"), 1);
  },
);

Deno.test("seal removes the index that an interrupted rebuild left behind", onServer, async () => {
  await using test = await migrated("postgres");
  const { database } = test;
  await ensure(database, "2026-11-20T00:00Z", "2026-11-21T00:00Z", "day");
  await insertSpans(database, "2026-11-20T10:00Z", "2026-11-20T10:00Z");
  await assert.rejects(
    database.query(
      "create unique index concurrently spans_20261120_ccnew on otel_data.spans_20261120 (span_id)",
    ),
    { code: "23505" },
  );
  assert.equal(await count(database, "pg_index where not indisvalid"), 1);
  const report = await upkeep(database).partitions.maintain();
  assert.ok(report.sealed.includes("spans_20261120"));
  assert.deepEqual(report.postponed, []);
  assert.equal(await count(database, "pg_class where relname = 'spans_20261120_ccnew'"), 0);
});

Deno.test("a dimension that a writer is renewing is left to it", onServer, async () => {
  await using test = await migrated("postgres");
  const { database } = test;
  await database.query(
    "insert into otel_data.names values (1, 'renewed', '2020-01-01'), (2, 'old', '2020-01-01')",
  );
  await using _writer = await underWay(
    database,
    "update otel_data.names set last_used = '2026-11-23' where id = 1",
  );
  const report = await upkeep(database).partitions.maintain();
  assert.equal(report.expiredDimensions, 1);
  assert.deepEqual(await database.query("select id from otel_data.names"), [{ id: 1n }]);
});

Deno.test("no function waits longer than a second for a lock", onServer, async () => {
  await using test = await migrated("postgres");
  const locking = await test.database.query(`
    select proname::text as name, 'lock_timeout=1s' = any (proconfig) as bounded from pg_proc
    where pronamespace = 'otel_data'::regnamespace and prosrc ~ 'lock table|execute step;' order by 1`);
  assert.deepEqual(locking, [
    { name: "ensure", bounded: true },
    { name: "expire", bounded: true },
    { name: "seal", bounded: true },
  ]);
});

Deno.test("maintain fails when the database cannot be reached", onServer, async () => {
  await using database = pg("postgres://nobody@127.0.0.1:1/none", { connectTimeoutMs: 2_000 });
  await assert.rejects(upkeep(database, { lockAttempts: 1 }).partitions.maintain());
  await assert.rejects(
    upkeep(database).partitions.ensureFor("logs", [hourOf("2026-11-23T12:00Z")]),
  );
});

Deno.test("upkeep of an embedded database lets a read of a time range pass over the other pages", async () => {
  await using test = await migrated("pglite");
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
  await database.query("drop index otel_data.spans_service");
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
