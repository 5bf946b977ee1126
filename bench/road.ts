/**
 * All the way: from the first byte that is sent until the last record is committed, through a collector
 * as users run it.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import type { Database } from "../src/postgres/database.ts";
import { pg } from "../src/postgres/pg.ts";
import type { Signal } from "../src/record.ts";
import { parseStats } from "../src/stats_json.ts";
import { type RunningCollector, startCollector } from "../tests/collector_process.ts";
import { type Bench, type Counted, measured } from "./bench.ts";
import { makePlain } from "./layouts.ts";
import type { Form, LoadReport, LoadRun } from "./load.ts";
import { cpuSeconds, peakBytes } from "./processes.ts";
import type { Sample } from "./table.ts";
import { TYPICAL } from "./telemetry.ts";

/** What is sent, where it is not the usual. */
export interface Trip extends Partial<Omit<Form, "startUnixNano">> {
  readonly signal: Signal;
  /** @default as in the settings */
  readonly records?: number;
  /** @default as in the settings */
  readonly connections?: number;
  /** For an open loop. */
  readonly requestsPerSecond?: number;
}

/** How it went. */
export interface Arrival {
  readonly sample: Sample;
  readonly report: LoadReport;
}

/** Which road. */
export interface RoadOptions {
  /** The database. @default "server" */
  readonly kind?: "server" | "embedded";
  /** When the records will have happened. @default now */
  readonly at?: Date;
  /** What the collector is told besides. @default nothing */
  readonly args?: readonly string[];
}

const DAY_MS = 86_400_000;

/** How often a collector is asked whether it is done, in milliseconds. */
const POLL_MS = 20;

/** A collector with a database of its own. Disposing kills it and removes what it wrote. */
export class Road implements AsyncDisposable {
  readonly dataDir: string;
  /** The database, by URL; undefined when it is embedded. */
  readonly url: string | undefined;
  /** When the records happened. */
  readonly at: Date;
  readonly #bench: Bench;
  readonly #collector: RunningCollector;
  readonly #database: Database | undefined;
  readonly #kill = () => void this.#collector[Symbol.asyncDispose]();

  private constructor(
    bench: Bench,
    collector: RunningCollector,
    { dataDir, url, at }: { dataDir: string; url: string | undefined; at: Date },
  ) {
    this.#bench = bench;
    this.#collector = collector;
    this.dataDir = dataDir;
    this.url = url;
    this.at = at;
    this.#database = url === undefined ? undefined : pg(url, { maxConnections: 1 });
    // Killed with the first word of an end, because nothing else would end it if we did not get to.
    bench.abort.addEventListener("abort", this.#kill);
  }

  /** Starts a collector on an empty database. */
  static async open(bench: Bench, options: RoadOptions = {}): Promise<Road> {
    const { kind = "server", at = new Date(), args: more = [] } = options;
    bench.abort.throwIfAborted();
    const url = kind === "server" ? await bench.newDatabase() : undefined;
    const dataDir = await Deno.makeTempDir({ dir: bench.folder, prefix: "data-" });
    const args = [...more, ...url === undefined ? [] : ["--database", url]];
    await using starting = new AsyncDisposableStack();
    const collector = await startCollector({ args, dataDir });
    const road = starting.use(new Road(bench, collector, { dataDir, url, at }));
    if (road.#database !== undefined) {
      await makePlain(road.#database, at, new Date(at.getTime() + DAY_MS));
    }
    starting.move();
    return road;
  }

  /** The database, asked without the collector. */
  get database(): Database {
    if (this.#database === undefined) throw new Error("Cannot ask an embedded database from here");
    return this.#database;
  }

  /** The most memory that the collector had, in bytes. */
  peakBytes(): Promise<number> {
    return peakBytes(this.#collector.pid);
  }

  /**
   * Sends, and waits until all of it is committed.
   *
   * @throws {Error} Something was not taken.
   */
  async run(trip: Trip): Promise<Arrival> {
    const { settings, load, abort } = this.#bench;
    const { signal, connections = settings.connections, requestsPerSecond } = trip;
    const batch = trip.batch ?? settings.batch;
    const run: LoadRun = {
      url: this.#collector.url,
      form: {
        signal,
        encoding: trip.encoding ?? "protobuf",
        compression: trip.compression ?? "identity",
        batch,
        shape: trip.shape ?? TYPICAL,
        startUnixNano: String(BigInt(this.at.getTime()) * 1_000_000n),
      },
      requests: Math.max(1, Math.round((trip.records ?? settings.records) / batch)),
      connections,
      ...requestsPerSecond !== undefined && { requestsPerSecond },
    };
    abort.throwIfAborted();
    await load.prepare(run);
    const before = await this.#stored(signal);
    let report: LoadReport | undefined;
    const sample = await measured(run.requests * batch, this.#counted(), async () => {
      report = await load.send(run);
      while ((await this.#stored(signal)).pending > 0) await delay(POLL_MS, { signal: abort });
    });
    const stored = (await this.#stored(signal)).delivered - before.delivered;
    if (stored !== report!.records) {
      throw new Error(`Cannot measure: of ${report!.records} ${signal} ${stored} were stored`);
    }
    return { sample, report: report! };
  }

  /** Has the collector look after its partitions, and returns how many of them it sealed. */
  async maintain(): Promise<number> {
    const response = await fetch(`${this.#collector.url}/api/maintain`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
      signal: this.#bench.abort,
    });
    const answer = await response.text();
    if (!response.ok) throw new Error(`Cannot maintain: ${response.status} ${answer}`);
    return JSON.parse(answer).sealed;
  }

  /** Stops the collector as an operator would, so that another may have its folder. */
  async stop(): Promise<void> {
    this.#collector.signal("SIGTERM");
    const { code, stderr } = await this.#collector.ended;
    if (code !== 0) throw new Error(`The collector ended with ${code}: ${stderr}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#bench.abort.removeEventListener("abort", this.#kill);
    await this.#collector[Symbol.asyncDispose]();
    await this.#database?.close();
    if (this.url !== undefined) await this.#bench.dropDatabase(this.url);
    await Deno.remove(this.dataDir, { recursive: true });
  }

  #counted(): Counted {
    const own = {
      collector: () => cpuSeconds(this.#collector.pid, false),
      sender: () => cpuSeconds(this.#bench.load.pid, false),
    };
    return this.url === undefined ? own : { postgres: this.#bench.postgresSeconds, ...own };
  }

  async #stored(signal: Signal): Promise<{ delivered: number; pending: number }> {
    const response = await fetch(`${this.#collector.url}/api/stats`);
    const { destinations } = parseStats(await response.text());
    const { delivered, pending, dead, lastError } = destinations.find(({ kind }) =>
      kind === "postgres"
    )!;
    if (dead[signal] > 0 || lastError !== null) {
      throw new Error(`Cannot measure: the collector does not store: ${lastError?.message}`);
    }
    return { delivered: delivered[signal], pending: pending[signal] };
  }
}
