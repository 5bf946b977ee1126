import assert from "node:assert/strict";
import { QueryError, QueryTimeoutError } from "../src/query/query_error.ts";
import { reading } from "../src/query/reading.ts";
import { pglite } from "../src/postgres/pglite.ts";
import { drivers, testDatabase } from "./postgres.ts";
import { temporaryFolder } from "./temporary_folder.ts";

/** Takes some minutes. */
const ENDLESS = "select count(*) from generate_series(1, 1e10::bigint)";

for (const driver of drivers) {
  Deno.test(`a query reads and cannot write: ${driver}`, async () => {
    await using store = await testDatabase(driver);
    const { database } = store;
    assert.deepEqual(
      await reading(database, {}, (transaction) => transaction.query("select 1 as n")),
      [{ n: 1 }],
    );
    await assert.rejects(
      reading(database, {}, (transaction) => transaction.query("create table t ()")),
      { code: "25006" },
    );
    // The next transaction on the connection is as ever.
    await database.query("create table t ()");
  });

  Deno.test(`what the database finds wrong with a question is the question's error: ${driver}`, async () => {
    await using store = await testDatabase(driver);
    const refused = (sql: string, parameter: string) =>
      assert.rejects(
        reading(store.database, {}, (transaction) => transaction.query(sql, [parameter])),
        QueryError,
      );
    await refused("select 'a' ~ $1::text", "(");
    await refused("select 'a' ~ $1::text", "(a{1,255}){1,255}".repeat(50));
    await refused("select 'a' = $1::text", "\0");
    await refused("select 1 = $1::numeric", "1e999999");
    await refused("select 1 = $1::text::int8", "9".repeat(30));
  });

  Deno.test(`a query with an option out of range is refused: ${driver}`, async () => {
    await using store = await testDatabase(driver);
    for (const timeoutMs of [0, -1, 1.5, 1e9, NaN]) {
      await assert.rejects(
        reading(store.database, { timeoutMs }, () => Promise.resolve()),
        { name: "QueryError", parameter: "timeoutMs" },
      );
    }
  });
}

if (drivers.includes("postgres")) {
  Deno.test("a query ends at its timeout, and the server works on nothing more: postgres", async () => {
    await using store = await testDatabase("postgres");
    const { database } = store;
    await assert.rejects(
      reading(database, { timeoutMs: 50 }, (transaction) => transaction.query(ENDLESS)),
      QueryTimeoutError,
    );
    await assert.rejects(
      reading(database, { timeoutMs: 50 }, async (transaction) => {
        while (true) await transaction.query("select 1");
      }),
      QueryTimeoutError,
    );
    const running = () =>
      database.query(
        `select from pg_stat_activity where query like '%generate_series%' and state = 'active'
         and pid <> pg_backend_pid() and datname = current_database()`,
      );
    while ((await running()).length > 0) { /* it is being cancelled */ }
  });

  Deno.test("a query ends with its signal: postgres", async () => {
    await using store = await testDatabase("postgres");
    const controller = new AbortController();
    const read = reading(store.database, { signal: controller.signal }, (transaction) => {
      const rows = transaction.query(ENDLESS);
      controller.abort(new Error("enough"));
      return rows;
    });
    await assert.rejects(read, /enough/);
  });
}

Deno.test("a query ends at its timeout, and the next one is answered: pglite in a folder", async () => {
  await using folder = await temporaryFolder();
  await using database = pglite(folder.path, { cancelGraceMs: 0 });
  await assert.rejects(
    reading(database, { timeoutMs: 50 }, (transaction) => transaction.query(ENDLESS)),
    QueryTimeoutError,
  );
  assert.deepEqual(await database.query("select 1 as n"), [{ n: 1 }]);
});
