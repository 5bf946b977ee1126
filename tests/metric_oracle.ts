/**
 * What a metric's values have to be, computed from the requests point by point and bound by bound.
 *
 * @module
 */

import type {
  Buckets,
  ExponentialHistogramDataPoint,
  ExportRequests,
  HistogramDataPoint,
  KeyValue,
  Metric,
  NumberDataPoint,
  SummaryDataPoint,
} from "../src/record.ts";

type Point =
  & { startTimeUnixNano: bigint; timeUnixNano: bigint; attributes: KeyValue[]; flags: number }
  & Partial<
    NumberDataPoint & HistogramDataPoint & ExponentialHistogramDataPoint & SummaryDataPoint
  >;

/** The points of one series in order of time. */
export interface OracleSeries {
  readonly type: keyof Metric;
  readonly temporality: number;
  readonly isMonotonic: boolean;
  readonly attributes: Record<string, unknown>;
  readonly resource: Record<string, unknown>;
  readonly points: Point[];
}

const TYPES = ["gauge", "sum", "histogram", "exponentialHistogram", "summary"] as const;

/** The series of a metric in these requests. */
export function oracleSeries(
  requests: readonly ExportRequests["metrics"][],
  name: string,
): OracleSeries[] {
  const all = new Map<string, OracleSeries>();
  for (const { resourceMetrics } of requests) {
    for (const { resource, scopeMetrics } of resourceMetrics) {
      for (const metric of scopeMetrics.flatMap(({ metrics }) => metrics)) {
        if (metric.name !== name) continue;
        const type = TYPES.find((type) => metric[type] !== undefined)!;
        const data = metric[type] as {
          dataPoints: Point[];
          aggregationTemporality?: number;
          isMonotonic?: boolean;
        };
        for (const point of data.dataPoints) {
          const series: OracleSeries = {
            type,
            temporality: data.aggregationTemporality ?? 0,
            isMonotonic: data.isMonotonic ?? false,
            attributes: plain(point.attributes),
            resource: plain(resource?.attributes ?? []),
            points: [],
          };
          const key = JSON.stringify(series);
          if (!all.has(key)) all.set(key, series);
          all.get(key)!.points.push(point);
        }
      }
    }
  }
  for (const { points } of all.values()) {
    points.sort((a, b) => Number(a.timeUnixNano - b.timeUnixNano));
  }
  return [...all.values()];
}

function plain(attributes: readonly KeyValue[]): Record<string, unknown> {
  return Object.fromEntries(
    attributes.toSorted((a, b) => a.key < b.key ? -1 : 1)
      .map(({ key, value }) => [key, value?.stringValue ?? String(value?.intValue)]),
  );
}

/** A window of time: nanoseconds since 1970. */
export interface Window {
  readonly from: bigint;
  readonly to: bigint;
}

/** Points of a window that have a value. */
export function within({ points }: OracleSeries, { from, to }: Window): Point[] {
  return points.filter(({ timeUnixNano, flags }) =>
    timeUnixNano >= from && timeUnixNano < to && flags !== 1
  );
}

/** The numbers of points. */
export function numbersOf(points: readonly Point[]): number[] {
  return points.map(({ asInt, asDouble }) => Number(asInt ?? asDouble))
    .filter((value) => !Number.isNaN(value));
}

/**
 * What each point of a cumulative series adds, by the point; undefined for the first one unless its
 * series began since.
 *
 * @param valueOf A number that grows.
 */
export function steps(
  series: OracleSeries,
  since: bigint,
  valueOf: (point: Point) => number,
  canFall: boolean,
): Map<Point, number | undefined> {
  const found = new Map<Point, number | undefined>();
  let previous: Point | undefined;
  for (const point of series.points) {
    if (point.timeUnixNano < since - 300_000_000_000n || point.flags === 1) continue;
    const value = valueOf(point);
    const start = point.startTimeUnixNano;
    const isUnknownStart = start === point.timeUnixNano;
    if (previous === undefined) {
      found.set(point, start >= since && start > 0n && !isUnknownStart ? value : undefined);
    } else {
      const before = valueOf(previous);
      const restarted = start > previous.startTimeUnixNano && previous.startTimeUnixNano > 0n;
      if (restarted) found.set(point, isUnknownStart ? undefined : value);
      else if (value < before && !canFall) found.set(point, value);
      else found.set(point, value - before);
    }
    previous = point;
  }
  return found;
}

/** Measurements at most a bound, by bound; `Infinity` has all. */
export type Cumulative = Map<number, number>;

