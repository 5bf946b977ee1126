/**
 * A worker that sends requests of spans as fast as they are taken, a few at a time. It makes their
 * bodies once, says `{ bytes }`, and sends them whenever it is told where to; then it says `{ sent }`.
 */

/// <reference lib="deno.worker" />

import { traceBodies } from "./telemetry.ts";

/** What it is told: first what to make, then where to send it to, as often as that is. */
export type Order =
  | { readonly requests: number; readonly spans: number }
  | { readonly url: string };

/** What it says. */
export interface Told {
  /** Bytes of all bodies, when they are made. */
  readonly bytes?: number;
  /** Requests that were acknowledged, when that is all of them. */
  readonly sent?: number;
  /** Why it gave up. */
  readonly error?: string;
}

/** Requests under way at a time. */
const AT_ONCE = 8;

let bodies: Uint8Array[] = [];

const tell = (told: Told) => self.postMessage(told);

async function sendAll(url: string): Promise<void> {
  const left = bodies.values();
  const send = async () => {
    for (const body of left) {
      const response = await fetch(`${url}/v1/traces`, {
        method: "POST",
        headers: { "content-type": "application/x-protobuf" },
        body: body as Uint8Array<ArrayBuffer>,
      });
      const answer = await response.text();
      if (!response.ok) throw new Error(`It answered ${response.status}: ${answer}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, send));
}

self.onmessage = async ({ data }: MessageEvent<Order>) => {
  if ("requests" in data) {
    bodies = traceBodies(data.requests, data.spans, BigInt(Date.now()) * 1_000_000n);
    tell({ bytes: bodies.reduce((sum, { length }) => sum + length, 0) });
    return;
  }
  try {
    await sendAll(data.url);
    tell({ sent: bodies.length });
  } catch (error) {
    tell({ error: String(error) });
  }
};
