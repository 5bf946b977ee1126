/** How many measurements there were of which size at which time: the cells of a heat map. */

import type { BucketCounts } from "../../frame/answers.ts";
import type { Sizes } from "./heat_sizes.ts";

/** A row: the sizes that a bucket holds. */
export interface HeatRow extends Sizes {
  /** Measurements in all. */
  readonly total: number;
}

/** The cells. */
export interface HeatCells {
  /** The lowest first. */
  readonly rows: readonly HeatRow[];
  /** Column by column, each from the lowest row on: measurements; undefined where nothing is known. */
  readonly columns: readonly (readonly number[] | undefined)[];
  /** The largest of them. */
  readonly most: number;
  readonly since: bigint;
  readonly until: bigint;
  readonly stepNs: bigint;
}

/** Rows that are too many to be seen are not put in where nothing was measured. */
const MAX_ROWS = 200;

/**
 * The cells of the first histogram in an answer; undefined when nothing was measured. Outside the
 * smallest and the largest there are no rows.
 *
 * @example Only what was measured
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const cells = cellsOf({
 *   range: { since: "0", until: "2000000000" },
 *   stepMs: 1_000,
 *   metrics: [{
 *     metric: { name: "d", type: "histogram", unit: "s", description: "" },
 *     buckets: [{ above: "-Infinity", upTo: 1 }, { above: 1, upTo: 2 }, { above: 2, upTo: "Infinity" }],
 *     steps: [{ since: "1000000000", counts: [0, 3, 4] }],
 *   }],
 * })!;
 * assert.deepEqual(cells.rows, [
 *   { above: 1, upTo: 2, total: 3 },
 *   { above: 2, upTo: Infinity, total: 4 },
 * ]);
 * assert.deepEqual([cells.columns, cells.most], [[undefined, [3, 4]], 4]);
 * ```
 */
export function cellsOf({ range, stepMs, metrics }: BucketCounts): HeatCells | undefined {
  const [histogram] = metrics;
  if (histogram === undefined) return undefined;
  const since = BigInt(range.since);
  const until = BigInt(range.until);
  const stepNs = BigInt(stepMs) * 1_000_000n;
  const counts = histogram.steps.map((step) => step.counts.map(Number));
  const totals = histogram.buckets.map((_, n) => counts.reduce((sum, one) => sum + one[n]!, 0));
  const first = totals.findIndex((total) => total > 0);
  if (first < 0) return undefined;
  const last = totals.findLastIndex((total) => total > 0);
  const measured = histogram.buckets
    .map(({ above, upTo }, n) => ({ above: Number(above), upTo: Number(upTo), n }))
    .slice(first, last + 1);
  const places = withGaps(measured);
  const columns: (number[] | undefined)[] = Array(Number((until - since + stepNs - 1n) / stepNs))
    .fill(undefined);
  for (const [at, step] of histogram.steps.entries()) {
    columns[Number((BigInt(step.since) - since) / stepNs)] = places.map(({ n }) =>
      n === undefined ? 0 : counts[at]![n]!
    );
  }
  return {
    rows: places.map(({ above, upTo, n }) => ({
      above,
      upTo,
      total: n === undefined ? 0 : totals[n]!,
    })),
    columns,
    most: Math.max(...counts.flat()),
    since,
    until,
    stepNs,
  };
}

interface Place extends Sizes {
  /** Which bucket; undefined for none. */
  readonly n?: number;
}

/** Exponential histograms leave out what is empty: such buckets are put in again, so that heights are true. */
function withGaps(buckets: readonly Place[]): Place[] {
  const all = buckets.flatMap((bucket, at): Place[] => {
    const from = buckets[at - 1]?.upTo ?? bucket.above;
    const missing = Math.log(bucket.above / from) / Math.log(bucket.upTo / bucket.above);
    const count = from > 0 && Number.isFinite(missing) ? Math.round(missing) : 0;
    if (count > MAX_ROWS) return [{ above: from, upTo: bucket.above }, bucket];
    const edge = (n: number) => from * (bucket.above / from) ** (n / count);
    const gap = Array.from({ length: count }, (_, n) => ({ above: edge(n), upTo: edge(n + 1) }));
    return [...gap, bucket];
  });
  return all.length > MAX_ROWS ? [...buckets] : all;
}
