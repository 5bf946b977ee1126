/**
 * The delivery of a journal to one destination: each record in order and at its destination's pace.
 *
 * ```text
 *   new ---> locating ---> ready ---> delivering ---> settling ---> ready
 * ```
 *
 * | state | what it does | then |
 * | --- | --- | --- |
 * | locating | asks the sink, or the cursor, where to go on | ready |
 * | ready | decides, and reads the next batch | idle, paused, skipping, delivering or closed |
 * | idle | waits for the journal to have more | ready |
 * | paused | has something to deliver, and waits to be resumed | ready |
 * | skipping | passes over what it was told to | ready |
 * | delivering | a batch is with the sink, or one after the other: breaker( retry( timeout( deliver ))) | settling |
 * | settling | makes dead letters durable, then moves the cursor | ready |
 * | full | waits for room for dead letters | as before |
 * | waiting | a failure: waits for the next probe, as long as the destination asked, or a moment | as before; after a call of the sink locating |
 * | closed | what is not delivered stays in the journal | |
 *
 * While it waits for a sink it holds nothing in memory. What is asked of it, to skip or to close, ends
 * every wait; to pause ends none that a destination has asked for.
 *
 * It never gives up: whatever fails, the same records are tried again, until it is told to skip them
 * or its sink calls them dead. It knows no signals, no SQL and no HTTP; the sink does.
 *
 * @module
 */

import { CircuitBreakerOpenError } from "./breaker.ts";
import { DeadLettersFullError, type Graveyard } from "./dead_letters.ts";
import { Attempts, type Ending, LAST_WORDS_MS } from "./delivery_attempts.ts";
import { checkOptions, type DeliveryOptions, type DeliverySettings } from "./delivery_options.ts";
import { Progress } from "./delivery_progress.ts";
import { DeliveryRounds } from "./delivery_rounds.ts";
import type { Cursor, Journal } from "./journal.ts";
import { Waiters } from "./journal/waiters.ts";
import {
  type DeliveryStats,
  type Locating,
  RESTS,
  type Settling,
  type State,
} from "./delivery_state.ts";
import { sum } from "./ledger.ts";
import { classify } from "./retry.ts";
import { type Counts, noCounts, type Sink } from "./sink.ts";

export type { DeliveryEvent, DeliveryOptions, DeliveryTime } from "./delivery_options.ts";
export type { DeliveryStateKind, DeliveryStats } from "./delivery_state.ts";
export type { LedgerCounts } from "./ledger.ts";

const READY: State = { kind: "ready" };
const LOCATING: Locating = { kind: "locating" };
const CLOSED: State = { kind: "closed" };

/** What is to be skipped, and what was already. */
interface Skip {
  to: bigint;
  counts: Counts;
  readonly done: PromiseWithResolvers<void>;
}

/**
 * How long `close` waits for an attempt that it has ended: for its last words, and a second in which to
 * write down what they say.
 */
const CLOSE_MS = LAST_WORDS_MS + 1_000;

