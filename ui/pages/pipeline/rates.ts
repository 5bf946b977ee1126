/** How fast destinations take records: the difference between two answers. */

import { useRef } from "preact/hooks";
import type { StatsJson } from "../../frame/answers.ts";
import { type Destination, SIGNALS } from "./balance.ts";

interface Sample {
  readonly atMs: number;
  readonly delivered: ReadonlyMap<string, number>;
}

/** Of all signals together. */
export function totalOf(counts: Destination["delivered"]): number {
  return SIGNALS.reduce((sum, signal) => sum + counts[signal], 0);
}

/** Records a second by destination; none before the second answer. */
export function useRates(stats: StatsJson): ReadonlyMap<string, number> {
  const seen = useRef<{ stats?: StatsJson; last?: Sample; rates: Map<string, number> }>({
    rates: new Map(),
  });
  const { current } = seen;
  if (current.stats !== stats) {
    const atMs = performance.now();
    const delivered = new Map(stats.destinations.map((one) => [one.name, totalOf(one.delivered)]));
    const { last } = current;
    if (last !== undefined && atMs > last.atMs) {
      const seconds = (atMs - last.atMs) / 1_000;
      current.rates = new Map(
        [...delivered].flatMap(([name, now]) => {
          const before = last.delivered.get(name);
          return before === undefined ? [] : [[name, Math.max(0, now - before) / seconds]];
        }),
      );
    }
    current.stats = stats;
    current.last = { atMs, delivered };
  }
  return current.rates;
}
