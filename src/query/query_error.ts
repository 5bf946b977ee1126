/**
 * What is wrong with a question, as errors that say which part of it.
 *
 * @module
 */

import { inspect } from "node:util";
import type { z } from "zod";
import { FilterError } from "../filter.ts";
import { FilterFieldError } from "../filter_sql.ts";

const SHOWN_CHARACTERS = 100;

/**
 * The question cannot be answered as it was asked: a parameter has a value that it may not have.
 *
 * @example Which one
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const error = new QueryError("limit", 1_000_000, "at most 1000");
 * assert.equal(error.message, "Cannot query with 'limit': 1000000 (at most 1000)");
 * ```
 */
export class QueryError extends Error {
  /** `QueryError`. */
  override readonly name = "QueryError";
  /** Which parameter, e.g. `limit` or `cursor`. */
  readonly parameter: string;
  /** What it was. */
  readonly value: unknown;
  /** What it would have to be. */
  readonly reason: string;

  /**
   * Says what is wrong.
   *
   * @param reason What the value would have to be.
   */
  constructor(parameter: string, value: unknown, reason: string, options?: ErrorOptions) {
    super(`Cannot query with '${parameter}': ${shown(value)} (${reason})`, options);
    this.parameter = parameter;
    this.value = value;
    this.reason = reason;
  }
}

/** The answer took longer than it was given. */
export class QueryTimeoutError extends Error {
  /** `QueryTimeoutError`. */
  override readonly name = "QueryTimeoutError";
  /** How long it was given, in milliseconds. */
  readonly timeoutMs: number;

  /**
   * Says what to do.
   *
   * @param timeoutMs How long it was given.
   */
  constructor(timeoutMs: number, options?: ErrorOptions) {
    super(
      `Cannot answer within ${timeoutMs} ms: ask for a shorter time range, or with a narrower filter`,
      options,
    );
    this.timeoutMs = timeoutMs;
  }
}

function shown(value: unknown): string {
  const text = inspect(value, { depth: 1, breakLength: Infinity });
  return text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS)}…`;
}

/**
 * Options as `schema` wants them, with its defaults.
 *
 * A text with NUL in it is refused here: some questions would get as far as the database with it, which
 * takes none, and some would not.
 *
 * @throws {QueryError} One of them is wrong.
 */
export function checked<S extends z.ZodType>(schema: S, options: unknown): z.output<S> {
  const parsed = schema.safeParse(options, { reportInput: true });
  if (parsed.success) {
    for (const [name, value] of Object.entries(options as object)) {
      if ([value].flat().some(hasNul)) throw new QueryError(name, value, "no text has NUL in it");
    }
    return parsed.data;
  }
  const { path, message, input } = parsed.error.issues[0]!;
  throw new QueryError(path.join(".") || "options", input, message, { cause: parsed.error });
}

function hasNul(value: unknown): boolean {
  return typeof value === "string" && value.includes("\0");
}

/**
 * What an error of the database says about the question, or the error itself.
 *
 * @param timeoutMs How long the question was given.
 */
export function questionError(error: unknown, timeoutMs: number): unknown {
  if (error instanceof FilterError || error instanceof FilterFieldError) {
    return new QueryError("filter", undefined, error.message, { cause: error });
  }
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== "string") return error;
  // Query canceled, by the timeout of its transaction.
  if (code === "57014") return new QueryTimeoutError(timeoutMs, { cause: error });
  // Data exceptions (an invalid regular expression, a number out of range, NUL in a text) and limits of
  // the program (a statement too complex): the data is ours and valid, so it is what was asked for.
  if (/^(22|54)...$/.test(code)) {
    return new QueryError("filter", undefined, (error as Error).message, { cause: error });
  }
  return error;
}
