/**
 * A circuit breaker: after several failures in a row it stops asking for a while, so that what is
 * down is left alone and whoever waits for it is told at once.
 *
 * ```text
 *            failureThreshold failures in a row
 *   CLOSED ------------------------------------> OPEN <---------.
 *     ^                                           |             |
 *     |                                           | cooldownMs  | the probe fails
 *     |              the probe succeeds           v             |
 *     `------------------------------------- HALF_OPEN ---------'
 * ```
 *
 * CLOSED lets every call through. OPEN refuses every call. HALF_OPEN lets one call through, the
 * probe, and refuses the others until it has ended. The clock is read when the breaker is used;
 * there are no timers. A call counts only if the state it began in still stands when it ends.
 *
 * @module
 */

import { inspect } from "node:util";
import { z } from "zod";

/** What a breaker does with calls: let them through, refuse them, or let one through at a time. */
export type CircuitState = "CLOSED" | "OPEN" | "HALF_OPEN";

/** Options of {@linkcode CircuitBreaker}. */
export interface CircuitBreakerOptions {
  /** Failures in a row that open the circuit, a whole number from 1. Default 5. */
  readonly failureThreshold?: number;
  /** How long it stays open before a call may probe, in ms from 0. Default 60 000. */
  readonly cooldownMs?: number;
  /**
   * Whether an error says that the other side is down. An error for which it returns false, such as
   * one about the data that was sent, counts neither as failure nor as success. Must not throw.
   * Default: every error is a failure.
   */
  readonly isFailure?: (error: unknown) => boolean;
  /** A monotonic clock in ms. Default `performance.now`. */
  readonly clock?: () => number;
  /**
   * Told of each change, after it. What it throws, now or as a promise, is written to the console
   * and changes nothing.
   */
  readonly onStateChange?: (state: CircuitState, previous: CircuitState) => void;
}

/**
 * A call was refused because the circuit is not closed; `cause` is the failure that opened it.
 *
 * @example Telling a client when to come back
 * ```ts
 * import { CircuitBreaker, CircuitBreakerOpenError } from "@oneiric/otel-storage/breaker";
 * import assert from "node:assert/strict";
 *
 * const breaker = new CircuitBreaker({ failureThreshold: 1, cooldownMs: 60_000, clock: () => 0 });
 * await assert.rejects(breaker.call(() => Promise.reject(new Error("down"))), /down/);
 *
 * const error = await breaker.call(() => "not reached").catch((error: unknown) => error);
 * assert(error instanceof CircuitBreakerOpenError);
 * assert.equal(error.remainingMs, 60_000);
 * ```
 */
export class CircuitBreakerOpenError extends Error {
  /**
   * In how many ms a call may be let through, never more than `cooldownMs`. 0 while a probe is under
   * way: its end is not known, so wait a little. `cooldownMs` while isolated, for the same reason.
   */
  readonly remainingMs: number;

  /** Made by {@linkcode CircuitBreaker.call}. */
  constructor(message: string, remainingMs: number, options?: ErrorOptions) {
    super(message, options);
    this.name = "CircuitBreakerOpenError";
    this.remainingMs = remainingMs;
  }
}

/** `failures` were seen since the last success. */
interface Closed {
  readonly kind: "CLOSED";
  failures: number;
}

/** Since a time of the clock, because of an error. */
interface Open {
  readonly kind: "OPEN";
  readonly failures: number;
  readonly cause: unknown;
  since: number;
}

/** `probing` while the one call that is let through is under way. */
interface HalfOpen {
  readonly kind: "HALF_OPEN";
  readonly failures: number;
  readonly cause: unknown;
  probing: boolean;
}

/** Held open by `handles`; then it is again as it was `before`. */
interface Isolated {
  readonly kind: "ISOLATED";
  readonly failures: number;
  readonly before: Closed | Open | HalfOpen;
  handles: number;
}

/** The state a call begins in. It is compared by identity when the call ends. */
type Admitting = Closed | HalfOpen;

type State = Admitting | Open | Isolated;

