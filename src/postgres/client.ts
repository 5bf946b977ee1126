/**
 * Clients that the user hands in and that can only query: `npm:postgres` and the `Pool` of
 * `@db/postgres`, told by their shape, never imported. They write by array parameters, because
 * `@db/postgres` has no COPY and `npm:postgres` 3.4 swallows a rejected one.
 *
 * @module
 */

import { type CallbackClient, CallbackSession } from "./callback_session.ts";
import { columnList, copiedColumns } from "./copy_format.ts";
import type { CopyTable, Database, Row, SqlValue } from "./database.ts";
import { type Session, SessionDatabase } from "./session.ts";
import { arrayText, parameterText, parseDecoded, parseValue } from "./values.ts";

/** Runs in each transaction, because the client's sessions are not ours to set up. */
const LOCAL_SETTINGS = "set local idle_in_transaction_session_timeout = '60s'; " +
  "set local timezone = 'UTC'";

/** Settings of {@linkcode postgresJs} and {@linkcode denoPostgres}. */
export interface ClientOptions {
  /** How long `close` waits for what is in flight, in milliseconds. @default {5_000} */
  readonly closeGraceMs?: number;
}

/**
 * The insert that stands for a COPY of `chunk`: one array parameter a column. Arrays of arrays would
 * have to be rectangles, so array columns travel as text.
 */
function arrayInsert(table: CopyTable, chunk: Uint8Array): { sql: string; values: string[] } {
  const parameters = table.columns.map(({ type }, index) =>
    `$${index + 1}::${type.endsWith("[]") ? "text" : type}[]`
  );
  const values = table.columns.map(({ name, type }) =>
    type.endsWith("[]") ? `"${name}"::${type}` : `"${name}"`
  );
  const names = columnList(table);
  return {
    sql: `insert into ${table.name} (${names}) select ${values.join(", ")} ` +
      `from unnest(${parameters.join(", ")}) as copied (${names})`,
    values: copiedColumns(table, chunk).map(arrayText),
  };
}

/** What we ask of `npm:postgres`: the client itself and its transactions. */
export interface PostgresJsStatements {
  unsafe(sql: string, parameters?: unknown[], options?: PostgresJsOptions): PostgresJsQuery;
  typed(value: unknown, type: number): unknown;
}

/** How a statement of {@linkcode PostgresJs} is sent. */
export interface PostgresJsOptions {
  readonly prepare?: boolean;
  /** By the simple protocol, which takes no parameters. */
  readonly simple?: boolean;
}

/** A statement of {@linkcode PostgresJs}. */
export interface PostgresJsQuery extends PromiseLike<unknown> {
  raw(): PromiseLike<unknown>;
  cancel(): unknown;
  /** The backend it was sent to. */
  readonly state?: unknown;
}

/** A client of `npm:postgres`, the result of `postgres(…)`. */
export interface PostgresJs extends PostgresJsStatements {
  readonly options: { readonly transform: { readonly column: { readonly from?: unknown } } };
  begin(run: (sql: PostgresJsStatements) => Promise<void>): PromiseLike<unknown>;
}

/** Rows as `raw()` gives them. */
interface PostgresJsResult extends Array<(Uint8Array | null)[]> {
  readonly columns: readonly { readonly name: string; readonly type: number }[];
}

/** The type of a parameter that the server is to infer. A client that knows it would convert again. */
const UNKNOWN = 705;

/**
 * A database on a client of `npm:postgres`, which stays open when the database is closed.
 *
 * @throws {TypeError} When the client renames columns: the rows asked for would not be found.
 */
export function postgresJs(client: PostgresJs, options: ClientOptions = {}): Database {
  if (client.options.transform.column.from) {
    throw new TypeError("Cannot use a client of npm:postgres that transforms column names");
  }
  return new SessionDatabase({
    driver: "postgres",
    // Not `reserve`: a reserved connection that dies ends the process with its next statement.
    acquire: () => Promise.resolve(new CallbackSession(new PostgresJsClient(client))),
    close: () => Promise.resolve(),
  }, options);
}

class PostgresJsClient implements CallbackClient<PostgresJsStatements> {
  readonly #client: PostgresJs;
  readonly #decoder: TextDecoder = new TextDecoder();
  #running: PostgresJsQuery | undefined;

