/**
 * How many measurements there were of which size at which time, estimated from quantiles.
 *
 * Between two quantiles lies a known part of all measurements; where between them is not known, so they
 * are spread evenly over the rows. Rows are even on a logarithmic scale.
 */

import type { MetricAnswer } from "../../frame/answers.ts";

/** The quantiles that are asked for, from the smallest to the largest. */
export const QUANTILES: readonly number[] = [0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1];

/** Rows of the map. */
export const ROWS = 24;

/** The cells. */
export interface HeatCells {
  /** Column by column, each from the lowest row on: measurements. */
  readonly columns: readonly (readonly number[] | undefined)[];
  /** The largest of them. */
  readonly most: number;
  /** What the lowest row begins with, and the highest ends with. */
  readonly low: number;
  readonly high: number;
  readonly since: bigint;
  readonly until: bigint;
  readonly stepNs: bigint;
}

/**
 * The cells of quantiles and counts over the same windows; undefined when nothing was measured.
 *
 * @example Nothing is lost
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const metric = { name: "d", type: "histogram", unit: "s", description: "" } as const;
 * const answer = (series: { quantile?: number; value: number }[]) => ({
 *   range: { since: "0", until: "1000000000" },
 *   stepMs: 1_000,
 *   metrics: [{
 *     metric,
 *     function: "quantile",
 *     across: "sum",
 *     series: series.map(({ value, ...rest }) => ({
 *       ...rest,
 *       attributes: [],
 *       points: [{ time: "0", value }],
 *     })),
 *   }],
 * });
 * const quantiles = answer(QUANTILES.map((quantile) => ({ quantile, value: 1 + quantile * 99 })));
 * const cells = cellsOf(quantiles, answer([{ value: 1_000 }]))!;
 * assert.equal(Math.round(cells.columns[0]!.reduce((sum, one) => sum + one)), 1_000);
 * assert.deepEqual([cells.low, cells.high], [1, 100]);
 * ```
 */
export function cellsOf(quantiles: MetricAnswer, counts: MetricAnswer): HeatCells | undefined {
  const since = BigInt(quantiles.range.since);
  const until = BigInt(quantiles.range.until);
  const stepNs = BigInt(quantiles.stepMs) * 1_000_000n;
  const windows = Number((until - since + stepNs - 1n) / stepNs);
  const at = (time: string) => Number((BigInt(time) - since) / stepNs);
  const bounds = Array.from({ length: windows }, () => [] as number[]);
  for (const { quantile = 0, points } of quantiles.metrics[0]?.series ?? []) {
    for (const { time, value } of points) {
      bounds[at(time)]![QUANTILES.indexOf(quantile)] = Number(value);
    }
  }
  const all = bounds.flat().filter(Number.isFinite);
  const positive = all.filter((value) => value > 0);
  if (all.length === 0) return undefined;
  const low = positive.length === 0 ? 0.5 : Math.min(...positive);
  const high = Math.max(low * 1.01, ...positive);
  const scale = ROWS / Math.log(high / low);
  const rowOf = (value: number) => value <= low ? 0 : Math.min(ROWS, Math.log(value / low) * scale);
  let most = 0;
  const columns: (number[] | undefined)[] = Array(windows).fill(undefined);
  for (const { time, value } of counts.metrics[0]?.series[0]?.points ?? []) {
    const values = bounds[at(time)]!;
    if (values.length === 0) continue;
    const column = spread(values.map(rowOf), Number(value));
    most = Math.max(most, ...column);
    columns[at(time)] = column;
  }
  return { columns, most, low, high, since, until, stepNs };
}

/** Spreads so many measurements over the rows that their quantiles lie at. */
function spread(places: readonly number[], count: number): number[] {
  const column: number[] = Array(ROWS).fill(0);
  for (let n = 1; n < QUANTILES.length; n++) {
    const from = places[n - 1]!;
    const to = places[n]!;
    const part = count * (QUANTILES[n]! - QUANTILES[n - 1]!);
    const first = Math.min(ROWS - 1, Math.floor(from));
    const last = Math.min(ROWS - 1, Math.floor(to));
    if (first >= last) {
      column[first]! += part;
      continue;
    }
    for (let row = first; row <= last; row++) {
      const within = Math.min(to, row + 1) - Math.max(from, row);
      column[row]! += part * within / (to - from);
    }
  }
  return column;
}