/**
 * Delivers a journal to one sink. See the module for how.
 *
 * @example A request delivered
 * ```ts
 * import assert from "node:assert/strict";
 * import { DeadLetters } from "./dead_letters.ts";
 * import { diskFiles } from "./journal_files.ts";
 * import { memoryJournal } from "./memory_journal.ts";
 * import type { Sink } from "./sink.ts";
 *
 * await using journal = memoryJournal();
 * const folder = await Deno.makeTempDir();
 * const letters = await DeadLetters.open(diskFiles(folder));
 * const sink: Sink = {
 *   deliver: (records) =>
 *     Promise.resolve({
 *       next: records.at(-1)!.next,
 *       delivered: { traces: records.length, logs: 0, metrics: 0 },
 *       dead: [],
 *     }),
 * };
 * const cursor = await journal.cursor("example", "oldest");
 * await using delivery = new Delivery(journal, cursor, sink, letters);
 * delivery.start();
 *
 * await journal.append({
 *   signal: "traces",
 *   body: new Uint8Array(1),
 *   count: 1,
 *   arrivalUnixNano: BigInt(Date.now()) * 1_000_000n,
 * });
 * await delivery.drain();
 * assert.equal(delivery.stats.delivered.traces, 1);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export class Delivery implements AsyncDisposable {
  readonly #journal: Journal;
  readonly #name: string;
  readonly #deadLetters: Graveyard;
  readonly #settings: DeliverySettings;
  readonly #attempts: Attempts;
  readonly #progress: Progress;
  readonly #rounds: DeliveryRounds;

  #state: State = { kind: "new" };
  #running: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #paused = false;
  #skip: Skip | undefined;
  /** Those who wait until the position has moved. */
  readonly #drainers = new Waiters();
  /** Ends waits, so that what was asked for is looked at. Another one then takes its place. */
  #stop = new AbortController();
  /** Ends the sink's call. */
  #kill = new AbortController();
  #failures = 0;
  /** Those of what was no call of the sink: of a disk. */
  #otherFailures = 0;
  /** Calls of the sink before the last failure. */
  #callsBefore = 0;
  #lastError: DeliveryStats["lastError"];

  /**
   * A delivery that is not started. To be made before the journal takes new requests, so that what
   * it has now can be told from what comes.
   *
   * @param journal What to deliver.
   * @param cursor Of this destination. Its name is the destination's.
   * @param sink Where to.
   * @param deadLetters Where to put what the sink calls dead.
   * @param options See {@linkcode DeliveryOptions}.
   * @throws {RangeError} An option is unknown or out of range; the message names it and its value.
   */
  constructor(
    journal: Journal,
    cursor: Cursor,
    sink: Sink,
    deadLetters: Graveyard,
    options: DeliveryOptions = {},
  ) {
    this.#journal = journal;
    this.#name = cursor.name;
    this.#deadLetters = deadLetters;
    this.#settings = checkOptions(options);
    this.#attempts = new Attempts(this.#settings);
    this.#progress = new Progress(journal, cursor, this.#settings.onEvent);
    this.#rounds = new DeliveryRounds({
      sink,
      deadLetters,
      sender: { destination: cursor.name, journal: journal.id },
      settings: this.#settings,
      attempts: this.#attempts,
      progress: this.#progress,
      mayGoOn: () => !this.#paused && this.#closing === undefined,
      onSettled: () => this.#drainers.wake(),
    });
  }

  /** Numbers, as of this moment. */
  get stats(): DeliveryStats {
    const { time } = this.#settings;
    const state = this.#state;
    const { position, arrivalUnixNano: arrival, gapBytes } = this.#progress;
    const lag = this.#journal.head - position;
    return {
      name: this.#name,
      state: state.kind,
      paused: this.#paused,
      located: this.#progress.isLocated,
      position,
      lagBytes: lag > 0n ? Number(lag) : 0,
      lagSeconds: arrival === undefined ? 0 : Math.max(0, time.now() / 1e3 - Number(arrival) / 1e9),
      gapBytes: Number(gapBytes),
      breaker: this.#attempts.breaker,
      breakerSinceMs: this.#attempts.breakerSinceMs,
      nextAttemptMs: state.kind === "waiting" ? Math.max(0, state.until - time.clock()) : 0,
      attempts: this.#rounds.calls + this.#otherFailures,
      failures: this.#failures,
      lastError: this.#lastError,
      ...this.#progress.counts(),
    };
  }

  /** Begins to deliver. Idempotent. */
  start(): void {
    if (this.#state.kind === "new") this.#running ??= this.#run();
  }

  /** Delivers nothing from now on. What is with the sink may still be answered for. */
  pause(): void {
    this.#paused = true;
    this.#look();
  }

  /** Goes on after a pause. */
  resume(): void {
    this.#paused = false;
    this.#look();
  }

  /**
   * Waits until records are settled.
   *
   * @param signal Ends the wait.
   * @param to All before this position. Default: all that is in the journal now.
   * @throws The signal's reason when it aborts first.
   * @throws {TypeError} It was closed first.
   */
  async drain(signal?: AbortSignal, to: bigint = this.#journal.head): Promise<void> {
    signal?.throwIfAborted();
    if (this.#progress.position >= to) return;
    if (this.#closing !== undefined) throw this.#unable();
    const settled = this.#drainers.until(() => {
      if (this.#progress.position >= to) return true;
      if (this.#state.kind === "closed") throw this.#unable();
      return false;
    }, signal);
    // Whoever waits for records to gather waits no longer.
    if (this.#settings.maxBatchAgeMs > 0) this.#look();
    await settled;
  }

  /**
   * Gives up what is before `to` and not delivered, and counts it as skipped, whether the destination
   * has some of it or not. For a journal that is full and must not be; for no sink that keeps the
   * position itself.
   *
   * @param to Where to go on. Within a record: that record is kept.
   * @returns What was skipped.
   * @throws {TypeError} It is closed or was not started, or the sink keeps the position.
   */
  async skipTo(to: bigint): Promise<Counts> {
    if (this.#closing !== undefined || this.#state.kind === "new") throw this.#unable();
    if (this.#rounds.sinkKeepsPosition) {
      throw new TypeError(
        `Cannot skip records of '${this.#name}': its sink keeps the position itself`,
      );
    }
    const skip = this.#skip ??= { to, counts: noCounts(), done: Promise.withResolvers() };
    if (skip.to < to) skip.to = to;
    this.#endAttempt("it was told to skip records");
    this.#look();
    await skip.done.promise;
    return skip.counts;
  }

  /**
   * Ends. The sink's call may go on for `closeGraceMs`; after that, and a moment more for its last
   * words, nothing is waited for. What is not delivered stays in the journal. Idempotent.
   */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#closing = this.#close();
      this.#look();
    }
    return this.#closing;
  }

  /** Closes it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const { time, closeGraceMs } = this.#settings;
    const over = new AbortController();
    const running = this.#running ?? Promise.resolve();
    await Promise.race([running, time.wait(closeGraceMs, over.signal)]);
    this.#endAttempt("it was closed");
    await Promise.race([running, time.wait(CLOSE_MS, over.signal)]);
    over.abort();
    this.#state = CLOSED;
    this.#skip?.done.reject(this.#unable());
    this.#drainers.wake();
  }

  #unable(): TypeError {
    const isNew = this.#closing === undefined && this.#state.kind === "new";
    const why = isNew ? "it was not started" : "it is closed";
    return new TypeError(
      `Cannot deliver to '${this.#name}': ${why}, at position ${this.#progress.position}`,
    );
  }

  /** Lets the loop look at what is asked of it. */
  #look(): void {
    const stop = this.#stop;
    this.#stop = new AbortController();
    stop.abort(interruption("something else is to be done"));
  }

  #endAttempt(why: string): void {
    const kill = this.#kill;
    this.#kill = new AbortController();
    kill.abort(interruption(why));
  }

  /** Whether something is asked of it that cannot wait until a state is over. */
  #isCalledFrom(state: State): boolean {
    if (this.#closing !== undefined) return true;
    // A skip that failed has its own time to wait.
    const waitsToSkip = state.kind === "waiting" && state.then.kind === "skipping";
    return this.#skip !== undefined && this.#progress.isLocated && !waitsToSkip;
  }

  async #run(): Promise<void> {
    this.#state = LOCATING;
    for (;;) {
      const state: State = this.#state;
      if (state.kind === "closed") return;
      const ending = { stop: this.#stop.signal, kill: this.#kill.signal };
      let next: State;
      try {
        // Asked before it could listen: nobody would wake it.
        const isOverlooked: boolean = RESTS.has(state.kind) && this.#isCalledFrom(state);
        next = isOverlooked ? this.#interrupted(state) : await this.#step(state, ending);
      } catch (error) {
        const interrupted = ending.stop.aborted && classify(error).kind === "shutdown";
        next = interrupted ? this.#interrupted(state) : this.#failed(error, state);
      }
      // Whoever closes may have stopped waiting for this step.
      if (this.#state === state) this.#state = next;
    }
  }

  async #step(state: State, ending: Ending): Promise<State> {
    const { stop } = ending;
    switch (state.kind) {
      case "locating":
        await this.#rounds.locate(ending);
        return this.#passed();
      case "ready":
        return await this.#decide();
      case "idle":
        await this.#journal.waitFor(this.#progress.position, stop);
        await this.#gather(stop);
        return READY;
      case "paused":
        if (this.#paused) await aborted(stop);
        return READY;
      case "skipping":
        return await this.#skipSome(this.#skip!);
      case "delivering":
        return await this.#rounds.deliver(state.records, ending) ?? this.#passed();
      case "settling":
        return await this.#settle(state);
      case "full":
        await this.#deadLetters.room(state.bytes, stop);
        return state.then;
      case "waiting":
        await this.#waitUntil(state.until, stop);
        return state.then;
      default:
        return CLOSED;
    }
  }

  async #waitUntil(until: number, stop: AbortSignal): Promise<void> {
    const { time } = this.#settings;
    const over = new AbortController();
    // It only tells the lag: should the journal not be readable now, whoever delivers will say so.
    this.#progress.watch(AbortSignal.any([stop, over.signal])).catch(() => {});
    try {
      await time.wait(Math.max(0, until - time.clock()), stop);
    } finally {
      over.abort();
    }
  }

  /** Where to go on from a state that was interrupted. */
  #interrupted(state: State): State {
    if (this.#closing !== undefined) return CLOSED;
    const waits = state.kind === "waiting" || state.kind === "full";
    // The time that a destination asked for is not over when somebody pauses.
    if (waits && !this.#isCalledFrom(state)) return state;
    return this.#progress.isLocated ? READY : LOCATING;
  }

  #failed(error: unknown, state: State): State {
    if (this.#closing !== undefined) return CLOSED;
    const { time, pauseMs, onEvent } = this.#settings;
    const isOurs = state.kind === "settling" || state.kind === "skipping";
    const then = isOurs ? state : LOCATING;
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof DeadLettersFullError) {
      onEvent({ kind: "full", message });
      return { kind: "full", bytes: error.bytes, then };
    }
    const waitMs = isOurs ? pauseMs : this.#attempts.waitAfter(error);
    if (!(error instanceof CircuitBreakerOpenError)) {
      const { calls } = this.#rounds;
      if (calls === this.#callsBefore) this.#otherFailures++;
      this.#callsBefore = calls;
      this.#failures++;
      this.#lastError = { message, atMs: time.now() };
      onEvent({ kind: "failed", message, waitMs });
    }
    return { kind: "waiting", until: time.clock() + waitMs, then };
  }

  async #decide(): Promise<State> {
    if (this.#closing !== undefined) return CLOSED;
    if (this.#skip !== undefined) return { kind: "skipping" };
    if (this.#progress.atHead) return { kind: "idle" };
    const records = await this.#progress.read(this.#rounds.bounds);
    if (records.length === 0) return this.#passed();
    return this.#paused ? { kind: "paused" } : { kind: "delivering", records };
  }

  /** Lets the first record wait for others. */
  async #gather(stop: AbortSignal): Promise<void> {
    const { maxBatchAgeMs, maxBatchBytes, time } = this.#settings;
    if (maxBatchAgeMs === 0) return;
    const enough = this.#progress.position + BigInt(maxBatchBytes);
    const done = new AbortController();
    const signal = AbortSignal.any([stop, done.signal]);
    try {
      await Promise.race([
        time.wait(maxBatchAgeMs, signal),
        this.#journal.waitFor(enough, signal),
      ]);
    } finally {
      done.abort();
    }
  }

  async #settle({ records, answer }: Settling): Promise<State> {
    await this.#rounds.settle(records, answer);
    const { failure } = answer;
    return failure === undefined ? READY : this.#failed(failure, LOCATING);
  }

  async #skipSome(skip: Skip): Promise<State> {
    const counts = await this.#progress.skip(skip.to, this.#rounds.bounds);
    if (counts !== undefined) {
      skip.counts = sum(skip.counts, counts);
      return { kind: "skipping" };
    }
    this.#skip = undefined;
    this.#settings.onEvent({ kind: "skipped", counts: skip.counts });
    skip.done.resolve();
    return this.#passed();
  }

  /** Tells those who wait that the position has moved. */
  #passed(): State {
    this.#drainers.wake();
    return READY;
  }
}

function interruption(why: string): DOMException {
  return new DOMException(`The delivery was interrupted: ${why}`, "AbortError");
}

/** Resolves when the signal aborts. */
function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise;
}
