/**
 * Exponential histograms: adding, subtracting and quantiles.
 *
 * Bucket `i` counts measurements in (base^i, base^(i+1)], where base = 2^(2^-scale); the negative ones
 * count absolute values. A scale one lower joins two buckets each into one, without loss. Addition
 * keeps what the zero buckets do not cover in its buckets, and only a quantile moves what lies within
 * the zero threshold to the zero bucket; so it does not matter in which order histograms are added.
 *
 * Source: https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram
 *
 * @module
 */

/** Counts are negative where a difference is: a quantile takes those as 0. */
export interface ExponentialHistogram {
  /** How fine the buckets are. */
  readonly scale: number;
  /** Half the width of the zero bucket. */
  readonly zeroThreshold: number;
  /** Measurements within the zero threshold. */
  readonly zeroCount: number;
  /** Measurements above zero by index. */
  readonly positive: ReadonlyMap<number, number>;
  /** Measurements below zero by index of their absolute value. */
  readonly negative: ReadonlyMap<number, number>;
}

/** The buckets of one sign: counts from the index `offset` on. */
export function bucketsOf(offset: number, counts: readonly number[]): Map<number, number> {
  const buckets = new Map<number, number>();
  for (const [at, count] of counts.entries()) {
    if (count !== 0) buckets.set(offset + at, count);
  }
  return buckets;
}

/**
 * The measurements of both, at the lower of both scales and the higher of both zero thresholds.
 *
 * @example Of two scales
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const none = { zeroThreshold: 0, zeroCount: 0, negative: new Map() };
 * const sum = addExponentialHistograms(
 *   { ...none, scale: 0, positive: new Map([[0, 1], [1, 2], [2, 4]]) },
 *   { ...none, scale: -1, positive: new Map([[0, 8]]) },
 * );
 * assert.deepEqual(sum, { ...none, scale: -1, positive: new Map([[0, 11], [1, 4]]) });
 * ```
 */
export function addExponentialHistograms(
  a: ExponentialHistogram,
  b: ExponentialHistogram,
): ExponentialHistogram {
  return combined(a, b, 1);
}

/** What `later` has measured since `earlier`. */
export function subtractExponentialHistograms(
  later: ExponentialHistogram,
  earlier: ExponentialHistogram,
): ExponentialHistogram {
  return combined(later, earlier, -1);
}

function combined(
  a: ExponentialHistogram,
  b: ExponentialHistogram,
  sign: 1 | -1,
): ExponentialHistogram {
  const scale = Math.min(a.scale, b.scale);
  const both = (of: "positive" | "negative") => {
    const buckets = new Map<number, number>();
    count(buckets, a[of], a.scale - scale, 1);
    count(buckets, b[of], b.scale - scale, sign);
    return buckets;
  };
  return {
    scale,
    zeroThreshold: Math.max(a.zeroThreshold, b.zeroThreshold),
    zeroCount: a.zeroCount + sign * b.zeroCount,
    positive: both("positive"),
    negative: both("negative"),
  };
}

/** Counts buckets whose scale is higher by `by`. */
function count(
  into: Map<number, number>,
  buckets: ReadonlyMap<number, number>,
  by: number,
  sign: 1 | -1,
): void {
  const joined = 2 ** Math.min(by, WIDEST);
  for (const [index, n] of buckets) {
    const at = Math.floor(index / joined);
    into.set(at, (into.get(at) ?? 0) + sign * n);
  }
}

/** Beyond this distance from scale 0, a bucket holds either one double or all of them. */
const WIDEST = 900;
/** Exponents of the smallest and the largest double. */
const LOWEST = -1074;
const HIGHEST = 1024 - 2 ** -43;

/**
 * A quantile, as `histogram_quantile` of Prometheus estimates it: on a logarithmic scale measurements
 * lie evenly in their bucket, and evenly in the zero bucket, which is taken to hold nothing below zero
 * where there are only positive buckets, and nothing above where there are only negative ones.
 *
 * Buckets within the zero threshold belong to the zero bucket. One that the threshold cuts belongs to it
 * as well, and widens it.
 *
 * @param q 0 to 1; below gives `-Infinity`, above `Infinity`.
 * @returns `NaN` if there are no measurements, or `q` is `NaN`.
 *
 * @example The median of 2 measurements from 1 to 4
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const histogram = {
 *   scale: -1,
 *   zeroThreshold: 0,
 *   zeroCount: 0,
 *   positive: new Map([[0, 2]]),
 *   negative: new Map(),
 * };
 * assert.equal(exponentialHistogramQuantile(0.5, histogram), 2);
 * ```
 */
