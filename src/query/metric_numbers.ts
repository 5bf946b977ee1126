/**
 * Gauges and sums: each series has one value a window, and a group the sum or average of those.
 *
 * @module
 */

import type { Measure } from "./increase.ts";
import type { MetricDescriptor } from "./metric_series.ts";
import {
  type Across,
  addNumbers,
  type Computation,
  DeltaFold,
  IncreaseFold,
  type MetricFunction,
  type PointRow,
  read,
  type SeriesFold,
  type Tally,
  tallyOf,
} from "./metric_tally.ts";

/** What can be asked of numbers. */
export type NumberFunction = Exclude<MetricFunction, "quantile">;

/**
 * How to compute a function for a gauge or sum.
 *
 * @param across How the values of several series become one.
 * @param since Start of the range, in nanoseconds since 1970.
 */
export function numbers(
  metric: MetricDescriptor,
  wanted: NumberFunction,
  across: Across,
  since: bigint,
): Computation {
  const isIncrease = wanted === "rate" || wanted === "increase";
  const isCumulative = isIncrease && metric.temporality === "CUMULATIVE";
  const measure = metric.isMonotonic ? COUNTER : UP_DOWN_COUNTER;
  return {
    columns: "t.value, t.value_int",
    growing: isCumulative ? metric.isMonotonic ? ["value_int", "value"] : [] : undefined,
    fold() {
      if (isCumulative) return new IncreaseFold(numberOf, measure, since, tallyOf);
      if (wanted === "last") return new DeltaFold(pointOf, (_, later) => later);
      return new SeriesValue(isIncrease ? "sum" : wanted);
    },
    add: addNumbers,
    value: (tally, seconds) =>
      read(across, tally) / (wanted === "rate" && across !== "count" ? seconds : 1),
  };
}

/** All points of a window as the one value that is asked for. */
class SeriesValue implements SeriesFold {
  readonly #points: SeriesFold = new DeltaFold(pointOf, addNumbers);
  readonly #wanted: Across;

  constructor(wanted: Across) {
    this.#wanted = wanted;
  }

  add(row: PointRow): void {
    this.#points.add(row);
  }

  take(): Tally | undefined {
    const tally = this.#points.take();
    return tally && tallyOf(read(this.#wanted, tally));
  }
}

function pointOf(row: PointRow): Tally | undefined {
  const value = numberOf(row);
  return value === undefined ? undefined : tallyOf(Number(value));
}

/** An integer as it was sent. `NaN` is no value: clients send it where they have none. */
function numberOf(row: PointRow): number | bigint | undefined {
  const value = (row.value_int ?? row.value) as number | bigint | null;
  return value === null || Number.isNaN(value) ? undefined : value;
}

const UP_DOWN_COUNTER: Measure<number | bigint, number> = {
  // Integers are subtracted exactly, however large.
  difference: (later, earlier = 0n) =>
    typeof later === "bigint" && typeof earlier === "bigint"
      ? Number(later - earlier)
      : Number(later) - Number(earlier),
  add: (a, b) => a + b,
  isLess: () => false,
};
const COUNTER: Measure<number | bigint, number> = {
  ...UP_DOWN_COUNTER,
  isLess: (later, earlier) => later < earlier,
};
