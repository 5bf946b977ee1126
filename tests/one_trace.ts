/**
 * One small trace of several services, sent as clients send it, for tests of its page.
 *
 * @module
 */

import assert from "node:assert/strict";

/** The id of the trace. */
export const TRACE_ID = "5b8efff798038103d269b633813fc60c";

/** A span; times are milliseconds from the start of the trace. */
export interface GivenSpan {
  readonly id: number;
  /** @default none */
  readonly parent?: number;
  readonly service?: string;
  readonly name?: string;
  /** @default {1} */
  readonly kind?: number;
  readonly from: number;
  readonly to: number;
  /** Fields of OTLP. */
  readonly more?: Readonly<Record<string, unknown>>;
}

/** A log record. */
export interface GivenLog {
  readonly at: number;
  readonly text: string;
  /** The span that it was written in. */
  readonly span?: number;
}

/** A minute ago. */
const START = BigInt(Date.now() - 60_000) * 1_000_000n;

/** A time of the trace. */
export function nanos(ms: number): string {
  return String(START + BigInt(Math.round(ms * 1e6)));
}

/** The id of a span. */
export function spanId(id: number): string {
  return id.toString(16).padStart(16, "0");
}

/** An attribute with a text. */
export function text(key: string, stringValue: string): unknown {
  return { key, value: { stringValue } };
}

/** Sends spans and log records; resolves once all that was sent so far, so many spans, can be read. */
export async function sendTrace(
  url: string,
  spans: readonly GivenSpan[],
  logs: readonly GivenLog[] = [],
  total = spans.length,
): Promise<void> {
  const services = Map.groupBy(spans, ({ service = "shop" }) => service);
  await post(`${url}/v1/logs`, {
    resourceLogs: [{
      resource: resource("shop"),
      scopeLogs: [{
        scope: { name: "orders" },
        logRecords: logs.map((log) => ({
          timeUnixNano: nanos(log.at),
          severityNumber: 9,
          body: { stringValue: log.text },
          traceId: TRACE_ID,
          spanId: log.span === undefined ? "" : spanId(log.span),
        })),
      }],
    }],
  });
  await post(`${url}/v1/traces`, {
    resourceSpans: [...services].map(([service, ofService]) => ({
      resource: resource(service),
      scopeSpans: [{ scope: { name: "tests" }, spans: ofService.map(otlpSpan) }],
    })),
  });
  while (true) {
    const tree = await (await fetch(`${url}/api/traces/${TRACE_ID}`)).json();
    if (tree.spans?.length === total && tree.logs.length >= logs.length) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function resource(service: string): unknown {
  return { attributes: [text("service.name", service), text("host.name", `${service}-1`)] };
}

function otlpSpan({ id, parent, name, kind = 1, from, to, more }: GivenSpan): unknown {
  return {
    traceId: TRACE_ID,
    spanId: spanId(id),
    parentSpanId: parent === undefined ? "" : spanId(parent),
    name: name ?? `span ${id}`,
    kind,
    startTimeUnixNano: nanos(from),
    endTimeUnixNano: nanos(to),
    ...more,
  };
}

async function post(url: string, body: unknown): Promise<void> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  assert.equal(response.status, 200, await response.text());
}