/** An explicit-bounds histogram. */
export function cumulativeOf({ explicitBounds = [], bucketCounts = [] }: Point): Cumulative {
  let sum = 0;
  const bounds = [...explicitBounds, Infinity];
  return new Map(bucketCounts.map((count, n) => [bounds[n]!, sum += Number(count)]));
}

/** What several hold at the bounds that all of them have; `signs` says which are taken away. */
export function together(all: readonly Cumulative[], signs: readonly number[] = []): Cumulative {
  const bounds = [...all[0]!.keys()].filter((bound) => all.every((one) => one.has(bound)));
  return new Map(bounds.map((bound) => [
    bound,
    all.reduce((sum, one, n) => sum + (signs[n] ?? 1) * one.get(bound)!, 0),
  ]));
}

/** `histogram_quantile` of Prometheus as its documentation has it. */
export function quantileOf(q: number, cumulative: Cumulative): number {
  const buckets = [...cumulative].sort(([a], [b]) => a - b);
  const total = buckets.at(-1)?.[1] ?? 0;
  if (total === 0 || buckets.length < 2) return NaN;
  const at = buckets.findIndex(([, count]) => count > 0 && count >= q * total);
  const [upper, count] = buckets[at]!;
  if (upper === Infinity) return buckets.at(-2)![0];
  if (at === 0 && upper <= 0) return upper;
  const [lower, below] = at === 0 ? [0, 0] : buckets[at - 1]!;
  return lower + (upper - lower) * (q * total - below) / (count - below);
}

/** Measurements of an exponential histogram by sign and bucket of a lower scale; `0` is the zero bucket. */
export type ByBucket = Map<string, number>;

/** Each bucket goes where the logarithmic middle of it lies. */
export function byBucketOf(point: Point, scale: number): ByBucket {
  const found: ByBucket = new Map([["0", Number(point.zeroCount)]]);
  const add = (sign: string, { offset, bucketCounts }: Buckets) => {
    for (const [n, count] of bucketCounts.entries()) {
      const middle = (offset + n + 0.5) * 2 ** -point.scale!;
      const key = `${sign}${Math.floor(middle * 2 ** scale)}`;
      found.set(key, (found.get(key) ?? 0) + Number(count));
    }
  };
  if (point.positive) add("+", point.positive);
  if (point.negative) add("-", point.negative);
  return found;
}

/** The sum of several, less what `signs` says. */
export function sumOf(all: readonly ByBucket[], signs: readonly number[] = []): ByBucket {
  const sum: ByBucket = new Map();
  for (const [n, one] of all.entries()) {
    for (const [key, count] of one) sum.set(key, (sum.get(key) ?? 0) + (signs[n] ?? 1) * count);
  }
  return sum;
}

/** Interpolated on a logarithmic scale; the zero bucket is a point. */
export function exponentialQuantileOf(q: number, buckets: ByBucket, scale: number): number {
  const ranges = [...buckets].filter(([, count]) => count > 0).map(([key, count]) => {
    const index = Number(key.slice(1));
    const low = 2 ** (index * 2 ** -scale);
    const high = 2 ** ((index + 1) * 2 ** -scale);
    if (key === "0") return { from: 0, to: 0, count };
    return key.startsWith("+") ? { from: low, to: high, count } : { from: -high, to: -low, count };
  }).sort((a, b) => a.from - b.from);
  const total = ranges.reduce((sum, { count }) => sum + count, 0);
  if (total === 0) return NaN;
  let below = 0;
  for (const { from, to, count } of ranges) {
    const fraction = (q * total - below) / count;
    below += count;
    if (below < q * total) continue;
    if (from === 0) return 0;
    return from * (to / from) ** fraction;
  }
  return NaN;
}

/** What a series of explicit-bounds histograms has measured in a window, as histograms. */
export function growths(one: OracleSeries, window: Window): Cumulative[] {
  return grown(one, window, cumulativeOf, together);
}

/** The same of exponential ones, by the buckets of a scale. */
export function exponentialGrowths(one: OracleSeries, window: Window, scale: number): ByBucket[] {
  return grown(one, window, (point) => byBucketOf(point, scale), sumOf);
}

function grown<T>(
  one: OracleSeries,
  window: Window,
  read: (point: OracleSeries["points"][number]) => T,
  combine: (parts: T[], signs: number[]) => T,
): T[] {
  const inWindow = within(one, window);
  if (one.temporality === 1) return inWindow.map(read);
  return inWindow.flatMap((point) => {
    const previous = one.points[one.points.indexOf(point) - 1];
    if (previous === undefined) return [];
    return point.startTimeUnixNano > previous.startTimeUnixNano
      ? [read(point)]
      : [combine([read(point), read(previous)], [1, -1])];
  });
}
