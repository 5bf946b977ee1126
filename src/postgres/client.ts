/**
 * Clients that the user hands in and that can only query: `npm:postgres` and the `Pool` of
 * `@db/postgres`, told by their shape, never imported. They write by array parameters, because
 * `@db/postgres` has no COPY and `npm:postgres` 3.4 swallows a rejected one.
 *
 * @module
 */

import { type CallbackClient, CallbackSession } from "./callback_session.ts";
import { columnList, copiedColumns } from "./copy_format.ts";
import type { Copy, CopyTable, Database, Row, SqlValue } from "./database.ts";
import { type Session, SessionDatabase } from "./session.ts";
import { TRANSACTION_SETTINGS } from "./transaction_settings.ts";
import { arrayText, parameterText, parseDecoded, parseValue } from "./values.ts";

/** Settings of {@linkcode postgresJs} and {@linkcode denoPostgres}. */
export interface ClientOptions {
  /** How long `close` waits for what is in flight, in milliseconds. @default {5_000} */
  readonly closeGraceMs?: number;
}

/**
 * The insert that stands for a COPY: one array parameter a column. Arrays of arrays would have to be
 * rectangles, so array columns travel as text.
 *
 * @param columns The text form of every value, as {@linkcode copiedColumns} reads it from tuples.
 */
export function arrayInsert(
  table: CopyTable,
  columns: readonly (readonly (string | null)[])[],
): { sql: string; values: string[] } {
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
    values: columns.map(arrayText),
  };
}

/** An insert for each chunk, made when it is its turn. */
function* arrayInserts(copies: readonly Copy[]): Generator<{ sql: string; values: string[] }> {
  for (const { table, rows } of copies) {
    for (const chunk of rows) yield arrayInsert(table, copiedColumns(table, chunk));
  }
}

/** What we ask of `npm:postgres`: the client itself and its transactions. */
export interface PostgresJsStatements {
  /** Runs a statement that is already text. */
  unsafe(sql: string, parameters?: unknown[], options?: PostgresJsOptions): PostgresJsQuery;
  /** A parameter of a type that is given. */
  typed(value: unknown, type: number): unknown;
}

/** How a statement of {@linkcode PostgresJs} is sent. */
export interface PostgresJsOptions {
  /** Whether it becomes a prepared statement that stays. */
  readonly prepare?: boolean;
  /** By the simple protocol, which takes no parameters. */
  readonly simple?: boolean;
}

/** A statement of {@linkcode PostgresJs}. */
export interface PostgresJsQuery extends PromiseLike<unknown> {
  /** Its rows as lists of the bytes that came. */
  raw(): PromiseLike<unknown>;
  /** Asks the server to end it. */
  cancel(): unknown;
  /** The backend it was sent to. */
  readonly state?: unknown;
}

/** A client of `npm:postgres`, the result of `postgres(…)`. */
export interface PostgresJs extends PostgresJsStatements {
  /** Its settings. */
  readonly options: { readonly transform: { readonly column: { readonly from?: unknown } } };
  /** Runs a transaction. */
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
    const statement = on.unsafe(sql, values, { simple: false });
    this.#running = statement;
    try {
      const result = await statement.raw() as PostgresJsResult;
      return Array.from(result, (row) => this.#row(result.columns, row));
    } catch (error) {
      await turn();
      throw error;
    }
  }

  async execute(script: string): Promise<void> {
    // Outside `begin` it refuses scripts with a BEGIN of their own.
    await this.#begin(async (on) => {
      this.#running = on.unsafe(script);
      await this.#running;
    });
  }

  async copyIn(copies: readonly Copy[], on: PostgresJsStatements): Promise<void> {
    for (const { sql, values } of arrayInserts(copies)) await this.query(sql, values, on);
  }

  async transaction(run: (on: PostgresJsStatements) => Promise<void>): Promise<void> {
    await this.#begin(async (on) => {
      await on.unsafe(TRANSACTION_SETTINGS);
      await run(on);
    });
  }

  /** By a statement of another connection: the client's own way ends the process when that fails. */
  cancel(): void {
    const backend = this.#running?.state as { readonly pid?: number } | null | undefined;
    if (!backend?.pid) return void this.#running?.cancel();
    this.#client.unsafe("select pg_cancel_backend($1)", [backend.pid]).then(() => {}, () => {});
  }

  /**
   * The client's `begin`, which sends its COMMIT or ROLLBACK even when the connection is gone: that
   * ends the process with a TypeError (3.4.9). It has rejected by then; so `run` never ends.
   */
  async #begin(run: (on: PostgresJsStatements) => Promise<void>): Promise<void> {
    let lost = false;
    const begun = this.#client.begin(async (on) => {
      try {
        await run(on);
      } finally {
        await turn();
        if (lost) await new Promise(() => {});
      }
    });
    try {
      await begun;
    } finally {
      lost = true;
    }
  }

  #row(columns: PostgresJsResult["columns"], row: readonly (Uint8Array | null)[]): Row {
    return Object.fromEntries(columns.map(({ name, type }, index) => {
      const text = row[index];
      return [name, text ? parseValue(type, this.#decoder.decode(text)) : null];
    }));
  }
}

/** Lets everybody hear of a connection that was lost in this turn of the event loop. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** The `Pool` of `@db/postgres`. */
export interface DenoPostgresPool {
  /** A client of the pool. */
  connect(): Promise<DenoPostgresClient>;
  /** How many clients wait to be used. */
  readonly available: number;
  /** How many clients there are. */
  readonly size: number;
}

/** A client of {@linkcode DenoPostgresPool}. */
export interface DenoPostgresClient {
  /** Runs a statement; rows are lists. */
  queryArray(
    query: { text: string; args?: unknown[] },
  ): Promise<{ rows: unknown[][]; rowDescription?: DenoPostgresColumns | undefined }>;
  /** Gives it back to the pool. */
  release(): void;
}

/** What the rows of a result consist of. */
export interface DenoPostgresColumns {
  /** The columns of the rows, in order. */
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
    try {
      await this.#client.queryArray({ text: script });
    } catch (error) {
      // When this fails too, the connection is lost, and the transaction with it.
      await this.rollback().catch(() => {});
      throw error;
    }
  }

  async copyIn(copies: readonly Copy[]): Promise<void> {
    for (const { sql, values } of arrayInserts(copies)) await this.query(sql, values);
  }

  async begin(): Promise<void> {
    await this.execute(`begin; ${TRANSACTION_SETTINGS}`);
  }

  async commit(): Promise<void> {
    await this.#client.queryArray({ text: "commit" });
  }

  async rollback(): Promise<void> {
    await this.#client.queryArray({ text: "rollback" });
  }

  cancel(): void {}

  async release(broken: boolean): Promise<void> {
    // When this fails, the connection is lost, and the transaction with it.
    if (broken) await this.rollback().catch(() => {});
    this.#client.release();
  }
}
