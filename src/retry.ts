/**
 * Trying again: what kind of failure an error is, and calls repeated while it is one that passes.
 *
 * @module
 */

import { inspect } from "node:util";
import { delay } from "@std/async/delay";
import { retry, RetryError } from "@std/async/retry";
import { z } from "zod";

/**
 * What a failure means for what was to be done.
 *
 * - `permanent`: the same again fails the same way.
 * - `transient`: it may work later, after `retryAfterMs` if the other side named a time.
 * - `shutdown`: it was given up on our side; what was to be done is still to be done.
 */
export type Failure =
  | { readonly kind: "permanent" }
  | { readonly kind: "transient"; readonly retryAfterMs?: number }
  | { readonly kind: "shutdown" };

/** Options of {@linkcode withRetry}. */
export interface WithRetryOptions {
  /** Attempts in all, a whole number from 1. Default 3. */
  readonly maxAttempts?: number;
  /** The first wait, in ms from 0. Default 100. */
  readonly initialDelayMs?: number;
  /** Growth of the wait from one attempt to the next, at least 1. Default 2. */
  readonly multiplier?: number;
  /** The longest wait, the first included, in ms above 0, at most 2^31 - 1. Default 1 000. */
  readonly maxDelayMs?: number;
  /** Share of each wait that is random: 0 waits exactly, 1 anything from 0 on. Default 1. */
  readonly jitter?: number;
  /** Looked at before each attempt, and ends a wait at once. */
  readonly signal?: AbortSignal;
}

/** The longest wait a timer can do. */
const MAX_TIMER_MS = 2 ** 31 - 1;

const OPTIONS = z.strictObject({
  maxAttempts: z.int().min(1).default(3),
  initialDelayMs: z.number().min(0).default(100),
  multiplier: z.number().min(1).default(2),
  maxDelayMs: z.number().positive().max(MAX_TIMER_MS).default(1_000),
  jitter: z.number().min(0).max(1).default(1),
  signal: z.instanceof(AbortSignal).optional(),
});

/**
 * Calls `fn` until it succeeds, as long as {@linkcode classify} calls its failures transient.
 *
 * The waits are 100, 200, 400, 800, 1 000, 1 000 … ms, each shortened at random (full jitter). When
 * the other side names a time to come back, the wait is at least that; when that time is later than
 * `maxDelayMs`, its error is thrown at once, because coming back sooner is of no use.
 *
 * A connection can break after the other side has done its work, so `fn` may be done twice: give it
 * something that may be.
 *
 * @param fn What to call.
 * @param options See {@linkcode WithRetryOptions}.
 * @returns What `fn` returned.
 * @throws {RangeError} An option is unknown or out of range; the message names it and its value.
 * @throws What `fn` threw last, itself and not wrapped; the signal's reason when it aborted.
 *
 * @example A connection refused twice
 * ```ts
 * import { withRetry } from "@oneiric/otel-storage/retry";
 * import assert from "node:assert/strict";
 *
 * let attempts = 0;
 * const connect = () => {
 *   attempts++;
 *   if (attempts < 3) throw Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
 *   return "connected";
 * };
 *
 * assert.equal(await withRetry(connect, { initialDelayMs: 1 }), "connected");
 * assert.equal(attempts, 3);
 * ```
 */
export async function withRetry<T>(
  fn: () => T | PromiseLike<T>,
  options: WithRetryOptions = {},
): Promise<T> {
  const { maxAttempts, initialDelayMs, multiplier, maxDelayMs, jitter, signal } = validated(
    options,
  );
  const abort = signal ? { signal } : {};
  let failed: unknown;
  let notBefore = 0;
  try {
    return await retry(async () => {
      const early = notBefore - performance.now();
      if (early > 0) await delay(Math.ceil(early), abort);
      return await fn();
    }, {
      maxAttempts,
      minTimeout: Math.min(initialDelayMs, maxDelayMs),
      multiplier,
      maxTimeout: maxDelayMs,
      jitter,
      isRetriable: (error) => {
        failed = error;
        const failure = classify(error);
        if (failure.kind !== "transient") return false;
        const { retryAfterMs = 0 } = failure;
        notBefore = performance.now() + retryAfterMs;
        return retryAfterMs <= maxDelayMs;
      },
      ...abort,
    });
  } catch (error) {
    throw error instanceof RetryError && error.cause === failed ? failed : error;
  }
}

