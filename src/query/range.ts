/**
 * The time range of a query: always there, always shown in its result.
 *
 * @module
 */

import { z } from "zod";
import { QueryError } from "./query_error.ts";

/** A part of time. */
export interface TimeRange {
  /** Nanoseconds since 1970, inclusive. */
  readonly since: bigint;
  /** Nanoseconds since 1970, exclusive. */
  readonly until: bigint;
}

/** How a query is told its range. */
export interface RangeOptions {
  /** Nanoseconds since 1970, inclusive. Default: `lastMs` before `until`. */
  readonly since?: bigint | undefined;
  /** Nanoseconds since 1970, exclusive. Default: now. */
  readonly until?: bigint | undefined;
  /** How long before `until` it begins, in milliseconds. @default {3_600_000} */
  readonly lastMs?: number | undefined;
}

/** What is read unless a query names its range: the last hour. */
export const DEFAULT_LAST_MS = 3_600_000;
/** The longest `lastMs`: a hundred years. */
const MAX_LAST_MS = 100 * 366 * 24 * 3_600_000;
const LAST_NANOS = 2n ** 64n - 1n;

const time = z.bigint().min(0n).max(LAST_NANOS);

/** The fields of {@linkcode RangeOptions}, for the schemas of queries. */
export const RANGE_FIELDS = {
  since: time.optional().describe(
    "Start of the time range, inclusive, in nanoseconds since 1970. Default: `lastMs` before `until`",
  ),
  until: time.optional().describe(
    "End of the time range, exclusive, in nanoseconds since 1970. Default: now",
  ),
  lastMs: z.int().min(1).max(MAX_LAST_MS).optional().describe(
    `How long before \`until\` the range begins, in milliseconds, where \`since\` is not given. Default: ${DEFAULT_LAST_MS}`,
  ),
};

/**
 * The range that is meant.
 *
 * @param nowNanos Nanoseconds since 1970.
 * @throws {QueryError} It ends before it begins, or both `since` and `lastMs` are given.
 *
 * @example The last five minutes
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const range = rangeOf({ lastMs: 300_000 }, 1_760_000_000_000_000_000n);
 * assert.deepEqual(range, { since: 1_759_999_700_000_000_000n, until: 1_760_000_000_000_000_000n });
 * ```
 */
export function rangeOf(
  { since, until, lastMs }: RangeOptions,
  nowNanos: bigint = BigInt(Date.now()) * 1_000_000n,
): TimeRange {
  if (since !== undefined && lastMs !== undefined) {
    throw new QueryError("lastMs", lastMs, "not together with since");
  }
  const end = until ?? nowNanos;
  if (since !== undefined) {
    if (since > end) {
      throw new QueryError("since", since, `later than the end of the range: ${end}`);
    }
    return { since, until: end };
  }
  const start = end - BigInt(lastMs ?? DEFAULT_LAST_MS) * 1_000_000n;
  return { since: start < 0n ? 0n : start, until: end };
}
