/**
 * What a collector says of itself, with its equations looked at each time.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { StatsJson } from "../src/stats_json.ts";

const SIGNALS = ["traces", "logs", "metrics"] as const;

/** Sends a request of spans, which is acknowledged. */
export async function sendSpans(url: string, body: Uint8Array): Promise<void> {
  const response = await fetch(`${url}/v1/traces`, {
    method: "POST",
    headers: { "content-type": "application/x-protobuf" },
    body: body as Uint8Array<ArrayBuffer>,
  });
  assert.equal(response.status, 200, await response.text());
}

/** The numbers of a collector. */
export async function statsOf({ url }: { readonly url: string }): Promise<StatsJson> {
  const stats: StatsJson = await (await fetch(`${url}/api/stats`)).json();
  for (const signal of SIGNALS) {
    const { received, rejected, duplicates, accepted, destinations } = stats;
    assert.equal(received[signal], rejected[signal] + duplicates[signal] + accepted[signal]);
    for (const destination of destinations) {
      const { accepted, delivered, pending, dead, skipped, attempts, failures } = destination;
      assert.ok(failures <= attempts, `${failures} failures in ${attempts} attempts`);
      const parts = [delivered, pending, dead, skipped].map((counts) => counts[signal]);
      assert.equal(accepted[signal], parts.reduce((a, b) => a + b));
      assert.ok(Math.min(...parts) >= 0, parts.join());
    }
  }
  return stats;
}

/** What became of the spans of one destination. */
export interface Spans {
  readonly accepted: number;
  readonly delivered: number;
  readonly pending: number;
  readonly dead: number;
  readonly skipped: number;
}

/** The spans of a destination. */
export function spansOf(stats: StatsJson, name = "postgres"): Spans {
  const { accepted, delivered, pending, dead, skipped } = destinationOf(stats, name);
  return {
    accepted: accepted.traces,
    delivered: delivered.traces,
    pending: pending.traces,
    dead: dead.traces,
    skipped: skipped.traces,
  };
}

/** All that is said of a destination. */
export function destinationOf(
  { destinations }: StatsJson,
  name: string,
): StatsJson["destinations"][number] {
  const found = destinations.find((destination) => destination.name === name);
  assert.ok(found !== undefined, name);
  return found;
}

/** Asks a collector until it is so. */
export async function statsUntil(
  collector: { readonly url: string },
  condition: (stats: StatsJson) => boolean,
): Promise<StatsJson> {
  for (;;) {
    const stats = await statsOf(collector);
    if (condition(stats)) return stats;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Waits until nothing that was acknowledged is pending at a destination. */
export async function nothingPending(
  collector: { readonly url: string },
  name = "postgres",
): Promise<StatsJson> {
  return await statsUntil(collector, (stats) => spansOf(stats, name).pending === 0);
}

/** Waits until nothing that was acknowledged, of whatever signal, is pending anywhere. */
export async function allDelivered(collector: { readonly url: string }): Promise<void> {
  await statsUntil(
    collector,
    ({ destinations }) =>
      destinations.every(({ pending }) => SIGNALS.every((signal) => pending[signal] === 0)),
  );
}
