/**
 * What was measured as one table, and whether it is what it should be.
 *
 * @module
 */

import type { CpuSeconds } from "./processes.ts";

/** One run. */
export interface Sample {
  /** Records a second. */
  readonly rate: number;
  /** Seconds of CPU for a million records, which is microseconds a record, by who used them. */
  readonly cpu: CpuSeconds;
}

/** Several values of the same. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** What a value should be. */
export interface Goal {
  readonly limit: number;
  /** Whether the value should be no less than it, or no more. */
  readonly at: "least" | "most";
}

/** A line of the table. */
export interface Line {
  /** The part of the table. */
  readonly row: string;
  readonly what: string;
  readonly ours: string;
  readonly baseline?: string;
  /** What is to reach the goal: a ratio, or a value with its unit. */
  readonly value?: Spread;
  readonly unit?: string;
  readonly goal?: Goal;
  /** Seconds of CPU for a million records, ours and the baseline's. */
  readonly cpu?: string;
}

/** Median and range. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

/**
 * Compares runs that were made in turn: the ratio of each pair.
 *
 * @param what Names the line.
 * @param ours What is to be fast.
 * @param baseline What it is compared with, run by run.
 */
export function comparison(
  what: { readonly row: string; readonly what: string; readonly goal?: Goal },
  ours: readonly Sample[],
  baseline: readonly Sample[],
): Line {
  return {
    ...what,
    ours: rateOf(ours),
    baseline: rateOf(baseline),
    value: spreadOf(ours.map(({ rate }, n) => rate / baseline[n]!.rate)),
    cpu: `${cpuOf(ours)} : ${cpuOf(baseline)}`,
  };
}

/** The rate of runs, e.g. `81,200/s`. */
export function rateOf(samples: readonly Sample[]): string {
  return `${thousands(spreadOf(samples.map(({ rate }) => rate)).median)}/s`;
}

/** What runs used, e.g. `19.2 (postgres 11.0, collector 8.2)`. */
export function cpuOf(samples: readonly Sample[]): string {
  const parts = Object.keys(samples[0]!.cpu).map((name) =>
    [name, spreadOf(samples.map(({ cpu }) => cpu[name]!)).median] as const
  );
  const sum = parts.reduce((sum, [, seconds]) => sum + seconds, 0);
  const named = parts.map(([name, seconds]) => `${name} ${seconds.toFixed(1)}`).join(", ");
  return `${sum.toFixed(1)} (${named})`;
}

/** A whole number with separators. */
export function thousands(value: number): string {
  return Math.round(value).toLocaleString("en");
}

/** The table as text. */
export function drawLines(lines: readonly Line[]): string {
  const cells = [
    ["row", "what", "ours", "baseline", "median [range]", "goal", "", "CPU-s/M ours : baseline"],
    ...lines.map((line) => [
      line.row,
      line.what,
      line.ours,
      line.baseline ?? "",
      valueText(line),
      goalText(line),
      verdict(line),
      line.cpu ?? "",
    ]),
  ];
  const widths = cells[0]!.map((_, n) => Math.max(...cells.map((row) => row[n]!.length)));
  return cells.map((row) => row.map((cell, n) => cell.padEnd(widths[n]!)).join("  ").trimEnd())
    .join("\n");
}

function valueText({ value, unit = "" }: Line): string {
  if (value === undefined) return "";
  const [median, min, max] = [value.median, value.min, value.max]
    .map((number) => number >= 100 ? number.toFixed() : number.toFixed(2));
  return min === max ? `${median}${unit}` : `${median}${unit} [${min}–${max}]`;
}

function goalText({ goal, unit = "" }: Line): string {
  return goal === undefined ? "" : `${goal.at === "least" ? "≥" : "≤"} ${goal.limit}${unit}`;
}

function verdict({ value, goal }: Line): string {
  if (value === undefined || goal === undefined) return "";
  const meets = (number: number) =>
    goal.at === "least" ? number >= goal.limit : number <= goal.limit;
  const [worst, best] = [meets(value.min), meets(value.max)];
  if (worst !== best) return `${meets(value.median) ? "met" : "missed"}, within noise: see CPU`;
  return worst ? "met" : "missed";
}
