/**
 * Bytes a record, in tables and indexes, with what the records name: as they are filled, and when their
 * day is over and `maintain` has finished it. The plain layout then gets its indexes rebuilt, as a
 * careful operator would.
 *
 * @module
 */

import type { Signal } from "../src/record.ts";
import { runCollector } from "../tests/collector_process.ts";
import { type Bench, say } from "./bench.ts";
import { type Bytes, bytesOf, fillPlain, RECORDS, tableOf } from "./layouts.ts";
import { copyIn, copyOut } from "./copy_baseline.ts";
import { Road } from "./road.ts";
import { type Goal, type Line, spreadOf } from "./table.ts";

const DAY_MS = 86_400_000;

const GOALS: Readonly<Record<"open" | "sealed", Goal>> = {
  open: { limit: 0.62, at: "most" },
  sealed: { limit: 0.6, at: "most" },
};

/** Measures it. */
export async function size(bench: Bench): Promise<Line[]> {
  const lines: Line[] = [];
  for (const signal of bench.settings.signals) {
    say(`size of ${RECORDS[signal]}`);
    lines.push(...await sizeOf(bench, signal));
  }
  return lines;
}

async function sizeOf(bench: Bench, signal: Signal): Promise<Line[]> {
  // Noon of the day before yesterday: that day is over, and nothing of it is in the next one.
  const at = new Date(Math.floor(Date.now() / DAY_MS - 2) * DAY_MS + DAY_MS / 2);
  await using road = await Road.open(bench, { at });
  const { database, url, dataDir } = road;
  const { report: { records } } = await road.run({ signal });
  const measure = async () => ({
    ours: await bytesOf(database, "ours", signal),
    plain: await bytesOf(database, "plain", signal),
  });

  await fillPlain(database, signal);
  // In the order in which they arrive, not in that of a query that joins.
  const place = { url: url!, folder: dataDir, abort: bench.abort };
  const files = await copyOut(database, tableOf("plain", signal), place);
  await database.query(`truncate ${files.table}`);
  await copyIn(files, place);
  const open = await measure();

  await road.stop();
  const { code, stderr } = await runCollector({ args: ["maintain", "--database", url!], dataDir });
  if (code !== 0) throw new Error(`Cannot seal: maintain ended with ${code}: ${stderr}`);
  const [row] = await database.query<{ sealed: boolean }>(
    `select bool_and(sealed) as sealed from otel.partitions
     where range_end < now() - interval '1 day' and bytes > 1e5`,
  );
  if (row!.sealed !== true) throw new Error(`Cannot measure: maintain sealed nothing: ${stderr}`);
  await database.query(`reindex table ${files.table}`);
  const sealed = await measure();

  return Object.entries({ open, sealed }).map(([state, { ours, plain }]) => ({
    row: "size",
    what: `bytes of ${RECORDS[signal]}, ${state}: heap + indexes + dictionaries`,
    ours: bytesText(ours, records),
    baseline: bytesText(plain, records),
    value: spreadOf([sum(ours) / sum(plain)]),
    ...signal === "traces" && { goal: GOALS[state as keyof typeof GOALS] },
  }));
}

function sum({ heap, indexes, dictionaries }: Bytes): number {
  return heap + indexes + dictionaries;
}

function bytesText(bytes: Bytes, records: number): string {
  const { heap, indexes, dictionaries } = bytes;
  const parts = [heap, indexes, dictionaries].map((part) => (part / records).toFixed(1));
  return `${(sum(bytes) / records).toFixed(1)} = ${parts.join(" + ")}`;
}
