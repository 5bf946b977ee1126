/**
 * Tallies: what the points of a window come to, in the form that can be added up.
 *
 * The points of a series within a window become one tally; those of the series of a group are added;
 * a function reads its value from the sum.
 *
 * @module
 */

import type { Row } from "../postgres/database.ts";
import type { ExponentialHistogram } from "./exponential_histogram.ts";
import type { Histogram } from "./histogram.ts";
import { Increase, type Measure } from "./increase.ts";

/** Several numbers, or several measurements, as one. */
export interface Tally {
  /** How many. */
  readonly count: number;
  /** Their sum. */
  readonly sum: number;
  /** The smallest, `NaN` when unknown. */
  readonly min: number;
  /** The largest, `NaN` when unknown. */
  readonly max: number;
  /** Of a histogram, where quantiles are asked for. */
  readonly buckets?: Histogram | ExponentialHistogram | undefined;
  /** Of a summary, likewise: values by quantile. */
  readonly quantiles?: ReadonlyMap<number, number>;
}

/** What is asked of the points in a window. */
export type MetricFunction =
  | "rate"
  | "increase"
  | "avg"
  | "min"
  | "max"
  | "sum"
  | "count"
  | "last"
  | "quantile";

/** How the values of several series become one, and what can be read from every tally. */
export type Across = "sum" | "avg" | "min" | "max" | "count";

/** The tally of one number. */
export function tallyOf(value: number): Tally {
  return { count: 1, sum: value, min: value, max: value };
}

/** The numbers of both; buckets and quantiles are left out. */
export function addNumbers(a: Tally, b: Tally): Tally {
  return {
    count: a.count + b.count,
    sum: a.sum + b.sum,
    min: Math.min(a.min, b.min),
    max: Math.max(a.max, b.max),
  };
}

/** One number of a tally. */
export function read(what: Across, { count, sum, min, max }: Tally): number {
  return what === "avg" ? sum / count : { count, sum, min, max }[what];
}

/** A point, with the columns that a {@linkcode Computation} names. */
export interface PointRow extends Row {
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  /** When its counting began, in nanoseconds since 1970; 0 when unknown. */
  readonly start: bigint;
}

/** The points of one series, in order of time, to a tally for each window. */
export interface SeriesFold {
  /** Adds a point. */
  add(row: PointRow): void;
  /** What the points since the last call came to; undefined when that is unknown. */
  take(): Tally | undefined;
}

/** How a function is computed for a metric. */
export interface Computation {
  /** What it needs of rows `t` of `otel_data.metric_points`, as a SELECT list. */
  readonly columns: string;
  /** Of cumulative points: columns of which one never falls between resets; absent for all others. */
  readonly growing?: readonly string[] | undefined;
  /** Begins a series. */
  fold(): SeriesFold;
  /** What two series of a group come to. */
  add(a: Tally, b: Tally): Tally;
  /** What is asked for, `NaN` when there is no such value. */
  value(tally: Tally, seconds: number, quantile?: number): number;
}

/** Points that say what came since the one before. */
export class DeltaFold implements SeriesFold {
  readonly #valueOf: (row: PointRow) => Tally | undefined;
  readonly #add: (a: Tally, b: Tally) => Tally;
  #tally: Tally | undefined;

  /** @param add What two points come to. */
  constructor(
    valueOf: (row: PointRow) => Tally | undefined,
    add: (earlier: Tally, later: Tally) => Tally,
  ) {
    this.#valueOf = valueOf;
    this.#add = add;
  }

  add(row: PointRow): void {
    const value = this.#valueOf(row);
    if (value === undefined) return;
    this.#tally = this.#tally === undefined ? value : this.#add(this.#tally, value);
  }

  take(): Tally | undefined {
    const tally = this.#tally;
    this.#tally = undefined;
    return tally;
  }
}

/** Points that say what came since their series began. */
export class IncreaseFold<V, D> implements SeriesFold {
  readonly #valueOf: (row: PointRow) => V | undefined;
  readonly #increase: Increase<V, D>;
  readonly #tallyOf: (grown: D) => Tally;

  /** @param since Start of the range, in nanoseconds since 1970. */
  constructor(
    valueOf: (row: PointRow) => V | undefined,
    measure: Measure<V, D>,
    since: bigint,
    tallyOf: (grown: D) => Tally,
  ) {
    this.#valueOf = valueOf;
    this.#increase = new Increase(measure, since);
    this.#tallyOf = tallyOf;
  }

  add(row: PointRow): void {
    const value = this.#valueOf(row);
    if (value !== undefined) this.#increase.add({ time: row.time, start: row.start, value });
  }

  take(): Tally | undefined {
    const grown = this.#increase.take();
    return grown === undefined ? undefined : this.#tallyOf(grown);
  }
}
