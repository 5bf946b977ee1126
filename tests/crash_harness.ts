/**
 * The crash harness: a collector that is killed at random moments under load, and started again on its
 * folder and its port; then what it acknowledged is compared with what it stored and forwarded.
 *
 * @module
 */

import assert from "node:assert/strict";
import { delay } from "@std/async/delay";
import type { Signal } from "../src/record.ts";
import { launchCollector, type RunOptions, type StartingCollector } from "./collector_process.ts";
import { askAt, askDatabase, judge, mixedUp, storedCopies, type Verdict } from "./crash_check.ts";
import { LedgerWatch } from "./crash_ledger.ts";
import { Load, type LoadCounts } from "./crash_load.ts";
import { SIGNALS } from "./crash_requests.ts";
import { crashSink } from "./crash_sink.ts";
import { randomOf } from "./crashing_files.ts";
import { temporaryFolder } from "./temporary_folder.ts";

/** What else happens in a round. */
export interface Trouble {
  /** Makes it, and makes it good again. */
  run(): Promise<void>;
  /** Whether the collector is killed only after it. */
  readonly outlived: boolean;
}

/** How to crash. */
export interface CrashOptions extends Pick<RunOptions, "env"> {
  readonly rounds: number;
  /** Of the moments and of the requests; what is told by it of two processes is not exact. */
  readonly seed: number;
  /** URL of an empty database; without one it is the embedded one. */
  readonly database?: string;
  /** The same database where connections are not cut. @default the same URL */
  readonly reliable?: string;
  /**
   * Whether it is killed only when it has stored something in this life: for a database that takes
   * longer to start than the collector lives. @default {false}
   */
  readonly patient?: boolean;
  /** How long its breakers stay open, in milliseconds. */
  readonly cooldownMs: number;
  /** What else happens in this round, if anything. */
  readonly trouble?: (round: number) => Trouble | undefined;
}

/** What came of it. */
export interface CrashReport {
  readonly rounds: number;
  readonly requests: LoadCounts;
  /** Records acknowledged, each once. */
  readonly acknowledged: number;
  readonly stored: Verdict;
  /** Signals of which the ledger has accepted other numbers than are stored. */
  readonly miscounted: readonly Signal[];
  /** Of different records in one. */
  readonly mixed: number;
  /** What the destination got; copies are allowed. */
  readonly forwarded: Verdict;
  /** How often the ledger was right. */
  readonly samples: number;
}

/** One round in so many kills the collector while it starts. */
const EARLY = 0.15;
const EARLY_MS = 600;
/** Others kill it so long after it is ready. */
const KILLED_MS = { least: 50, most: 800 };
/** How long a collector may take to take requests, and its database to store some. */
const START_MS = 60_000;
/** How long the destinations may take in the end, besides what the breakers take. */
const DRAIN_MS = 120_000;

/** Crashes it so many times, and judges. */
export async function crash(options: CrashOptions): Promise<CrashReport> {
  const { rounds, seed, cooldownMs, trouble } = options;
  const random = randomOf(seed);
  const load = new Load({ random: randomOf(seed + 1) });
  const ledger = new LedgerWatch(() => load.acknowledged);
  await using sink = crashSink(randomOf(seed + 3));
  await using folder = await temporaryFolder();
  const port = stablePort();

  const launch = () =>
    launchCollector({
      dataDir: folder.path,
      args: [
        ...["--port", `${port}`, "--breaker-cooldown", `${cooldownMs}`],
        ...["--forward", `sink=${sink.url}`],
        ...options.database === undefined ? [] : ["--database", options.database],
      ],
      env: options.env ?? {},
    });

  for (let round = 0; round < rounds; round++) {
    const also = trouble?.(round);
    await using collector = launch();
    const troubled = also?.run() ?? Promise.resolve();
    const life = async () => {
      if (options.patient) await inTime(ledger.storing, "storing");
      if (also?.outlived) await troubled;
      await delay(KILLED_MS.least + random() * (KILLED_MS.most - KILLED_MS.least));
    };
    const made = random() < EARLY && !also?.outlived
      ? starting(collector, random() * EARLY_MS)
      : underLoad(collector, load, ledger, life);
    // A trouble is over before its database goes, whatever the collector did.
    const [outcome] = await Promise.allSettled([made, troubled]);
    if (outcome.status === "rejected") await failed(`round ${round}`, collector, outcome.reason);
    await troubled;
  }

  await using collector = launch();
  try {
    const url = await inTime(collector.ready, "starting");
    const late = AbortSignal.timeout(DRAIN_MS + 3 * cooldownMs);
    await load.finish(url, late);
    const stats = await ledger.drained(url, late);
    const database = options.reliable ?? options.database;
    const ask = database === undefined ? askAt(url) : askDatabase(database);
    const stored = await storedCopies(ask);
    const miscounted = SIGNALS.filter((signal) =>
      [...stored[signal].values()].reduce((sum, copies) => sum + copies, 0) !==
        stats.accepted[signal]
    );
    return {
      rounds,
      requests: load.counts,
      acknowledged: SIGNALS.reduce((sum, signal) => sum + load.acknowledged[signal], 0),
      stored: judge(load.sent, stored),
      miscounted,
      mixed: await mixedUp(ask),
      forwarded: judge(load.sent, sink.copies),
      samples: ledger.samples,
    };
  } catch (cause) {
    return await failed("the end", collector, cause);
  }
}

