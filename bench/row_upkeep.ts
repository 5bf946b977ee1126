/**
 * How fast records are taken while `maintain` finishes a day that is over, against while nothing else
 * goes on. Its work counts as CPU of Postgres.
 *
 * @module
 */

import { type Bench, say } from "./bench.ts";
import { dayOf, fill, makeDays, type Models, takeModels } from "./filling.ts";
import { inTurn } from "./in_turn.ts";
import { emptied, RECORDS, signalTable } from "./layouts.ts";
import { Road } from "./road.ts";
import { comparison, type Line, type Sample } from "./table.ts";

/** Rows of the day that is over, for each record of a run: to finish it has to take longer than one. */
const ROWS_A_RECORD = 5;

/** Measures it. */
export async function upkeep(bench: Bench): Promise<Line[]> {
  const lines: Line[] = [];
  for (const signal of bench.settings.signals) {
    await using road = await Road.open(bench);
    const models = await takeModels(road, signal);
    const what = `${RECORDS[signal]}, while ${
      bench.settings.records * ROWS_A_RECORD
    } are sealed : not`;
    const pairs = await inTurn(bench, `upkeep: ${what}`, {
      ours: () => whileMaintained(bench, models),
      async baseline() {
        await emptied(road.database, signal);
        return (await road.run({ signal })).sample;
      },
    });
    const goal = { limit: 0.8, at: "least" } as const;
    lines.push(comparison({ row: "upkeep", what, goal }, pairs.ours, pairs.baseline));
  }
  return lines;
}

/** Sends for as long as the upkeep goes on. */
async function whileMaintained(bench: Bench, models: Models): Promise<Sample> {
  const { road, signal } = models;
  await emptied(road.database, signal);
  await fillClosedDay(bench, models);
  await road.database.query("checkpoint");

  let isOver = false;
  const maintained = road.maintain().finally(() => isOver = true);
  const samples: Sample[] = [];
  for (;;) {
    const { sample } = await road.run({ signal });
    // Of the last run the upkeep was but a part.
    if (isOver) break;
    samples.push(sample);
  }
  if (await maintained !== 1) throw new Error("Cannot measure: no day was sealed");
  if (samples.length === 0) throw new Error("Cannot measure: sealing was over before the run was");
  say(`upkeep: sealed during ${samples.length} runs`);
  return mean(samples);
}

/** The day before yesterday, anew, as if it had never been sealed. */
async function fillClosedDay(bench: Bench, models: Models): Promise<void> {
  const { road, signal } = models;
  const now = road.at.getTime();
  const day = { since: dayOf(now, -2), until: dayOf(now, -1) };
  await road.database.query(
    "select otel_data.expire(name, 'infinity') from otel_data.list($1) where range_end <= $2",
    [signalTable(signal), day.until.toISOString()],
  );
  await makeDays(road, signal, day);
  await fill(models, bench.settings.records * ROWS_A_RECORD, day, bench.abort);
}

/** All of them together, which had as many records each. */
function mean(samples: readonly Sample[]): Sample {
  const average = (values: number[]) => values.reduce((sum, value) => sum + value) / values.length;
  return {
    rate: 1 / average(samples.map(({ rate }) => 1 / rate)),
    cpu: Object.fromEntries(
      Object.keys(samples[0]!.cpu).map((
        name,
      ) => [name, average(samples.map(({ cpu }) => cpu[name]!))]),
    ),
  };
}
