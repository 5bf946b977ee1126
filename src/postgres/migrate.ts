/**
 * Brings a database to the schema of this version.
 *
 * @module
 */

import { PARTITIONS_SQL, SCHEMA_SQL } from "../assets.ts";
import type { Database, Queryable } from "./database.ts";

const OLDEST_SERVER = 15;

/** Blocks of the schema of this version. */
export const SCHEMA_VERSION: number = splitBlocks(SCHEMA_SQL).length;

/** Held by whoever migrates a database, until the end of the transaction. Any fixed number. */
const MIGRATION_LOCK = "8242470154867533925";

/** A database that this version must not write to. The message says why, and what to do. */
export class UnsupportedDatabaseError extends Error {
  override readonly name = "UnsupportedDatabaseError";
}

/** The SQL that {@linkcode migrate} applies. */
export interface MigrationScripts {
  /** Numbered blocks, each run once: the text of `sql/schema.sql`. */
  readonly schema: string;
  /** Applied whole each time: the text of `sql/partitions.sql`. */
  readonly functions: string;
}

/** One step of the schema. */
interface Block {
  readonly version: number;
  readonly title: string;
  readonly sql: string;
}

/**
 * Runs the numbered blocks of `sql/schema.sql` that the database lacks, each in a transaction of its
 * own, and applies the functions of `sql/partitions.sql` again. Any number of callers may do so at
 * once: they take turns. It never deletes data.
 *
 * @param database The database; its user may create schemas in it. Where the user may not create
 * roles, the schema does without.
 * @param scripts What to apply; by default the files of this version.
 * @throws {UnsupportedDatabaseError} If the server is older than 15, the database's encoding is not
 * UTF8, or a newer version has migrated it.
 * @throws {Error} If a statement fails; the error of the database is its `cause`, and nothing of
 * that block stays.
 */
export async function migrate(
  database: Database,
  scripts: MigrationScripts = { schema: SCHEMA_SQL, functions: PARTITIONS_SQL },
): Promise<void> {
  const blocks = splitBlocks(scripts.schema);
  const functions = withoutTransaction("the functions", scripts.functions);
  await checkServer(database);
  for (const block of blocks) {
    await database.transaction(async (transaction) => {
      if (await takeTurn(transaction, blocks.length) >= block.version) return;
      await run(transaction, `block ${block.version} (${block.title})`, block.sql);
    });
  }
  await database.transaction(async (transaction) => {
    await takeTurn(transaction, blocks.length);
    await run(transaction, "the functions", functions);
  });
}

/** Splits a schema at its lines `--! block N: title`. Block N is the N-th. */
function splitBlocks(schema: string): Block[] {
  const [, ...parts] = schema.split(/^--! block /m);
  return parts.map((part, index) => {
    const [, number, title, sql] = /^(\d+): (.*)\n([^]*)$/.exec(part) ?? [];
    if (Number(number) !== index + 1 || title === undefined || sql === undefined) {
      throw new Error(
        `Cannot read the schema: its block ${index + 1} begins "${part.slice(0, 20)}"`,
      );
    }
    return { version: index + 1, title, sql: withoutTransaction(`block ${number}`, sql) };
  });
}

/** The statements between `begin;` and `commit;`, which are there for psql. */
function withoutTransaction(what: string, script: string): string {
  const [, sql] = /^(?:\s|--.*\n)*begin;\n([^]*)\ncommit;\s*$/.exec(script) ?? [];
  if (sql === undefined) {
    throw new Error(`Cannot read ${what}: not one transaction from begin to commit`);
  }
  return sql;
}

async function checkServer(database: Queryable): Promise<void> {
  const [server] = await database.query<{ major: number; name: string; encoding: string }>(`
    select current_setting('server_version_num')::int / 10000 as major,
      current_setting('server_version') as name, getdatabaseencoding()::text as encoding`);
  if (server === undefined) throw new Error("Cannot migrate: the server does not tell its version");
  if (server.major < OLDEST_SERVER) {
    throw new UnsupportedDatabaseError(
      `Cannot migrate: the server is PostgreSQL ${server.name}; ${OLDEST_SERVER} or newer is needed`,
    );
  }
  if (server.encoding !== "UTF8") {
    throw new UnsupportedDatabaseError(
      `Cannot migrate: the encoding of the database is ${server.encoding}; create one with encoding UTF8`,
    );
  }
}

/** Waits for other migrators, and returns the version that the database has then. */
async function takeTurn(transaction: Queryable, newest: number): Promise<number> {
  await transaction.query(`select pg_advisory_xact_lock(${MIGRATION_LOCK})`);
  const [{ exists } = { exists: false }] = await transaction.query<{ exists: boolean }>(
    "select to_regclass('otel_data.migrations') is not null as exists",
  );
  if (!exists) return 0;
  const [{ version } = { version: 0 }] = await transaction.query<{ version: number }>(
    "select coalesce(max(version), 0) as version from otel_data.migrations",
  );
  if (version > newest) {
    throw new UnsupportedDatabaseError(
      `Cannot migrate: the database has schema version ${version}, this program knows ${newest}; ` +
        "use the newer program",
    );
  }
  return version;
}

/**
 * Runs a script of several statements. A `do` block, because a transaction takes one statement at a
 * time and not every client has another way.
 */
async function run(transaction: Queryable, what: string, script: string): Promise<void> {
  for (const quote of ["$script$", "$run$"]) {
    if (script.includes(quote)) throw new Error(`Cannot run ${what}: it contains ${quote}`);
  }
  try {
    await transaction.query(`do $run$ begin execute $script$${script}$script$; end $run$`);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot migrate: ${what} failed: ${reason}`, { cause });
  }
}
