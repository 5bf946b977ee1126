/**
 * The live tail of logs over HTTP, as server-sent events.
 *
 * ```text
 * id: 1760000000000000000-1
 * data: {"record":{"timeUnixNano":"1760000000000000000",…},"resource":{…},…}
 *
 * event: dropped
 * data: {"count":12}
 * ```
 *
 * An event is a log record as `/api/logs` gives it. A client that comes back with the `id` of the last
 * one in `Last-Event-ID`, as browsers do, gets what is stored behind it first. `dropped` says that
 * records are missing: how many, or null where that was not counted. A comment every 15 s keeps the
 * connection.
 *
 * Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
 *
 * @module
 */

import { textOf } from "./api_answers.ts";
import { optionsFrom } from "./api_parameters.ts";
import { problem, told } from "./api_problems.ts";
import { LOG_TAIL, type LogTailOptions, type Stored } from "./query.ts";
import type { LogRecord } from "./record.ts";
import type { Route } from "./route.ts";

/** An event of a live tail. */
export type TailEvent =
  | { readonly kind: "log"; readonly log: Stored<LogRecord>; readonly position: string }
  | { readonly kind: "dropped"; readonly count: number | undefined };

/** Follows the logs: `OTelStorageAdapter.tailLogs` does. */
export type OpenLogTail = (
  options: LogTailOptions,
  read: { readonly signal: AbortSignal; readonly timeoutMs: number },
) => Promise<AsyncIterator<readonly TailEvent[], undefined>>;

/** Where. */
export const LOG_TAIL_PATH = "/api/logs/tail";
/** How often something comes of a tail at least, in ms. */
export const HEARTBEAT_MS = 15_000;
/** A comment, which clients pass over. */
const HEARTBEAT = ":\n\n";
const encoder = new TextEncoder();

/**
 * The path and how it is answered.
 *
 * @param timeoutMs How long what is stored may take, in ms.
 * @param heartbeatMs How long nothing may come, in ms.
 */
export function tailRoute(
  open: OpenLogTail,
  timeoutMs: number,
  heartbeatMs: number = HEARTBEAT_MS,
): [string, Route] {
  const answer = (request: Request) =>
    told(request, () => follow(request, open, timeoutMs, heartbeatMs));
  return [LOG_TAIL_PATH, { methods: ["GET"], audience: "machine", refuse: problem, answer }];
}

async function follow(
  request: Request,
  open: OpenLogTail,
  timeoutMs: number,
  heartbeatMs: number,
): Promise<Response> {
  const { searchParams } = new URL(request.url);
  const last = request.headers.get("last-event-id");
  if (last !== null && last !== "") searchParams.set("after", last);
  const gone = new AbortController();
  const signal = AbortSignal.any([request.signal, gone.signal]);
  const events = await open(optionsFrom(LOG_TAIL, searchParams), { signal, timeoutMs });
  return new Response(streamOf(events, heartbeatMs, () => gone.abort()), {
    headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
  });
}

/** What is not read is not made: who follows slowly leaves it to the follower to drop. */
function streamOf(
  events: AsyncIterator<readonly TailEvent[], undefined>,
  heartbeatMs: number,
  end: () => void,
): ReadableStream<Uint8Array> {
  let next: ReturnType<typeof events.next> | undefined;
  return new ReadableStream<Uint8Array>({
    // At once, so that clients know that they follow.
    start: (controller) => controller.enqueue(encoder.encode(HEARTBEAT)),
    async pull(controller) {
      next ??= events.next();
      const came = await soon(next, heartbeatMs);
      if (came === undefined) return controller.enqueue(encoder.encode(HEARTBEAT));
      next = undefined;
      if (came.done) return controller.close();
      controller.enqueue(encoder.encode(came.value.map(eventText).join("")));
    },
    cancel: end,
  }, { highWaterMark: 0 });
}

/** What it gives, or undefined when it is time for a heartbeat. */
async function soon<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), ms);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Each record is written once, however many follow. */
const TEXTS = new WeakMap<Stored<LogRecord>, string>();

function eventText(event: TailEvent): string {
  if (event.kind === "dropped") {
    return `event: dropped\ndata: ${JSON.stringify({ count: event.count ?? null })}\n\n`;
  }
  let text = TEXTS.get(event.log);
  if (text === undefined) TEXTS.set(event.log, text = textOf(event.log));
  return `id: ${event.position}\ndata: ${text}\n\n`;
}
