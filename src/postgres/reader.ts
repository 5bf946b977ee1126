/**
 * The door for SQL from outside: whoever comes through it may read the views of schema `otel`, and
 * nothing else of the database.
 *
 * On a server it is a connection of its own that logs in as a role which may do no more. To change the
 * role of a session that is already open is no boundary: `set_config('role', 'none', true)` undoes
 * it in the middle of a query. The role belongs to this database and has a password that only this
 * process knows; another process gives it another one, and whoever then finds the door shut does the
 * same again.
 *
 * An embedded database has one session, so there it is that one with its role changed. What could
 * undo it within a query is `set_config` alone, which is taken from everybody but the owner: SQL that
 * functions run by themselves (`query_to_xml` and others) may not say `set`, as they read only.
 *
 * @module
 */

import { createHash, randomBytes } from "node:crypto";
import type { Database } from "./database.ts";

/** Where the door is. */
export interface ReaderOptions {
  /** The database, as its owner. */
  readonly owner: Database;
  /** The URL that the owner came by; undefined for an embedded database. */
  readonly url: string | undefined;
  /** The URL of a role that may read the views and was made by somebody else. */
  readonly readerUrl?: string | undefined;
  /** How long the server lets a statement run, in milliseconds. */
  readonly statementTimeoutMs: number;
}

const ROLE = "otel_reader";
/** PostgreSQL cuts longer names. */
const NAME_BYTES = 63;
/** How often the password is set: another process may do so at the same time. */
const ATTEMPTS = 3;
/** A role that does not exist, or has another password. */
const REFUSED = new Set(["28000", "28P01"]);

const FORBIDDEN = new Set(["42501", "42704"]);

const password = randomBytes(24).toString("hex");

/**
 * Runs something with a database that can only be read, and only the views of it.
 *
 * @throws {Error} Its user may not make a role for it, or it is somebody who may do more; the message says
 * what to do.
 * @throws What `run` throws, and the database's error.
 *
 * @example Tables stay behind the door
 * ```ts
 * import { pglite } from "./pglite.ts";
 * import { migrate } from "./migrate.ts";
 * import assert from "node:assert/strict";
 *
 * await using owner = pglite("memory://");
 * await migrate(owner);
 * const options = { owner, url: undefined, statementTimeoutMs: 1_000 };
 * await withReader(options, async (reader) => {
 *   assert.deepEqual(await reader.query("select * from otel.spans"), []);
 *   await assert.rejects(reader.query("select * from otel_data.spans"), { code: "42501" });
 * });
 * ```
 */
export async function withReader<T>(
  { owner, url, readerUrl, statementTimeoutMs }: ReaderOptions,
  run: (reader: Database) => Promise<T>,
): Promise<T> {
  if (url === undefined) {
    await owner.execute(
      "revoke execute on function pg_catalog.set_config(text, text, boolean) from public",
    );
    return await run(new InRole(owner));
  }
  const { pg } = await import("./pg.ts");
  const options = { maxConnections: 1, statementTimeoutMs, applicationName: "otel-storage query" };
  const own = readerUrl ?? readerOf(url);
  for (let attempt = 1;; attempt++) {
    const reader = pg(own, options);
    try {
      await checkDoor(reader);
      return await run(reader);
    } catch (error) {
      const isRefused = REFUSED.has(String((error as { code?: unknown } | null)?.code));
      if (!isRefused || readerUrl !== undefined || attempt === ATTEMPTS) throw error;
      await makeRole(owner, new URL(own).username);
    } finally {
      await reader.close();
    }
  }
}

/**
 * Whoever is behind the URL: a pooler may give all who come by it one user.
 *
 * @throws {Error} It is somebody who may do more than read the views.
 */
async function checkDoor(reader: Database): Promise<void> {
  const [user] = await reader.query<
    { name: string; why: string | null } & Record<string, unknown>
  >(
    `select session_user::text as name, case
       when r.rolsuper then 'is a superuser'
       when has_schema_privilege(session_user, to_regnamespace('otel_data')::oid, 'usage') then 'may use schema otel_data'
       when exists (
         select from pg_roles f
         where f.rolname in ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program')
           and pg_has_role(session_user, f.oid, 'member')
       ) then 'may use files of the server'
     end as why
     from pg_roles r where r.rolname = session_user`,
  );
  const { name, why } = user!;
  if (why === null) return;
  throw new Error(
    `Cannot query: the user ${name} ${why}, and a query may only read the views (a pooler may log in as ` +
      `one user whoever asks). With --reader-database, give the URL of a user whose only role is ${ROLE}`,
  );
}

/** The owner's URL with the reader in its place. */
function readerOf(owner: string): string {
  const url = new URL(owner);
  const database = decodeURIComponent(url.pathname.slice(1) || url.username);
  const name = `${ROLE}_${database}`;
  const isShort = new TextEncoder().encode(name).length <= NAME_BYTES;
  const hash = createHash("sha256").update(database).digest("hex").slice(0, 16);
  url.username = encodeURIComponent(isShort ? name : `${ROLE}_${hash}`);
  url.password = password;
  return url.href;
}

/** Makes the role, or gives it this process's password. */
async function makeRole(owner: Database, encoded: string): Promise<void> {
  const name = decodeURIComponent(encoded);
  try {
    await owner.transaction(async (transaction) => {
      // One at a time: roles belong to the whole server, and two changes of one at once are an error.
      await transaction.query("select pg_advisory_xact_lock(hashtext($1))", [name]);
      const [{ statements } = { statements: [] }] = await transaction.query<
        { statements: string[] } & Record<string, unknown>
      >(
        `select array[
           format(case when exists (select from pg_roles where rolname = $1)
             then 'alter role %I login password %L' else 'create role %I login password %L' end, $1::text, $2::text),
           format('grant ${ROLE} to %I', $1::text),
           format('alter role %I set default_transaction_read_only = on', $1::text)
         ] as statements`,
        [name, password],
      );
      for (const statement of statements) await transaction.query(statement);
    });
  } catch (error) {
    // May not, or there is no role to grant.
    if (!FORBIDDEN.has(String((error as { code?: unknown } | null)?.code))) throw error;
    throw new Error(
      `Cannot query: this user may not make the role ${name}. Have somebody make a role that may log ` +
        `in, grant it ${ROLE}, and give its URL with --reader-database`,
      { cause: error },
    );
  }
}

/** A database in whose transactions one is the reader. */
class InRole implements Database {
  readonly #owner: Database;

  constructor(owner: Database) {
    this.#owner = owner;
  }

  get driver(): string {
    return this.#owner.driver;
  }

  query: Database["query"] = (sql, parameters, options) =>
    this.transaction((transaction) => transaction.query(sql, parameters), options);

  execute(): Promise<void> {
    return Promise.reject(new TypeError("Cannot run a script: this is for reading"));
  }

  transaction: Database["transaction"] = (run, options) =>
    this.#owner.transaction(async (transaction) => {
      await transaction.query(`set local role ${ROLE}`);
      return await run(transaction);
    }, options);

  secure(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
