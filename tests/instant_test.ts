import assert from "node:assert/strict";
import { Duration, Instant } from "../src/postgres/instant.ts";
import { randomNumbers } from "./wire_forms.ts";

const SECONDS_TO_2000 = 946_684_800n;
/** From here on, in the year 2243, microseconds no longer fit into a double. */
const INEXACT = 0x78000000n << 32n;
const UINT64_MAX = 2n ** 64n - 1n;
const INT64_MAX = 2n ** 63n - 1n;

const TIMES: readonly bigint[] = [
  0n,
  1n,
  999n,
  1000n,
  2n ** 32n - 1n,
  2n ** 32n,
  SECONDS_TO_2000 * 1_000_000_000n - 1n,
  SECONDS_TO_2000 * 1_000_000_000n,
  SECONDS_TO_2000 * 1_000_000_000n + 1n,
  1_760_000_000_123_456_789n,
  INEXACT - 1n,
  INEXACT,
  INEXACT + 1n,
  2n ** 53n * 1000n - 1n,
  2n ** 53n * 1000n + 1001n,
  INT64_MAX,
  INT64_MAX + 1n,
  UINT64_MAX,
  ...randomTimes(5000),
];

/** Times of every magnitude. */
function randomTimes(count: number): bigint[] {
  const random = randomNumbers(1);
  return Array.from({ length: count }, () => {
    const bits = BigInt(Math.floor(random() * 2 ** 32)) << 32n |
      BigInt(Math.floor(random() * 2 ** 32));
    return bits >> BigInt(Math.floor(random() * 64));
  });
}

function halves(value: bigint): [lo: number, hi: number] {
  return [Number(value & 0xffffffffn), Number(value >> 32n & 0xffffffffn)];
}

/** The int8 that two halves are, however they are signed. */
function int8(lo: number, hi: number): bigint {
  return BigInt.asIntN(64, (BigInt(hi) << 32n) + (BigInt(lo) & 0xffffffffn));
}

Deno.test("an instant has the microseconds since 2000 and the nanoseconds beyond, exact for any time", () => {
  const instant = new Instant();
  for (const time of TIMES) {
    instant.set(...halves(time));
    assert.equal(
      int8(instant.postgresLo, instant.postgresHi),
      time / 1000n - SECONDS_TO_2000 * 1_000_000n,
      String(time),
    );
    assert.equal(instant.frac, Number(time % 1000n), String(time));
    assert.deepEqual([instant.lo, instant.hi], halves(time));
  }
});

Deno.test("an instant has the microseconds since 1970, exact before the year 2243 and near after", () => {
  const instant = new Instant();
  for (const time of TIMES) {
    instant.set(...halves(time));
    assert.equal(instant.isExact, time < INEXACT);
    assert.equal(instant.micros, Number(time / 1000n), String(time));
    if (instant.isExact) assert.equal(BigInt(instant.micros), time / 1000n);
  }
});

Deno.test("an instant takes a bigint as it takes the halves", () => {
  const one = new Instant();
  const other = new Instant();
  for (const time of TIMES) {
    one.set(...halves(time));
    other.setNanos(time);
    assert.deepEqual({ ...one }, { ...other });
  }
});

Deno.test("a duration is exact, negative ones too, and saturates at the ends of int8", () => {
  const duration = new Duration();
  const check = (start: bigint, end: bigint) => {
    duration.set(...halves(start), ...halves(end));
    const exact = end - start;
    const kept = BigInt.asIntN(64, exact) === exact
      ? exact
      : exact > 0n
      ? INT64_MAX
      : -INT64_MAX - 1n;
    assert.equal(int8(duration.lo, duration.hi), kept, `${start} to ${end}`);
    assert.equal(duration.saturated, kept !== exact, `${start} to ${end}`);
  };
  const edges = [
    0n,
    1n,
    2n ** 32n,
    2n ** 53n - 1n,
    2n ** 53n,
    2n ** 53n + 1n,
    INT64_MAX - 1n,
    INT64_MAX,
    INT64_MAX + 1n,
    INT64_MAX + 2n,
    UINT64_MAX - 1n,
    UINT64_MAX,
  ];
  for (const start of edges) for (const end of edges) check(start, end);
  for (const [n, time] of TIMES.entries()) {
    check(time, TIMES[(n * 7 + 1) % TIMES.length]!);
    check(time, time);
    if (time < UINT64_MAX) check(time + 1n, time);
  }
});

Deno.test("a duration that fits is not saturated after one that did not", () => {
  const duration = new Duration();
  duration.set(...halves(0n), ...halves(UINT64_MAX));
  assert.equal(duration.saturated, true);
  duration.set(...halves(5n), ...halves(7n));
  assert.deepEqual([duration.lo, duration.hi, duration.saturated], [2, 0, false]);
});
