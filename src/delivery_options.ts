/**
 * The options of a delivery, what it tells, and the time it lives in.
 *
 * @module
 */

import { inspect } from "node:util";
import { delay } from "@std/async/delay";
import { z } from "zod";
import type { CircuitState } from "./breaker.ts";
import type { Counts } from "./sink.ts";

/** Options of {@linkcode Delivery}. */
export interface DeliveryOptions {
  /** Bytes of the journal given to the sink at a time, if a record is not larger. Default 4 MiB. */
  readonly maxBatchBytes?: number;
  /** Records given to the sink at a time. Default 1 000. */
  readonly maxBatchRecords?: number;
  /**
   * How long a record that arrives while there was nothing to deliver waits for others, in ms. While
   * a batch is being delivered the next one gathers by itself. Default 0.
   */
  readonly maxBatchAgeMs?: number;
  /** How long one call of the sink may take, in ms. Default 60 000. */
  readonly attemptTimeoutMs?: number;
  /**
   * Calls of the sink that fail before the breaker counts one failure. One for a sink that keeps the
   * position itself. Default 3.
   */
  readonly maxAttempts?: number;
  /** The first wait after a failure, in ms; it doubles from one to the next. Default 100. */
  readonly retryDelayMs?: number;
  /** The longest such wait, in ms. Default 1 000. */
  readonly pauseMs?: number;
  /** Failures in a row that open the breaker. Default 5. */
  readonly failureThreshold?: number;
  /** How long the breaker stays open, in ms. Default 60 000. */
  readonly cooldownMs?: number;
  /** The longest wait a destination may ask for, in ms. Default 300 000. */
  readonly maxRetryAfterMs?: number;
  /** How long `close` lets a call of the sink go on before it is given up, in ms. Default 5 000. */
  readonly closeGraceMs?: number;
  /** Told of what is worth a line in a log; who logs limits the rate. Default: nobody is. */
  readonly onEvent?: (event: DeliveryEvent) => void;
  /** Clocks and waits, for tests. Default: those of the runtime. */
  readonly time?: DeliveryTime;
}

/** Something worth a line in a log. */
export type DeliveryEvent =
  /** A round of attempts failed, or a write to disk. It will be tried again after `waitMs`. */
  | { readonly kind: "failed"; readonly message: string; readonly waitMs: number }
  /** The breaker changed. */
  | { readonly kind: "breaker"; readonly state: CircuitState; readonly previous: CircuitState }
  /** The destination will never take these; they are among the dead letters. */
  | {
    readonly kind: "dead";
    readonly letters: number;
    readonly counts: Counts;
    /** Of the first one. */
    readonly reason: string;
  }
  /** There is no room for dead letters; nothing is delivered until some are dropped. */
  | { readonly kind: "full"; readonly message: string }
  /** It was told to skip records. */
  | { readonly kind: "skipped"; readonly counts: Counts }
  /** Bytes of the journal were gone before they were delivered. */
  | { readonly kind: "gap"; readonly from: bigint; readonly to: bigint }
  /** The destination has less than it had: records are delivered to it again. */
  | { readonly kind: "rewound"; readonly from: bigint; readonly to: bigint }
  /** The destination had some of the journal and has nothing of it now: it gets all that is kept. */
  | { readonly kind: "unknown"; readonly from: bigint }
  /** The destination is ahead of the journal, which was restored from an older copy. */
  | { readonly kind: "ahead"; readonly position: bigint; readonly head: bigint };

/** The time a delivery lives in. */
export interface DeliveryTime {
  /** Milliseconds since 1970. */
  now(): number;
  /** Milliseconds on a clock that never goes back. */
  clock(): number;
  /** Waits; rejects with the signal's reason when it aborts first. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

const REAL_TIME: DeliveryTime = {
  now: () => Date.now(),
  clock: () => performance.now(),
  wait: (ms, signal) => delay(ms, { signal }),
};

/** The longest wait a timer can do. */
const MAX_TIMER_MS = 2 ** 31 - 1;

const wholeFrom = (least: number, otherwise: number) => z.int().min(least).default(otherwise);
const wait = (otherwise: number) => z.number().min(0).max(MAX_TIMER_MS).default(otherwise);

const OPTIONS = z.strictObject({
  maxBatchBytes: wholeFrom(1, 4 * 1024 * 1024),
  maxBatchRecords: wholeFrom(1, 1_000),
  maxBatchAgeMs: wait(0),
  attemptTimeoutMs: z.number().positive().max(MAX_TIMER_MS).default(60_000),
  maxAttempts: wholeFrom(1, 3),
  retryDelayMs: wait(100),
  pauseMs: wait(1_000),
  failureThreshold: wholeFrom(1, 5),
  cooldownMs: wait(60_000),
  maxRetryAfterMs: wait(300_000),
  closeGraceMs: wait(5_000),
  onEvent: z.custom<(event: DeliveryEvent) => void>(
    (value) => typeof value === "function",
    "expected a function",
  ).default(() => () => {}),
  time: z.custom<DeliveryTime>(
    (value) => typeof (value as DeliveryTime | null)?.wait === "function",
    "expected clocks and waits",
  ).default(REAL_TIME),
});

/** The options with their defaults. */
export type DeliverySettings = Required<DeliveryOptions>;

/**
 * Checks options and fills in the defaults.
 *
 * @param options See {@linkcode DeliveryOptions}.
 * @throws {RangeError} An option is unknown or out of range; the message names it and its value.
 *
 * @example A default
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.equal(checkOptions({}).cooldownMs, 60_000);
 * assert.throws(() => checkOptions({ maxAttempts: 0 }), /maxAttempts/);
 * ```
 */
export function checkOptions(options: DeliveryOptions): DeliverySettings {
  const parsed = OPTIONS.safeParse(options, { reportInput: true });
  if (parsed.success) return parsed.data;
  const { path: [option = "options"], message, input } = parsed.error.issues[0]!;
  throw new RangeError(`Cannot deliver with '${String(option)}': ${inspect(input)} (${message})`, {
    cause: parsed.error,
  });
}
