/**
 * Numbers about the adapter as JSON: what `/api/stats` answers and `stats --json` prints.
 *
 * Positions in the journal are 16 hex digits, as in the names of its segments. Counts and bytes are
 * numbers; what is not known is null.
 *
 * @module
 */

import { z } from "zod";
import type { AdapterStats } from "./adapter_stats.ts";

const count = z.number();
const counts = z.object({ traces: count, logs: count, metrics: count });
const position = z.string();

const lastError = z.object({ message: z.string(), at: z.string() }).nullable();

const SCHEMA = z.object({
  retentionDays: count,
  received: counts,
  rejected: counts,
  duplicates: counts,
  accepted: counts,
  buffer: z.object({
    records: count,
    bytes: count,
    maxBytes: count,
    unstored: count,
    waiting: count,
    refused: count,
    failures: count,
    rejected: count,
    lastError,
  }),
  journal: z.object({
    id: z.string(),
    kind: z.string(),
    oldest: position,
    head: position,
    bytes: count,
    maxBytes: count,
    queuedBytes: count,
    freeBytes: count.nullable(),
    segments: count,
    appended: count,
    refused: count,
    waiting: count,
    keys: count,
    keysEvictedEarly: count,
    damaged: count,
    damagedBytes: count,
    gaps: count,
    gapBytes: count,
    failedWrites: count,
  }),
  tail: z.object({ followers: count, skipped: count, dropped: count }),
  deadLetters: z.object({
    letters: count,
    bytes: count,
    maxBytes: count,
    written: count,
    repeated: count,
    dropped: count,
  }),
  destinations: z.array(z.object({
    name: z.string(),
    kind: z.string(),
    url: z.string(),
    state: z.string(),
    paused: z.boolean(),
    located: z.boolean(),
    breaker: z.string(),
    breakerSinceMs: count,
    nextAttemptMs: count,
    position,
    lagBytes: count,
    lagSeconds: count,
    gapBytes: count,
    attempts: count,
    failures: count,
    accepted: counts,
    delivered: counts,
    pending: counts,
    dead: counts,
    skipped: counts,
    rejectedThere: counts,
    lastError,
  })),
});

/** Numbers about an adapter, as JSON says them. */
export type StatsJson = z.output<typeof SCHEMA>;

/**
 * The numbers in what JSON knows.
 *
 * @param stats As the adapter tells them.
 */
export function statsJson(stats: AdapterStats): StatsJson {
  const { buffer, journal, destinations, ...rest } = stats;
  // Nothing that is added to the numbers gets out without a name in the schema.
  return SCHEMA.parse({
    ...rest,
    buffer: { ...buffer, lastError: errorJson(buffer.lastError) },
    journal: {
      ...journal,
      oldest: hex(journal.oldest),
      head: hex(journal.head),
      freeBytes: Number.isFinite(journal.freeBytes) ? journal.freeBytes : null,
      gapBytes: Number(journal.gapBytes),
    },
    destinations: destinations.map(({ position, lastError, ...destination }) => ({
      ...destination,
      position: hex(position),
      lastError: errorJson(lastError),
    })),
  });
}

/**
 * Reads what a collector answered.
 *
 * @throws {Error} It is no such answer: the collector is of another version.
 */
export function parseStats(text: string): StatsJson {
  try {
    return SCHEMA.parse(JSON.parse(text));
  } catch (cause) {
    throw new Error(
      "Cannot read the numbers of the collector: it is of another version than this command; " +
        "restart it",
      { cause },
    );
  }
}

function errorJson(
  error: { readonly message: string; readonly atMs: number } | undefined,
): z.output<typeof lastError> {
  return error === undefined
    ? null
    : { message: error.message, at: new Date(error.atMs).toISOString() };
}

function hex(position: bigint): string {
  return position.toString(16).padStart(16, "0");
}
