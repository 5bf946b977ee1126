/**
 * The answer to a replay: lines of JSON while it goes on, the last one with its end.
 *
 * @module
 */

import type { ReplayCalls, ReplayProgress } from "./admin.ts";
import { progressJson } from "./admin_json.ts";
import type { Signal } from "./record.ts";

/**
 * Runs a replay and tells of it. A reader that is slow gets the newest of what it missed; one that
 * goes ends the replay.
 *
 * @param run The replay.
 * @param gone Aborts when nobody reads any more.
 */
export function replayStream(
  run: (calls: ReplayCalls) => Promise<readonly ReplayProgress[]>,
  gone: AbortSignal,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const cancelled = new AbortController();
  /** At most one a signal. */
  const news = new Map<Signal, ReplayProgress>();
  let last: object | undefined;
  let wake = () => {};
  const ended = run({
    signal: AbortSignal.any([gone, cancelled.signal]),
    onProgress: (progress) => {
      news.set(progress.signal, progress);
      wake();
    },
  }).then(
    (result) => ({ result: result.map(progressJson) }),
    (error) => ({ error: error instanceof Error ? error.message : String(error) }),
  ).then((line) => {
    last = line;
    wake();
  });
  return new ReadableStream({
    async pull(controller) {
      if (news.size === 0 && last === undefined) {
        await new Promise<void>((resolve) => wake = resolve);
      }
      for (const progress of news.values()) {
        controller.enqueue(lineOf({ progress: progressJson(progress) }));
      }
      news.clear();
      if (last === undefined) return;
      controller.enqueue(lineOf(last));
      controller.close();
    },
    async cancel(reason) {
      cancelled.abort(reason);
      await ended;
    },
  });
}

function lineOf(value: object): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${JSON.stringify(value)}\n`);
}
