/**
 * Watches the ledger of a collector while it is killed: `/api/stats`, again and again.
 *
 * @module
 */

import assert from "node:assert/strict";
import { delay } from "@std/async/delay";
import type { Signal } from "../src/record.ts";
import { SIGNALS } from "./crash_requests.ts";

/** Records by signal. */
export type Counted = Readonly<Record<Signal, number>>;

/** The part of `/api/stats` that is about one destination. */
export interface DestinationStats {
  readonly name: string;
  readonly state: string;
  readonly breaker: string;
  readonly lagBytes: number;
  readonly accepted: Counted;
  readonly delivered: Counted;
  readonly pending: Counted;
  readonly dead: Counted;
  readonly skipped: Counted;
}

/** What of `/api/stats` the ledger is about. */
export interface CollectorStats {
  readonly received: Counted;
  readonly rejected: Counted;
  readonly duplicates: Counted;
  readonly accepted: Counted;
  readonly destinations: readonly DestinationStats[];
}

const COUNTERS = ["received", "rejected", "duplicates", "accepted"] as const;

type Counters = Pick<CollectorStats, (typeof COUNTERS)[number]>;

/** Between two samples. */
const SAMPLE_MS = 50;

/** The ledger of one collector, over all its processes. */
export class LedgerWatch {
  /** How often the equations were found to hold. */
  samples = 0;
  readonly #acknowledged: () => Counted;
  /** Of the last sample. */
  #before: Counters | undefined;
  #storing = Promise.withResolvers<void>();

  /** @param acknowledged Records that the collector has acknowledged until now, each once. */
  constructor(acknowledged: () => Counted) {
    this.#acknowledged = acknowledged;
  }

  /** Resolves when the collector that is watched now has stored something. */
  get storing(): Promise<void> {
    return this.#storing.promise;
  }

  /** Samples until `killed` aborts, which has to happen before the collector dies. */
  async watch(url: string, killed: AbortSignal): Promise<void> {
    this.#storing = Promise.withResolvers();
    using client = Deno.createHttpClient({ poolMaxIdlePerHost: 1 });
    while (!killed.aborted) {
      try {
        await this.sample(url, client);
      } catch (error) {
        if (error instanceof assert.AssertionError || !killed.aborted) throw error;
      }
      await delay(SAMPLE_MS, { signal: killed }).catch(() => {});
    }
  }

  /** Samples until every destination is done; the last sample. */
  async drained(url: string, signal: AbortSignal): Promise<CollectorStats> {
    using client = Deno.createHttpClient({ poolMaxIdlePerHost: 1 });
    for (;;) {
      const stats = await this.sample(url, client);
      const pending = stats.destinations.some(({ pending }) => SIGNALS.some((s) => pending[s] > 0));
      if (!pending) return stats;
      if (signal.aborted) throw new Error(`Still pending: ${JSON.stringify(stats, null, 2)}`);
      await delay(SAMPLE_MS, { signal }).catch(() => {});
    }
  }

  /** One sample. */
  async sample(url: string, client?: Deno.HttpClient): Promise<CollectorStats> {
    const acknowledged = { ...this.#acknowledged() };
    const stats = await collectorStats(url, client);
    checkEquations(stats);
    // What was told stays so, whoever was killed, and is no less than what was acknowledged.
    const before = this.#before ?? stats;
    for (const signal of SIGNALS) {
      for (const what of COUNTERS) {
        assert.ok(
          stats[what][signal] >= before[what][signal],
          `${before[what][signal]} ${signal} were ${what} before: ${JSON.stringify(stats)}`,
        );
      }
      assert.ok(
        stats.accepted[signal] >= acknowledged[signal],
        `${acknowledged[signal]} ${signal} were acknowledged: ${JSON.stringify(stats)}`,
      );
    }
    this.#before = stats;
    // Every destination was there from the start.
    for (const { accepted } of stats.destinations) {
      assert.deepEqual(accepted, stats.accepted, JSON.stringify(stats));
    }
    const [database] = stats.destinations;
    if (SIGNALS.some((signal) => database!.delivered[signal] > 0)) this.#storing.resolve();
    this.samples++;
    return stats;
  }
}

/** Asks a collector of this machine. */
export async function collectorStats(
  url: string,
  client?: Deno.HttpClient,
): Promise<CollectorStats> {
  const response = await fetch(`${url}/api/stats`, client === undefined ? {} : { client });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(text);
}

/** What became of each record is known, at any moment. */
export function checkEquations(stats: CollectorStats): void {
  const { received, rejected, duplicates, accepted, destinations } = stats;
  for (const s of SIGNALS) {
    const all = [received[s], rejected[s], duplicates[s], accepted[s]];
    for (const { accepted, delivered, pending, dead, skipped } of destinations) {
      all.push(accepted[s], delivered[s], pending[s], dead[s], skipped[s]);
      assert.equal(
        accepted[s],
        delivered[s] + pending[s] + dead[s] + skipped[s],
        `${s}: ${JSON.stringify(stats)}`,
      );
    }
    assert.equal(
      received[s],
      rejected[s] + duplicates[s] + accepted[s],
      `${s}: ${JSON.stringify(stats)}`,
    );
    assert.ok(all.every((n) => Number.isSafeInteger(n) && n >= 0), JSON.stringify(stats));
  }
}
