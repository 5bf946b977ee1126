/**
 * Databases for tests: each test its own, new, and empty or with the schema.
 *
 * @module
 */

import { createHash, randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { PGlite } from "@electric-sql/pglite";
import { PARTITIONS_SQL, SCHEMA_SQL } from "../src/assets.ts";
import type { Database } from "../src/postgres/database.ts";
import { migrate } from "../src/postgres/migrate.ts";
import { pg } from "../src/postgres/pg.ts";
import { pglite } from "../src/postgres/pglite.ts";
import { postgresServer } from "../tools/postgres_server.ts";

/** A database that goes with the test. */
export interface TestDatabase extends AsyncDisposable {
  readonly database: Database;
  /** Its `postgres://` URL, or `memory://`. */
  readonly url: string;
}

/** Which kind of database. */
export type TestDriver = "postgres" | "pglite";

// `tools/test.ts` has set DATABASE_URL to its server; by hand each test file starts one.
const server = await postgresServer();

/** The drivers to loop tests over: `postgres` only where there is a server. */
export const drivers: readonly TestDriver[] = server ? ["postgres", "pglite"] : ["pglite"];

/** Makes a new, empty database. Disposing closes and drops it, whoever is still connected. */
export async function testDatabase(driver: TestDriver): Promise<TestDatabase> {
  return driver === "postgres" ? await onServer() : inMemory(await emptySnapshot());
}

/** Makes a new database with the schema, and no records. */
export async function migratedDatabase(driver: TestDriver): Promise<TestDatabase> {
  if (driver === "pglite") return inMemory(await migratedSnapshot());
  const test = await onServer();
  await migrate(test.database);
  return test;
}

/** Runs a statement on the server's own database, as the user that may create others. */
export async function asAdmin(sql: string): Promise<void> {
  if (server === undefined) throw new Error("Cannot reach Postgres: there is no server");
  await using admin = pg(server.url, { maxConnections: 1 });
  await admin.query(sql);
}

/** The ids of the spans in a database, in their order. */
export async function storedSpanIds(url: string): Promise<string[]> {
  await using database = pg(url, { maxConnections: 1 });
  const rows = await database.query<{ id: string }>(
    "select span_id as id from otel.spans order by 1",
  );
  return rows.map(({ id }) => id);
}

async function onServer(): Promise<TestDatabase> {
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  await asAdmin(`create database ${name} template template0 encoding 'UTF8'`);
  const url = new URL(server!.url);
  url.pathname = `/${name}`;
  const database = pg(url.href);
  return {
    database,
    url: url.href,
    [Symbol.asyncDispose]: async () => {
      await database.close();
      await asAdmin(`drop database ${name} with (force)`);
    },
  };
}

function inMemory(snapshot: Blob): TestDatabase {
  const database = pglite("memory://", { snapshot });
  return { database, url: "memory://", [Symbol.asyncDispose]: () => database.close() };
}

let empty: Promise<Blob> | undefined;
let migrated: Promise<Blob> | undefined;

/** An empty PGlite, which takes seconds to make and no time to copy: made once a machine. */
export function emptySnapshot(): Promise<Blob> {
  return empty ??= kept("empty", () => PGlite.create("memory://"));
}

/** A PGlite with the schema and without records: made once a machine and schema. */
export function migratedSnapshot(): Promise<Blob> {
  const schema = createHash("sha256").update(SCHEMA_SQL + PARTITIONS_SQL).digest("hex");
  return migrated ??= kept(`schema-${schema.slice(0, 16)}`, async () => {
    const instance = await PGlite.create({ loadDataDir: await emptySnapshot() });
    await migrate(pglite(instance));
    return instance;
  });
}

/** What an instance holds, from the folder of temporary files if it was made before. */
async function kept(name: string, make: () => Promise<PGlite>): Promise<Blob> {
  const version = import.meta.resolve("@electric-sql/pglite").replace(/[^\w.]+/g, "-");
  const path = `${tmpdir()}/otel-storage-${version}-${name}-${Deno.uid()}.tar`;
  try {
    return new Blob([await Deno.readFile(path)]);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const instance = await make();
  // What was written since the last one would be done again at each start.
  await instance.exec("checkpoint");
  const made = await instance.dumpDataDir("none");
  await instance.close();
  const partial = `${path}.${randomUUID()}`;
  await Deno.writeFile(partial, new Uint8Array(await made.arrayBuffer()), { mode: 0o600 });
  await Deno.rename(partial, path);
  return made;
}
