/**
 * A worker that is an OTLP destination far away: it answers late, and counts the spans it gets. It says
 * `{ url }` when it listens, and `{ received }` when it has all that it was told to expect.
 */

/// <reference lib="deno.worker" />

import { Cursor } from "../src/postgres/cursor.ts";

/** What it is told before each round. */
export interface Expected {
  /** Spans, after which it says so. */
  readonly spans: number;
}

/** What it says. */
export interface Told {
  /** Where it listens, once. */
  readonly url?: string;
  /** How many spans it has, when these are all. */
  readonly received?: number;
}

const LATENCY_MS = 50;
/** A field of a length, as tags in protobuf: `resource_spans` is 1, `scope_spans` and `spans` are 2. */
const [FIRST, SECOND] = [1 << 3 | 2, 2 << 3 | 2];
const PATH = [FIRST, SECOND, SECOND] as const;

let expected = 0;
let received = 0;

const tell = (told: Told) => self.postMessage(told);

/** Fields at the end of a path of tags. */
function count(cursor: Cursor, end: number, [tag, ...path]: readonly number[]): number {
  let found = 0;
  while (cursor.at < end) {
    if (cursor.next(end) !== tag) continue;
    const { from, to } = cursor;
    cursor.at = from;
    found += path.length === 0 ? 1 : count(cursor, to, path);
    cursor.at = to;
  }
  return found;
}

self.onmessage = ({ data }: MessageEvent<Expected>) => {
  expected = data.spans;
  received = 0;
};

const server = Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen: () => {} },
  async (request) => {
    const cursor = new Cursor();
    cursor.reset(await request.bytes());
    received += count(cursor, cursor.bytes.length, PATH);
    if (received >= expected) tell({ received });
    await new Promise((resolve) => setTimeout(resolve, LATENCY_MS));
    return new Response(null, { headers: { "content-type": "application/x-protobuf" } });
  },
);
tell({ url: `http://127.0.0.1:${server.addr.port}` });
