/**
 * The values of a metric over time.
 *
 * @module
 */

import { z } from "zod";
import type { Database } from "../postgres/database.ts";
import type { KeyValue } from "../record.ts";
import { filterOf } from "./filters.ts";
import { SERIES_FILTER_FIELD } from "./limits.ts";
import { computationOf, METRIC_FUNCTIONS } from "./metric_function.ts";
import { KIND_FIELDS, type MetricDescriptor, type MetricKind, seriesOf } from "./metric_series.ts";
import type { Across, Computation, MetricFunction } from "./metric_tally.ts";
import { type GroupWindows, windowsOf } from "./metric_windows.ts";
import { checked, QueryError } from "./query_error.ts";
import { RANGE_FIELDS, rangeOf, type RangeOptions, type TimeRange } from "./range.ts";
import { reading, type ReadOptions } from "./reading.ts";
import {
  countWindows,
  stepMsOf,
  timesOf,
  WINDOW_FIELD,
  type Windows,
  windowsFor,
} from "./windows.ts";

/** What is asked of a metric. */
export interface MetricQuery extends RangeOptions, MetricKind {
  /** Name of the metric. */
  readonly metric: string;
  /** Which series, in the grammar of filters: `service`, attributes of the points and the resource. */
  readonly filter?: string | undefined;
  /**
   * What is computed. Default: `rate` for sums that only grow, `last` for other sums, `avg` for gauges,
   * `quantile` for histograms and summaries.
   */
  readonly function?: MetricFunction | undefined;
  /** Which quantiles, 0 to 1. Default: 0.5, 0.95 and 0.99; of a summary, those that were sent. */
  readonly quantiles?: readonly number[] | undefined;
  /** `service`, and attributes as filters name them; one group in all when empty. Default: each series. */
  readonly groupBy?: readonly string[] | undefined;
  /** How the values of the series of a group become one, of gauges and sums. */
  readonly across?: Across | undefined;
  /** How long a window is, in milliseconds. Default: a hundredth of the range, in whole seconds. */
  readonly stepMs?: number | undefined;
}

/** The values of a query. */
export interface MetricAnswer {
  /** What was read, widened to whole microseconds. */
  readonly range: TimeRange;
  /** How long each window is, in milliseconds. */
  readonly stepMs: number;
  /** The metrics of that name, in order of type, unit and temporality. */
  readonly metrics: readonly MetricValues[];
}

/** The values of one metric. */
export interface MetricValues {
  /** What it says of itself. */
  readonly metric: MetricDescriptor;
  /** What was computed. */
  readonly function: MetricFunction;
  /** How the values of several series became one. */
  readonly across: Across;
  /** One for each group, and for each of its quantiles. Those without values are left out. */
  readonly series: readonly MetricLine[];
}

/** The values of one group. */
export interface MetricLine {
  /** What the group has in common, by the names of the filter grammar: `service`, `resource.host.name`. */
  readonly attributes: readonly KeyValue[];
  /** Which quantile its values are. */
  readonly quantile?: number;
  /** In order of time. Windows without a value are left out. */
  readonly points: readonly MetricValue[];
}

/** The value of one window. */
export interface MetricValue {
  /** When the window begins, in nanoseconds since 1970. */
  readonly time: bigint;
  /** Never `NaN`. */
  readonly value: number;
}

/** More values than that are refused: windows × groups × quantiles. */
export const MAX_VALUES = 11_000;
const MAX_QUANTILES = 10;
const MAX_GROUP_ATTRIBUTES = 10;
const MAX_TEXT = 4_096;
const DEFAULT_QUANTILES = [0.5, 0.95, 0.99];

/** The options of {@linkcode queryMetric}. */
export const METRIC_QUERY = z.object({
  metric: z.string().min(1).max(MAX_TEXT).describe("Name of the metric"),
  ...KIND_FIELDS,
  filter: SERIES_FILTER_FIELD,
  function: z.enum(METRIC_FUNCTIONS).optional().describe(
    "What is computed. Default: `rate` for sums that only grow, `last` for other sums, `avg` for gauges, `quantile` for histograms and summaries",
  ),
  quantiles: z.array(z.number().min(0).max(1)).min(1).max(MAX_QUANTILES).optional().describe(
    "Which quantiles, 0 to 1. Default: 0.5, 0.95 and 0.99; of a summary, those that were sent",
  ),
  groupBy: z.array(z.string().min(1).max(MAX_TEXT)).max(MAX_GROUP_ATTRIBUTES).optional().describe(
    "`service`, and attributes as filters name them; one group in all when empty. Default: each series",
  ),
  across: z.enum(["sum", "avg", "min", "max", "count"]).optional().describe(
    "How the values of the series of a group become one, of gauges and sums. Default: as the function for avg, min and max, else sum",
  ),
  stepMs: WINDOW_FIELD,
  ...RANGE_FIELDS,
});

