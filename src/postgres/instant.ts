/**
 * OTLP times (unsigned 64-bit nanoseconds since 1970) in the numbers that Postgres wants, without a
 * bigint for any time before the year 2243.
 *
 * @module
 */

/** The last time set. */
export class Instant {
  /** Whole microseconds since 1970, exact up to the year 2255, then to the nearest double. */
  micros = 0;
  /** The nanoseconds beyond them, 0 to 999. */
  frac = 0;

  /** Takes the two unsigned halves of a time. */
  set(lo: number, hi: number): void {
    if (hi < 0x78000000) {
      // 2^32 ns are 4,294,967 us and 296 ns.
      const low = hi * 296 + lo;
      const carry = Math.floor(low / 1000);
      this.micros = hi * 4294967 + carry;
      this.frac = low - carry * 1000;
    } else {
      const nanos = (BigInt(hi) << 32n) | BigInt(lo);
      this.micros = Number(nanos / 1000n);
      this.frac = Number(nanos % 1000n);
    }
  }

  /** Takes a bigint of nanoseconds. */
  setNanos(nanos: bigint): void {
    this.set(Number(nanos & 0xffffffffn), Number(nanos >> 32n));
  }
}

/** The difference of two times as an int8, in halves. */
export class Duration {
  lo = 0;
  hi = 0;
  /** Whether it did not fit and stands at an end of int8. */
  saturated = false;

  /** Sets end minus start; a span that ends before it starts has a negative one. */
  set(startLo: number, startHi: number, endLo: number, endHi: number): void {
    const nanos = (endHi - startHi) * 4294967296 + (endLo - startLo);
    this.saturated = false;
    if (nanos > -9007199254740992 && nanos < 9007199254740992) {
      this.hi = Math.floor(nanos / 4294967296);
      this.lo = nanos - this.hi * 4294967296;
      return;
    }
    const exact = ((BigInt(endHi) << 32n) | BigInt(endLo)) -
      ((BigInt(startHi) << 32n) | BigInt(startLo));
    const kept = exact > 0x7fffffffffffffffn
      ? 0x7fffffffffffffffn
      : exact < -0x8000000000000000n
      ? -0x8000000000000000n
      : exact;
    this.saturated = kept !== exact;
    this.lo = Number(kept & 0xffffffffn);
    this.hi = Number(kept >> 32n);
  }
}
