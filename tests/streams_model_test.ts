/**
 * Streams in worlds where everything fails at random: whatever happens, a database ends with each
 * record once. `STREAMS_SEEDS` says how many worlds, `STREAMS_SEED` runs one of them.
 */

import assert from "node:assert/strict";
import { runStreamsModel, type StreamsRun } from "./streams_model.ts";

const SEEDS = Number(Deno.env.get("STREAMS_SEEDS") ?? 10_000);
const ONE = Deno.env.get("STREAMS_SEED");
const STEPS = 120;

Deno.test(`in ${SEEDS} failing worlds a database ends with every record once, however many streams`, async () => {
  const total = {} as Record<keyof StreamsRun, number>;
  const seeds = ONE === undefined ? Array.from({ length: SEEDS }, (_, n) => n + 1) : [Number(ONE)];
  for (const seed of seeds) {
    try {
      const run = await runStreamsModel(seed, STEPS);
      for (const [name, count] of Object.entries(run) as [keyof StreamsRun, number][]) {
        total[name] = (total[name] ?? 0) + count;
      }
    } catch (cause) {
      throw new Error(`seed ${seed}: ${(cause as Error).message}`, { cause });
    }
  }
  console.log(seeds.length, "worlds:", total);
  if (seeds.length < 100) return;
  for (const [name, count] of Object.entries(total)) assert(count > 0, `there were no ${name}`);
});
