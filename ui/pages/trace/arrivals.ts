/** Spans that come in while a trace is looked at: they are counted, and shown when that is wanted. */

import { type ReadonlySignal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { TraceTree } from "../../frame/answers.ts";

/** How long after its end a trace may still grow. */
const GROWS_MS = 5 * 60_000;
const LEAST_WAIT_MS = 3_000;
/** It is asked for so rarely that no more than a part of the time goes into that. */
const WAIT_FACTOR = 20;

/** What has come. */
export interface Arrivals {
  readonly spans: number;
  readonly logs: number;
}

const NONE: Arrivals = { spans: 0, logs: 0 };

/**
 * Counts what has come since a trace was read, as long as that is recent and somebody looks. One of
 * which not all was read is not watched: what came could not be told from what was left out.
 */
export function useArrivals(
  tree: TraceTree | undefined,
  load: (signal: AbortSignal) => Promise<TraceTree>,
): ReadonlySignal<Arrivals> {
  const arrived = useSignal(NONE);
  useEffect(() => {
    arrived.value = NONE;
    if (tree === undefined || tree.hasMoreSpans || tree.hasMoreLogs) return;
    const stopping = new AbortController();
    watch(tree, load, stopping.signal, (now) => arrived.value = now).catch((error) => {
      // What is shown stays right; the next look comes with the next reading.
      if (!stopping.signal.aborted) console.warn("Cannot look for new spans:", error);
    });
    return () => stopping.abort(new Error("no longer needed"));
  }, [tree]);
  return arrived;
}

async function watch(
  tree: TraceTree,
  load: (signal: AbortSignal) => Promise<TraceTree>,
  signal: AbortSignal,
  tell: (arrived: Arrivals) => void,
): Promise<void> {
  let latest = tree;
  let tookMs = 0;
  while (isRecent(latest)) {
    await pause(Math.max(LEAST_WAIT_MS, tookMs * WAIT_FACTOR), signal);
    if (document.hidden) continue;
    const askedMs = performance.now();
    latest = await load(signal);
    tookMs = performance.now() - askedMs;
    tell({
      spans: latest.spans.length - tree.spans.length,
      logs: latest.logs.length - tree.logs.length,
    });
  }
}

function isRecent({ startUnixNano, durationNs }: TraceTree): boolean {
  const endedMs = Number((BigInt(startUnixNano) + BigInt(durationNs)) / 1_000_000n);
  return Date.now() - endedMs < GROWS_MS;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}
