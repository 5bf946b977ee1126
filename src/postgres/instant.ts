/**
 * OTLP times (unsigned 64-bit nanoseconds since 1970) in the numbers that Postgres wants, without a
 * bigint for any time before the year 2243.
 *
 * @module
 */

/** Microseconds between 1970, where OTLP counts from, and 2000, where Postgres does. */
const EPOCH_2000_MICROS = 946_684_800_000_000;

/** The last time set. */
export class Instant {
  /** Whole microseconds since 1970; from the year 2243 on to the nearest double. */
  micros = 0;
  /** The nanoseconds beyond them, 0 to 999. */
  frac = 0;
  /** The microseconds since 2000, exact, in the halves of an int8. */
  postgresLo = 0;
  postgresHi = 0;
  /** The two unsigned halves it was set to. */
  lo = 0;
  hi = 0;

  /** Whether `micros` is exact. */
  get isExact(): boolean {
    return this.hi < 0x78000000;
  }

  /** Takes the two unsigned halves of a time. */
  set(lo: number, hi: number): void {
    this.lo = lo;
    this.hi = hi;
    if (this.isExact) {
      // 2^32 ns are 4,294,967 us and 296 ns.
      const low = hi * 296 + lo;
      const carry = Math.floor(low / 1000);
      this.micros = hi * 4294967 + carry;
      this.frac = low - carry * 1000;
      const micros = this.micros - EPOCH_2000_MICROS;
      this.postgresHi = Math.floor(micros / 4294967296);
      this.postgresLo = micros - this.postgresHi * 4294967296;
    } else {
      const nanos = (BigInt(hi) << 32n) | BigInt(lo);
      const micros = nanos / 1000n;
      this.micros = Number(micros);
      this.frac = Number(nanos % 1000n);
      const postgres = micros - BigInt(EPOCH_2000_MICROS);
      this.postgresHi = Number(postgres >> 32n);
      this.postgresLo = Number(postgres & 0xffffffffn);
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
