/**
 * Statements on an instance of `npm:@electric-sql/pglite`, with our values instead of its own.
 *
 * @module
 */

import type { CallbackClient } from "./callback_session.ts";
import { COPY_HEADER, COPY_TRAILER, copyStatement } from "./copy_format.ts";
import type { Copy, CopyTable, Row, SqlValue } from "./database.ts";
import { parameterText, PARSED_TYPES, parseValue } from "./values.ts";

/** What runs statements: an instance of PGlite or a transaction of one. */
export interface PGliteStatements {
  /** Runs a statement. */
  query(
    sql: string,
    parameters?: (string | null)[],
    options?: PGliteQueryOptions,
  ): Promise<{ rows: unknown[] }>;
  /** Runs a script of several statements. */
  exec(script: string): Promise<unknown>;
}

/** What we ask of an instance of PGlite. */
export interface PGliteInstance extends PGliteStatements {
  /** What makes values of the text of results, by type. */
  readonly parsers: Record<number | string, unknown>;
  /** Runs a transaction. */
  transaction<T>(run: (transaction: PGliteStatements) => Promise<T>): Promise<T>;
}

/** Options of a statement, as PGlite takes them. */
export interface PGliteQueryOptions {
  /** What makes values of the text of results, by type. */
  parsers?: Record<number, (text: string) => unknown>;
  /** What makes text of parameters, by type. */
  serializers?: Record<number, (value: string) => string>;
  /** What COPY reads from `/dev/blob`. */
  blob?: Blob;
}

/** Statements whose parameters leave as text and whose results come back as the seam promises. */
export class PGliteClient implements CallbackClient<PGliteStatements> {
  readonly #instance: PGliteInstance;
  readonly #options: PGliteQueryOptions;

  constructor(instance: PGliteInstance) {
    this.#instance = instance;
    const types = new Set([...Object.keys(instance.parsers).map(Number), ...PARSED_TYPES]);
    this.#options = {
      parsers: Object.fromEntries(
        Array.from(types, (oid) => [oid, (text: string) => parseValue(oid, text)]),
      ),
      serializers: new Proxy<Record<number, (value: string) => string>>({}, {
        get: () => (text: string) => text,
      }),
    };
  }

  async query(
    sql: string,
    parameters: readonly SqlValue[],
    on: PGliteStatements = this.#instance,
  ): Promise<Row[]> {
    return (await on.query(sql, parameters.map(parameterText), this.#options)).rows as Row[];
  }

  async execute(script: string): Promise<void> {
    try {
      await this.#instance.exec(script);
    } catch (error) {
      await this.#instance.exec("rollback");
      throw error;
    }
  }

  async copyIn(copies: readonly Copy[], on: PGliteStatements = this.#instance): Promise<void> {
    for (const { table, rows } of copies) {
      // A real one: the instance may be a proxy that sends it on.
      const blob = new Blob([COPY_HEADER, ...rows as Uint8Array<ArrayBuffer>[], COPY_TRAILER]);
      await this.copyBlob(table, blob, on);
    }
  }

  /** Copies a whole file in binary COPY format. */
  async copyBlob(
    table: CopyTable,
    blob: Blob,
    on: PGliteStatements = this.#instance,
  ): Promise<void> {
    await on.query(copyStatement(table, "'/dev/blob'"), [], { blob });
  }

  transaction(run: (on: PGliteStatements) => Promise<void>): Promise<void> {
    return this.#instance.transaction(run);
  }

  /** PGlite cannot. */
  cancel(): void {}
}
