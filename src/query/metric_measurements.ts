/**
 * Histograms and summaries: the measurements behind the points of a window, of all series as one set.
 *
 * @module
 */

import type { Row } from "../postgres/database.ts";
import {
  addExponentialHistograms,
  bucketsOf,
  type ExponentialHistogram,
  exponentialHistogramQuantile,
  subtractExponentialHistograms,
} from "./exponential_histogram.ts";
import {
  addHistograms,
  type Histogram,
  histogramOf,
  histogramQuantile,
  subtractHistograms,
} from "./histogram.ts";
import type { Measure } from "./increase.ts";
import type { MetricDescriptor } from "./metric_series.ts";
import {
  addNumbers,
  type Computation,
  DeltaFold,
  IncreaseFold,
  type MetricFunction,
  type PointRow,
  read,
  type Tally,
} from "./metric_tally.ts";
import { QueryError } from "./query_error.ts";

/** What can be asked of measurements. */
export type MeasurementFunction = Exclude<MetricFunction, "last">;

/** A point with more buckets than that is refused: no SDK makes them, and they take memory. */
export const MAX_BUCKETS = 2_000;

/**
 * How to compute a function for a histogram or summary.
 *
 * @param since Start of the range, in nanoseconds since 1970.
 */
export function measurements(
  metric: MetricDescriptor,
  wanted: MeasurementFunction,
  since: bigint,
): Computation {
  const { columns, valueOf, measure, quantile } = wanted === "quantile"
    ? PARTS[metric.type as keyof typeof PARTS]
    : NO_PARTS;
  // A summary says its quantiles of a time that it does not tell: the latest stand.
  const isLatest = wanted === "quantile" && metric.type === "summary";
  const isCumulative = metric.temporality !== "DELTA" && !isLatest;
  const tallyOfPoint = (row: PointRow): Tally => ({ ...numbersOf(row), ...valueOf(row) });
  return {
    columns: `t.count, t.sum, t.min, t.max${columns}`,
    growing: isCumulative ? ["count"] : undefined,
    fold: () =>
      isCumulative
        ? new IncreaseFold(tallyOfPoint, measure, since, (grown) => grown)
        : new DeltaFold(tallyOfPoint, isLatest ? (_, later) => later : measure.add),
    add: measure.add,
    value(tally, seconds, q = NaN) {
      if (wanted === "quantile") return quantile(q, tally);
      if (wanted === "rate") return tally.count / seconds;
      return wanted === "increase" ? tally.count : read(wanted, tally);
    },
  };
}

function numbersOf(row: Row): Tally {
  return {
    count: unsigned(row.count),
    sum: (row.sum ?? NaN) as number,
    min: (row.min ?? NaN) as number,
    max: (row.max ?? NaN) as number,
  };
}

/** What a point has beside its numbers. */
interface Parts {
  /** Columns, each with a comma before it. */
  readonly columns: string;
  readonly valueOf: (row: Row) => Pick<Tally, "buckets" | "quantiles">;
  readonly measure: Measure<Tally, Tally>;
  readonly quantile: (q: number, tally: Tally) => number;
}

/**
 * Of tallies, given what adds and subtracts their buckets. Where one has none, the buckets say
 * something of the other alone; where the earlier one has none, nothing.
 */
function measureOf<B extends Histogram | ExponentialHistogram>(
  addBuckets: (a: B, b: B) => B,
  subtractBuckets: (later: B, earlier: B) => B,
): Measure<Tally, Tally> {
  return {
    add: (a, b) => ({
      ...addNumbers(a, b),
      buckets: a.buckets && b.buckets
        ? addBuckets(a.buckets as B, b.buckets as B)
        : a.buckets ?? b.buckets,
    }),
    difference: (later, earlier) => ({
      count: later.count - (earlier?.count ?? 0),
      sum: later.sum - (earlier?.sum ?? 0),
      // The smallest since the start is not that of a part.
      min: NaN,
      max: NaN,
      buckets: earlier === undefined ? later.buckets : later.buckets && earlier.buckets &&
        subtractBuckets(later.buckets as B, earlier.buckets as B),
    }),
    isLess: (later, earlier) => later.count < earlier.count,
  };
}

