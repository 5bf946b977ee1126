/**
 * Whether it stays as fast when there is much: records sent into tables of millions of rows, against
 * tables of a million. The rows are those of a month, of which a thirtieth is in the partition that is
 * written to; or all of them are of the day that is open, which is the hardest for its indexes.
 *
 * @module
 */

import type { Signal } from "../src/record.ts";
import { type Bench, say } from "./bench.ts";
import { DAY_MS, dayOf, fill, makeDays, type Models, type Period, takeModels } from "./filling.ts";
import { inTurn } from "./in_turn.ts";
import { emptied, RECORDS } from "./layouts.ts";
import { Road } from "./road.ts";
import { comparison, type Line } from "./table.ts";

const USUAL = 1;
const MILLION = 1_000_000;
const MONTH = 30;

/** Measures it. */
export async function volume(bench: Bench): Promise<Line[]> {
  const lines: Line[] = [];
  for (const signal of bench.settings.signals) {
    for (const days of [MONTH, 1]) lines.push(await volumeOf(bench, signal, days));
  }
  return lines;
}

async function volumeOf(bench: Bench, signal: Signal, days: number): Promise<Line> {
  const { abort, settings } = bench;
  const what = `${RECORDS[signal]}, ${settings.volume} M : ${USUAL} M rows, ` +
    (days === 1 ? "all of today" : `of ${days} days`);
  const today = dayOf(Date.now());
  // The day is half over, whenever this runs.
  const at = new Date(today.getTime() + DAY_MS / 2);
  const period: Period = { since: dayOf(today.getTime(), 1 - days), until: at };

  const opened = async () => {
    await using starting = new AsyncDisposableStack();
    const road = starting.use(await Road.open(bench, { at }));
    await makeDays(road, signal, period);
    const models = await takeModels(road, signal);
    starting.move();
    return { models, [Symbol.asyncDispose]: () => road[Symbol.asyncDispose]() };
  };
  await using ours = await opened();
  await using baseline = await opened();
  say(`volume: filling for ${what}`);
  await fill(ours.models, settings.volume * MILLION, period, abort);

  const run = async ({ road }: Models) => {
    await road.database.query("checkpoint");
    return (await road.run({ signal })).sample;
  };
  const pairs = await inTurn(bench, `volume: ${what}`, {
    ours: () => run(ours.models),
    async baseline() {
      // What came in by runs would soon be more than what was there before.
      await emptied(baseline.models.road.database, signal);
      await fill(baseline.models, USUAL * MILLION, period, abort);
      return await run(baseline.models);
    },
  });
  const goal = { limit: 0.9, at: "least" } as const;
  return comparison({ row: "volume", what, goal }, pairs.ours, pairs.baseline);
}
