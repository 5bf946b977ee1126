/**
 * A collector for tests of the page, and telemetry that is sent to it as clients send it.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type RunningCollector, startCollector } from "./collector_process.ts";
import { drivers, testDatabase } from "./postgres.ts";
import { temporaryFolder } from "./temporary_folder.ts";

/** A trace to send. */
export interface SentTrace {
  readonly service: string;
  readonly operation: string;
  readonly durationMs: number;
  /** How long ago it began. @default {60_000} */
  readonly agoMs?: number;
  readonly isError?: boolean;
  /** A service that it calls for half of the time. */
  readonly calls?: string;
  /** Attributes of the root. */
  readonly attributes?: Readonly<Record<string, string>>;
}

/** Runs with an empty collector, on Postgres where there is one. */
export async function withCollector(
  body: (collector: RunningCollector) => Promise<void>,
): Promise<void> {
  await using data = await temporaryFolder();
  await using test = drivers.includes("postgres") ? await testDatabase("postgres") : undefined;
  await using collector = await startCollector({
    dataDir: data.path,
    env: test === undefined ? {} : { DATABASE_URL: test.url },
  });
  await body(collector);
}

/** Sends traces; resolves with their ids once a search can find all of them. */
export async function sendTraces(url: string, traces: readonly SentTrace[]): Promise<string[]> {
  const ids = traces.map(() => randomHex(16));
  const response = await fetch(`${url}/v1/traces`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      resourceSpans: traces.flatMap((trace, at) => spansOf(trace, ids[at]!)),
    }),
  });
  assert.equal(response.status, 200, await response.text());
  for (const id of ids) {
    while (true) {
      const stored = await fetch(`${url}/api/traces/${id}`);
      await stored.body?.cancel();
      if (stored.status === 200) break;
      assert.equal(stored.status, 404);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  return ids;
}

function spansOf(trace: SentTrace, traceId: string): unknown[] {
  const { service, operation, durationMs, agoMs = 60_000, isError = false, calls } = trace;
  const startNs = BigInt(Date.now() - agoMs) * 1_000_000n;
  const lengthNs = BigInt(Math.round(durationMs * 1e6));
  const root = {
    traceId,
    spanId: randomHex(8),
    name: operation,
    kind: 2,
    startTimeUnixNano: String(startNs),
    endTimeUnixNano: String(startNs + lengthNs),
    attributes: Object.entries(trace.attributes ?? {}).map(([key, stringValue]) => ({
      key,
      value: { stringValue },
    })),
    status: isError ? { code: 2, message: "it failed" } : {},
  };
  const called = {
    ...root,
    spanId: randomHex(8),
    parentSpanId: root.spanId,
    name: `called by ${operation}`,
    startTimeUnixNano: String(startNs + lengthNs / 4n),
    endTimeUnixNano: String(startNs + lengthNs * 3n / 4n),
    status: {},
  };
  return [
    ofService(service, root),
    ...calls === undefined ? [] : [ofService(calls, called)],
  ];
}

function ofService(service: string, span: unknown): unknown {
  return {
    resource: { attributes: [{ key: "service.name", value: { stringValue: service } }] },
    scopeSpans: [{ scope: { name: "tests" }, spans: [span] }],
  };
}

function randomHex(bytes: number): string {
  return crypto.getRandomValues(new Uint8Array(bytes)).toHex();
}
