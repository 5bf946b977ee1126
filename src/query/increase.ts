/**
 * How much a cumulative series has grown: the differences of its points, across resets.
 *
 * A series is reset when its process starts anew: a point then has a later start time, or, where
 * start times are not sent, less than the point before. What it holds has come since the reset. A point
 * that starts when it was taken says that nothing is known of the time before: what it holds is where
 * counting begins (OTLP metrics data model, "Cumulative streams: handling unknown start time").
 *
 * Nothing is extrapolated: what came between two points counts where the later one was taken.
 *
 * @module
 */

/** How values of a series (`V`) are told apart (`D`). */
export interface Measure<V, D> {
  /** What `later` has more than `earlier`, or all of it. */
  difference(later: V, earlier: V | undefined): D;
  /** Both together. */
  add(a: D, b: D): D;
  /** Whether `later` can only come from a reset. */
  isLess(later: V, earlier: V): boolean;
}

/** A point of a cumulative series. */
export interface CumulativePoint<V> {
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  /** When counting began, in nanoseconds since 1970; 0 when unknown. */
  readonly start: bigint;
  /** What was counted since. */
  readonly value: V;
}

/**
 * What a series has grown by, from one {@linkcode Increase.take} to the next.
 *
 * @example A counter that is reset
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const increase = new Increase<number, number>({
 *   difference: (later, earlier = 0) => later - earlier,
 *   add: (a, b) => a + b,
 *   isLess: (later, earlier) => later < earlier,
 * }, 0n);
 * for (const [at, value] of [5, 7, 3, 4].entries()) {
 *   increase.add({ time: BigInt(at), start: 0n, value });
 * }
 * assert.equal(increase.take(), 2 + 4);
 * assert.equal(increase.take(), undefined);
 * ```
 */
export class Increase<V, D> {
  readonly #measure: Measure<V, D>;
  readonly #since: bigint;
  #last: CumulativePoint<V> | undefined;
  /** Where the stretch at hand began; undefined where that is nothing. */
  #base: V | undefined;
  /** Whether the stretch has more than where it began. */
  #hasGrown = false;
  /** What earlier stretches came to. */
  #grown: D | undefined;

  /**
   * @param since Nanoseconds since 1970: the first point counts whole if its series began then or
   * later; else it is where counting begins.
   */
  constructor(measure: Measure<V, D>, since: bigint) {
    this.#measure = measure;
    this.#since = since;
  }

  /** Adds the next point in time. */
  add(point: CumulativePoint<V>): void {
    const last = this.#last;
    if (last === undefined) {
      this.#begin(point, point.start !== 0n && point.start >= this.#since);
    } else if (this.#isReset(last, point)) {
      this.#end();
      this.#begin(point, true);
    } else {
      this.#hasGrown = true;
    }
    this.#last = point;
  }

  /** The growth since the last call; undefined where no point says how much. */
  take(): D | undefined {
    this.#end();
    const grown = this.#grown;
    this.#grown = undefined;
    this.#base = this.#last?.value;
    this.#hasGrown = false;
    return grown;
  }

  #isReset(last: CumulativePoint<V>, point: CumulativePoint<V>): boolean {
    const startsAnew = point.start > (last.start === 0n ? last.time : last.start);
    return startsAnew || this.#measure.isLess(point.value, last.value);
  }

  /** A stretch begins, in which the whole of the point counts if it comes `fromNothing`. */
  #begin(point: CumulativePoint<V>, fromNothing: boolean): void {
    this.#hasGrown = fromNothing && point.start < point.time;
    this.#base = this.#hasGrown ? undefined : point.value;
  }

  #end(): void {
    if (!this.#hasGrown) return;
    const grown = this.#measure.difference(this.#last!.value, this.#base);
    this.#grown = this.#grown === undefined ? grown : this.#measure.add(this.#grown, grown);
  }
}
