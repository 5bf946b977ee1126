/** The door for SQL from outside, and those who try to get further than the views. */

import assert from "node:assert/strict";
import { type ReaderOptions, withReader } from "../src/postgres/reader.ts";
import { querySql, type SqlRows } from "../src/sql_query.ts";
import { openStore } from "./open_store.ts";
import { asAdmin, drivers, migratedDatabase, type TestDriver } from "./postgres.ts";
import { spans } from "./requests.ts";

/** A store with a span and a table of somebody else, and its door. */
async function house(driver: TestDriver) {
  const store = await openStore(driver);
  await store.adapter.write("traces", spans([1, 2, 3]));
  await store.adapter.flush();
  const owner = store.database;
  await owner.execute(
    "create schema if not exists bank; create table bank.money (n int); insert into bank.money values (1);" +
      "create table public.notes (n int); insert into public.notes values (1)",
  );
  const options: ReaderOptions = {
    owner,
    url: driver === "postgres" ? store.url : undefined,
    statementTimeoutMs: 30_000,
  };
  return {
    owner,
    options,
    ask: (sql: string, bounds = {}): Promise<SqlRows> =>
      withReader(options, (reader) => querySql(reader, sql, bounds)),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

const READ_FILE = "pg_read_file(''/etc/passwd'')";
/** What must be refused, and how. */
const ATTACKS: readonly (readonly [sql: string, code: string])[] = [
  ["select * from bank.money", "42501"],
  ["select * from public.notes", "42501"],
  ["select * from otel_data.spans", "42501"],
  ["select * from otel_data.journal_position", "42501"],
  ["select pg_read_file('/etc/passwd')", "42501"],
  ["select pg_read_binary_file('/etc/passwd')", "42501"],
  ["select pg_ls_dir('/')", "42501"],
  ["select * from pg_stat_file('/etc/passwd')", "42501"],
  ["select lo_import('/etc/passwd')", "42501"],
  ["select * from pg_authid", "42501"],
  ["select pg_reload_conf()", "42501"],
  ["select otel_data.expire('spans_default', now())", "42501"],
  ["select query_to_xml('select pg_read_file(''/etc/passwd'')', true, true, '')", "42501"],
  ["select query_to_xml('reset role', true, true, '')", "0A000"],
  ["select query_to_xml('set role none', true, true, '')", "0A000"],
  ["select query_to_xml('set session authorization default', true, true, '')", "0A000"],
  ["select query_to_xml('insert into public.notes values (2)', true, true, '')", "0A000"],
  ["select * from ts_stat('select n from bank.money')", "42501"],
  ["copy otel.spans to program 'cat'", "42601"],
  ["select 1) q; reset role; select * from (select 1", "42601"],
  ["select 1; reset role", "42601"],
  ["do 'begin end'", "42601"],
];

for (const driver of drivers) {
  Deno.test(`SQL from outside reads the views of otel, and the catalogues: ${driver}`, async () => {
    await using home = await house(driver);
    assert.deepEqual((await home.ask("select span_id from otel.spans order by 1 limit 1")).lines, [
      '{"span_id":"0000000000000001"}',
    ]);
    const views = "select count(*) from pg_views where schemaname = 'otel'";
    assert.match((await home.ask(views)).lines[0]!, /[1-9]/);
    const traces = "select depth from otel.trace('5b8efff798038103d269b633813fc60c')";
    assert.equal((await home.ask(traces)).lines.length, 3);
    assert.deepEqual(await home.ask("select n from generate_series(1, 9) n", { maxRows: 2 }), {
      lines: ['{"n":1}', '{"n":2}'],
      truncated: true,
    });
  });

  Deno.test(`SQL from outside does not get out of its role by set_config: ${driver}`, async () => {
    await using home = await house(driver);
    const escapes = [
      `select set_config('role', 'none', true), query_to_xml('select ${READ_FILE}', true, true, '')`,
      `select set_config('role', 'none', false), ${READ_FILE.replaceAll("''", "'")}`,
      `select set_config('session_authorization', 'default', true), (select n from bank.money)`,
      `with s as materialized (select set_config('role', 'none', true)) select ${
        READ_FILE.replaceAll("''", "'")
      } from s`,
      `select query_to_xml('select set_config(''role'', ''none'', true), n from bank.money', true, true, '')`,
    ];
    for (const sql of escapes) {
      await assert.rejects(home.ask(sql), (error: { code?: string }) => {
        assert.ok(["42501", "22023", "42704"].includes(error.code!), `${sql}: ${error.code}`);
        return true;
      });
    }
    // Nor does the next one find the door open.
    await assert.rejects(home.ask("select * from bank.money"), { code: "42501" });
  });

  Deno.test(`SQL from outside is refused whatever is not its business: ${driver}`, async () => {
    await using home = await house(driver);
    for (const [sql, code] of ATTACKS) await assert.rejects(home.ask(sql), { code }, sql);
    // A large object is made, and nothing stays of it.
    await home.ask("select lo_creat(-1)").catch(() => {});
    const count = "select count(*)::int as n from pg_largeobject_metadata";
    assert.deepEqual(await home.owner.query(count), [{ n: 0 }]);
    assert.deepEqual(await home.owner.query("select n from public.notes"), [{ n: 1 }]);
    // The owner writes as before.
    await home.owner.query("insert into public.notes values (2)");
  });
}

if (drivers.includes("postgres")) {
  Deno.test("SQL from outside does not sleep beyond its time, whatever it sets", async () => {
    await using home = await house("postgres");
    const forever = "select set_config('statement_timeout', '0', false), pg_sleep(600)";
    const late = { timeoutMs: 300 };
    await assert.rejects(home.ask(forever, late), { code: "57014" });
    const slow = withReader(
      { ...home.options, statementTimeoutMs: 200 },
      (reader) => querySql(reader, "select pg_sleep(600)"),
    );
    await assert.rejects(slow, { code: "57014" });
  });

  Deno.test("whoever may not make a role is told how to come by one", async () => {
    await using test = await migratedDatabase("postgres");
    const name = `owner_${crypto.randomUUID().slice(0, 8)}`;
    await asAdmin(`create role ${name} login password 'p'`);
    const url = new URL(test.url);
    url.username = name;
    url.password = "p";
    try {
      const { pg } = await import("../src/postgres/pg.ts");
      await using owner = pg(url.href);
      const options = { owner, url: url.href, statementTimeoutMs: 1_000 };
      await assert.rejects(withReader(options, () => Promise.resolve()), /--reader-database/);
      // With a URL of their own they come in, or hear why not.
      await asAdmin(`grant otel_reader to ${name}`);
      const given = { ...options, readerUrl: url.href };
      const rows = await withReader(
        given,
        (reader) => querySql(reader, "select * from otel.spans"),
      );
      assert.deepEqual(rows.lines, []);
    } finally {
      await asAdmin(`drop role ${name}`);
    }
  });

  Deno.test("a door that leads to somebody who may do more stays shut", async () => {
    await using test = await migratedDatabase("postgres");
    const { database: owner, url } = test;
    const name = `wide_${crypto.randomUUID().slice(0, 8)}`;
    const wide = new URL(url);
    [wide.username, wide.password] = [name, "p"];
    const ask = (readerUrl: string) =>
      withReader(
        { owner, url, readerUrl, statementTimeoutMs: 1_000 },
        (reader) => querySql(reader, "select * from otel.spans"),
      );
    // Whoever owns the tables: behind a pooler that has one user, any name leads there.
    await assert.rejects(ask(url), /Cannot query: the user \S+ .*--reader-database/);
    await asAdmin(`create role ${name} login password 'p'`);
    try {
      await asAdmin(`grant otel_reader to ${name}`);
      assert.deepEqual((await ask(wide.href)).lines, []);
      await asAdmin(`grant pg_read_server_files to ${name}`);
      await assert.rejects(ask(wide.href), /the user wide_\w+ may use files of the server/);
      await asAdmin(`revoke pg_read_server_files from ${name}`);
      await owner.execute(`grant usage on schema otel_data to ${name}`);
      await assert.rejects(ask(wide.href), /the user wide_\w+ may use schema otel_data/);
      await owner.execute(`revoke usage on schema otel_data from ${name}`);
      assert.deepEqual((await ask(wide.href)).lines, []);
    } finally {
      await asAdmin(`drop role ${name}`);
    }
  });
}
