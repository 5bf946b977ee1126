/** A question and what became of it: the last answer stays while a new one is awaited. */

import { batch, type ReadonlySignal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { ApiError, needsToken } from "./api.ts";
import { refreshes } from "./range.ts";

const CANCELLED = new ApiError(0, "Cancelled: nothing was waited for any longer.");

/** An answer. */
export interface Answer<T> {
  /** The latest that came. */
  readonly data: ReadonlySignal<T | undefined>;
  /** Why the latest question has none. */
  readonly error: ReadonlySignal<ApiError | undefined>;
  /** Since when one is awaited, as `performance.now()` tells; undefined when none is. */
  readonly askedMs: ReadonlySignal<number | undefined>;
  /** Whether the one that is awaited was asked by itself: what is shown stays as it is. */
  readonly isByItself: ReadonlySignal<boolean>;
  /** Asks again. */
  ask(): void;
  /** Asks again unless that is under way, or its viewer has cancelled it. */
  askAgain(): void;
  /** Waits no longer. */
  cancel(): void;
}

/**
 * Asks when the key changes, and when everything is refreshed.
 *
 * @param key What is asked for, as text; undefined asks nothing.
 * @param load Asks; has to give up with its signal.
 */
export function useAnswer<T>(
  key: string | undefined,
  load: (signal: AbortSignal) => Promise<T>,
): Answer<T> {
  const asking = useMemo(() => new Asking<T>(), []);
  asking.load = load;
  const round = refreshes.value;
  useEffect(() => {
    if (key === undefined) return asking.clear();
    asking.ask();
  }, [key, round]);
  useEffect(() => () => asking.stop(), []);
  return asking;
}

class Asking<T> implements Answer<T> {
  readonly data = signal<T | undefined>(undefined);
  readonly error = signal<ApiError | undefined>(undefined);
  readonly askedMs = signal<number | undefined>(undefined);
  readonly isByItself = signal(false);
  load!: (signal: AbortSignal) => Promise<T>;
  #running: AbortController | undefined;

  ask(): void {
    this.stop();
    const running = new AbortController();
    this.#running = running;
    this.isByItself.value = false;
    this.askedMs.value = performance.now();
    this.load(running.signal).then(
      (data) => this.#end(running, () => this.data.value = data),
      (error) => this.#end(running, () => this.error.value = apiError(error)),
    );
  }

  #end(running: AbortController, tell: () => void): void {
    if (running.signal.aborted) return;
    batch(() => {
      this.askedMs.value = undefined;
      this.error.value = undefined;
      tell();
    });
  }

  askAgain(): void {
    if (this.askedMs.peek() !== undefined || this.error.peek() === CANCELLED) return;
    if (needsToken.peek()) return;
    this.ask();
    this.isByItself.value = true;
  }

  cancel(): void {
    this.stop();
    this.error.value = CANCELLED;
  }

  clear(): void {
    this.stop();
    this.data.value = undefined;
    this.error.value = undefined;
  }

  stop(): void {
    this.#running?.abort(new Error("no longer needed"));
    this.askedMs.value = undefined;
  }
}

function apiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError(0, error instanceof Error ? error.message : String(error));
}

// Who has shown the token gets what was refused before.
needsToken.subscribe((needs) => {
  if (!needs) refreshes.value++;
});
