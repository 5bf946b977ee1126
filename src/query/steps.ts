/**
 * A time range in steps of equal width.
 *
 * @module
 */

import { z } from "zod";
import { MAX_STEPS } from "./limits.ts";
import { QueryError } from "./query_error.ts";
import type { TimeRange } from "./range.ts";

/** The field `stepMs`. */
export const STEP_FIELD = z.int().min(1).max(100 * 366 * 24 * 3_600_000).optional().describe(
  `Width of a step in milliseconds; the range has at most ${MAX_STEPS}. Default: so that it has about 60`,
);

/** How many there are, about, unless a width is given. */
const USUAL_STEPS = 60;
const MILLISECOND = 1_000_000n;
/** Widths that people count in, in milliseconds. */
const WIDTHS = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 15, 30].map((seconds) => seconds * 1_000),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * 60_000),
  ...[1, 2, 3, 6, 12].map((hours) => hours * 3_600_000),
  ...[1, 2, 7, 14, 28, 91, 182, 364].map((days) => days * 24 * 3_600_000),
];

/** The steps of a range. */
export interface Steps {
  /** Their width in milliseconds; the last one may be cut. */
  readonly stepMs: number;
  /** When each begins, in nanoseconds since 1970: the first with the range. */
  readonly begins: readonly bigint[];
}

/**
 * Cuts a range into steps.
 *
 * @throws {QueryError} There would be more than 1,000.
 *
 * @example An hour
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const { stepMs, begins } = stepOf({ since: 0n, until: 3_600_000_000_000n });
 * assert.deepEqual([stepMs, begins.length, begins[1]], [60_000, 60, 60_000_000_000n]);
 * ```
 */
export function stepOf({ since, until }: TimeRange, given?: number): Steps {
  const lengthMs = Number((until - since) / MILLISECOND) + 1;
  const stepMs = given ?? WIDTHS.find((width) => width * USUAL_STEPS >= lengthMs - 1) ??
    Math.ceil(lengthMs / USUAL_STEPS);
  const step = BigInt(stepMs) * MILLISECOND;
  const count = (until - since + step - 1n) / step;
  if (count > BigInt(MAX_STEPS)) {
    throw new QueryError(
      "stepMs",
      stepMs,
      `the range has ${count} such steps, and at most ${MAX_STEPS} are counted`,
    );
  }
  return {
    stepMs,
    begins: Array.from({ length: Number(count) }, (_, n) => since + BigInt(n) * step),
  };
}
