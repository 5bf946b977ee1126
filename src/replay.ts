/**
 * Replay of stored history to an OTLP destination, to fill a vendor that was not there when it came in.
 *
 * One signal after the other, each in order of time, one request at a time. A destination that is away
 * or busy is tried again for as long as the caller wants; a request that it refuses is counted with its
 * reason and left out. Replay is at least once: who goes on after a failure sends records of one
 * nanosecond again, and of an answer that was lost nobody knows whether the request was taken.
 *
 * @module
 */

import { inspect } from "node:util";
import { delay } from "@std/async/delay";
import { z } from "zod";
import type { Answer, Destination } from "./forward_request.ts";
import { countHistory, type HistoryRange, type HistoryRequest, readHistory } from "./history.ts";
import type { Database } from "./postgres/database.ts";
import type { Signal } from "./record.ts";
import { classify, withRetry } from "./retry.ts";

/** Options of {@linkcode replay}. */
export interface ReplayOptions extends HistoryRange {
  /** Which signals, in this order. Default traces, logs, metrics. */
  readonly signals?: readonly Signal[];
  /** Bytes of a request at most, unless a single record has more. Default 1 MiB. */
  readonly maxBytes?: number;
  /** How long a request is tried before the replay fails, in ms. Default 600 000. */
  readonly giveUpAfterMs?: number;
  /** Told after each request. Default: nobody is. */
  readonly onProgress?: (progress: ReplayProgress) => void;
}

/** How far the replay of a signal is. What was read is `sent + rejected + refused`. */
export interface ReplayProgress {
  /** Which signal. */
  readonly signal: Signal;
  /** Records that the destination took. */
  readonly sent: number;
  /** Records that it left out of requests which it took. */
  readonly rejected: number;
  /** Records in requests that it refused. */
  readonly refused: number;
  /**
   * Why, with how many records for each reason: the first {@linkcode MAX_REASONS}, the rest under
   * `other reasons`.
   */
  readonly reasons: ReadonlyMap<string, number>;
  /** Requests that were answered. */
  readonly requests: number;
  /** Records in all, of a large history estimated; see {@linkcode countHistory}. */
  readonly total: number;
  /** Everything before this time was answered for; undefined before the first answer. */
  readonly lastUnixNano: bigint | undefined;
}

/** A replay ended before its end. Its cause says why, its properties where to go on. */
export class ReplayError extends Error {
  /** Always `ReplayError`. */
  override readonly name = "ReplayError";
  /** How far each signal that was begun is; of the last one something is left. */
  readonly progress: readonly ReplayProgress[];
  /** The signal to go on with. */
  readonly signal: Signal;
  /** The `since` to go on with: everything before it was sent. Undefined: from the oldest. */
  readonly since: bigint | undefined;
  /** Signals that were not begun. */
  readonly left: readonly Signal[];

  /** Made by {@linkcode replay}. */
  constructor(
    progress: readonly ReplayProgress[],
    since: bigint | undefined,
    left: readonly Signal[],
    cause: unknown,
  ) {
    const { signal } = progress.at(-1)!;
    const why = cause instanceof Error ? cause.message : String(cause);
    const done = since === undefined
      ? `None of the ${signal} were sent`
      : `All ${signal} before ${since} ns (${isoOf(since)}) were sent, go on with that as since`;
    const then = left.length === 0 ? "" : `; not begun: ${left.join(", ")}`;
    super(`Cannot replay ${signal}: ${why}. ${done}${then}`, { cause });
    this.progress = progress;
    this.signal = signal;
    this.since = since;
    this.left = left;
  }
}

/** The destination was away or busy for too long. */
export class ReplayTimeoutError extends Error {
  /** Always `ReplayTimeoutError`. */
  override readonly name = "ReplayTimeoutError";
}

/** Different reasons of refusals that are kept for each signal. */
export const MAX_REASONS = 20;

const SIGNALS: readonly Signal[] = ["traces", "logs", "metrics"];
/** The longest wait that a destination can ask for. */
const MAX_RETRY_AFTER_MS = 5 * 60_000;
/** The longest pause where it asks for nothing. */
const MAX_PAUSE_MS = 10_000;
const OTHER_REASONS = "other reasons";

const OPTIONS = z.object({
  signals: z.array(z.enum(SIGNALS)).min(1).default([...SIGNALS]),
  maxBytes: z.int().min(1).optional(),
  giveUpAfterMs: z.number().positive().max(2 ** 31 - 1).default(600_000),
});

/**
 * Sends what is stored to a destination.
 *
 * Failures that pass (see `classify`: no connection, no answer, 408, 429, 502, 503, 504) are tried again,
 * after `Retry-After` if there is one, up to 5 minutes of it. Others end the replay: a destination that
 * answers 401 or 404 waits for its user.
 *
 * @returns How each signal went.
 * @throws {ReplayError} It ended early: `giveUpAfterMs` passed for one request, the destination is not set
 * up, the database failed, or `abort` aborted, whose reason is then the cause.
 * @throws The database's error or the reason of `abort` while records are counted; nothing was sent.
 * @throws {FilterFieldError} The filter names a field that records of one of the signals do not have;
 * nothing was sent.
 * @throws {RangeError} An option is out of range; nothing was sent.
 *
 * @example To a vendor
 * ```ts ignore
 * const vendor = new Destination({ url: "https://otlp.example.org", headers: { authorization } });
 * const [traces] = await replay(database, vendor, { signals: ["traces"], since: 1_767_323_045_000_000_000n });
 * console.log(`${traces.sent} of ${traces.total} spans`);
 * ```
 */
