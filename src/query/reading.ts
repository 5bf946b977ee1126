/**
 * How every query reads: in one transaction that cannot write and does not last for ever.
 *
 * @module
 */

import { z } from "zod";
import type { Database, Queryable } from "../postgres/database.ts";
import { checked, QueryTimeoutError, questionError } from "./query_error.ts";

/** Options of every read. */
export interface ReadOptions {
  /** Ends the read. */
  readonly signal?: AbortSignal;
  /** How long it may take, in milliseconds, once it has a connection. @default {30_000} */
  readonly timeoutMs?: number;
}

/** How long a query may take unless it says otherwise, in milliseconds. */
export const DEFAULT_TIMEOUT_MS = 30_000;
const MAX_TIMEOUT_MS = 3_600_000;

const OPTIONS = z.object({
  timeoutMs: z.int().min(1).max(MAX_TIMEOUT_MS).default(DEFAULT_TIMEOUT_MS),
});

/**
 * Runs the statements of one query.
 *
 * The server ends a statement at the timeout; a clock on this side ends what it cannot, such as several
 * statements that are late together, a server that hangs, and PGlite, which has no timeouts. (Of a
 * PGlite in memory an ended statement runs on, unseen.)
 *
 * @throws {QueryError} The database says that what was asked for is wrong, e.g. a regular expression.
 * @throws {QueryTimeoutError} It took too long.
 * @throws The reason of the signal when it aborted; the database's error.
 *
 * @example Nothing is written
 * ```ts
 * import { pglite } from "../postgres/pglite.ts";
 * import assert from "node:assert/strict";
 *
 * await using database = pglite("memory://");
 * const write = reading(database, {}, (transaction) => transaction.query("create table t ()"));
 * await assert.rejects(write, { code: "25006" });
 * ```
 */
export async function reading<T>(
  database: Database,
  options: ReadOptions,
  run: (transaction: Queryable) => Promise<T>,
): Promise<T> {
  const { timeoutMs } = checked(OPTIONS, options);
  const ending = new AbortController();
  const signal = options.signal === undefined
    ? ending.signal
    : AbortSignal.any([ending.signal, options.signal]);
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    return await database.transaction(async (transaction) => {
      timer = setTimeout(() => ending.abort(new QueryTimeoutError(timeoutMs)), timeoutMs);
      await transaction.query(
        // To compile them takes longer than most of them do. Without parameters, a whole number in their
        // place, so that it is sent with what begins the transaction.
        `select set_config('transaction_read_only', 'on', true),
           set_config('statement_timeout', '${timeoutMs}', true), set_config('jit', 'off', true)`,
      );
      return await run(transaction);
    }, { signal });
  } catch (error) {
    throw questionError(error, timeoutMs);
  } finally {
    clearTimeout(timer);
  }
}
