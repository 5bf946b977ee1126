/**
 * The windows of a time range: what a metric is asked about.
 *
 * @module
 */

import { z } from "zod";
import { QueryError } from "./query_error.ts";
import type { TimeRange } from "./range.ts";

/** Windows, the first of which begins with the range; the last one ends with it. */
export interface Windows {
  /** In whole microseconds. */
  readonly range: TimeRange;
  /** How long each is, in whole microseconds, as nanoseconds. */
  readonly stepNanos: bigint;
}

/** More are refused. */
const MAX_WINDOWS = 11_000;
const USUAL_WINDOWS = 100n;
const SECOND = 1_000_000_000n;
const MILLISECOND = 1_000_000n;
const MICROSECOND = 1_000n;

/** The field `stepMs`. */
export const WINDOW_FIELD = z.int().min(1).optional().describe(
  "How long a window is, in milliseconds. Default: a hundredth of the range, in whole seconds",
);

/**
 * Cuts a range into windows; it is widened to whole microseconds, so that the window of a point does not
 * hang on a fraction of one.
 *
 * @throws {QueryError} There would be more than 11,000.
 *
 * @example An hour
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const hour = windowsFor({ since: 0n, until: 3_600_000_000_000n }, undefined);
 * assert.deepEqual([stepMsOf(hour), countWindows(hour)], [36_000, 100]);
 * assert.deepEqual(timesOf(99, hour), { time: 3_564_000_000_000n, seconds: 36 });
 * ```
 */
export function windowsFor({ since, until }: TimeRange, stepMs: number | undefined): Windows {
  const whole = until + (MICROSECOND - until % MICROSECOND) % MICROSECOND;
  const range = {
    since: since - since % MICROSECOND,
    until: BigInt.asUintN(64, whole) === whole ? whole : until,
  };
  const usual = ((range.until - range.since) / USUAL_WINDOWS + SECOND - 1n) / SECOND * SECOND;
  const step = stepMs === undefined ? usual : BigInt(stepMs) * MILLISECOND;
  const windows = { range, stepNanos: step === 0n ? SECOND : step };
  const count = countWindows(windows);
  if (count > MAX_WINDOWS) {
    throw new QueryError("stepMs", stepMs, `${count} windows, at most ${MAX_WINDOWS}`);
  }
  return windows;
}

/** How many there are. */
export function countWindows({ range, stepNanos }: Windows): number {
  return Number((range.until - range.since + stepNanos - 1n) / stepNanos);
}

/** How long each is, in milliseconds. */
export function stepMsOf({ stepNanos }: Windows): number {
  return Number(stepNanos / MILLISECOND);
}

/** When a window begins, in nanoseconds since 1970, and how long it is. */
export function timesOf(
  window: number,
  { range, stepNanos }: Windows,
): { time: bigint; seconds: number } {
  const time = range.since + BigInt(window) * stepNanos;
  const end = time + stepNanos < range.until ? time + stepNanos : range.until;
  return { time, seconds: Number(end - time) / 1e9 };
}
