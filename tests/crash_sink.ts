/**
 * An OTLP destination that counts how often it took each number of the crash harness. It takes its
 * time, refuses some requests, and forgets those whose sender is gone before they are answered: a
 * sender that does not wait for the answer loses them.
 *
 * @module
 */

import { gunzipSync } from "node:zlib";
import { delay } from "@std/async/delay";
import type { Signal } from "../src/record.ts";
import { numbersOf } from "./crash_requests.ts";

/** A destination that takes everything in the end. Disposing ends it. */
export interface CrashSink extends AsyncDisposable {
  /** Without a slash at its end. */
  readonly url: string;
  /** How often each number came. */
  readonly copies: Readonly<Record<Signal, ReadonlyMap<number, number>>>;
  /** Requests taken. */
  readonly requests: number;
}

/** Of requests so many are to come again. */
const REFUSED = 0.05;
/** An answer takes up to so long. */
const SLOW_MS = 30;

/** Starts one on a free port of this machine. */
export function crashSink(random: () => number): CrashSink {
  const copies = {
    traces: new Map<number, number>(),
    logs: new Map<number, number>(),
    metrics: new Map<number, number>(),
  };
  let requests = 0;
  const server = Deno.serve(
    {
      hostname: "127.0.0.1",
      port: 0,
      onListen: () => {},
      // A body that ends before its time: its sender was killed.
      onError: () => new Response(null, { status: 400 }),
    },
    async (request) => {
      const signal = new URL(request.url).pathname.slice("/v1/".length) as Signal;
      const bytes = await request.bytes();
      await delay(random() * SLOW_MS);
      if (random() < REFUSED) return new Response(null, { status: 503 });
      if (request.signal.aborted) return new Response(null, { status: 400 });
      const plain = request.headers.get("content-encoding") === "gzip" ? gunzipSync(bytes) : bytes;
      for (const number of numbersOf(signal, new Uint8Array(plain))) {
        copies[signal].set(number, (copies[signal].get(number) ?? 0) + 1);
      }
      requests++;
      return new Response(null, { headers: { "content-type": "application/x-protobuf" } });
    },
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    copies,
    get requests() {
      return requests;
    },
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
