/**
 * Errors that look like those of clients, and what they are taken for.
 *
 * @module
 */

import assert from "node:assert/strict";
import { inspect } from "node:util";
import { classify, type Failure } from "@oneiric/otel-storage/retry";

/** An error with more properties. */
export function errorWith(properties: Record<string, unknown>, cause?: unknown): Error {
  const { message = "failed", ...rest } = properties;
  const options = cause === undefined ? {} : { cause };
  return Object.assign(new Error(String(message), options), rest);
}

/** Nobody listens. */
export const refused = (): Error => errorWith({ code: "ECONNREFUSED" });

/** To be tried no more. */
export const PERMANENT: Failure = { kind: "permanent" };
/** To be tried again. */
export const TRANSIENT: Failure = { kind: "transient" };
/** Our own end. */
export const SHUTDOWN: Failure = { kind: "shutdown" };

/** Checks that each of these is taken for that. */
export function classifies(failure: Failure, errors: readonly unknown[]): void {
  for (const error of errors) {
    assert.deepEqual(classify(error), failure, inspect(error));
  }
}