  constructor(client: PostgresJs) {
    this.#client = client;
  }

  async query(
    sql: string,
    parameters: readonly SqlValue[],
    on: PostgresJsStatements = this.#client,
  ): Promise<Row[]> {
    const values = parameters.map((value) => on.typed(parameterText(value), UNKNOWN));
    this.#running = on.unsafe(sql, values, { simple: false });
    const result = await this.#running.raw() as PostgresJsResult;
    return Array.from(result, (row) =>
      Object.fromEntries(
        result.columns.map(({ name, type }, index) => {
          const text = row[index];
          return [name, text ? parseValue(type, this.#decoder.decode(text)) : null];
        }),
      ));
  }

  async execute(script: string): Promise<void> {
    // Of a script with a BEGIN of its own, it wants to be told.
    await this.#client.begin(async (on) => {
      this.#running = on.unsafe(script);
      await this.#running;
    });
  }

  async copyIn(
    table: CopyTable,
    rows: readonly Uint8Array[],
    on: PostgresJsStatements,
  ): Promise<void> {
    for (const chunk of rows) {
      const { sql, values } = arrayInsert(table, chunk);
      await this.query(sql, values, on);
    }
  }

  async transaction(run: (on: PostgresJsStatements) => Promise<void>): Promise<void> {
    await this.#client.begin(async (on) => {
      await on.unsafe(LOCAL_SETTINGS);
      await run(on);
    });
  }

  /** By a statement of another connection: the client's own way ends the process when that fails. */
  cancel(): void {
    const backend = this.#running?.state as { readonly pid?: number } | null | undefined;
    if (!backend?.pid) return void this.#running?.cancel();
    this.#client.unsafe("select pg_cancel_backend($1)", [backend.pid]).then(() => {}, () => {});
  }
}

/** The `Pool` of `@db/postgres`. */
export interface DenoPostgresPool {
  connect(): Promise<DenoPostgresClient>;
  readonly available: number;
  readonly size: number;
}

/** A client of {@linkcode DenoPostgresPool}. */
export interface DenoPostgresClient {
  queryArray(
    query: { text: string; args?: unknown[] },
  ): Promise<{ rows: unknown[][]; rowDescription?: DenoPostgresColumns | undefined }>;
  release(): void;
}

/** What the rows of a result consist of. */
export interface DenoPostgresColumns {
  readonly columns: readonly { readonly name: string; readonly typeOid: number }[];
}

/**
 * A database on a `Pool` of `@db/postgres`, which stays open when the database is closed. It cannot
 * cancel: an aborted statement keeps its connection to its end.
 */
export function denoPostgres(pool: DenoPostgresPool, options: ClientOptions = {}): Database {
  return new SessionDatabase({
    driver: "@db/postgres",
    acquire: async () => new DenoPostgresSession(await pool.connect()),
    close: () => Promise.resolve(),
  }, options);
}

class DenoPostgresSession implements Session {
  readonly #client: DenoPostgresClient;

  constructor(client: DenoPostgresClient) {
    this.#client = client;
  }

  async query(sql: string, parameters: readonly SqlValue[]): Promise<Row[]> {
    const args = parameters.map(parameterText);
    const { rows, rowDescription } = await this.#client.queryArray({ text: sql, args });
    const columns = rowDescription?.columns ?? [];
    return rows.map((row) =>
      Object.fromEntries(
        columns.map(({ name, typeOid }, index) => [name, parseDecoded(typeOid, row[index])]),
      )
    );
  }

  async execute(script: string): Promise<void> {
    await this.#client.queryArray({ text: script });
  }

  async copyIn(table: CopyTable, rows: readonly Uint8Array[]): Promise<void> {
    for (const chunk of rows) {
      const { sql, values } = arrayInsert(table, chunk);
      await this.query(sql, values);
    }
  }

  begin(): Promise<void> {
    return this.execute(`begin; ${LOCAL_SETTINGS}`);
  }

  commit(): Promise<void> {
    return this.execute("commit");
  }

  rollback(): Promise<void> {
    return this.execute("rollback");
  }

  cancel(): void {}

  async release(broken: boolean): Promise<void> {
    // When this fails, the connection is lost, and the transaction with it.
    if (broken) await this.rollback().catch(() => {});
    this.#client.release();
  }
}
