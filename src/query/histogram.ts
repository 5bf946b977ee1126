/**
 * Histograms with explicit bounds: adding, subtracting and quantiles.
 *
 * @module
 */

/** Measurements by bucket. Counts are negative where a difference is: a quantile takes those as 0. */
export interface Histogram {
  /** Inclusive upper bounds of the buckets, ascending; what is above the last one has a bucket more. */
  readonly bounds: readonly number[];
  /** Measurements by bucket, one more than bounds. */
  readonly counts: readonly number[];
}

/**
 * A histogram, or `undefined` where a point has no buckets, or some that contradict each other.
 *
 * @param counts Measurements by bucket.
 * @param bounds Upper bounds of the buckets but the last.
 *
 * @example One that has too few counts
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(histogramOf([1, 2], [10]), { bounds: [10], counts: [1, 2] });
 * assert.equal(histogramOf([1], [10]), undefined);
 * ```
 */
export function histogramOf(
  counts: readonly number[],
  bounds: readonly number[],
): Histogram | undefined {
  if (counts.length !== bounds.length + 1) return undefined;
  // A bound that is NaN is neither above nor below.
  const ascends = bounds.every((bound, n) => n === 0 ? bound === bound : bound > bounds[n - 1]!);
  return ascends ? { bounds, counts } : undefined;
}

/**
 * The measurements of both. Buckets that only one of them has are joined until both have the same,
 * which is exact: what was counted apart is counted together.
 *
 * @example Only one of them has a bound at 5
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const fine = { bounds: [1, 5, 10], counts: [1, 2, 3, 4] };
 * const coarse = { bounds: [1, 10], counts: [10, 20, 30] };
 * assert.deepEqual(addHistograms(fine, coarse), { bounds: [1, 10], counts: [11, 25, 34] });
 * ```
 */
export function addHistograms(a: Histogram, b: Histogram): Histogram {
  return combined(a, b, 1);
}

/** What `later` has measured since `earlier`; bounds as in {@linkcode addHistograms}. */
export function subtractHistograms(later: Histogram, earlier: Histogram): Histogram {
  return combined(later, earlier, -1);
}

function combined(a: Histogram, b: Histogram, sign: 1 | -1): Histogram {
  const isSame = a.bounds.length === b.bounds.length &&
    a.bounds.every((bound, n) => bound === b.bounds[n]);
  if (isSame) {
    return {
      bounds: a.bounds,
      counts: a.counts.map((n, at) => n + sign * b.counts[at]!),
    };
  }
  const others = new Set(b.bounds);
  const bounds = a.bounds.filter((bound) => others.has(bound));
  const added = coarsened(b, bounds);
  return { bounds, counts: coarsened(a, bounds).map((count, at) => count + sign * added[at]!) };
}

/** The counts by fewer bounds. */
function coarsened({ bounds, counts }: Histogram, kept: readonly number[]): number[] {
  const joined = Array<number>(kept.length + 1).fill(0);
  let to = 0;
  for (const [at, count] of counts.entries()) {
    joined[to]! += count;
    if (to < kept.length && bounds[at] === kept[to]) to++;
  }
  return joined;
}

/**
 * A quantile, as `histogram_quantile` of Prometheus estimates it: measurements lie evenly in their
 * bucket. The lowest bucket begins at 0 if it ends above 0; else its upper bound stands for all that is
 * in it. Above the highest bound nothing is known: that bound stands for it.
 *
 * @param q 0 to 1; below gives `-Infinity`, above `Infinity`.
 * @returns `NaN` if there are no measurements or no bounds, or `q` is `NaN`.
 *
 * @example The median of 4 measurements of at most 10, and 4 above that of at most 20
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const histogram = { bounds: [10, 20], counts: [4, 4, 0] };
 * assert.equal(histogramQuantile(0.5, histogram), 10);
 * assert.equal(histogramQuantile(0.75, histogram), 15);
 * ```
 */
export function histogramQuantile(q: number, { bounds, counts }: Histogram): number {
  if (Number.isNaN(q)) return NaN;
  if (q < 0) return -Infinity;
  if (q > 1) return Infinity;
  const total = counts.reduce((sum, count) => sum + Math.max(count, 0), 0);
  if (total === 0 || bounds.length === 0) return NaN;
  const rank = q * total;
  let below = 0;
  for (const [at, bound] of bounds.entries()) {
    const count = counts[at]!;
    if (count <= 0) continue;
    if (below + count >= rank) {
      if (at === 0 && bound <= 0) return bound;
      const lower = at === 0 ? 0 : bounds[at - 1]!;
      return between(lower, bound, (rank - below) / count);
    }
    below += count;
  }
  return bounds.at(-1)!;
}

/** Written so that it does not overflow, and gives the ends exactly. */
function between(lower: number, upper: number, fraction: number): number {
  if (upper === Infinity || fraction === 0) return lower;
  if (lower === -Infinity || fraction === 1) return upper;
  return lower * (1 - fraction) + upper * fraction;
}
