/**
 * The driver seam: the few things this project asks of Postgres, whoever talks to it.
 *
 * What every driver guarantees, and `tests/` holds each of them to:
 *
 * - `int8` arrives as `bigint` and `int8[]` as `bigint[]`; `int2`, `int4` and floats as numbers;
 *   `numeric` and `uuid` as text; `bytea` as `Uint8Array`. SQL that reads `jsonb` or a time casts it
 *   (`::text`), because clients disagree on those.
 * - A statement that fails rejects with the client's own error, which carries the SQLSTATE in `code`.
 * - `transaction` commits when `run` resolves and rolls back when it rejects. A rejection of
 *   `transaction` with a connection error can mean that the commit happened: its outcome is unknown.
 * - A rejected COPY rejects `copyIn`, and nothing of it stays.
 * - `close` is idempotent and bounded.
 *
 * @module
 */

/** What may stand for `$1`, `$2`, … Arrays become Postgres arrays. */
export type SqlValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | Uint8Array
  | readonly (string | number | bigint | boolean | null)[];

/** A row by column name. */
export type Row = Record<string, unknown>;

/** Where rows can be asked for. */
export interface Queryable {
  /** Runs one parameterised statement and returns its rows. */
  query<R extends Row = Row>(
    sql: string,
    parameters?: readonly SqlValue[],
    options?: { readonly signal?: AbortSignal },
  ): Promise<R[]>;
}

/** One column of a COPY target. */
export interface CopyColumn {
  /** Name of the column. */
  readonly name: string;
  /** Its type, which says how values are written. */
  readonly type: CopyType;
}

/** The column types we write in binary form. */
export type CopyType =
  | "uuid"
  | "int8"
  | "int4"
  | "int2"
  | "bool"
  | "float8"
  | "timestamptz"
  | "text"
  | "jsonb"
  | "bytea"
  | "int8[]"
  | "float8[]"
  | "text[]";

/** A table and the columns of its rows, in the order in which {@linkcode Copy} gets them. */
export interface CopyTable {
  /** Schema-qualified, e.g. `otel_data.spans`. */
  readonly name: string;
  /** In the order of the values of a row. */
  readonly columns: readonly CopyColumn[];
}

/** Rows for a table. */
export interface Copy {
  /** What the rows are rows of. */
  readonly table: CopyTable;
  /**
   * Tuples in Postgres' binary COPY format, back to back, any number of whole tuples a chunk, without the
   * file header and trailer.
   */
  readonly rows: readonly Uint8Array[];
}

/** A connection inside a transaction. */
export interface Transaction extends Queryable {
  /**
   * Writes rows by COPY, or by array parameters where the client has no COPY: a table after the
   * other, as far as none is refused.
   *
   * @param copies The rows must not change until it is done.
   */
  copyIn(copies: readonly Copy[]): Promise<void>;
  /**
   * Runs a last statement and, unless it fails, commits: both in one message where the client can. What
   * is left for `run` is to return.
   *
   * @returns Its rows.
   */
  commitWith<R extends Row = Row>(sql: string, parameters: readonly SqlValue[]): Promise<R[]>;
}

/** A Postgres database. */
export interface Database extends Queryable, AsyncDisposable {
  /** `pg`, `pglite`, `postgres` or `@db/postgres`: which client talks to it. */
  readonly driver: string;
  /** Runs a script of several statements without parameters (schema files). */
  execute(script: string): Promise<void>;
  /** Runs `run` in a transaction. See the module's guarantees. */
  transaction<T>(
    run: (transaction: Transaction) => Promise<T>,
    options?: { readonly signal?: AbortSignal },
  ): Promise<T>;
  /**
   * Makes what was committed outlive a power cut. Returns at once where every commit does so by itself.
   *
   * @throws What the database or the file system says; nothing can be said about what is durable then.
   */
  secure(): Promise<void>;
  /** Ends every connection. Idempotent; what is in flight gets 5 s. */
  close(): Promise<void>;
}
