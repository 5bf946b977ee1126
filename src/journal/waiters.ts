/**
 * Those who wait until something has become true, or has ended.
 *
 * @module
 */

/** Asks again each time it is woken. */
export class Waiters {
  readonly #waiting = new Set<() => void>();

  /**
   * Resolves when a condition holds.
   *
   * @param condition Asked now and at each {@linkcode wake}; what it throws ends the wait.
   * @throws The reason of `signal` when it is aborted.
   */
  async until(condition: () => boolean, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    while (!condition()) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const abort = () => reject(signal!.reason);
      signal?.addEventListener("abort", abort);
      this.#waiting.add(resolve);
      try {
        await promise;
      } finally {
        signal?.removeEventListener("abort", abort);
        this.#waiting.delete(resolve);
      }
    }
  }

  /** Lets all ask again. */
  wake(): void {
    for (const resolve of this.#waiting) resolve();
  }
}

/** Resolves when `work` has ended, whatever became of it, or when the signal aborts. */
export async function ended(work: Promise<unknown>, signal?: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const end = () => resolve();
  work.then(end, end);
  if (signal?.aborted) end();
  signal?.addEventListener("abort", end, { once: true });
  await promise;
  signal?.removeEventListener("abort", end);
}
