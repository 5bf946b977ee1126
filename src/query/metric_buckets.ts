/**
 * How many measurements there were of which size, window by window: the buckets of a histogram.
 *
 * @module
 */

import { z } from "zod";
import type { Database } from "../postgres/database.ts";
import {
  addExponentialHistograms,
  exponentialBuckets,
  type ExponentialHistogram,
} from "./exponential_histogram.ts";
import { filterOf } from "./filters.ts";
import { addHistograms, type Histogram } from "./histogram.ts";
import { SERIES_FILTER_FIELD } from "./limits.ts";
import { measurements } from "./metric_measurements.ts";
import { KIND_FIELDS, type MetricDescriptor, type MetricKind, seriesOf } from "./metric_series.ts";
import { windowsOf } from "./metric_windows.ts";
import { checked, QueryError } from "./query_error.ts";
import { RANGE_FIELDS, rangeOf, type RangeOptions, type TimeRange } from "./range.ts";
import { reading, type ReadOptions } from "./reading.ts";
import { countWindows, stepMsOf, timesOf, WINDOW_FIELD, windowsFor } from "./windows.ts";

/** Which measurements are counted. */
export interface BucketQuery extends RangeOptions, MetricKind {
  /** Name of the metric. */
  readonly metric: string;
  /** Which series, in the grammar of filters: `service`, attributes of the points and the resource. */
  readonly filter?: string | undefined;
  /** How long a window is, in milliseconds. Default: a hundredth of the range, in whole seconds. */
  readonly stepMs?: number | undefined;
}

/** The counts of a query. */
export interface BucketCounts {
  /** What was read, widened to whole microseconds. */
  readonly range: TimeRange;
  /** How long each window is, in milliseconds. */
  readonly stepMs: number;
  /** The histograms of that name, in order of type, unit and temporality. */
  readonly metrics: readonly MetricBuckets[];
}

/** The measurements of one metric. */
export interface MetricBuckets {
  /** What it says of itself. */
  readonly metric: MetricDescriptor;
  /** The same in all windows, ascending. */
  readonly buckets: readonly Bucket[];
  /** In order of time. Windows of which nothing is known are left out. */
  readonly steps: readonly BucketStep[];
}

/** Which measurements a bucket holds. */
export interface Bucket {
  /** They are larger; `-Infinity` where that is not known. The zero bucket has this value as well. */
  readonly above: number;
  /** They are not larger; `Infinity` where that is not known. */
  readonly upTo: number;
}

/** The measurements of one window. */
export interface BucketStep {
  /** When it begins, in nanoseconds since 1970. */
  readonly since: bigint;
  /** Measurements by bucket. */
  readonly counts: readonly number[];
}

/** Exponential histograms get no more buckets: they are joined by twos until they have not. */
export const MAX_EXPONENTIAL_BUCKETS = 160;
/** More counts than that are refused: windows × buckets. */
export const MAX_COUNTS = 100_000;
const MAX_NAME = 4_096;

/** The options of {@linkcode countBuckets}. */
export const BUCKET_QUERY = z.object({
  metric: z.string().min(1).max(MAX_NAME).describe("Name of the metric"),
  ...KIND_FIELDS,
  filter: SERIES_FILTER_FIELD,
  stepMs: WINDOW_FIELD,
  ...RANGE_FIELDS,
});

/**
 * How many measurements there were in each bucket of a histogram, of all its series together.
 *
 * Windows are those of {@linkcode queryMetric}, and so is what has come since the point before of a
 * cumulative series. Buckets are the same in all windows, and what is in them is exact: histograms with
 * other bounds have those that all of them share, exponential ones the lowest of their scales, and one
 * still lower where that would be more than 160 buckets. Fewer than none, as a broken producer says, is
 * none.
 *
 * @throws {QueryError} An option is wrong, the metric is no histogram, or there is too much to read or
 * to answer.
 * @throws {QueryTimeoutError} It took too long.
 *
 * @example What the requests of ten minutes took
 * ```ts
 * import { OTelStorageAdapter } from "../adapter.ts";
 * import assert from "node:assert/strict";
 *
 * await using adapter = new OTelStorageAdapter({ pgliteDir: "memory://" });
 * await adapter.init();
 * const { metrics } = await countBuckets(await adapter.database(), {
 *   metric: "http.server.request.duration",
 *   lastMs: 600_000,
 *   stepMs: 60_000,
 * });
 * assert.deepEqual(metrics, []);
 * ```
 */
