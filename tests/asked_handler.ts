/**
 * A handler with a store that writes down, and requests to it.
 *
 * @module
 */

import assert from "node:assert/strict";
import { decodeStatus, type Encoding } from "../src/otlp.ts";
import type { Signal } from "../src/record.ts";
import { handler, type HandlerOptions, type Store } from "../src/server.ts";

/** What the store was given. */
export interface Written {
  readonly signal: Signal;
  readonly body: Uint8Array;
}

/** A store that remembers, or does what the test says instead. */
export function fakeStore(instead: Partial<Store> = {}): Store & { readonly written: Written[] } {
  const written: Written[] = [];
  return {
    written,
    room: () => Promise.resolve(),
    write(signal, body) {
      written.push({ signal, body });
      return Promise.resolve({ rejected: 0, message: "" });
    },
    health: () => Promise.resolve({ ok: true }),
    ...instead,
  };
}

/** A request; by default one that posts {@linkcode ONE_LOG}. */
export interface Sent {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array | ReadableStream<Uint8Array> | null;
  readonly signal?: AbortSignal;
}

/** A request of one log record. */
export const ONE_LOG =
  '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","body":{"stringValue":"hi"}}]}]}]}';

/** Makes the request. */
export function sent(
  { path = "/v1/logs", method = "POST", headers = {}, body = ONE_LOG, signal }: Sent = {},
): Request {
  return new Request(`http://localhost:4318${path}`, {
    method,
    headers: { "content-type": "application/json", ...headers },
    body: (method === "POST" ? body : null) as BodyInit | null,
    signal: signal ?? null,
  });
}

/** Sends to a handler of its own, and returns the answer. */
export function ask(request: Sent, options: Partial<HandlerOptions> = {}): Promise<Response> {
  return handler({ store: fakeStore(), ...options })(sent(request));
}

/** The HTTP status of an answer that failed, and the code and message of its OTLP status. */
export async function statusOf(
  response: Response,
  encoding: Encoding = "json",
): Promise<[number, number, string]> {
  const type = encoding === "json" ? "application/json" : "application/x-protobuf";
  assert.equal(response.headers.get("content-type"), type);
  const { code, message } = decodeStatus(await response.bytes(), encoding);
  return [response.status, code, message];
}
