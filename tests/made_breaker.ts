/**
 * Breakers in the state that a test begins with, and calls that it ends when it likes.
 *
 * @module
 */

import assert from "node:assert/strict";
import {
  CircuitBreaker,
  CircuitBreakerOpenError,
  type CircuitBreakerOptions,
} from "@oneiric/otel-storage/breaker";

/** A call that fails. */
export const down = (): never => {
  throw new Error("down");
};

/** A breaker, and what its clock says. */
export interface Made {
  readonly breaker: CircuitBreaker;
  readonly time: { now: number };
}

/** A breaker with a clock that is moved by hand. */
export function breakerAt(now: number, options: CircuitBreakerOptions = {}): Made {
  const time = { now };
  return { breaker: new CircuitBreaker({ clock: () => time.now, ...options }), time };
}

/** Lets calls fail. */
export async function fail(breaker: CircuitBreaker, times: number): Promise<void> {
  for (let i = 0; i < times; i++) await assert.rejects(breaker.call(down), { message: "down" });
}

/** A breaker that has just opened. */
export async function opened(): Promise<Made> {
  const made = breakerAt(0);
  await fail(made.breaker, 5);
  assert.equal(made.breaker.state, "OPEN");
  return made;
}

/** A breaker whose cooldown has just passed. */
export async function half(options: CircuitBreakerOptions = {}): Promise<Made> {
  const made = breakerAt(0, options);
  await fail(made.breaker, 5);
  made.time.now += 60_000;
  return made;
}

/** A call that ends when it is told to. */
export function begin(
  breaker: CircuitBreaker,
): { call: Promise<string>; succeed: () => void; fail: (error?: unknown) => void } {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  return {
    call: breaker.call(() => promise),
    succeed: () => resolve("late"),
    fail: (error = new Error("late")) => reject(error),
  };
}

/** The error of a refused call. */
export async function refused(breaker: CircuitBreaker): Promise<CircuitBreakerOpenError> {
  let called = false;
  const error = await breaker.call(() => called = true).catch((error: unknown) => error);
  assert(error instanceof CircuitBreakerOpenError, String(error));
  assert.equal(called, false);
  return error;
}
