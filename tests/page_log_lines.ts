/**
 * Log records for tests of the page, sent as clients send them.
 *
 * @module
 */

import assert from "node:assert/strict";

/** A record to send. */
export interface LogLine {
  readonly text: string;
  /** Nanoseconds since 1970. @default now */
  readonly at?: bigint;
  /** @default {9} INFO */
  readonly severity?: number;
  readonly traceId?: string;
  readonly spanId?: string;
  /** @default none */
  readonly attributes?: Readonly<Record<string, string>>;
}

/** Who sends. */
export interface LogSource {
  readonly service: string;
  readonly scope?: string;
  /** Besides `service.name`. */
  readonly resource?: Readonly<Record<string, string>>;
}

/** Sends log records; resolves when they are acknowledged. */
export async function sendLines(
  url: string,
  { service, scope = "orders", resource = {} }: LogSource,
  lines: readonly LogLine[],
): Promise<void> {
  const now = BigInt(Date.now()) * 1_000_000n;
  const response = await fetch(`${url}/v1/logs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      resourceLogs: [{
        resource: { attributes: attributesOf({ "service.name": service, ...resource }) },
        scopeLogs: [{
          scope: { name: scope },
          logRecords: lines.map(({ text, at = now, severity = 9, attributes, ...ids }) => ({
            timeUnixNano: String(at),
            severityNumber: severity,
            body: { stringValue: text },
            attributes: attributesOf(attributes ?? {}),
            ...ids,
          })),
        }],
      }],
    }),
  });
  assert.equal(response.status, 200, await response.text());
}

function attributesOf(values: Readonly<Record<string, string>>): unknown[] {
  return Object.entries(values).map(([key, stringValue]) => ({ key, value: { stringValue } }));
}

/** Waits until all that was sent is stored. */
export async function allStored(url: string): Promise<void> {
  while (true) {
    const { destinations: [storage] } = await (await fetch(`${url}/api/stats`)).json();
    const { traces, logs, metrics } = storage.pending;
    if (traces + logs + metrics === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
