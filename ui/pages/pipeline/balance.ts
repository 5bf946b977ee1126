/** Whether the numbers of the pipeline add up, and what to say when they do not. */

import type { StatsJson } from "../../frame/answers.ts";
import { count } from "../../frame/format.ts";

/** Of each signal. */
export type Counts = StatsJson["received"];

/** A destination. */
export type Destination = StatsJson["destinations"][number];

/** A signal. */
export type Signal = keyof Counts;

/** The signals, and what their records are called. */
export const RECORDS: Readonly<Record<Signal, string>> = {
  traces: "spans",
  logs: "log records",
  metrics: "metric points",
};

/** Their names. */
export const SIGNALS = Object.keys(RECORDS) as readonly Signal[];

/** What became of the records of a signal that were received. */
export interface Account {
  readonly signal: Signal;
  readonly received: number;
  /** In the database. */
  readonly stored: number;
  /** In the journal, and yet to be stored. */
  readonly waiting: number;
  /** Invalid. */
  readonly rejected: number;
  /** Sent again; stored once. */
  readonly duplicates: number;
  /** Dead letters, or skipped. */
  readonly dropped: number;
  /** What nobody can account for; 0 when all is well. */
  readonly difference: number;
}

/** The accounts of all signals. The first destination is the database. */
export function accountsOf(stats: StatsJson): Account[] {
  const [storage] = stats.destinations;
  return SIGNALS.map((signal) => {
    const of = (counts: Counts | undefined) => counts?.[signal] ?? 0;
    const told = {
      received: of(stats.received),
      stored: of(storage?.delivered),
      waiting: of(storage?.pending),
      rejected: of(stats.rejected),
      duplicates: of(stats.duplicates),
      dropped: of(storage?.dead) + of(storage?.skipped),
    };
    const { received, stored, waiting, rejected, duplicates, dropped } = told;
    const difference = received - stored - waiting - rejected - duplicates - dropped;
    return { signal, ...told, difference };
  });
}

/** What is missing of the ledger of a destination; 0 when it balances. */
export function differenceAt(destination: Destination, signal: Signal): number {
  const { accepted, delivered, pending, dead, skipped } = destination;
  return accepted[signal] - delivered[signal] - pending[signal] - dead[signal] - skipped[signal];
}

/**
 * A difference in words.
 *
 * @example Too few and too many
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.equal(differenceText("traces", 3), "3 spans are unaccounted for");
 * assert.equal(differenceText("logs", -1), "1 log record is counted twice");
 * ```
 */
export function differenceText(signal: Signal, difference: number): string {
  const number = Math.abs(difference);
  const verb = number === 1 ? "is" : "are";
  const what = difference > 0 ? "unaccounted for" : "counted twice";
  return `${recordsText(signal, number)} ${verb} ${what}`;
}

/** So many records of a signal, in words. */
export function recordsText(signal: Signal, number: number): string {
  const records = number === 1 ? RECORDS[signal].replace(/s$/, "") : RECORDS[signal];
  return `${count(number)} ${records}`;
}
