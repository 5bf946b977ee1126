/**
 * How fast records are taken, all the way, against `psql \copy` of the same rows: into the plain layout,
 * and into our own tables.
 *
 * The collector is the one that has run before: its code is warm, and the dictionaries know what
 * repeats. What is new at each sending is what would be.
 *
 * @module
 */

import type { Signal } from "../src/record.ts";
import { type Bench, copyCounted, measured, say } from "./bench.ts";
import { copyIn, copyOut } from "./copy_baseline.ts";
import { emptied, expectRows, fillPlain, type Layout, RECORDS, tableOf } from "./layouts.ts";
import { Road } from "./road.ts";
import { comparison, type Goal, type Line, type Sample } from "./table.ts";

const LAYOUTS: readonly Layout[] = ["plain", "ours"];

const GOALS: Readonly<Record<Layout, Goal>> = {
  plain: { limit: 0.9, at: "least" },
  ours: { limit: 0.45, at: "least" },
};

const NAMES: Readonly<Record<Layout, string>> = {
  plain: "\\copy into the plain layout",
  ours: "\\copy into our own tables",
};

/** Measures it. */
export async function ingest(bench: Bench): Promise<Line[]> {
  const lines: Line[] = [];
  for (const signal of bench.settings.signals) lines.push(...await ingestOf(bench, signal));
  return lines;
}

async function ingestOf(bench: Bench, signal: Signal): Promise<Line[]> {
  const { alternations } = bench.settings;
  await using road = await Road.open(bench);
  const { database, url } = road;
  const place = { url: url!, folder: road.dataDir, abort: bench.abort };

  say(`ingest of ${RECORDS[signal]}: warming up`);
  const { report: { records } } = await road.run({ signal });
  await fillPlain(database, signal);
  const files = {
    plain: await copyOut(database, tableOf("plain", signal), place),
    ours: await copyOut(database, tableOf("ours", signal), place),
  };

  const all: Sample[] = [];
  const copies: Record<Layout, Sample[]> = { plain: [], ours: [] };
  const steps = [
    async () => {
      all.push((await road.run({ signal })).sample);
      await expectRows(database, "ours", signal, records);
    },
    ...LAYOUTS.map((layout) => async () => {
      copies[layout].push(
        await measured(records, copyCounted(bench), () => copyIn(files[layout], place)),
      );
      await expectRows(database, layout, signal, records);
    }),
  ];
  for (let n = 0; n < alternations; n++) {
    // Each in turn is the first.
    for (let step = 0; step < steps.length; step++) {
      bench.abort.throwIfAborted();
      await emptied(database, signal);
      await steps[(n + step) % steps.length]!();
    }
    const rates = [all, copies.plain, copies.ours].map((samples) => Math.round(samples[n]!.rate));
    say(`ingest of ${RECORDS[signal]}: ${n + 1} of ${alternations}, ${rates.join(" : ")} a second`);
  }
  return LAYOUTS.map((layout) =>
    comparison(
      {
        row: "ingest",
        what: `${RECORDS[signal]} all the way : ${NAMES[layout]}`,
        goal: GOALS[layout],
      },
      all,
      copies[layout],
    )
  );
}