/**
 * The values of a metric, window by window.
 *
 * A range is cut into windows of one step, each from its start (inclusive) to its end (exclusive); the
 * first begins with the range, and the last one ends with it. A point belongs to the window that its
 * time lies in, whole, whatever time it covers: a delta is counted where it ends. Nothing is
 * interpolated or extrapolated. Windows of which nothing is known have no value.
 *
 * Metrics of one name that differ in type, unit, temporality or in whether they only grow are read apart.
 *
 * | function | of a gauge or sum | of a histogram or summary |
 * | --- | --- | --- |
 * | `increase` | how much a sum has grown | measurements |
 * | `rate` | `increase` a second | measurements a second |
 * | `count` | points | measurements |
 * | `sum` | sum of the points | sum of the measurements |
 * | `avg` | average of the points | average of the measurements |
 * | `min`, `max` | of the points | of the measurements, where they are sent as deltas |
 * | `last` | latest point | |
 * | `quantile` | | estimated from buckets; of a summary as sent, the latest |
 *
 * A cumulative series grows by the differences of its points, the first of which is compared with the
 * point before the range, at most five minutes earlier. A reset shows in a later start time, or a
 * smaller value where values only grow; all of the point after it has then come since. The first point
 * of a series counts whole if it says that its series began within the range.
 *
 * In a group of gauges or sums each series first gets its value, and `across` says what becomes of
 * these: by default their average, smallest or largest for `avg`, `min` and `max`, else their sum.
 * A series without a value in a window is left out there.
 * Histograms are added up bucket by bucket: those with other bounds by the bounds they share,
 * exponential ones at the lowest of their scales.
 *
 * @throws {QueryError} An option is wrong, the function has no meaning for the metric, or there is too
 * much to read or to answer.
 * @throws {QueryTimeoutError} It took too long.
 *
 * @example Requests a second by route
 * ```ts
 * import { OTelStorageAdapter } from "../adapter.ts";
 * import assert from "node:assert/strict";
 *
 * await using adapter = new OTelStorageAdapter({ pgliteDir: "memory://" });
 * await adapter.init();
 * const answer = await queryMetric(await adapter.database(), {
 *   metric: "http.server.requests",
 *   function: "rate",
 *   groupBy: ["service", "http.route"],
 *   lastMs: 600_000,
 *   stepMs: 60_000,
 * });
 * assert.deepEqual(answer.metrics, []);
 * ```
 */
export async function queryMetric(
  database: Database,
  query: MetricQuery,
  options: ReadOptions = {},
): Promise<MetricAnswer> {
  const asked = checked(METRIC_QUERY, query);
  const filter = filterOf("metrics", asked.filter);
  const windows = windowsFor(rangeOf(asked), asked.stepMs);
  return await reading(database, options, async (reader) => {
    const found = await seriesOf(reader, { ...asked, filter, range: windows.range });
    const chosen = found.map((one) => ({
      ...one,
      ...computationOf(one.metric, asked.function, asked.across, windows.range.since),
    }));
    const count = countWindows(windows);
    const lines = chosen.reduce((sum, one) => sum + linesOf(one, asked.quantiles), 0);
    if (lines * count > MAX_VALUES) {
      throw new QueryError(
        "stepMs",
        stepMsOf(windows),
        `${count} windows of ${lines} series are ${lines * count} values, at most ${MAX_VALUES}: ` +
          "choose longer windows, group by less, or narrow the filter",
      );
    }
    const metrics: MetricValues[] = [];
    for (const { metric, series, function: wanted, across, computation } of chosen) {
      const groups = await windowsOf(reader, metric.name, series, computation, windows);
      metrics.push({
        metric,
        function: wanted,
        across,
        series: groups.flatMap((group) => {
          const quantiles = wanted === "quantile" ? asked.quantiles ?? usualQuantiles(group) : [];
          return valuesOf(group, computation, windows, quantiles);
        }),
      });
    }
    return { range: windows.range, stepMs: stepMsOf(windows), metrics };
  });
}

interface Chosen {
  readonly metric: MetricDescriptor;
  readonly series: readonly { readonly group: string }[];
  readonly function: MetricFunction;
}

/** How many lines the answer has at most. */
function linesOf({ series, function: wanted }: Chosen, quantiles: readonly number[] | undefined) {
  const groups = new Set(series.map(({ group }) => group)).size;
  return groups * (wanted === "quantile" ? (quantiles ?? DEFAULT_QUANTILES).length : 1);
}

function usualQuantiles({ tallies }: GroupWindows): readonly number[] {
  const sent = new Set<number>();
  for (const { quantiles } of tallies.values()) {
    for (const quantile of quantiles?.keys() ?? []) sent.add(quantile);
  }
  if (sent.size > MAX_QUANTILES) {
    throw new QueryError("quantiles", undefined, `${sent.size} were sent: say which you want`);
  }
  return sent.size === 0 ? DEFAULT_QUANTILES : [...sent].sort((a, b) => a - b);
}

/** The lines of a group: one for each quantile, or one. */
function valuesOf(
  { series, tallies }: GroupWindows,
  computation: Computation,
  windows: Windows,
  quantiles: readonly number[],
): MetricLine[] {
  const { attributes } = series;
  const ascending = [...tallies].sort(([a], [b]) => a - b);
  const pointsOf = (quantile?: number): MetricValue[] =>
    ascending.flatMap(([window, tally]) => {
      const { time, seconds } = timesOf(window, windows);
      const value = computation.value(tally, seconds, quantile);
      return Number.isNaN(value) ? [] : [{ time, value }];
    });
  const lines = quantiles.length === 0
    ? [{ attributes, points: pointsOf() }]
    : quantiles.map((quantile) => ({ attributes, quantile, points: pointsOf(quantile) }));
  return lines.filter(({ points }) => points.length > 0);
}
