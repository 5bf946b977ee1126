/**
 * Durations as people read and write them.
 *
 * @module
 */

const NANOSECONDS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  "µs": 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};
const MINUTE = 60_000_000_000n;

/**
 * Reads a number with one of the units `ns`, `us`, `µs`, `ms`, `s`, `m`, `h`.
 *
 * @returns Nanoseconds; undefined when it is no duration.
 *
 * @example A quarter of a second
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.equal(parseDuration("250ms"), 250_000_000n);
 * assert.equal(parseDuration("250"), undefined);
 * ```
 */
export function parseDuration(text: string): bigint | undefined {
  const [, digits, unit] = /^(\d{1,15}(?:\.\d{1,9})?)(ns|us|µs|ms|s|m|h)$/.exec(text) ?? [];
  const nanos = Number(digits) * (NANOSECONDS[unit ?? ""] ?? NaN);
  return Number.isFinite(nanos) ? BigInt(Math.round(nanos)) : undefined;
}

/**
 * Three digits of it, in the unit that suits them; from a minute on whole seconds, from an hour on
 * whole minutes. What is left is cut off.
 *
 * @param nanos Nanoseconds; below 0 for what went backwards.
 *
 * @example In each unit
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.equal(durationText(845n), "845ns");
 * assert.equal(durationText(12_345n), "12.3µs");
 * assert.equal(durationText(4_560_000n), "4.56ms");
 * assert.equal(durationText(1_230_000_000n), "1.23s");
 * assert.equal(durationText(64_000_000_000n), "1m 04s");
 * assert.equal(durationText(7_500_000_000_000n), "2h 05m");
 * ```
 */
export function durationText(nanos: bigint): string {
  if (nanos < 0n) return `-${durationText(-nanos)}`;
  if (nanos < 1_000n) return `${nanos}ns`;
  if (nanos < 1_000_000n) return `${threeDigits(nanos, 1_000n)}µs`;
  if (nanos < 1_000_000_000n) return `${threeDigits(nanos, 1_000_000n)}ms`;
  if (nanos < MINUTE) return `${threeDigits(nanos, 1_000_000_000n)}s`;
  const seconds = nanos / 1_000_000_000n;
  const minutes = seconds / 60n;
  return minutes < 60n
    ? `${minutes}m ${twoDigits(seconds % 60n)}s`
    : `${minutes / 60n}h ${twoDigits(minutes % 60n)}m`;
}

/** Cut, not rounded: 999.9 µs are no 1000 µs. */
function threeDigits(nanos: bigint, unit: bigint): string {
  const whole = nanos / unit;
  const digits = 3 - String(whole).length;
  if (digits === 0) return String(whole);
  const fraction = String(nanos % unit).padStart(String(unit).length - 1, "0");
  return `${whole}.${fraction.slice(0, digits)}`;
}

function twoDigits(number: bigint): string {
  return String(number).padStart(2, "0");
}
