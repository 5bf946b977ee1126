/**
 * Calls a function until it succeeds. Stand-in for `jsr:@std/async/retry`.
 *
 * @module
 */

import { delay } from "./delay.ts";

/** Thrown by {@linkcode retry} when the last attempt failed; `cause` is that attempt's error. */
export class RetryError extends Error {
  /**
   * @param cause What the last attempt threw.
   * @param attempts How many attempts were made.
   */
  constructor(cause: unknown, attempts: number) {
    super(`Retrying ended without success: ${attempts} attempts were made`, { cause });
    this.name = "RetryError";
  }
}

/** Options of {@linkcode retry}. */
export interface RetryOptions {
  /** Growth of the wait from one attempt to the next, at least 1. Default 2. */
  multiplier?: number;
  /** Longest wait, ms. Default 60 000. */
  maxTimeout?: number;
  /** Attempts in all, at least 1. Default 5. */
  maxAttempts?: number;
  /** First wait, ms, before jitter. Default 1 000. */
  minTimeout?: number;
  /** Share of each wait that is random, 0 to 1. Default 1. */
  jitter?: number;
  /** Whether another attempt makes sense after this error. Default: always. */
  isRetriable?: (err: unknown) => boolean;
  /** Looked at before each attempt, and ends a wait. */
  signal?: AbortSignal;
}

/**
 * Calls `fn` until it succeeds, with growing waits between attempts.
 *
 * @param fn What to call.
 * @param options See {@linkcode RetryOptions}.
 * @returns What `fn` returned.
 * @throws {RangeError} An option is out of range.
 * @throws {RetryError} The last attempt failed.
 * @throws The error itself when `isRetriable` says no, the signal's reason when it aborted.
 */
export async function retry<T>(
  fn: (() => Promise<T>) | (() => T),
  options: RetryOptions = {},
): Promise<T> {
  const {
    multiplier = 2,
    maxTimeout = 60_000,
    maxAttempts = 5,
    minTimeout = 1_000,
    jitter = 1,
    isRetriable = () => true,
    signal,
  } = options;
  check("maxAttempts", maxAttempts, Number.isInteger(maxAttempts) && maxAttempts >= 1);
  check("multiplier", multiplier, Number.isFinite(multiplier) && multiplier >= 1);
  check("maxTimeout", maxTimeout, maxTimeout > 0);
  check("minTimeout", minTimeout, minTimeout >= 0 && minTimeout <= maxTimeout);
  check("jitter", jitter, jitter >= 0 && jitter <= 1);

  for (let attempt = 1, wait = minTimeout;; attempt++, wait *= multiplier) {
    signal?.throwIfAborted();
    try {
      return await fn();
    } catch (error) {
      if (!isRetriable(error)) throw error;
      if (attempt === maxAttempts) throw new RetryError(error, attempt);
    }
    const longest = Math.min(wait, maxTimeout);
    await delay(longest - longest * jitter * Math.random(), signal ? { signal } : {});
  }
}

function check(option: string, value: number, valid: boolean): void {
  if (!valid) throw new RangeError(`Cannot retry as '${option}' is out of range: ${value}`);
}
