/**
 * `deno task bench`: measures and prints one table. `README.md` says what each row compares.
 *
 * @module
 */

import { type Bench, say, SERVER_SETTINGS, startBench } from "./bench.ts";
import { allowedCpus } from "./processes.ts";
import { ingest } from "./row_ingest.ts";
import { latency } from "./row_latency.ts";
import { memory } from "./row_memory.ts";
import { partitions } from "./row_partitions.ts";
import { embedded } from "./row_pglite.ts";
import { size } from "./row_size.ts";
import { upkeep } from "./row_upkeep.ts";
import { volume } from "./row_volume.ts";
import { cardinality, encodings, shape } from "./row_ways.ts";
import { HELP, readSettings, type RowName, type Settings } from "./settings.ts";
import { drawLines, type Line } from "./table.ts";

const MEASURE: Readonly<Record<RowName, (bench: Bench) => Promise<Line[]>>> = {
  ingest,
  latency,
  encodings,
  cardinality,
  shape,
  partitions,
  volume,
  upkeep,
  size,
  memory,
  pglite: embedded,
};

/** As when a signal ends a program. */
const INTERRUPTED = 130;

async function main(args: string[]): Promise<number> {
  let settings: Settings | undefined;
  try {
    settings = readSettings(args);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 2;
  }
  if (settings === undefined) {
    console.log(HELP);
    return 0;
  }
  const stop = new AbortController();
  const interrupt = () => {
    if (stop.signal.aborted) Deno.exit(INTERRUPTED);
    say("stopping; once more to stop at once");
    stop.abort();
  };
  for (const name of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(name, interrupt);
  const lines: Line[] = [];
  try {
    if (settings.cpus !== undefined) await pin(settings.cpus);
    await using bench = await startBench(settings, stop.signal);
    for (const row of settings.rows) lines.push(...await MEASURE[row](bench));
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    for (const name of ["SIGINT", "SIGTERM"] as const) Deno.removeSignalListener(name, interrupt);
  }
  if (lines.length > 0) console.log(`${await circumstances(settings)}\n\n${drawLines(lines)}`);
  return stop.signal.aborted ? INTERRUPTED : 0;
}

/** Whatever is started from now on runs on these processors. */
async function pin(cpus: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("taskset", {
    args: ["-acp", cpus, String(Deno.pid)],
  }).output();
  if (!success) throw new Error(`Cannot use --cpus ${cpus}: ${new TextDecoder().decode(stderr)}`);
}

async function circumstances(settings: Settings): Promise<string> {
  const { records, batch, connections, alternations } = settings;
  const [load] = Deno.loadavg();
  const server = Object.entries(SERVER_SETTINGS).map(([name, value]) => `${name} ${value}`);
  return [
    `${records} records a run, ${batch} a request, ${connections} connections, ` +
    `${alternations} alternations`,
    `Postgres, collector, sender and psql together on processors ${await allowedCpus()}, none of ` +
    `them pinned apart; load average of the last minute ${load!.toFixed(1)}`,
    `Postgres: ${server.join(", ")}`,
  ].join("\n");
}

Deno.exit(await main(Deno.args));
