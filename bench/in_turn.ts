/**
 * Two things measured side by side: in turn, each as often the first.
 *
 * @module
 */

import { type Bench, say } from "./bench.ts";
import type { Sample } from "./table.ts";

/** What was measured; those of the same place belong together. */
export interface Pairs {
  readonly ours: Sample[];
  readonly baseline: Sample[];
}

/** Measures both as often as the settings say, after a round that warms up. */
export async function inTurn(
  bench: Bench,
  what: string,
  measure: Readonly<Record<keyof Pairs, () => Promise<Sample>>>,
): Promise<Pairs> {
  const { alternations } = bench.settings;
  const pairs: Pairs = { ours: [], baseline: [] };
  const sides = ["ours", "baseline"] as const;
  say(`${what}: warming up`);
  for (let n = 0; n <= alternations; n++) {
    for (const side of n % 2 === 0 ? sides : sides.toReversed()) {
      bench.abort.throwIfAborted();
      pairs[side].push(await measure[side]());
    }
    const rates = sides.map((side) => Math.round(pairs[side][n]!.rate));
    say(`${what}: ${n} of ${alternations}, ${rates.join(" : ")} a second`);
  }
  return { ours: pairs.ours.slice(1), baseline: pairs.baseline.slice(1) };
}