function validated(options: WithRetryOptions): z.output<typeof OPTIONS> {
  const parsed = OPTIONS.safeParse(options, { reportInput: true });
  if (parsed.success) return parsed.data;
  const { path: [option = "options"], message, input } = parsed.error.issues[0]!;
  throw new RangeError(`Cannot retry with '${String(option)}': ${inspect(input)} (${message})`, {
    cause: parsed.error,
  });
}

/**
 * SQLSTATEs: 08 connection, 25P03 and 25P04 a transaction that idled or lasted too long and was ended
 * with its connection, 40001 serialization failure, 40P01 deadlock, 53 insufficient resources, 55P03
 * lock not available, 57P0 shutdown and crash.
 * Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
 *
 * Not 57014, query canceled: the server lives and has ended this one statement, by its own time
 * limit or at someone's request, and would again. If the cancel was ours, the driver's error has the
 * signal's reason as its cause, and that decides: a timeout is transient, an abort a shutdown.
 */
const TRANSIENT_SQLSTATE = /^(?:08...|25P0[34]|40001|40P01|53...|55P03|57P0.)$/;

/** From the operating system and name resolution, and from `npm:postgres`. */
const TRANSIENT_CODES: ReadonlySet<unknown> = new Set([
  ..."ECONNREFUSED ECONNRESET EPIPE ETIMEDOUT".split(" "),
  ..."ECONNABORTED EHOSTDOWN EHOSTUNREACH ENETDOWN ENETUNREACH EAI_AGAIN ENOTFOUND".split(" "),
  ..."CONNECTION_CLOSED CONNECT_TIMEOUT".split(" "),
]);

/**
 * `Deno.errors`, `@db/postgres` and what is built on this, by name so that they need not exist; any
 * `DOMException` timeout.
 */
const TRANSIENT_NAMES: ReadonlySet<unknown> = new Set([
  ..."ConnectionRefused ConnectionReset ConnectionAborted NotConnected BrokenPipe".split(" "),
  ..."NetworkUnreachable TimedOut UnexpectedEof".split(" "),
  ..."ConnectionError TimeoutError CircuitBreakerOpenError UnavailableError".split(" "),
]);

/** Request timeout, too many requests, bad gateway, unavailable, gateway timeout. */
const TRANSIENT_STATUS: ReadonlySet<unknown> = new Set([408, 429, 502, 503, 504]);

/** node-postgres and its pool put no code on these. */
const TRANSIENT_PG_MESSAGES: ReadonlySet<unknown> = new Set([
  "Client has encountered a connection error and is not queryable",
  "Connection terminated due to connection timeout",
  "Connection terminated unexpectedly",
  "Query read timeout",
  "timeout exceeded when trying to connect",
  "timeout expired",
]);

/** The `TypeError`s of `fetch` that are about the network: Deno and Node, older Deno, browsers. */
const FETCH_MESSAGE =
  /^(?:fetch failed$|terminated$|error sending request|error reading a body from connection|Failed to fetch|Load failed|NetworkError)/;

/** What clients say once they were closed on our side. */
const CLOSED_BY_US: ReadonlySet<unknown> = new Set([
  "CONNECTION_DESTROYED",
  "CONNECTION_ENDED",
  "Cannot use a pool after calling end on the pool",
  "Client was closed and is not queryable",
  "Connection terminated",
]);

/** How many errors of one chain are looked at. */
const MAX_LINKS = 64;

/** What an error may carry. Nothing is taken for granted: anything can be thrown. */
interface Link {
  readonly name?: unknown;
  readonly message?: unknown;
  readonly code?: unknown;
  readonly status?: unknown;
  readonly fields?: { readonly code?: unknown } | null;
  readonly retryAfterMs?: unknown;
  readonly remainingMs?: unknown;
  readonly cause?: unknown;
  readonly errors?: unknown;
}