export async function replay(
  database: Database,
  destination: Destination,
  options: ReplayOptions = {},
): Promise<readonly ReplayProgress[]> {
  const { signals, giveUpAfterMs } = validated(options);
  const { onProgress = () => {}, abort = new AbortController().signal } = options;
  // Before anything is sent: a filter that does not fit one of them fails here.
  const totals = new Map<Signal, number>();
  for (const signal of signals) {
    totals.set(signal, Number(await countHistory(database, signal, options)));
  }
  const done: ReplayProgress[] = [];
  for (const [index, signal] of signals.entries()) {
    const tally = new Tally(signal, totals.get(signal)!);
    try {
      for await (const request of readHistory(database, signal, options)) {
        tally.add(request, await send(destination, request, abort, giveUpAfterMs));
        onProgress(tally.progress);
      }
    } catch (error) {
      const { progress } = tally;
      const since = progress.lastUnixNano ?? options.since;
      throw new ReplayError([...done, progress], since, signals.slice(index + 1), error);
    }
    done.push(tally.progress);
  }
  return done;
}

/** Sends one request until it is answered. */
async function send(
  destination: Destination,
  { signal, body }: HistoryRequest,
  abort: AbortSignal,
  giveUpAfterMs: number,
): Promise<Answer> {
  let failure: unknown;
  const late = new AbortController();
  const timer = setTimeout(() => {
    late.abort(
      new ReplayTimeoutError(
        `one request was not taken within ${giveUpAfterMs} ms` +
          (failure instanceof Error ? `, at last because: ${failure.message}` : ""),
        { cause: failure },
      ),
    );
  }, giveUpAfterMs);
  const ended = AbortSignal.any([abort, late.signal]);
  const attempt = async () => {
    try {
      return await destination.post(signal, body, ended);
    } catch (error) {
      if (!ended.aborted) failure = error;
      throw error;
    }
  };
  try {
    while (true) {
      try {
        return await withRetry(attempt, {
          maxAttempts: Number.MAX_SAFE_INTEGER,
          maxDelayMs: MAX_PAUSE_MS,
          signal: ended,
        });
      } catch (error) {
        ended.throwIfAborted();
        // Transient and yet thrown: it wants to be left alone for longer than any pause.
        const said = classify(error);
        if (said.kind !== "transient" || said.retryAfterMs === undefined) throw error;
        await delay(Math.min(said.retryAfterMs, MAX_RETRY_AFTER_MS), { signal: ended });
      }
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Counts answers. */
class Tally {
  readonly #signal: Signal;
  readonly #total: number;
  readonly #reasons = new Map<string, number>();
  #sent = 0;
  #rejected = 0;
  #refused = 0;
  #requests = 0;
  #lastUnixNano: bigint | undefined;

  constructor(signal: Signal, total: number) {
    this.#signal = signal;
    this.#total = total;
  }

  get progress(): ReplayProgress {
    return {
      signal: this.#signal,
      sent: this.#sent,
      rejected: this.#rejected,
      refused: this.#refused,
      reasons: new Map(this.#reasons),
      requests: this.#requests,
      total: this.#total,
      lastUnixNano: this.#lastUnixNano,
    };
  }

  add({ count, lastUnixNano }: HistoryRequest, answer: Answer): void {
    this.#requests++;
    this.#lastUnixNano = lastUnixNano;
    if (answer.kind === "refused") {
      this.#refused += count;
      this.#count(answer.reason, count);
      return;
    }
    // No more than were sent, whatever the answer says.
    const rejected = Math.max(0, Math.min(answer.rejected, count));
    this.#sent += count - rejected;
    this.#rejected += rejected;
    if (rejected > 0) this.#count(answer.note, rejected);
  }

  #count(reason: string, records: number): void {
    const isKept = this.#reasons.has(reason) || this.#reasons.size < MAX_REASONS;
    const key = isKept ? reason : OTHER_REASONS;
    this.#reasons.set(key, (this.#reasons.get(key) ?? 0) + records);
  }
}

function validated(options: ReplayOptions): z.output<typeof OPTIONS> {
  const parsed = OPTIONS.safeParse(options, { reportInput: true });
  if (parsed.success) return parsed.data;
  const { path, message, input } = parsed.error.issues[0]!;
  throw new RangeError(
    `Cannot replay with '${path.map(String).join(".")}': ${inspect(input)} (${message})`,
    { cause: parsed.error },
  );
}

/** To the millisecond, for people. */
function isoOf(nanos: bigint): string {
  return new Date(Number(nanos / 1_000_000n)).toISOString();
}
