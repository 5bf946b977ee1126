/**
 * What partitions cost those who write: with many of them against few. Records are of the day that is
 * open; or every tenth request is of one of the days before, as from clients that were cut off.
 *
 * @module
 */

import type { Signal } from "../src/record.ts";
import type { Bench } from "./bench.ts";
import { dayOf, makeDays } from "./filling.ts";
import { inTurn } from "./in_turn.ts";
import { emptied, RECORDS } from "./layouts.ts";
import { Road } from "./road.ts";
import { comparison, type Line } from "./table.ts";

const USUAL = 10;
const MANY = [50, 90];

/** A collector makes them for today and two days to come. */
const AHEAD = 3;

/** Longer than the oldest partition is old, so that what is late gets there. */
const ARGS = ["--partition", "day", "--retention", "100"];

/** Measures it. */
export async function partitions(bench: Bench): Promise<Line[]> {
  const lines: Line[] = [];
  for (const signal of bench.settings.signals) {
    for (const many of MANY) {
      await using ours = await roadOf(bench, signal, many);
      await using baseline = await roadOf(bench, signal, USUAL);
      for (const isLate of [false, true]) {
        const run = async (road: Road, count: number) => {
          await emptied(road.database, signal);
          const lateDays = isLate ? count - AHEAD : 0;
          return (await road.run({ signal, lateDays })).sample;
        };
        const what = `${RECORDS[signal]}, ${isLate ? "a tenth late, " : ""}` +
          `${many} partitions : ${USUAL}`;
        const pairs = await inTurn(bench, `partitions: ${what}`, {
          ours: () => run(ours, many),
          baseline: () => run(baseline, USUAL),
        });
        const goal = { limit: 0.95, at: "least" } as const;
        lines.push(comparison({ row: "partitions", what, goal }, pairs.ours, pairs.baseline));
      }
    }
  }
  return lines;
}

async function roadOf(bench: Bench, signal: Signal, count: number): Promise<Road> {
  await using starting = new AsyncDisposableStack();
  const road = starting.use(await Road.open(bench, { args: ARGS }));
  const today = road.at.getTime();
  const made = await makeDays(road, signal, {
    since: dayOf(today, AHEAD - count),
    until: dayOf(today, AHEAD),
  });
  if (made !== count) throw new Error(`Cannot measure: there are ${made} partitions, not ${count}`);
  starting.move();
  return road;
}
