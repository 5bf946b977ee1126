/** The schema: what `migrate` makes of a database, and what it refuses to touch. */

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { PARTITIONS_SQL, SCHEMA_SQL } from "../src/assets.ts";
import type { Database, Queryable } from "../src/postgres/database.ts";
import { migrate, UnsupportedDatabaseError } from "../src/postgres/migrate.ts";
import { pg } from "../src/postgres/pg.ts";
import { asAdmin, drivers, testDatabase } from "./postgres.ts";

const VIEWS = ["spans", "logs", "metric_points", "services", "partitions", "stats"];
const TABLES = [
  ...["services", "resources", "scopes", "names", "metrics", "series", "spans", "spans_default"],
  ...["logs", "metric_points", "journal_position", "sealed", "migrations"],
];

/** One record of each signal that has every kind of value which a view computes something from. */
const RECORDS = `
  insert into otel_data.services values (1, 'shop', null, now(), now(), now());
  insert into otel_data.spans (trace_id, span_id, time, duration_ns, resource_id, scope_id, name_id,
    service_id, end_unix_nano, flags, time_frac, kind, status)
  values ('0123456789abcdef0123456789abcdef', -1, '2026-11-23 12:00:00.000001Z', 5, 1, 1, 1, 1, -1, 1, 7, 2, 2);
  insert into otel_data.logs (time, observed_unix_nano, resource_id, scope_id, service_id, flags,
    time_frac, severity_number, body)
  values ('2026-11-23 12:00:00Z', 1795435200000000000, 1, 1, 1, 0, 0, 17, '"out of stock"');
  insert into otel_data.metric_points (time, series_id, start_unix_nano, count, bucket_counts, flags, time_frac)
  values ('2026-11-23 12:00:00Z', 1, 1795435200000000000, -1, '{1,-1}', 0, 0);
  insert into otel_data.journal_position (journal_id, at, spans, logs, replaced)
  values (gen_random_uuid(), 10, 3, 2, 1), (gen_random_uuid(), 10, 4, 0, 0);`;

async function stats(database: Queryable): Promise<Map<string, bigint>> {
  const rows = await database.query<{ name: string; value: bigint }>("select * from otel.stats");
  return new Map(rows.map(({ name, value }) => [name, value]));
}

/** The SQLSTATE with which a statement fails inside a transaction that is then rolled back. */
async function sqlStateOf(
  database: Database,
  role: string,
  statement: string,
): Promise<string | undefined> {
  let code: string | undefined;
  await assert.rejects(
    database.transaction(async (transaction) => {
      await transaction.query(`set local role ${role}`);
      try {
        await transaction.query(statement);
      } catch (error) {
        code = (error as { code?: string }).code;
      }
      throw new Error("enough");
    }),
    /enough/,
  );
  return code;
}