/** The figures in one line, to be quoted. */
export function describe(name: string, report: CrashReport): string {
  const { rounds, requests, acknowledged, stored, mixed, forwarded, samples } = report;
  return `${name}: lost ${stored.lost}, duplicated ${stored.duplicated}, rounds ${rounds}; ` +
    `strangers ${stored.strangers}, mixed up ${mixed}; ` +
    `forwarded: lost ${forwarded.lost}, again ${forwarded.duplicated}, ` +
    `strangers ${forwarded.strangers}; ` +
    `${requests.acknowledged} requests acknowledged, ${requests.unanswered} unanswered, ` +
    `${requests.refused} refused, ${requests.again} sent again ` +
    `(${requests.needless} needlessly); ${acknowledged} records; ` +
    `the ledger right at ${samples} samples`;
}

/** Nothing lost, nothing twice, nothing that nobody sent; and it was a test. */
export function assertWhole(report: CrashReport): void {
  const { stored, miscounted, mixed, forwarded } = report;
  assert.deepEqual(
    { stored, miscounted, mixed, forwarded: { ...forwarded, duplicated: "any" } },
    {
      stored: { lost: 0, duplicated: 0, strangers: 0 },
      miscounted: [],
      mixed: 0,
      forwarded: { lost: 0, duplicated: "any", strangers: 0 },
    },
  );
  assert.ok(report.requests.acknowledged > 0 && report.samples > 0);
}

/** Kills it while it starts. */
async function starting(collector: StartingCollector, ms: number): Promise<void> {
  await delay(ms);
  collector.signal("SIGKILL");
  await collector.ended;
}

/** Kills it after `life`, under load. */
async function underLoad(
  collector: StartingCollector,
  load: Load,
  ledger: LedgerWatch,
  life: () => Promise<unknown>,
): Promise<void> {
  const url = await inTime(collector.ready, "starting");
  const killed = new AbortController();
  const running = Promise.all([load.send(url, killed.signal), ledger.watch(url, killed.signal)]);
  try {
    await Promise.race([running, life()]);
  } finally {
    killed.abort();
    collector.signal("SIGKILL");
    await collector.ended;
  }
  await running;
}

/** What does not come would be waited for until the test runner is killed. */
async function inTime<T>(promise: Promise<T>, what: string): Promise<T> {
  const over = new AbortController();
  const late = delay(START_MS, { signal: over.signal }).then(() => {
    throw new Error(`The collector is still ${what} after ${START_MS} ms`);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    over.abort();
  }
}

/** Says what the collector said. */
async function failed(when: string, collector: StartingCollector, cause: unknown): Promise<never> {
  await collector[Symbol.asyncDispose]();
  const { stderr } = await collector.ended;
  throw new Error(`Failed in ${when}; the collector said: ${stderr.slice(-4000)}`, { cause });
}

/** A free port that no outgoing connection is given while the collector is down. */
function stablePort(): number {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}
