/**
 * Numbers about the adapter for people at a terminal.
 *
 * @module
 */

import { drawTable, printable } from "./sql_table.ts";
import type { StatsJson } from "./stats_json.ts";

const SIGNALS = ["traces", "logs", "metrics"] as const;
const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];

type Destination = StatsJson["destinations"][number];

/**
 * Draws what was received, what became of it at each destination, how far each one has got, and what
 * the journal and the dead letters take.
 *
 * @param stats As the collector answers them.
 * @returns Lines, each with a line break at its end.
 */
export function drawStats(stats: StatsJson): string {
  const { received, rejected, duplicates, accepted, destinations } = stats;
  const intake = table(SIGNALS.map((signal) => ({
    signal,
    received: received[signal],
    rejected: rejected[signal],
    duplicates: duplicates[signal],
    accepted: accepted[signal],
  })));
  const ledger = table(destinations.flatMap((destination) =>
    SIGNALS.map((signal) => ({
      destination: destination.name,
      signal,
      accepted: destination.accepted[signal],
      delivered: destination.delivered[signal],
      pending: destination.pending[signal],
      dead: destination.dead[signal],
      skipped: destination.skipped[signal],
      "rejected there": destination.rejectedThere[signal],
    }))
  ));
  const states = table(destinations.map((destination) => ({
    destination: destination.name,
    url: destination.url,
    state: destination.paused ? "paused" : destination.state,
    breaker: destination.breaker,
    "next attempt": nextAttempt(destination),
    lag: `${bytesText(destination.lagBytes)}, ${durationText(destination.lagSeconds)}`,
    lost: destination.gapBytes === 0 ? "" : bytesText(destination.gapBytes),
  })));
  const errors = destinations.flatMap(({ name, lastError }) =>
    lastError === null
      ? []
      : [`${name} failed at ${lastError.at}: ${printable(lastError.message)}\n`]
  );
  return [intake, ledger, states + errors.join(""), storeText(stats)].join("\n");
}

function table(rows: readonly Readonly<Record<string, string | number>>[]): string {
  return drawTable(rows.map((row) => JSON.stringify(row)), { counted: false });
}

function nextAttempt({ nextAttemptMs }: Destination): string {
  return nextAttemptMs === 0 ? "" : `in ${durationText(nextAttemptMs / 1000)}`;
}

function storeText({ journal, deadLetters }: StatsJson): string {
  const free = journal.freeBytes === null ? "" : `, ${bytesText(journal.freeBytes)} free`;
  const segments = `${journal.segments} ${journal.segments === 1 ? "segment" : "segments"}`;
  const lines = [
    `journal ${journal.id} (${journal.kind}): ${bytesText(journal.bytes)} of ` +
    `${bytesText(journal.maxBytes)} in ${segments}${free}`,
    ...troubles(journal).map((trouble) => `journal: ${trouble}`),
    `dead letters: ${deadLetters.letters} with ${bytesText(deadLetters.bytes)} of ` +
    bytesText(deadLetters.maxBytes),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

/** What is not there most of the time. */
function troubles(journal: StatsJson["journal"]): string[] {
  const { waiting, refused, keysEvictedEarly, damaged, gaps, failedWrites } = journal;
  const all: [count: number, text: string][] = [
    [waiting, `${waiting} requests wait for space`],
    [refused, `${refused} requests refused`],
    [keysEvictedEarly, `${keysEvictedEarly} requests forgotten before their time`],
    [damaged, `${damaged} places with ${bytesText(journal.damagedBytes)} could not be read`],
    [gaps, `${gaps} places where ${bytesText(journal.gapBytes)} are missing`],
    [failedWrites, `${failedWrites} writes failed`],
  ];
  return all.filter(([count]) => count > 0).map(([, text]) => text);
}

/**
 * Bytes in the unit that suits them.
 *
 * @example A MiB and a half
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.equal(bytesText(1_572_864), "1.5 MiB");
 * assert.equal(bytesText(1023), "1023 bytes");
 * ```
 */
export function bytesText(bytes: number): string {
  let unit = 0;
  let value = bytes;
  // Rounded first, so that no 1024.0 KiB stands for a MiB.
  while (Number(value.toFixed(1)) >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

/**
 * Seconds as people say them, to the second.
 *
 * @example A minute and a half
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.equal(durationText(90), "1m 30s");
 * assert.equal(durationText(90_061), "1d 1h");
 * ```
 */
export function durationText(seconds: number): string {
  const whole = Math.ceil(seconds);
  const [days, hours, minutes] = [86_400, 3600, 60].map((unit) => Math.floor(whole / unit));
  if (days! > 0) return `${days}d ${hours! % 24}h`;
  if (hours! > 0) return `${hours}h ${minutes! % 60}m`;
  return minutes! > 0 ? `${minutes}m ${whole % 60}s` : `${whole}s`;
}
