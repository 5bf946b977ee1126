/**
 * The most memory that a collector has had resident after it was sent as much as it takes, of each
 * signal in turn.
 *
 * @module
 */

import { type Bench, say } from "./bench.ts";
import { Road } from "./road.ts";
import { type Line, spreadOf } from "./table.ts";

/** Measures it. */
export async function memory(bench: Bench): Promise<Line[]> {
  const lines: Line[] = [];
  for (const kind of ["server", "embedded"] as const) {
    say(`memory with ${kind === "server" ? "a server" : "the embedded database"}`);
    await using road = await Road.open(bench, { kind });
    for (const signal of bench.settings.signals) await road.run({ signal });
    const peak = await road.peakBytes() / 1e6;
    lines.push({
      row: "memory",
      what: `peak of the collector, ${kind === "server" ? "Postgres" : "PGlite within it"}`,
      ours: `${peak.toFixed()} MB`,
      value: spreadOf([peak]),
      unit: " MB",
      ...kind === "server" && { goal: { limit: 256, at: "most" } },
    });
  }
  return lines;
}