const NO_PARTS: Parts = {
  columns: "",
  valueOf: () => ({}),
  measure: measureOf((a) => a, (later) => later),
  quantile: () => NaN,
};

const PARTS: Readonly<Record<"histogram" | "exponential_histogram" | "summary", Parts>> = {
  histogram: {
    columns: part("bucket_counts", "cardinality(t.bucket_counts)") +
      part("explicit_bounds", "cardinality(t.explicit_bounds)"),
    valueOf(row) {
      refuseLarge(row.bucket_counts_size);
      refuseLarge(row.explicit_bounds_size);
      const counts = (row.bucket_counts ?? []) as bigint[];
      const bounds = (row.explicit_bounds ?? []) as number[];
      return { buckets: histogramOf(counts.map(unsigned), bounds) };
    },
    measure: measureOf<Histogram>(addHistograms, subtractHistograms),
    quantile: (q, { buckets }) => buckets ? histogramQuantile(q, buckets as Histogram) : NaN,
  },
  exponential_histogram: {
    columns: `, t.scale, t.zero_count, t.zero_threshold${
      part("positive", "jsonb_array_length(t.positive -> 'bucketCounts')", "::text")
    }${part("negative", "jsonb_array_length(t.negative -> 'bucketCounts')", "::text")}`,
    valueOf(row) {
      refuseLarge(row.positive_size);
      refuseLarge(row.negative_size);
      return {
        buckets: {
          scale: row.scale as number,
          zeroThreshold: row.zero_threshold as number,
          zeroCount: unsigned(row.zero_count),
          positive: bucketsOfJson(row.positive),
          negative: bucketsOfJson(row.negative),
        },
      };
    },
    measure: measureOf(addExponentialHistograms, subtractExponentialHistograms),
    quantile: (q, { buckets }) =>
      buckets ? exponentialHistogramQuantile(q, buckets as ExponentialHistogram) : NaN,
  },
  summary: {
    columns: part("quantiles", "jsonb_array_length(t.quantiles)", "::text"),
    valueOf(row) {
      refuseLarge(row.quantiles_size);
      const values: { quantile: unknown; value: unknown }[] = JSON.parse(
        (row.quantiles ?? "[]") as string,
      );
      return {
        quantiles: new Map(values.map(({ quantile, value }) => [Number(quantile), Number(value)])),
      };
    },
    measure: {
      ...NO_PARTS.measure,
      add: () => {
        throw new QueryError(
          "groupBy",
          undefined,
          "quantiles of several summaries cannot be combined: group by what tells them apart",
        );
      },
    },
    quantile: (q, { quantiles }) => quantiles?.get(q) ?? NaN,
  },
};

/** A column, unless there is more in it than is read, and how much there is. */
function part(column: string, size: string, cast = ""): string {
  return `, case when ${size} <= ${MAX_BUCKETS} then t.${column}${cast} end as ${column},
    ${size} as ${column}_size`;
}

function refuseLarge(size: unknown): void {
  if ((size ?? 0) as number > MAX_BUCKETS) {
    throw new QueryError(
      "function",
      "quantile",
      `a point has ${size} buckets, more than ${MAX_BUCKETS}`,
    );
  }
}

function bucketsOfJson(text: unknown): Map<number, number> {
  if (text === null) return new Map();
  const { offset, bucketCounts }: { offset: number; bucketCounts: string[] } = JSON.parse(
    text as string,
  );
  return bucketsOf(offset, bucketCounts.map(Number));
}

/** Counts are unsigned 64 bits in int8. */
function unsigned(count: unknown): number {
  return Number(BigInt.asUintN(64, (count ?? 0n) as bigint));
}
