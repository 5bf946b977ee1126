/**
 * A collector with its embedded database, all the way, against COPY of the same rows from a blob, by
 * PGlite alone.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { Signal } from "../src/record.ts";
import { type Bench, say } from "./bench.ts";
import { RECORDS, tableOf } from "./layouts.ts";
import type { PGliteCopy } from "./pglite_copy.ts";
import { Road } from "./road.ts";
import { comparison, type Line, type Sample } from "./table.ts";

const SCRIPT = fileURLToPath(new URL("./pglite_copy.ts", import.meta.url));

/** It has one core and takes long. */
const SHARE = 4;

/** Measures it. */
export async function embedded(bench: Bench): Promise<Line[]> {
  const { alternations, signals, batch } = bench.settings;
  const records = Math.max(bench.settings.records / SHARE, batch);
  const lines: Line[] = [];
  for (const signal of signals) {
    const all: Sample[] = [];
    const copies: Sample[] = [];
    for (let n = 0; n < alternations; n++) {
      say(`PGlite, ${RECORDS[signal]}: ${n + 1} of ${alternations}`);
      await using road = await Road.open(bench, { kind: "embedded" });
      await road.run({ signal, records: records / 2 });
      all.push((await road.run({ signal, records })).sample);
      await road.stop();
      copies.push(await copied(bench, `${road.dataDir}/pglite`, signal));
    }
    lines.push(comparison(
      {
        row: "pglite",
        what: `${RECORDS[signal]} all the way : COPY in PGlite`,
        goal: { limit: 0.6, at: "least" },
      },
      all,
      copies,
    ));
  }
  return lines;
}

async function copied(bench: Bench, folder: string, signal: Signal): Promise<Sample> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--allow-all", SCRIPT, folder, tableOf("ours", signal)],
    stdin: "null",
    stderr: "inherit",
    signal: bench.abort,
  }).output();
  bench.abort.throwIfAborted();
  if (!success) throw new Error("Cannot measure PGlite alone: see above");
  const { rows, seconds, cpuSeconds } = JSON.parse(new TextDecoder().decode(stdout)) as PGliteCopy;
  return { rate: rows / seconds, cpu: { pglite: cpuSeconds / rows * 1e6 } };
}
