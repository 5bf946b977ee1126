/** Spans that come in while a trace is looked at: they are counted, and shown when that is wanted. */

import { type ReadonlySignal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { TraceTree } from "../../frame/answers.ts";
import { ApiError, needsToken } from "../../frame/api.ts";

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
 * which not all was read is not watched: what came could not be told from what was left out, unless it
 * came between two parts.
 */
export function useArrivals(
  tree: TraceTree | undefined,
  load: (signal: AbortSignal) => Promise<TraceTree>,
): ReadonlySignal<Arrivals> {
  const arrived = useSignal(NONE);
  useEffect(() => {
    // Those that came between its parts are known without a look.
    arrived.value = { spans: tree?.lateSpans ?? 0, logs: 0 };
    if (tree === undefined || tree.hasMoreSpans || tree.hasMoreLogs) return;
    const stopping = new AbortController();
    watch(tree, load, stopping.signal, (now) => arrived.value = now).catch((error) => {
      // Who leaves stops it. Whatever else it was: what is shown stays right.
      if (!stopping.signal.aborted) console.warn("Looks for new spans no longer:", error);
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
    // Nothing is asked by itself while the token is missing.
    if (document.hidden || needsToken.peek()) continue;
    const askedMs = performance.now();
    latest = await load(signal).catch((error) => {
      // The next try may succeed; a refusal does not change by itself.
      if (error instanceof ApiError && (error.status === 0 || error.status >= 500)) return latest;
      throw error;
    });
    tookMs = performance.now() - askedMs;
    tell({
      spans: Math.max(tree.lateSpans, latest.spans.length - tree.spans.length),
      logs: latest.logs.length - tree.logs.length,
    });
  }
}

function isRecent({ startUnixNano, durationNs, logs }: TraceTree): boolean {
  const ended = BigInt(startUnixNano) + BigInt(durationNs);
  const said = BigInt(logs.at(-1)?.record.timeUnixNano ?? 0);
  return Date.now() - Number((ended > said ? ended : said) / 1_000_000n) < GROWS_MS;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}
