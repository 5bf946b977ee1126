/**
 * How soon a request is acknowledged when as much comes in, at a fixed rate, as half of what can be
 * taken.
 *
 * @module
 */

import { type Bench, say } from "./bench.ts";
import { RECORDS } from "./layouts.ts";
import { Road } from "./road.ts";
import { type Goal, type Line, spreadOf, thousands } from "./table.ts";

const GOALS: Readonly<Record<"p50" | "p99", Goal>> = {
  p50: { limit: 5, at: "most" },
  p99: { limit: 50, at: "most" },
};

/** Rounds at the full rate, before. */
const FULL_ROUNDS = 3;

/** Measures it. */
export async function latency(bench: Bench): Promise<Line[]> {
  const { settings: { batch, seconds, signals, alternations } } = bench;
  const lines: Line[] = [];
  for (const signal of signals) {
    await using road = await Road.open(bench);
    const rates: number[] = [];
    for (let n = 0; n <= FULL_ROUNDS; n++) {
      const { sample } = await road.run({ signal });
      if (n > 0) rates.push(sample.rate);
    }
    const half = spreadOf(rates).median / 2;
    say(
      `latency of ${RECORDS[signal]}: ${alternations} times ${seconds} s at ${half | 0} a second`,
    );
    const found: { p50: number[]; p99: number[]; max: number[] } = { p50: [], p99: [], max: [] };
    for (let n = 0; n < alternations; n++) {
      const { report } = await road.run({
        signal,
        records: half * seconds,
        requestsPerSecond: half / batch,
      });
      for (const name of ["p50", "p99", "max"] as const) found[name].push(report.latencyMs[name]);
    }
    for (const name of ["p50", "p99"] as const) {
      lines.push({
        row: "latency",
        what: `acknowledgement of ${RECORDS[signal]} at half load, ${name}`,
        ours: `at ${thousands(half)}/s`,
        ...name === "p99" && { baseline: `worst ${Math.max(...found.max).toFixed()} ms` },
        value: spreadOf(found[name]),
        unit: " ms",
        goal: GOALS[name],
      });
    }
  }
  return lines;
}
