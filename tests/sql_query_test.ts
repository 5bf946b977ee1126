import assert from "node:assert/strict";
import { querySql } from "../src/sql_query.ts";
import { drivers, testDatabase } from "./postgres.ts";

for (const driver of drivers) {
  Deno.test(`querySql returns rows as JSON in the order of the query on ${driver}`, async () => {
    await using test = await testDatabase(driver);
    const { lines, truncated } = await querySql(
      test.database,
      `select 18446744073709551615::numeric as n, 9007199254740993 as i, 'a"b' as text,
         '{"a": 1.0}'::jsonb as json, timestamptz '2026-01-02 03:04:05Z' as at, 'NaN'::float8 as nan,
         null as nothing, array[1, 2] as list; `,
    );
    assert.deepEqual(lines, [
      '{"n":18446744073709551615,"i":9007199254740993,"text":"a\\"b","json":{"a": 1.0},' +
      '"at":"2026-01-02T03:04:05+00:00","nan":"NaN","nothing":null,"list":[1,2]}',
    ]);
    assert.equal(truncated, false);
    const ordered = await querySql(
      test.database,
      "with t as (select * from generate_series(1, 250) n)\nselect n from t order by n desc -- end",
    );
    assert.deepEqual(
      ordered.lines,
      Array.from({ length: 250 }, (_, index) => `{"n":${250 - index}}`),
    );
    const values = await querySql(test.database, "values (1), (2)");
    assert.deepEqual(values.lines, ['{"column1":1}', '{"column1":2}']);
    assert.deepEqual(await querySql(test.database, "select 1 where false"), {
      lines: [],
      truncated: false,
    });
  });

  Deno.test(`querySql stops at its bounds and says so on ${driver}`, async () => {
    await using test = await testDatabase(driver);
    const series = "select n from generate_series(1, 1000000) n";
    const rows = await querySql(test.database, series, { maxRows: 3 });
    assert.deepEqual(rows, { lines: ['{"n":1}', '{"n":2}', '{"n":3}'], truncated: true });
    const exactly = await querySql(test.database, "values (1), (2)", { maxRows: 2 });
    assert.deepEqual([exactly.lines.length, exactly.truncated], [2, false]);
    const wide = "select repeat('x', 1000) as x from generate_series(1, 1000)";
    const short = await querySql(test.database, wide, { maxLength: 10_000 });
    assert.deepEqual([short.lines.length, short.truncated], [10, true]);
  });

  Deno.test(`querySql changes nothing, whatever the statement on ${driver}`, async () => {
    await using test = await testDatabase(driver);
    await test.database.execute("create table t (n int); insert into t values (1)");
    await test.database.execute(
      "create function bump() returns int language sql as 'update t set n = n + 1 returning n'",
    );
    const statements: [sql: string, code: string][] = [
      ["select bump()", "25006"],
      ["with u as (update t set n = 2 returning n) select * from u", "0A000"],
      ["insert into t values (2)", "42601"],
      ["drop table t", "42601"],
      ["select 1; drop table t", "42601"],
      ["select 1) q; commit; drop table t; select (1", "42601"],
      [
        "select 1) q; commit; begin; drop table t; commit; declare rows cursor for select (1",
        "42601",
      ],
      ["select set_config('transaction_read_only', 'off', false), bump()", "25001"],
      ["", "42601"],
      ["select nothing", "42703"],
    ];
    for (const [sql, code] of statements) {
      await assert.rejects(querySql(test.database, sql), { code }, sql);
    }
    assert.deepEqual(await test.database.query("select n from t"), [{ n: 1 }]);
    // And writing goes on.
    await test.database.query("update t set n = 2");
  });

  Deno.test(`querySql ends with its signal and leaves the database usable on ${driver}`, async () => {
    await using test = await testDatabase(driver);
    const gone = new Error("gone");
    await assert.rejects(
      querySql(test.database, "select 1", { signal: AbortSignal.abort(gone) }),
      gone,
    );
    assert.deepEqual((await querySql(test.database, "select 1 as n")).lines, ['{"n":1}']);
  });
}

if (drivers.includes("postgres")) {
  Deno.test("querySql ends a statement that takes too long", async () => {
    await using test = await testDatabase("postgres");
    await assert.rejects(querySql(test.database, "select pg_sleep(60)", { timeoutMs: 50 }), {
      code: "57014",
      message: "Cannot finish the query within 50 ms: it was ended",
    });
    assert.deepEqual((await querySql(test.database, "select 1 as n")).lines, ['{"n":1}']);
  });
}
