/**
 * Deliveries in worlds where everything fails at random, held against what must come of it.
 *
 * Every call of the sink, the cursor and the disk may fail, before or after it has done its work, or
 * hang; the process may be killed at any of them, and the power may fail. At every step the ledger has
 * to say what became of each record before the position, in all lives together. `DELIVERY_SEEDS` says
 * how many worlds of each kind.
 */

import assert from "node:assert/strict";
import { countOf, endOf, isDoubtful, isPoison, World } from "./delivery_model.ts";
import { database, forgetfulSink } from "./delivery_model_sinks.ts";

const SEEDS = Number(Deno.env.get("DELIVERY_SEEDS") ?? 150);

async function live(world: World, seed: number): Promise<void> {
  try {
    await world.live(250);
  } catch (error) {
    throw new Error(`seed ${seed}`, { cause: error });
  }
}

Deno.test(`in ${SEEDS} failing worlds every record is delivered, or dead once, or skipped`, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const world = new World(seed, "oldest");
    world.sink = forgetfulSink(world);
    await live(world, seed);

    const letters = await world.letters();
    const { got } = world.otherSide;
    const lost: number[] = [];
    for (let n = 0; n < world.appended; n++) {
      if (world.isDamaged(n)) continue;
      if (!letters.has(n) && !got.has(n)) lost.push(n);
      assert((letters.get(n) ?? 1) === 1, `seed ${seed}, record ${n}`);
      if (isPoison(n)) assert(!got.has(n), `seed ${seed}, record ${n}`);
      else if (!isDoubtful(n)) assert(!letters.has(n), `seed ${seed}, record ${n}`);
    }
    if (!world.withSkips) assert.deepEqual(lost, [], `seed ${seed}`);
    const first = [...got.keys()].filter((n) => !isDoubtful(n));
    assert.deepEqual(first, first.toSorted((a, b) => a - b), `seed ${seed}: not in order`);
    // Whatever was lost lies before what was skipped.
    for (const n of lost) assert(endOf(n) <= world.skipped, `seed ${seed}, record ${n}`);
  }
});

Deno.test(`in ${SEEDS} failing worlds a database has every record once, or it is dead once`, async () => {
  let [kills, lives, slices] = [0, 0, 0];
  for (let seed = 1; seed <= SEEDS; seed++) {
    const world = new World(seed, "external");
    world.sink = database(world);
    await live(world, seed);

    const letters = await world.letters();
    const { got } = world.otherSide;
    let [delivered, dead, skipped] = [0, 0, 0];
    for (let n = 0; n < world.appended; n++) {
      if (world.isDamaged(n)) {
        skipped += countOf(n);
        continue;
      }
      const isDead = world.fates.get(n) === "dead";
      const isBuried = isDead || isDoubtful(n) && letters.has(n);
      const expected = [isBuried ? 1 : undefined, isDead ? undefined : 1];
      assert.deepEqual([letters.get(n), got.get(n)], expected, `seed ${seed}, record ${n}`);
      if (isDead) dead += countOf(n);
      else delivered += countOf(n);
    }
    lives++;
    kills += world.kills;
    slices += world.slices;
    const { stats } = world.delivery;
    const sum = ({ traces, logs, metrics }: typeof stats.dead) => traces + logs + metrics;
    const counted = [sum(stats.delivered), sum(stats.dead), sum(stats.skipped)];
    assert.deepEqual(counted, [delivered, dead, skipped], `seed ${seed}`);
  }
  assert(kills > lives, "nobody was killed");
  assert(slices > lives, "nobody went on");
});
