import assert from "node:assert/strict";
import { parseTime } from "../src/time_argument.ts";

/** 2026-01-31T12:00:00Z. */
const NOW_MS = 1_769_860_800_000;
const NOW = BigInt(NOW_MS) * 1_000_000n;

Deno.test("a time of RFC 3339 is taken to the nanosecond, with any offset", () => {
  const cases: [string, bigint][] = [
    ["2026-01-31T12:00:00Z", NOW],
    ["2026-01-31t12:00:00z", NOW],
    ["2026-01-31 12:00:00Z", NOW],
    ["2026-01-31T14:30:00+02:30", NOW],
    ["2026-01-30T23:00:00.5-13:00", NOW + 500_000_000n],
    ["2026-01-31T12:00:00.123456789Z", NOW + 123_456_789n],
    ["1970-01-01T00:00:00.000000001Z", 1n],
    ["2554-07-21T23:34:33.709551615Z", 2n ** 64n - 1n],
  ];
  for (const [text, nanos] of cases) assert.equal(parseTime(text, 0), nanos, text);
});

Deno.test("a number is milliseconds or nanoseconds by its digits, a duration counts back from now", () => {
  assert.equal(parseTime(String(NOW_MS), 0), NOW);
  assert.equal(parseTime(String(NOW + 1n), 0), NOW + 1n);
  assert.equal(parseTime("0", NOW_MS), 0n);
  assert.equal(parseTime(String(2n ** 64n - 1n), 0), 2n ** 64n - 1n);
  const cases: [string, number][] = [
    ["0s", 0],
    ["90s", 90],
    ["15m", 900],
    ["2h", 7200],
    ["7d", 604_800],
    ["2w", 1_209_600],
  ];
  for (const [text, seconds] of cases) {
    assert.equal(parseTime(text, NOW_MS + 0.7), NOW - BigInt(seconds) * 1_000_000_000n, text);
  }
});

Deno.test("what is no time, or could be two, is none", () => {
  const none = [
    "",
    "yesterday",
    "2026-01-31",
    "2026-01-31T12:00:00",
    "2026-02-30T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-01-31T24:00:01Z",
    "2026-01-31T12:00:60Z",
    "2026-01-31T12:00:00.1234567890Z",
    "2026-01-31T12:00:00+24:00",
    "1969-12-31T23:59:59Z",
    "2554-07-21T23:34:33.709551616Z",
    "1769860800", // Seconds, or milliseconds of January 1970.
    "1769860800000000", // Microseconds.
    "18446744073709551616",
    "-1",
    "1.5h",
    "2 h",
    "99999w",
  ];
  for (const text of none) assert.equal(parseTime(text, NOW_MS), undefined, text);
});