const OPTIONS = z.strictObject({
  failureThreshold: z.int().min(1).default(5),
  cooldownMs: z.number().min(0).default(60_000),
  isFailure: z.custom<(error: unknown) => boolean>(isFunction, "expected a function")
    .default(() => () => true),
  clock: z.custom<() => number>(isFunction, "expected a function")
    .default(() => () => performance.now()),
  onStateChange: z.custom<(state: CircuitState, previous: CircuitState) => void>(
    isFunction,
    "expected a function",
  ).default(() => () => {}),
});

/**
 * Guards calls to one thing that can be down. See the module for the states.
 *
 * A call that ends with an `AbortError` was given up by its caller and says nothing about the other
 * side: it counts neither as failure nor as success. A timeout (`TimeoutError`) is a failure. What
 * is called has to end at some time, so give it a timeout: a probe that hangs keeps the circuit
 * half-open.
 *
 * @example Failing fast while a service is down
 * ```ts
 * import { CircuitBreaker, CircuitBreakerOpenError } from "@oneiric/otel-storage/breaker";
 * import assert from "node:assert/strict";
 *
 * let now = 0;
 * let healthy = false;
 * const ask = (question: string) => {
 *   if (!healthy) throw new Error("connection refused");
 *   return `${question} 42`;
 * };
 *
 * const breaker = new CircuitBreaker({ failureThreshold: 2, cooldownMs: 1_000, clock: () => now });
 * await assert.rejects(breaker.call(ask, "why?"), /connection refused/);
 * await assert.rejects(breaker.call(ask, "why?"), /connection refused/);
 * assert.equal(breaker.state, "OPEN");
 * await assert.rejects(breaker.call(ask, "why?"), CircuitBreakerOpenError);
 *
 * now += 1_000;
 * healthy = true;
 * assert.equal(await breaker.call(ask, "why?"), "why? 42");
 * assert.equal(breaker.state, "CLOSED");
 * ```
 */
export class CircuitBreaker {
  readonly #options: z.output<typeof OPTIONS>;
  #state: State = { kind: "CLOSED", failures: 0 };

  /**
   * A closed circuit.
   *
   * @param options See {@linkcode CircuitBreakerOptions}.
   * @throws {RangeError} An option is unknown or out of range; the message names it and its value.
   */
  constructor(options: CircuitBreakerOptions = {}) {
    const parsed = OPTIONS.safeParse(options, { reportInput: true });
    if (!parsed.success) {
      const { path: [option = "options"], message, input } = parsed.error.issues[0]!;
      throw new RangeError(
        `Cannot create CircuitBreaker with '${String(option)}': ${inspect(input)} (${message})`,
        { cause: parsed.error },
      );
    }
    this.#options = parsed.data;
  }

  /** The state now: reading it after the cooldown gives HALF_OPEN. Isolated reads as OPEN. */
  get state(): CircuitState {
    return publicState(this.#current());
  }

  /** Failures since the last success. */
  get failureCount(): number {
    return this.#state.failures;
  }

  /**
   * Calls `fn(...args)` if the circuit lets it through.
   *
   * @param fn What to call.
   * @param args What to call it with.
   * @returns What `fn` returned.
   * @throws {CircuitBreakerOpenError} The call was refused; `fn` was not called.
   * @throws What `fn` threw.
   */
  async call<A extends readonly unknown[], T>(
    fn: (...args: A) => T | PromiseLike<T>,
    ...args: A
  ): Promise<T> {
    const begun = this.#admit();
    let result: T;
    try {
      result = await fn(...args);
    } catch (error) {
      this.#failed(begun, error);
      throw error;
    }
    this.#succeeded(begun);
    return result;
  }

  /**
   * Holds the circuit open, for maintenance of what it guards, until the handle is disposed (the
   * last one, if there are several). Then it is again as it was, its cooldown having gone on; calls
   * begun before count no more.
   *
   * @returns The handle. Disposing it twice is disposing it once.
   *
   * @example Maintenance
   * ```ts
   * import { CircuitBreaker } from "@oneiric/otel-storage/breaker";
   * import assert from "node:assert/strict";
   *
   * const breaker = new CircuitBreaker();
   * {
   *   using _maintenance = breaker.isolate();
   *   assert.equal(breaker.state, "OPEN");
   * }
   * assert.equal(breaker.state, "CLOSED");
   * ```
   */
  isolate(): Disposable {
    const held = this.#hold();
    held.handles++;
    let disposed = false;
    return {
      [Symbol.dispose]: () => {
        if (disposed) return;
        disposed = true;
        held.handles--;
        if (held.handles === 0) this.#move(anew(held.before));
      },
    };
  }

  #hold(): Isolated {
    const before = this.#current();
    if (before.kind === "ISOLATED") return before;
    const held: Isolated = { kind: "ISOLATED", failures: before.failures, before, handles: 0 };
    this.#move(held);
    return held;
  }

