/**
 * Attempts of a delivery and how they are guarded: breaker( retry( timeout( attempt ))), and how long
 * to wait after they failed.
 *
 * @module
 */

import { CircuitBreaker, CircuitBreakerOpenError, type CircuitState } from "./breaker.ts";
import { DeadLettersFullError } from "./dead_letters.ts";
import type { DeliverySettings } from "./delivery_options.ts";
import { classify, withRetry } from "./retry.ts";

/** How calls are ended from outside. */
export interface Ending {
  /** Ends waits between attempts, but no attempt. */
  readonly stop: AbortSignal;
  /** Ends an attempt. */
  readonly kill: AbortSignal;
}

/** How to call. */
export interface RunOptions<T> {
  /** Attempts at most. Default: what the settings say. */
  readonly times?: number | undefined;
  /** A failure that comes with a result, for the breaker to count. There is no other attempt then. */
  readonly failureOf?: (result: T) => unknown;
}

/** How long an attempt that was ended may take to say what it has done, in ms. */
export const LAST_WORDS_MS = 1_000;

/**
 * Calls something that may fail.
 *
 * @example Two failures that the retry mends
 * ```ts
 * import assert from "node:assert/strict";
 * import { checkOptions } from "./delivery_options.ts";
 *
 * const attempts = new Attempts(checkOptions({ retryDelayMs: 0 }));
 * const { signal } = new AbortController();
 * let calls = 0;
 * const answer = await attempts.run(() => {
 *   calls++;
 *   const refused = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
 *   return calls < 3 ? Promise.reject(refused) : Promise.resolve("done");
 * }, { stop: signal, kill: signal });
 * assert.deepEqual([answer, calls, attempts.breaker], ["done", 3, "CLOSED"]);
 * ```
 */
export class Attempts {
  readonly #settings: DeliverySettings;
  readonly #breaker: CircuitBreaker;
  #breakerSinceMs: number;

  /** @param settings The delivery's. */
  constructor(settings: DeliverySettings) {
    const { failureThreshold, cooldownMs, time, onEvent } = settings;
    this.#settings = settings;
    this.#breakerSinceMs = time.now();
    this.#breaker = new CircuitBreaker({
      failureThreshold,
      cooldownMs,
      clock: () => time.clock(),
      // Who says when to come back is up, and a full disk is ours.
      isFailure: (error) =>
        namedWait(error) === undefined && !(error instanceof DeadLettersFullError),
      onStateChange: (state, previous) => {
        // Half open is a part of the time in which it is not closed.
        if (state === "CLOSED" || previous === "CLOSED") this.#breakerSinceMs = time.now();
        onEvent({ kind: "breaker", state, previous });
      },
    });
  }

  /** State of the breaker. */
  get breaker(): CircuitState {
    return this.#breaker.state;
  }

  /** Since when the breaker is closed, or is not, in ms since 1970. */
  get breakerSinceMs(): number {
    return this.#breakerSinceMs;
  }

  /**
   * Calls `attempt`, a few times if need be.
   *
   * @param attempt Its signal aborts when its time is up, or by `kill`. Then it has a second to answer;
   * after that it is left alone, and what it answers is not known.
   * @param ending See {@linkcode Ending}.
   * @param options See {@linkcode RunOptions}.
   * @returns What the last attempt returned.
   * @throws {CircuitBreakerOpenError} It was not called.
   * @throws What the last attempt threw.
   */
  async run<T>(
    attempt: (signal: AbortSignal) => Promise<T>,
    ending: Ending,
    options: RunOptions<T> = {},
  ): Promise<T> {
    const { maxAttempts, retryDelayMs } = this.#settings;
    const { times = maxAttempts, failureOf = () => undefined } = options;
    let result: { readonly value: T } | undefined;
    try {
      await this.#breaker.call(async () => {
        const value = await withRetry(() => this.#timed(attempt, ending.kill), {
          // A probe is one.
          maxAttempts: this.#breaker.state === "CLOSED" ? times : 1,
          initialDelayMs: retryDelayMs,
          signal: ending.stop,
        });
        result = { value };
        const failure = failureOf(value);
        if (failure !== undefined) throw failure;
      });
    } catch (error) {
      if (result === undefined) throw error;
    }
    return result!.value;
  }

  async #timed<T>(attempt: (signal: AbortSignal) => Promise<T>, kill: AbortSignal): Promise<T> {
    const { attemptTimeoutMs, time } = this.#settings;
    kill.throwIfAborted();
    const done = new AbortController();
    const late = new AbortController();
    const ended = AbortSignal.any([kill, late.signal]);
    const guard = async () => {
      await Promise.race([time.wait(attemptTimeoutMs, done.signal), aborted(kill, done.signal)]);
      const message = `no answer within ${attemptTimeoutMs} ms`;
      late.abort(new DOMException(message, "TimeoutError"));
      await time.wait(LAST_WORDS_MS, done.signal);
      throw ended.reason;
    };
    try {
      return await Promise.race([attempt(ended), guard()]);
    } finally {
      done.abort();
    }
  }

  /** How long to wait after a failure, in ms. */
  waitAfter(error: unknown): number {
    const { pauseMs, cooldownMs, maxRetryAfterMs, retryDelayMs } = this.#settings;
    if (error instanceof CircuitBreakerOpenError) return Math.max(1, error.remainingMs);
    const named = namedWait(error);
    if (named !== undefined) return Math.max(pauseMs, Math.min(named, maxRetryAfterMs));
    if (this.#breaker.state === "OPEN") return cooldownMs;
    return Math.min(pauseMs, retryDelayMs * 2 ** this.#breaker.failureCount);
  }
}

/** What the other side asked for. */
function namedWait(error: unknown): number | undefined {
  const failure = classify(error);
  return failure.kind === "transient" ? failure.retryAfterMs : undefined;
}

/** Resolves when `signal` aborts, or rejects when `unless` does. */
function aborted(signal: AbortSignal, unless: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true, signal: unless });
  unless.addEventListener("abort", () => reject(unless.reason), { once: true });
  return promise;
}