for (const driver of drivers) {
  Deno.test(`migrate makes the schema of an empty database (${driver})`, async () => {
    await using test = await testDatabase(driver);
    const { database } = test;
    await migrate(database);
    for (const view of VIEWS) await database.query(`select * from otel.${view}`);
    const values = await stats(database);
    assert.equal(values.get("schema_version"), 1n);
    assert.equal(values.get("spans"), 0n);
    assert.equal(values.get("partitions"), 3n);
    assert.ok(values.get("database_bytes")! > 0n);
  });

  Deno.test(`migrate keeps what is there when it runs again (${driver})`, async () => {
    await using test = await testDatabase(driver);
    const { database } = test;
    await migrate(database);
    await database.execute(RECORDS);
    await migrate(database);
    const values = await stats(database);
    assert.equal(values.get("spans"), 7n);
    assert.equal(values.get("logs"), 2n);
    assert.equal(values.get("metric_points"), 0n);
    assert.equal(values.get("string_replacements"), 1n);
    assert.equal(values.get("services"), 1n);
    assert.equal((await database.query("select * from otel.spans")).length, 1);
    assert.equal((await database.query("select * from otel_data.migrations")).length, 1);
  });

  Deno.test(`twenty migrators at once all succeed (${driver})`, async () => {
    await using test = await testDatabase(driver);
    await Promise.all(Array.from({ length: 20 }, () => migrate(test.database)));
    assert.equal((await stats(test.database)).get("schema_version"), 1n);
  });

  Deno.test(`migrate refuses a database from the future and names both versions (${driver})`, async () => {
    await using test = await testDatabase(driver);
    const { database } = test;
    await migrate(database);
    await database.query("insert into otel_data.migrations (version) values (999)");
    await database.execute("drop function otel_data.list");
    await assert.rejects(migrate(database), (error) => {
      assert.ok(error instanceof UnsupportedDatabaseError);
      assert.match(error.message, /schema version 999, this program knows 1;/);
      return true;
    });
    // Refused means that not even the functions are touched.
    await assert.rejects(database.query("select otel_data.list('spans')"), { code: "42883" });
  });

  Deno.test(`migrate runs each new block once and leaves nothing of one that fails (${driver})`, async () => {
    await using test = await testDatabase(driver);
    const { database } = test;
    await migrate(database);
    await database.execute(RECORDS);
    const block = (version: number, sql: string) =>
      `\n--! block ${version}: a test\nbegin;\n${sql}\n` +
      `insert into otel_data.migrations (version) values (${version});\ncommit;\n`;
    const second = SCHEMA_SQL + block(2, "create table otel_data.second (a int);");
    const broken = second + block(3, "create table otel_data.third (a int);\nselect 1 / 0;");

    await assert.rejects(
      migrate(database, { schema: broken, functions: PARTITIONS_SQL }),
      /^Error: Cannot migrate: block 3 \(a test\) failed: division by zero$/,
    );
    assert.equal((await stats(database)).get("schema_version"), 2n);
    await database.query("select * from otel_data.second");
    await assert.rejects(database.query("select * from otel_data.third"), { code: "42P01" });

    await migrate(database, { schema: second, functions: PARTITIONS_SQL });
    assert.equal((await database.query("select * from otel.spans")).length, 1);
    await assert.rejects(migrate(database), UnsupportedDatabaseError);
  });

  Deno.test(`otel_reader reads the views and nothing else (${driver})`, async () => {
    await using test = await testDatabase(driver);
    const { database } = test;
    await migrate(database);
    await database.execute(RECORDS);
    await database.transaction(async (transaction) => {
      await transaction.query("set local role otel_reader");
      for (const view of VIEWS) {
        assert.notEqual((await transaction.query(`select * from otel.${view}`)).length, 0, view);
      }
    });
    for (const table of TABLES) {
      const read = `select * from otel_data.${table}`;
      assert.equal(await sqlStateOf(database, "otel_reader", read), "42501", table);
    }
    for (
      const statement of [
        "insert into otel.services (service_name) values ('x')",
        "delete from otel.services",
        "create view otel.mine as select 1",
        "select otel_data.list('spans')",
      ]
    ) {
      assert.equal(await sqlStateOf(database, "otel_reader", statement), "42501", statement);
    }
  });

  Deno.test(`every view and every column of it is documented (${driver})`, async () => {
    await using test = await testDatabase(driver);
    await migrate(test.database);
    const undocumented = await test.database.query(`
      select c.relname, a.attname from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
      where c.relnamespace = 'otel'::regnamespace
        and (col_description(c.oid, a.attnum) is null or obj_description(c.oid) is null)`);
    assert.deepEqual(undocumented, []);
  });
}