  /** The state, after the clock has had its say. */
  #current(): State {
    const state = this.#state;
    if (state.kind === "OPEN" && this.#remainingMs(state) === 0) {
      const { failures, cause } = state;
      this.#move({ kind: "HALF_OPEN", failures, cause, probing: false });
    }
    return this.#state;
  }

  #remainingMs(open: Open): number {
    const now = this.#options.clock();
    // A clock that went back would prolong the cooldown by its jump: begin the cooldown again.
    open.since = Math.min(open.since, now);
    const remaining = open.since + this.#options.cooldownMs - now;
    // NaN, from a broken clock, must not keep the circuit open for good.
    return remaining > 0 ? remaining : 0;
  }

  #admit(): Admitting {
    const state = this.#current();
    if (state.kind === "CLOSED") return state;
    if (state.kind === "HALF_OPEN" && !state.probing) {
      state.probing = true;
      return state;
    }
    throw this.#refusal(state);
  }

  #refusal(state: Open | HalfOpen | Isolated): CircuitBreakerOpenError {
    switch (state.kind) {
      case "OPEN": {
        const remainingMs = this.#remainingMs(state);
        return new CircuitBreakerOpenError(
          `Cannot call: the circuit is open, try again in ${Math.ceil(remainingMs)} ms`,
          remainingMs,
          { cause: state.cause },
        );
      }
      case "HALF_OPEN":
        return new CircuitBreakerOpenError(
          "Cannot call: the circuit is half-open and its probe under way, try again when it has ended",
          0,
          { cause: state.cause },
        );
      case "ISOLATED":
        return new CircuitBreakerOpenError(
          `Cannot call: the circuit is isolated (handles: ${state.handles}), dispose them first`,
          this.#options.cooldownMs,
        );
    }
  }

  #succeeded(begun: Admitting): void {
    if (begun !== this.#state) return;
    if (begun.kind === "HALF_OPEN") this.#move({ kind: "CLOSED", failures: 0 });
    else begun.failures = 0;
  }

  #failed(begun: Admitting, error: unknown): void {
    if (begun !== this.#state) return;
    // Whatever the error says, the probe has ended.
    if (begun.kind === "HALF_OPEN") begun.probing = false;
    if (isAbort(error) || !this.#options.isFailure(error)) return;
    const failures = begun.failures + 1;
    if (begun.kind === "HALF_OPEN" || failures >= this.#options.failureThreshold) {
      this.#move({ kind: "OPEN", failures, cause: error, since: this.#options.clock() });
    } else {
      begun.failures = failures;
    }
  }

  #move(to: State): void {
    const previous = publicState(this.#state);
    this.#state = to;
    const state = publicState(to);
    if (state !== previous) this.#tell(state, previous);
  }

  /** A promise catches what the observer throws, and what it rejects with when it is async. */
  #tell(state: CircuitState, previous: CircuitState): void {
    new Promise<void>((done) => done(this.#options.onStateChange(state, previous)))
      .catch((error) => console.error("CircuitBreaker: onStateChange threw", error));
  }
}

function publicState(state: State): CircuitState {
  return state.kind === "ISOLATED" ? "OPEN" : state.kind;
}

/** The same state, but not the same object: calls begun in the old one count no more. */
function anew(state: Isolated["before"]): Isolated["before"] {
  return state.kind === "HALF_OPEN" ? { ...state, probing: false } : { ...state };
}

/** Given up by the caller. Node's `AbortError` names a timeout, when it was one, as its cause. */
function isAbort(error: unknown): boolean {
  return nameOf(error) === "AbortError" && nameOf((error as Error).cause) !== "TimeoutError";
}

function nameOf(error: unknown): unknown {
  return (error as { readonly name?: unknown } | null | undefined)?.name;
}

function isFunction(value: unknown): boolean {
  return typeof value === "function";
}
