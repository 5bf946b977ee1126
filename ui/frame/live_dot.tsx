/** Whether something arrives: how many records a second, or that the collector does not answer. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import type { StatsJson } from "./answers.ts";
import { ApiError, get, needsToken } from "./api.ts";
import { count } from "./format.ts";
import { Icon } from "./icons.tsx";

const LOOK_MS = 5_000;
/** It is asked again so soon after it did not answer, then after twice as long each time. */
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 30_000;

/** Records a second; `lost` when nobody answers, undefined when nothing is known yet. */
type Seen = number | "lost" | undefined;

/** The dot and what it means. */
export function LiveDot(): JSX.Element | null {
  const seen = useSignal<Seen>(undefined);
  useEffect(() => {
    const ending = new AbortController();
    follow((now) => seen.value = now, ending.signal);
    return () => ending.abort(new Error("no longer needed"));
  }, []);
  const now = seen.value;
  if (now === undefined) return null;
  if (now === "lost") {
    return (
      <span
        class="live error"
        role="status"
        title="The collector does not answer; it is asked again"
      >
        <Icon name="error" />
        <span class="live-text">No answer</span>
      </span>
    );
  }
  const text = now === 0 ? "Nothing arrives" : `${count(Math.ceil(now))}/s`;
  return (
    <span class="live" title={`${text}: spans, log records and metric points, all together`}>
      <span class={now > 0 ? "live-dot is-live" : "live-dot"} aria-hidden="true" />
      <span class="live-text">{text}</span>
    </span>
  );
}

/** Looks until it is ended; a server without a collector behind it has nothing to tell. */
async function follow(tell: (seen: Seen) => void, signal: AbortSignal): Promise<void> {
  let before: { readonly records: number; readonly atMs: number } | undefined;
  let retryMs = FIRST_RETRY_MS;
  while (!signal.aborted) {
    let waitMs = LOOK_MS;
    if (!document.hidden && !needsToken.peek()) {
      try {
        const { received } = await get<StatsJson>("/api/stats", {}, signal);
        const records = received.traces + received.logs + received.metrics;
        const atMs = performance.now();
        if (before !== undefined) {
          // Who was started anew begins at none.
          tell(Math.max(0, records - before.records) / (atMs - before.atMs) * 1_000);
        }
        // The second look tells the first rate: it is not far off.
        waitMs = before === undefined ? FIRST_RETRY_MS : LOOK_MS;
        before = { records, atMs };
        retryMs = FIRST_RETRY_MS;
      } catch (error) {
        if (signal.aborted) return;
        const status = error instanceof ApiError ? error.status : 0;
        if (status === 404) return tell(undefined);
        if (status !== 401) tell("lost");
        waitMs = retryMs;
        retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
      }
    }
    await pause(waitMs, signal);
  }
}

/** Waits; no longer than until it is ended. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", resolve);
  await promise;
  clearTimeout(timer);
  signal.removeEventListener("abort", resolve);
}