export function exponentialHistogramQuantile(q: number, histogram: ExponentialHistogram): number {
  if (Number.isNaN(q)) return NaN;
  if (q < 0) return -Infinity;
  if (q > 1) return Infinity;
  const parts = ascending(histogram);
  const total = parts.reduce((sum, part) => sum + part.count, 0);
  if (total === 0) return NaN;
  const rank = q * total;
  let below = 0;
  for (const { count, at } of parts) {
    if (below + count >= rank) return at((rank - below) / count);
    below += count;
  }
  return parts.at(-1)!.at(1);
}

/** A bucket that holds something. */
export interface ExponentialBucket {
  /** Its measurements are larger; those of the zero bucket may also be this. */
  readonly above: number;
  /** They are not larger. */
  readonly upTo: number;
  /** How many there are. */
  readonly count: number;
}

/**
 * The buckets that hold something, ascending. Those that the zero threshold covers or cuts are the zero
 * bucket, as {@linkcode exponentialHistogramQuantile} has it.
 *
 * @example Two from 1 to 4, and one of next to nothing
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const buckets = exponentialBuckets({
 *   scale: -1,
 *   zeroThreshold: 0.001,
 *   zeroCount: 1,
 *   positive: new Map([[0, 2]]),
 *   negative: new Map(),
 * });
 * assert.deepEqual(buckets, [
 *   { above: 0, upTo: 0.001, count: 1 },
 *   { above: 1, upTo: 4, count: 2 },
 * ]);
 * ```
 */
export function exponentialBuckets(histogram: ExponentialHistogram): ExponentialBucket[] {
  return ascending(histogram).map(({ count, at }) => ({ above: at(0), upTo: at(1), count }));
}

/** Measurements that lie together. */
interface Part {
  readonly count: number;
  /** The value below which a fraction of them lies. */
  readonly at: (fraction: number) => number;
}

/** The buckets that hold something, ascending by value. */
function ascending(histogram: ExponentialHistogram): Part[] {
  const { scale, zeroThreshold } = histogram;
  const size = 2 ** -Math.max(-WIDEST, Math.min(scale, WIDEST));
  const valueOf = (index: number) => 2 ** Math.max(LOWEST, Math.min(index * size, HIGHEST));
  // The first index whose bucket begins at the threshold or above; the logarithm is not quite exact.
  const logarithm = Math.log2(zeroThreshold) / size;
  const first = zeroThreshold > 0 ? Math.ceil(logarithm - 1e-12 * Math.abs(logarithm)) : -Infinity;

  let zeroCount = histogram.zeroCount;
  let threshold = zeroThreshold > 0 ? Math.min(zeroThreshold, Number.MAX_VALUE) : 0;
  const outside = (buckets: ReadonlyMap<number, number>) => {
    const kept: [index: number, count: number][] = [];
    for (const [index, count] of buckets) {
      if (index >= first) {
        if (count > 0) kept.push([index, count]);
        continue;
      }
      zeroCount += count;
      if (count > 0) threshold = Math.max(threshold, valueOf(index + 1));
    }
    return kept.sort(([a], [b]) => a - b);
  };
  const positive = outside(histogram.positive);
  const negative = outside(histogram.negative).reverse();

  const parts: Part[] = negative.map(([index, count]) => ({
    count,
    at: (fraction) => -valueOf(index + (1 - fraction)),
  }));
  if (zeroCount > 0) {
    const isLowest = negative.length === 0 && positive.length > 0;
    const isHighest = positive.length === 0 && negative.length > 0;
    const lower = isLowest ? 0 : -threshold;
    const upper = isHighest ? 0 : threshold;
    parts.push({
      count: zeroCount,
      at: (fraction) => lower * (1 - fraction) + upper * fraction,
    });
  }
  for (const [index, count] of positive) {
    parts.push({ count, at: (fraction) => valueOf(index + fraction) });
  }
  return parts;
}
