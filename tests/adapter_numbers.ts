/**
 * Numbers of an adapter with something of everything.
 *
 * @module
 */

import type { AdapterStats } from "../src/adapter_stats.ts";

const none = { traces: 0, logs: 0, metrics: 0 };

/** Postgres is up to date, a vendor is far behind. */
export const NUMBERS: AdapterStats = {
  received: { traces: 106, logs: 20, metrics: 5 },
  rejected: { traces: 1, logs: 0, metrics: 0 },
  duplicates: { traces: 5, logs: 0, metrics: 5 },
  accepted: { traces: 100, logs: 20, metrics: 0 },
  journal: {
    id: "0f8fad5b-d9cb-469f-a165-70867728950e",
    kind: "disk",
    oldest: 0x1000n,
    head: 0xabcdefn,
    bytes: 1_572_864,
    maxBytes: 1_073_741_824,
    queuedBytes: 10,
    freeBytes: 5_000_000_000,
    segments: 3,
    duplicates: { traces: 5, logs: 0, metrics: 5 },
    appended: 12,
    refused: 2,
    waiting: 1,
    keys: 14,
    keysEvictedEarly: 0,
    damaged: 1,
    damagedBytes: 64,
    gaps: 0,
    gapBytes: 0n,
    failedWrites: 4,
  },
  deadLetters: {
    letters: 2,
    bytes: 900,
    maxBytes: 268_435_456,
    written: 3,
    repeated: 1,
    dropped: 1,
  },
  destinations: [
    {
      name: "postgres",
      kind: "postgres",
      url: "db.example:5432/otel",
      state: "idle",
      paused: false,
      position: 0xabcdefn,
      lagBytes: 0,
      lagSeconds: 0,
      gapBytes: 0,
      breaker: "CLOSED",
      nextAttemptMs: 0,
      attempts: 9,
      failures: 0,
      lastError: undefined,
      accepted: { traces: 100, logs: 20, metrics: 0 },
      delivered: { traces: 99, logs: 20, metrics: 0 },
      pending: none,
      dead: { traces: 1, logs: 0, metrics: 0 },
      skipped: none,
      rejectedThere: none,
    },
    {
      name: "vendor",
      kind: "otlp",
      url: 'https://otlp.example/"a\\b"\nc',
      state: "waiting",
      paused: false,
      position: 0x2000n,
      lagBytes: 11_250_671,
      lagSeconds: 90.5,
      gapBytes: 2048,
      breaker: "OPEN",
      nextAttemptMs: 12_500,
      attempts: 30,
      failures: 7,
      lastError: { message: "it answered 503\u001b[31m", atMs: 1_769_860_800_000 },
      accepted: { traces: 100, logs: 20, metrics: 0 },
      delivered: { traces: 40, logs: 10, metrics: 0 },
      pending: { traces: 50, logs: 8, metrics: 0 },
      dead: { traces: 7, logs: 0, metrics: 0 },
      skipped: { traces: 3, logs: 2, metrics: 0 },
      rejectedThere: { traces: 4, logs: 0, metrics: 0 },
    },
  ],
};
