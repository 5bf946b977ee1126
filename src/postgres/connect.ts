/**
 * A database from whatever the user has: a URL, a folder, or a client.
 *
 * @module
 */

import { denoPostgres, type DenoPostgresPool, type PostgresJs, postgresJs } from "./client.ts";
import type { Database } from "./database.ts";
import type { PgOptions, PgPool } from "./pg.ts";
import type { PGliteOptions } from "./pglite.ts";
import type { PGliteInstance } from "./pglite_instance.ts";

/** A client that the user has made, and ends. */
export type GivenClient = PgPool | PGliteInstance | PostgresJs | DenoPostgresPool;

/** What {@linkcode connect} takes: a URL, the folder of an embedded database, or a client. */
export type ConnectTarget = string | { readonly pgliteDir: string } | GivenClient;

/** Settings of {@linkcode connect}; each driver takes those it knows. */
export interface ConnectOptions extends PgOptions, PGliteOptions {}

/**
 * Makes a {@linkcode Database}. Drivers are loaded when they are needed. No connection is made yet,
 * but by the first statement.
 *
 * @param target A `postgres://` or `postgresql://` URL (`npm:pg`); `{ pgliteDir }`, a folder or
 * `memory://` (PGlite in a worker; hold the folder's lock); or a client: a `Pool` of `npm:pg`, an
 * instance of PGlite, a client of `npm:postgres`, a `Pool` of `@db/postgres`. What is handed in stays
 * open when the database is closed.
 * @throws {TypeError} When it is none of these. The message does not repeat the URL.
 */
export async function connect(
  target: ConnectTarget,
  options: ConnectOptions = {},
): Promise<Database> {
  if (typeof target === "string") return (await import("./pg.ts")).pg(target, options);
  const client = Object(target) as Record<string, unknown>;
  const has = (...methods: string[]) => methods.every((name) => typeof client[name] === "function");
  if (typeof client.pgliteDir === "string") {
    return (await import("./pglite.ts")).pglite(client.pgliteDir, options);
  }
  if (has("unsafe", "begin", "typed")) return postgresJs(target as PostgresJs, options);
  if (has("query", "exec", "transaction")) {
    return (await import("./pglite.ts")).pglite(target as PGliteInstance, options);
  }
  if (has("connect", "on") && typeof client.totalCount === "number") {
    return (await import("./pg.ts")).pg(target as PgPool, options);
  }
  if (has("connect") && typeof client.available === "number") {
    return denoPostgres(target as DenoPostgresPool, options);
  }
  throw new TypeError(
    "Cannot connect to what was given: expected a postgres:// URL, { pgliteDir }, a Pool of npm:pg, " +
      "an instance of PGlite, a client of npm:postgres or a Pool of @db/postgres",
  );
}
