/** The time partitions: made, moved into and refused. */

import assert from "node:assert/strict";
import type { Database } from "../src/postgres/database.ts";
import { chooseWidth } from "../src/postgres/partition_width.ts";
import { Partitions } from "../src/postgres/partitions.ts";
import { drivers, migratedDatabase } from "./postgres.ts";
import {
  count,
  DAY_MS,
  ensure,
  hourOf,
  insertSpans,
  listed,
  observed,
  upkeep,
} from "./partition_upkeep.ts";

for (const driver of drivers) {
  Deno.test(`maintain makes the partitions of today and the next two days (${driver})`, async () => {
    await using test = await migratedDatabase(driver);
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
    await using test = await migratedDatabase(driver);
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
    await using test = await migratedDatabase(driver);
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
    await using test = await migratedDatabase(driver);
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
    await using test = await migratedDatabase(driver);
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
    await using test = await migratedDatabase(driver);
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
    await using test = await migratedDatabase(driver);
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
    await using test = await migratedDatabase(driver);
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
    await using test = await migratedDatabase(driver);
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
    await using test = await migratedDatabase(driver);
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
}

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