export async function countBuckets(
  database: Database,
  query: BucketQuery,
  options: ReadOptions = {},
): Promise<BucketCounts> {
  const asked = checked(BUCKET_QUERY, query);
  const filter = filterOf("metrics", asked.filter);
  const windows = windowsFor(rangeOf(asked), asked.stepMs);
  const { range } = windows;
  return await reading(database, options, async (reader) => {
    const found = await seriesOf(reader, { ...asked, filter, range, groupBy: [] });
    const metrics: MetricBuckets[] = [];
    for (const { metric, series } of histogramsOf(asked.metric, found)) {
      const computation = measurements(metric, "quantile", range.since);
      const groups = await windowsOf(reader, metric.name, series, computation, windows);
      const known = groups.flatMap(({ tallies }) => [...tallies])
        .sort(([a], [b]) => a - b)
        .flatMap(([window, { buckets }]) => buckets === undefined ? [] : [{ window, buckets }]);
      const { buckets, counts } = metric.type === "histogram"
        ? explicitCounts(known.map(({ buckets }) => buckets as Histogram))
        : exponentialCounts(known.map(({ buckets }) => buckets as ExponentialHistogram));
      refuseMany(buckets.length * countWindows(windows), stepMsOf(windows));
      const steps = known.map(({ window }, n) => ({
        since: timesOf(window, windows).time,
        counts: counts[n]!,
      }));
      metrics.push({ metric, buckets, steps });
    }
    return { range, stepMs: stepMsOf(windows), metrics };
  });
}

type Found = Awaited<ReturnType<typeof seriesOf>>;

function histogramsOf(name: string, found: Found): Found {
  const histograms = found.filter(({ metric: { type, temporality } }) =>
    (type === "histogram" || type === "exponential_histogram") && temporality !== "UNSPECIFIED"
  );
  const [other] = found;
  if (other !== undefined && histograms.length === 0) {
    const { type, temporality = "" } = other.metric;
    const what = `${type} ${temporality}`.trim();
    throw new QueryError(
      "metric",
      name,
      `it is a ${what}: delta and cumulative histograms have buckets`,
    );
  }
  return histograms;
}

function refuseMany(counts: number, stepMs: number): void {
  if (counts <= MAX_COUNTS) return;
  throw new QueryError(
    "stepMs",
    stepMs,
    `${counts} counts, at most ${MAX_COUNTS}: choose longer windows`,
  );
}

interface Counted {
  readonly buckets: Bucket[];
  /** Of each histogram by bucket. */
  readonly counts: number[][];
}

const notNegative = (count: number) => Math.max(0, count);

function explicitCounts(histograms: readonly Histogram[]): Counted {
  if (histograms.length === 0) return { buckets: [], counts: [] };
  const { bounds } = histograms.reduce(addHistograms);
  const none = { bounds, counts: [0, ...bounds.map(() => 0)] };
  return {
    buckets: [...bounds, Infinity].map((upTo, n) => ({ above: bounds[n - 1] ?? -Infinity, upTo })),
    counts: histograms.map((one) => addHistograms(none, one).counts.map(notNegative)),
  };
}

function exponentialCounts(histograms: readonly ExponentialHistogram[]): Counted {
  if (histograms.length === 0) return { buckets: [], counts: [] };
  const positive = histograms.map(withoutNegativeCounts);
  let all = positive.reduce(addExponentialHistograms);
  // Nothing, but at another scale: to add it is to join buckets.
  let none: ExponentialHistogram = {
    ...all,
    zeroCount: 0,
    positive: new Map(),
    negative: new Map(),
  };
  while (exponentialBuckets(all).length > MAX_EXPONENTIAL_BUCKETS) {
    none = { ...none, scale: none.scale - 1 };
    all = addExponentialHistograms(all, none);
  }
  const buckets = exponentialBuckets(all).map(({ above, upTo }) => ({ above, upTo }));
  const counts = positive.map((one) => {
    const row = buckets.map(() => 0);
    for (const { above, upTo, count } of exponentialBuckets(addExponentialHistograms(one, none))) {
      // The zero bucket of all may be wider than that of one.
      row[buckets.findIndex((wide) => wide.above <= above && upTo <= wide.upTo)]! += count;
    }
    return row;
  });
  return { buckets, counts };
}

function withoutNegativeCounts(histogram: ExponentialHistogram): ExponentialHistogram {
  const counts = (buckets: ReadonlyMap<number, number>) =>
    new Map([...buckets].map(([index, count]) => [index, notNegative(count)]));
  return {
    ...histogram,
    zeroCount: notNegative(histogram.zeroCount),
    positive: counts(histogram.positive),
    negative: counts(histogram.negative),
  };
}
