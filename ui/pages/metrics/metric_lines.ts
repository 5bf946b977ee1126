/** The values of a metric as lines: one for each group, on the same times. */

import type { MetricAnswer } from "../../frame/answers.ts";
import { slotsOf } from "../../frame/colors.ts";
import { valueText as attributeValue } from "../../frame/value.ts";
import type { ChartLine } from "./chart.tsx";

/** A line and what it is of. */
export interface MetricLine extends ChartLine {
  readonly key: string;
  /** The smallest, largest, mean and latest of its values. */
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly last: number;
}

/** Lines and their times. */
export interface MetricLines {
  /** In seconds since 1970, each the begin of a window. */
  readonly times: readonly number[];
  readonly since: number;
  readonly until: number;
  readonly lines: readonly MetricLine[];
}

const DASHES: readonly (readonly number[])[] = [[], [6, 3], [2, 3], [10, 3, 2, 3]];

/** The lines of the first of the metrics in an answer. */
export function linesOf({ range, stepMs, metrics }: MetricAnswer): MetricLines {
  const since = BigInt(range.since);
  const stepNs = BigInt(stepMs) * 1_000_000n;
  const windows = Number((BigInt(range.until) - since + stepNs - 1n) / stepNs);
  const begin = Number(since / 1_000n) / 1e6;
  const series = metrics[0]?.series ?? [];
  // Quantiles of a group share its colour, and differ in their dashes.
  const slots = slotsOf(series.map(groupLabel));
  const quantiles = [...new Set(series.map(({ quantile }) => quantile ?? -1))].sort((a, b) =>
    b - a
  );
  const lines = series.map((one): MetricLine => {
    const values: (number | null)[] = Array(windows).fill(null);
    for (const { time, value } of one.points) {
      values[Number((BigInt(time) - since) / stepNs)] = Number(value);
    }
    const known = values.filter((value) => value !== null);
    const slot = slots.get(groupLabel(one))!;
    const label = seriesLabel(one);
    return {
      key: label,
      label,
      color: slot.name,
      dash: DASHES[quantiles.indexOf(one.quantile ?? -1) % DASHES.length]!,
      values,
      min: Math.min(...known),
      max: Math.max(...known),
      mean: known.reduce((sum, value) => sum + value, 0) / known.length,
      last: known.at(-1) ?? NaN,
    };
  });
  return {
    times: Array.from({ length: windows }, (_, n) => begin + n * stepMs / 1000),
    since: begin,
    until: Number(BigInt(range.until) / 1_000n) / 1e6,
    lines: lines.toSorted((a, b) => a.label < b.label ? -1 : 1),
  };
}

type Series = MetricAnswer["metrics"][number]["series"][number];

function groupLabel({ attributes }: Series): string {
  return attributes.map(({ key, value }) => `${key}=${attributeValue(value)}`).join(" ");
}

function seriesLabel(series: Series): string {
  const label = groupLabel(series) || "all series";
  return series.quantile === undefined
    ? label
    : `${label} p${Number((series.quantile * 100).toPrecision(6))}`;
}
