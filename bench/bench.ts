/**
 * What every row of the table needs: a Postgres with the settings of one that matters, the sender, a
 * folder on a real disk, and a way to measure.
 *
 * @module
 */

import { randomUUID } from "node:crypto";
import { pg } from "../src/postgres/pg.ts";
import { ownPostgresServer } from "../tools/postgres_server.ts";
import { LoadProcess } from "./load_process.ts";
import { clientSeconds, cpuSeconds } from "./processes.ts";
import type { Settings } from "./settings.ts";
import type { Sample } from "./table.ts";

/** Settings of the server; autovacuum would come at its own times, to either side. */
export const SERVER_SETTINGS: Readonly<Record<string, string>> = {
  fsync: "on",
  synchronous_commit: "on",
  full_page_writes: "on",
  shared_buffers: "1GB",
  max_wal_size: "8GB",
  checkpoint_timeout: "30min",
  maintenance_work_mem: "256MB",
  autovacuum: "off",
};

/** Whose seconds of CPU count: processes by name. Clients are those that were started meanwhile. */
export type Counted = Readonly<Record<string, () => Promise<number>>>;

/** What rows are measured with. Disposing ends and removes all of it. */
export interface Bench extends AsyncDisposable {
  readonly settings: Settings;
  readonly load: LoadProcess;
  /** For journals and files. */
  readonly folder: string;
  /** Says that somebody wants it to end. */
  readonly abort: AbortSignal;
  /** Makes an empty database and returns its URL. */
  newDatabase(): Promise<string>;
  /** Drops such a database. */
  dropDatabase(url: string): Promise<void>;
  /** Seconds of CPU of all processes of Postgres. */
  postgresSeconds(): Promise<number>;
}

/**
 * Starts it.
 *
 * @throws {Error} There is no Postgres to start, or the folder is in memory.
 */
export async function startBench(settings: Settings, abort: AbortSignal): Promise<Bench> {
  await using starting = new AsyncDisposableStack();
  const parent = settings.dir;
  const folder = await Deno.makeTempDir({
    prefix: "otel-storage-bench-",
    ...parent !== undefined && { dir: parent },
  });
  starting.defer(() => Deno.remove(folder, { recursive: true }));
  await expectDisk(folder);
  const server = await ownPostgresServer({
    settings: SERVER_SETTINGS,
    ...parent !== undefined && { parent },
  });
  if (server === undefined) throw new Error("Cannot measure: there is no Postgres to start");
  starting.use(server);
  const admin = starting.use(pg(server.url, { maxConnections: 1 }));
  const [row] = await admin.query<{ pid: string }>(
    "select split_part(pg_read_file('postmaster.pid'), e'\\n', 1) as pid",
  );
  const load = starting.use(new LoadProcess());
  const kill = () => load.kill();
  abort.addEventListener("abort", kill);
  starting.defer(() => abort.removeEventListener("abort", kill));
  const parts = starting.move();
  return {
    settings,
    load,
    folder,
    abort,
    async newDatabase() {
      const name = `bench_${randomUUID().replaceAll("-", "")}`;
      await admin.query(`create database ${name} template template0`);
      const url = new URL(server.url);
      url.pathname = `/${name}`;
      return url.href;
    },
    async dropDatabase(url) {
      await admin.query(`drop database ${new URL(url).pathname.slice(1)} with (force)`);
    },
    postgresSeconds: () => cpuSeconds(Number(row!.pid), true),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** Measures how fast something deals with so many records, and what that takes. */
export async function measured(
  records: number,
  counted: Counted,
  work: () => Promise<unknown>,
): Promise<Sample> {
  const names = Object.keys(counted);
  const before = await Promise.all(names.map((name) => counted[name]!()));
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  const after = await Promise.all(names.map((name) => counted[name]!()));
  return {
    rate: records / seconds,
    cpu: Object.fromEntries(
      names.map((name, n) => [name, (after[n]! - before[n]!) / records * 1e6]),
    ),
  };
}

/** What counts while `psql` copies. */
export function copyCounted(bench: Bench): Counted {
  return { postgres: bench.postgresSeconds, psql: clientSeconds };
}

/** Says what is going on. */
export function say(text: string): void {
  console.error(`${new Date().toISOString().slice(11, 19)} ${text}`);
}

/** Where files are in memory, an fsync costs nothing. */
async function expectDisk(folder: string): Promise<void> {
  const { stdout } = await new Deno.Command("stat", { args: ["-f", "-c", "%T", folder] }).output();
  const type = new TextDecoder().decode(stdout).trim();
  if (type === "tmpfs" || type === "ramfs") {
    throw new Error(`Cannot measure in ${folder}: it is in memory; name a folder by --dir`);
  }
}
