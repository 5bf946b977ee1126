/**
 * When something began and ended, from whichever two of start, end and duration are given.
 *
 * @module
 */

import { FieldFault } from "./record_error.ts";
import { inRange, nanosOf, type TimeValue } from "./record_fields.ts";

/** What may be given. */
export interface GivenTimes {
  /** When it began. */
  readonly startTime?: TimeValue | undefined;
  /** When it ended. */
  readonly endTime?: TimeValue | undefined;
  /** How long it took, in milliseconds. */
  readonly durationMs?: number | undefined;
}

/** What follows, in nanoseconds since 1970. */
export interface SpanTimes {
  /** When it began. */
  readonly start: bigint;
  /** When it ended. */
  readonly end: bigint;
}

/** How much a duration may differ from the times it was rounded from, in nanoseconds. */
const TOLERANCE = 1_000_000n;

/**
 * The times of a span. Where all three are given, the times count.
 *
 * @throws {FieldFault} There are fewer than two, or they contradict each other by more than 1 ms.
 *
 * @example A duration in place of the end
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const { start, end } = spanTimes({ startTime: "2026-01-31T12:00:00Z", durationMs: 1.5 });
 * assert.equal(end - start, 1_500_000n);
 * ```
 */
export function spanTimes({ startTime, endTime, durationMs }: GivenTimes): SpanTimes {
  const begun = startTime === undefined ? undefined : nanosOf("startTime", startTime);
  const ended = endTime === undefined ? undefined : nanosOf("endTime", endTime);
  const took = durationMs === undefined ? undefined : BigInt(Math.round(durationMs * 1e6));
  const end = ended ?? sum(begun, took);
  if (end === undefined) {
    const field = begun === undefined ? "startTime" : "endTime";
    throw new FieldFault(
      field,
      undefined,
      "is missing: give two of startTime, endTime, durationMs",
    );
  }
  const start = begun ?? sum(end, took === undefined ? undefined : -took);
  if (start === undefined) {
    const why = "is missing: give it or durationMs";
    throw new FieldFault("startTime", undefined, why);
  }
  if (end < start) throw new FieldFault("endTime", endTime, "is before startTime");
  if (took !== undefined && abs(end - start - took) > TOLERANCE) {
    const why = "contradicts startTime and endTime";
    throw new FieldFault("durationMs", durationMs, why);
  }
  // One that was computed has to be a time as well.
  return {
    start: inRange("durationMs", start, durationMs),
    end: inRange("durationMs", end, durationMs),
  };
}

function sum(a: bigint | undefined, b: bigint | undefined): bigint | undefined {
  return a === undefined || b === undefined ? undefined : a + b;
}

function abs(nanos: bigint): bigint {
  return nanos < 0n ? -nanos : nanos;
}