Deno.test("migrate refuses what it cannot read as blocks", async () => {
  const unasked = {} as Database;
  const first = "--! block 1: a\nbegin;\nselect 1;\ncommit;\n";
  for (
    const [schema, message] of [
      [first + "--! block 3: c\nbegin;\nselect 1;\ncommit;\n", /its block 2 begins "3: c/],
      [first + "--! block 2: b\nselect 1;\n", /Cannot read block 2: not one transaction/],
    ] as const
  ) {
    await assert.rejects(migrate(unasked, { schema, functions: PARTITIONS_SQL }), message);
  }
});

Deno.test("migrate refuses a server older than 15 by its version", async () => {
  const asked: string[] = [];
  const query = (sql: string) => {
    asked.push(sql);
    return Promise.resolve([{ major: 14, name: "14.22 (Debian)", encoding: "UTF8" }]);
  };
  await assert.rejects(migrate({ query } as unknown as Database), (error) => {
    assert.ok(error instanceof UnsupportedDatabaseError);
    assert.equal(
      error.message,
      "Cannot migrate: the server is PostgreSQL 14.22 (Debian); 15 or newer is needed",
    );
    return true;
  });
  assert.equal(asked.length, 1);
});

const onServer = { ignore: !drivers.includes("postgres") };

/** Runs a program of Postgres on a database, and returns what it prints. */
async function run(program: string, url: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args: [...args, "--dbname", url],
    env: { PGOPTIONS: "-c client_min_messages=warning" },
  }).output();
  assert.ok(success, `${program}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

async function catalogue(url: string): Promise<string> {
  const dump = await run("pg_dump", url, "--schema-only");
  // Newer ones print a random key.
  return dump.replace(/^\\(un)?restrict .*$/gm, "");
}

Deno.test("psql makes the same catalogue of the SQL files as migrate", onServer, async () => {
  await using migrated = await testDatabase("postgres");
  await using scripted = await testDatabase("postgres");
  const file = (name: string) => new URL(`../sql/${name}`, import.meta.url).pathname;
  const files = ["--file", file("schema.sql"), "--file", file("partitions.sql")];
  await run("psql", scripted.url, "--no-psqlrc", "--set", "ON_ERROR_STOP=1", ...files);
  await migrate(migrated.database);
  const expected = await catalogue(migrated.url);
  assert.match(expected, /CREATE VIEW otel\.spans AS/);
  assert.match(expected, /CREATE FUNCTION otel_data\.ensure\(/);
  assert.match(expected, /GRANT SELECT ON TABLE otel\.stats TO otel_reader/);
  assert.equal(await catalogue(scripted.url), expected);

  await migrate(scripted.database);
  assert.equal(await catalogue(scripted.url), expected);
  const applied = "select version from otel_data.migrations";
  assert.deepEqual(await scripted.database.query(applied), await migrated.database.query(applied));
});

Deno.test("migrate refuses an encoding other than UTF8 by its name", onServer, async () => {
  await using test = await testDatabase("postgres");
  const url = new URL(test.url);
  const name = `${url.pathname.slice(1)}_latin1`;
  await asAdmin(`create database ${name} template template0 encoding 'LATIN1' locale 'C'`);
  try {
    url.pathname = `/${name}`;
    await using database = pg(url.href);
    await assert.rejects(migrate(database), (error) => {
      assert.ok(error instanceof UnsupportedDatabaseError);
      assert.match(error.message, /the encoding of the database is LATIN1; create one/);
      return true;
    });
    assert.deepEqual(await database.query("select from pg_namespace where nspname ~ 'otel'"), []);
  } finally {
    await asAdmin(`drop database ${name} with (force)`);
  }
});

Deno.test("many databases of a server may create the reading role at once", onServer, async () => {
  const role = `reader_${randomUUID().replaceAll("-", "")}`;
  const schema = SCHEMA_SQL.replaceAll("otel_reader", role);
  {
    await using databases = new AsyncDisposableStack();
    const tests = await Promise.all(Array.from({ length: 6 }, () => testDatabase("postgres")));
    for (const test of tests) databases.use(test);
    await Promise.all(
      tests.map(({ database }) => migrate(database, { schema, functions: PARTITIONS_SQL })),
    );
    for (const { database } of tests) {
      const [granted] = await database.query(
        "select has_table_privilege($1, 'otel.spans', 'select')",
        [
          role,
        ],
      );
      assert.deepEqual(granted, { has_table_privilege: true });
    }
  }
  await asAdmin(`drop role ${role}`);
});

Deno.test(
  "migrate does without the reading role where its user may create none",
  onServer,
  async () => {
    const user = `owner_${randomUUID().replaceAll("-", "")}`;
    const absent = `reader_${randomUUID().replaceAll("-", "")}`;
    {
      await using test = await testDatabase("postgres");
      const url = new URL(test.url);
      await asAdmin(
        `create role ${user} login password 'test' nosuperuser nocreaterole nocreatedb`,
      );
      await asAdmin(`grant create on database ${url.pathname.slice(1)} to ${user}`);
      url.username = user;
      url.password = "test";
      await using database = pg(url.href);
      await migrate(database, {
        schema: SCHEMA_SQL.replaceAll("otel_reader", absent),
        functions: PARTITIONS_SQL,
      });
      assert.equal((await stats(database)).get("schema_version"), 1n);
      assert.deepEqual(
        await database.query("select from pg_roles where rolname = $1", [absent]),
        [],
      );
      await database.query(
        "select otel_data.ensure('spans', now(), now() + interval '1 day', 'day')",
      );
    }
    await asAdmin(`drop role ${user}`);
  },
);