/**
 * Says what an error means, from it and from what it was made of (`cause`, and `errors` of an
 * `AggregateError`): transient if any of them is transient, else a shutdown if any of them is one,
 * else permanent.
 *
 * Transient are connections that fail or break, timeouts and passing troubles of the other side:
 *
 * | by | values |
 * | --- | --- |
 * | `code`, SQLSTATE | `08*`, `25P03`, `25P04`, `40001`, `40P01`, `53*`, `55P03`, `57P0*`; not `57014` (query canceled) unless a timeout of ours is its cause |
 * | `code`, system | `ECONNREFUSED`, `ECONNRESET`, `EPIPE`, `ETIMEDOUT`; `ECONNABORTED`, host or network down or unreachable, name not resolved |
 * | `status`, HTTP | 408, 429, 502, 503, 504 |
 * | `name` | `TimeoutError`; the connection errors of `Deno.errors`; `CircuitBreakerOpenError`, `UnavailableError` |
 * | `message` | network errors of `fetch`; connection errors of node-postgres |
 *
 * `retryAfterMs` is the `retryAfterMs` of the error, or the `remainingMs` of a
 * `CircuitBreakerOpenError`. A shutdown is an `AbortError`, or a client used after it was closed.
 *
 * @param error Anything that was thrown.
 * @returns The kind of failure.
 *
 * @example Errors of several kinds
 * ```ts
 * import { classify } from "@oneiric/otel-storage/retry";
 * import assert from "node:assert/strict";
 *
 * const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
 * const busy = Object.assign(new Error("busy"), { status: 429, retryAfterMs: 2_000 });
 *
 * assert.deepEqual(classify(new Error("cannot store", { cause: refused })), { kind: "transient" });
 * assert.deepEqual(classify(busy), { kind: "transient", retryAfterMs: 2_000 });
 * assert.deepEqual(classify(new Error("invalid byte sequence")), { kind: "permanent" });
 * assert.deepEqual(classify(AbortSignal.abort().reason), { kind: "shutdown" });
 * ```
 */
export function classify(error: unknown): Failure {
  const links = linksOf(error);
  if (links.some(isTransient)) {
    const retryAfterMs = links.map(waitOf).find((wait) => wait !== undefined);
    return retryAfterMs === undefined ? { kind: "transient" } : { kind: "transient", retryAfterMs };
  }
  return { kind: links.some(isShutdown) ? "shutdown" : "permanent" };
}

/** The error and what it was made of, outermost first. */
function linksOf(error: unknown): Link[] {
  const found = new Set<Link>();
  const add = (link: unknown) => {
    if (typeof link === "object" && link !== null && found.size < MAX_LINKS) found.add(link);
  };
  add(error);
  // A set being walked also walks what is added on the way, once each: chains may be circular.
  for (const { cause, errors } of found) {
    add(cause);
    if (Array.isArray(errors)) errors.slice(0, MAX_LINKS).forEach(add);
  }
  return [...found];
}

function isTransient({ name, message, code, status, fields }: Link): boolean {
  // @db/postgres keeps the fields of the server's message apart.
  const sqlState = fields?.code ?? code;
  return (typeof sqlState === "string" && TRANSIENT_SQLSTATE.test(sqlState)) ||
    TRANSIENT_CODES.has(code) ||
    TRANSIENT_NAMES.has(name) ||
    TRANSIENT_STATUS.has(status) ||
    TRANSIENT_PG_MESSAGES.has(message) ||
    (name === "TypeError" && typeof message === "string" && FETCH_MESSAGE.test(message));
}

function isShutdown({ name, message, code }: Link): boolean {
  return name === "AbortError" || CLOSED_BY_US.has(code) || CLOSED_BY_US.has(message);
}

function waitOf({ name, retryAfterMs, remainingMs }: Link): number | undefined {
  const wait = name === "CircuitBreakerOpenError" ? remainingMs : retryAfterMs;
  return typeof wait === "number" && Number.isFinite(wait) && wait >= 0 ? wait : undefined;
}
