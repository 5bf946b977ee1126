/**
 * A forward to a server of the test's own, and the records it is given.
 *
 * @module
 */

import { type ForwardEvent, type ForwardOptions, ForwardSink } from "../src/forward.ts";
import type { JournalRecord } from "../src/journal.ts";
import { decodeRequest, jsonToProtobuf } from "../src/otlp.ts";
import type { Signal } from "../src/record.ts";
import { type Delivered, noCounts } from "../src/sink.ts";
import {
  type Behaviour,
  type MisbehavingServer,
  misbehavingServer,
  type ReceivedRequest,
} from "./misbehaving_server.ts";

/** A request of one record, whose name tells it from others. */
export function body(signal: Signal, name: string): Uint8Array {
  const requests = {
    traces: { resourceSpans: [{ scopeSpans: [{ spans: [{ name }] }] }] },
    logs: { resourceLogs: [{ scopeLogs: [{ logRecords: [{ eventName: name }] }] }] },
    metrics: { resourceMetrics: [{ scopeMetrics: [{ metrics: [{ name }] }] }] },
  };
  return jsonToProtobuf(signal, JSON.stringify(requests[signal]));
}

/** The names in a request, in their order. */
export function namesIn(signal: Signal, bytes: Uint8Array): string[] {
  const text = JSON.stringify(
    decodeRequest(signal, bytes),
    (_, value) => typeof value === "bigint" ? String(value) : value,
  );
  return [...text.matchAll(/"(?:name|eventName)":"([^"]+)"/g)].map(([, name]) => name!);
}

/** Records, each of its own count, from names such as `t1`, `l2`, `m3`. */
export function records(...names: string[]): JournalRecord[] {
  return names.map((name, index) => {
    const signal = ({ t: "traces", l: "logs", m: "metrics" } as const)[name[0] as "t" | "l" | "m"];
    const position = BigInt(100 + index * 10);
    return {
      position,
      next: position + 10n,
      signal,
      arrivalUnixNano: 5n,
      key: new Uint8Array(32),
      count: 1,
      before: noCounts(),
      body: body(signal, name),
    };
  });
}

/** The names in each request that came, in their order. */
export const received = (server: MisbehavingServer): string[] =>
  server.requests.map(({ signal, body }) => namesIn(signal, body).join(" "));

/** A signal that nobody aborts. */
export const never = new AbortController().signal;

/** A forward, the server it sends to, and what it told. */
export interface Forwarding {
  readonly sink: ForwardSink;
  readonly server: MisbehavingServer;
  readonly events: ForwardEvent[];
  deliver(given: readonly JournalRecord[], signal?: AbortSignal): Promise<Delivered>;
}

/** Lets a test use a forward to a server that behaves so. */
export async function forwarding(
  behave: Behaviour | ((request: ReceivedRequest) => Behaviour),
  use: (forwarding: Forwarding) => Promise<void>,
  options: Partial<ForwardOptions> = {},
): Promise<void> {
  await using server = await misbehavingServer(
    typeof behave === "function" ? behave : () => behave,
  );
  const events: ForwardEvent[] = [];
  const sink = new ForwardSink({
    url: server.url,
    onEvent: (event) => events.push(event),
    ...options,
  });
  const deliver = (given: readonly JournalRecord[], signal = never) => sink.deliver(given, signal);
  await use({ sink, server, events, deliver });
}

export const FINE: Behaviour = { status: 200 };
