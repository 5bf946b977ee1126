/**
 * A wait that can be aborted. Stand-in for `jsr:@std/async/delay`.
 *
 * @module
 */

/** Options of {@linkcode delay}. */
export interface DelayOptions {
  /** Ends the wait. */
  signal?: AbortSignal;
}

/**
 * Waits.
 *
 * @param ms Milliseconds, at most 2^31 - 1.
 * @param options See {@linkcode DelayOptions}.
 * @throws The signal's reason, when it aborts before the time is over.
 */
export function delay(ms: number, options: DelayOptions = {}): Promise<void> {
  const { signal } = options;
  if (signal?.aborted) return Promise.reject(signal.reason);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, Math.trunc(ms));
  const stop = () => {
    clearTimeout(timer);
    reject(signal?.reason);
  };
  signal?.addEventListener("abort", stop, { once: true });
  return promise.finally(() => signal?.removeEventListener("abort", stop));
}
