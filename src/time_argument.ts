/**
 * A time as people write it on a command line.
 *
 * @module
 */

const UNIT_NANOS: Readonly<Record<string, bigint>> = {
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
  d: 86_400_000_000_000n,
  w: 604_800_000_000_000n,
};
const AGO = /^(\d{1,9})([smhdw])$/;
const RFC_3339 =
  /^(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;
/** Milliseconds since 1970 have this many digits from 1973 until 5138, nanoseconds from 1973 on. */
const MS_DIGITS = { min: 12, max: 14 };
const NS_DIGITS = { min: 18, max: 20 };
const MAX_NANOS = 2n ** 64n - 1n;

/** What {@linkcode parseTime} takes, for messages. */
export const TIME_FORMS =
  "a time such as 2026-01-31T12:00:00Z, nanoseconds or milliseconds since 1970, or how long ago, " +
  "such as 90m, 2h or 7d";

/**
 * Reads an RFC 3339 time to the nanosecond, nanoseconds or milliseconds since 1970 (told apart by
 * their digits), or a duration back from now in `s`, `m`, `h`, `d` or `w`.
 *
 * @param text What was written.
 * @param nowMs Now, in ms since 1970.
 * @returns Nanoseconds since 1970; undefined when it is none of these, or no time of OTLP.
 *
 * @example Two hours ago
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.equal(parseTime("2h", 7_200_001), 1_000_000n);
 * assert.equal(parseTime("1970-01-01T00:00:01.5Z", 0), 1_500_000_000n);
 * assert.equal(parseTime("yesterday", 0), undefined);
 * ```
 */
export function parseTime(text: string, nowMs: number): bigint | undefined {
  const nanos = parseNanos(text.trim(), nowMs);
  return nanos === undefined || nanos < 0n || nanos > MAX_NANOS ? undefined : nanos;
}

/**
 * Whether a time is another one with each moment: how long ago it was.
 *
 * @example Two hours ago
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.equal(isRelativeTime("2h"), true);
 * assert.equal(isRelativeTime("1760000000000000000"), false);
 * ```
 */
export function isRelativeTime(text: string): boolean {
  return AGO.test(text.trim());
}

function parseNanos(text: string, nowMs: number): bigint | undefined {
  if (text === "0") return 0n;
  if (/^[1-9]\d*$/.test(text)) {
    const { length } = text;
    if (length >= MS_DIGITS.min && length <= MS_DIGITS.max) return BigInt(text) * 1_000_000n;
    return length >= NS_DIGITS.min && length <= NS_DIGITS.max ? BigInt(text) : undefined;
  }
  const [, count, unit] = AGO.exec(text) ?? [];
  if (count !== undefined) {
    return BigInt(Math.floor(nowMs)) * 1_000_000n - BigInt(count) * UNIT_NANOS[unit!]!;
  }
  return parseInstant(text);
}

/**
 * Reads an RFC 3339 time, which says its zone, to the nanosecond.
 *
 * @returns Nanoseconds since 1970, less than 0 before; undefined when it is none.
 *
 * @example An hour ahead of UTC
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.equal(parseInstant("1970-01-01T01:00:00.000000005+01:00"), 5n);
 * assert.equal(parseInstant("1970-01-01T01:00:00"), undefined);
 * ```
 */
export function parseInstant(text: string): bigint | undefined {
  const [, seconds, fraction = "", zone] = RFC_3339.exec(text) ?? [];
  if (seconds === undefined) return undefined;
  const local = seconds.replace(/[t ]/, "T");
  const ms = Date.parse(`${local}${zone!.toUpperCase()}`);
  // The 30th of February would be one of March.
  if (Number.isNaN(ms) || !isDate(local)) return undefined;
  return BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
}

function isDate(local: string): boolean {
  const ms = Date.parse(`${local}Z`);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(local);
}
