/**
 * Times for people.
 *
 * @module
 */

/**
 * UTC to the millisecond, or the number where dates end.
 *
 * @param unixNano Nanoseconds since 1970.
 *
 * @example A second after it began
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.equal(timeText(1_000_000_000n), "1970-01-01T00:00:01.000Z");
 * ```
 */
export function timeText(unixNano: bigint): string {
  const date = new Date(Number(unixNano / 1_000_000n));
  return Number.isNaN(date.getTime()) ? String(unixNano) : date.toISOString();
}
