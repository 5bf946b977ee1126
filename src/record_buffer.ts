/**
 * What waits to be stored in the background: records gather here until there are enough of them for a
 * request, or the first one has waited long enough.
 *
 * Each record comes as a request of its own in protobuf. Such requests are joined by putting one behind
 * the other, which is how protobuf repeats a field.
 *
 * @module
 */

import type { AdapterEvent } from "./adapter_events.ts";
import { type Taken, UnavailableError } from "./intake.ts";
import { Room } from "./journal/room.ts";
import { OtlpDecodeError, OtlpTooLargeError } from "./otlp_error.ts";
import { reasonOf } from "./reason.ts";
import type { Signal } from "./record.ts";

/** What a {@linkcode RecordBuffer} goes by. */
export interface BufferRules {
  /** Records of a request. */
  readonly batchSize: number;
  /** How long a record waits for others, in milliseconds. */
  readonly batchIntervalMs: number;
  /** Bytes kept; one call may go over it. */
  readonly maxBytes: number;
  /** How long a call waits for room, in milliseconds. */
  readonly maxWaitMs: number;
  /** Takes a request into the journal. */
  readonly take: (signal: Signal, body: Uint8Array, abort: AbortSignal) => Promise<Taken>;
  /** Told when a request fails or records are rejected. */
  readonly onEvent: (event: AdapterEvent) => void;
}

/** Numbers about a buffer, as of this moment. */
export interface BufferStats {
  /** Records that are not in the journal yet. */
  readonly records: number;
  /** Their bytes. */
  readonly bytes: number;
  /** Where the bytes end. */
  readonly maxBytes: number;
  /** Records in a journal in memory that the database does not have yet; 0 with a `dataDir`. */
  readonly unstored: number;
  /** Calls that wait for room. */
  readonly waiting: number;
  /** Records refused because there was no room for too long, since the process began. */
  readonly refused: number;
  /** Requests that could not be taken and were tried again, since the process began. */
  readonly failures: number;
  /** Records that the database refused for good, since the process began; with a `dataDir` they are dead letters. */
  readonly rejected: number;
  /** What went wrong last. */
  readonly lastError: { readonly message: string; readonly atMs: number } | undefined;
}

/** Records that were buffered and are not stored. */
export class UnstoredRecordsError extends Error {
  /** Always `UnstoredRecordsError`. */
  override readonly name = "UnstoredRecordsError";
  /** How many. */
  readonly records: number;

  /**
   * Says how many, and why.
   *
   * @param records How many.
   * @param why Why, and whether they are tried again.
   */
  constructor(records: number, why: string, options?: ErrorOptions) {
    super(`Cannot store ${records} ${records === 1 ? "record" : "records"}: ${why}`, options);
    this.records = records;
  }
}

/** Where a request ends that has not got its records yet, in bytes. */
const BATCH_BYTES = 4 << 20;
/** When a request is tried again that failed for another reason than that of the journal, in ms. */
const RETRY_MS = 1_000;

/** The records of one signal. */
interface Queue {
  readonly signal: Signal;
  readonly items: Uint8Array[];
  /** How many have ever come and gone. */
  added: number;
  gone: number;
  /** All that came before this one go without waiting for others. */
  due: number;
  running: boolean;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** Gathers records and hands them on. */
export class RecordBuffer {
  readonly #rules: BufferRules;
  readonly #room: Room;
  readonly #queues: Readonly<Record<Signal, Queue>> = {
    traces: newQueue("traces"),
    logs: newQueue("logs"),
    metrics: newQueue("metrics"),
  };
  readonly #stop = new AbortController();
  /** Resolved and replaced whenever records have gone. */
  #gone = Promise.withResolvers<void>();
  /** Requests in a journal in memory. */
  readonly #unstored = new Map<Promise<void>, number>();
  #closing = false;
  #bytes = 0;
  #refused = 0;
  #failures = 0;
  #rejected = 0;
  /** Those of them that no flush has told of. */
  #untold = 0;
  #lastError: BufferStats["lastError"];

  /** @param rules See {@linkcode BufferRules}. */
  constructor(rules: BufferRules) {
    const { maxBytes, maxWaitMs } = rules;
    this.#rules = rules;
    this.#room = new Room({
      hasRoom: () => this.#bytes < maxBytes || this.#closing,
      look: () => Promise.resolve(),
      maxWaitMs,
      refusal: () => {
        const what = this.#lastError === undefined ? "" : `, ${this.#lastError.message}`;
        return new UnavailableError(
          `Cannot buffer the record: there has been no room for ${maxWaitMs} ms, ` +
            `${this.#bytes} of ${maxBytes} bytes are taken${what}; store it again later`,
          RETRY_MS,
        );
      },
    });
  }

  /** Numbers as of this moment. */
  get stats(): BufferStats {
    return {
      records: this.#records,
      bytes: this.#bytes,
      maxBytes: this.#rules.maxBytes,
      unstored: [...this.#unstored.values()].reduce((a, b) => a + b, 0),
      waiting: this.#room.waiting,
      refused: this.#refused,
      failures: this.#failures,
      rejected: this.#rejected,
      lastError: this.#lastError,
    };
  }

  get #records(): number {
    return Object.values(this.#queues).reduce((sum, { items }) => sum + items.length, 0);
  }

  /**
   * Resolves when the records are buffered, all of them; waits while the buffer is full.
   *
   * @param records Each a request of one record, not to be changed afterwards.
   * @throws {UnavailableError} There is no room for too long, or it is being closed; none is buffered.
   * @throws The reason of `abort`; none is buffered.
   */
  async add(signal: Signal, records: readonly Uint8Array[], abort?: AbortSignal): Promise<void> {
    this.#refuseIfClosing();
    if (records.length === 0) return;
    try {
      await this.#room.take(() => this.#put(signal, records), abort);
    } catch (error) {
      if (error instanceof UnavailableError && !this.#closing) this.#refused += records.length;
      throw error;
    }
  }

  #put(signal: Signal, records: readonly Uint8Array[]): void {
    this.#refuseIfClosing();
    const queue = this.#queues[signal];
    for (const record of records) {
      queue.items.push(record);
      this.#bytes += record.length;
    }
    queue.added += records.length;
    // Who waits for room does not wait for others as well.
    if (this.#isFull) { for (const each of Object.values(this.#queues)) this.#send(each); }
    queue.timer ??= setTimeout(() => this.#send(queue), this.#rules.batchIntervalMs);
    if (queue.items.length >= this.#rules.batchSize) void this.#run(queue);
  }

  get #isFull(): boolean {
    return this.#bytes >= this.#rules.maxBytes;
  }

  #refuseIfClosing(): void {
    if (!this.#closing) return;
    throw new UnavailableError("Cannot buffer the record: shutting down", RETRY_MS);
  }

  /**
   * Hands on all that is buffered now, and resolves when the journal has it.
   *
   * @throws The reason of `abort`.
   */
  async flush(abort?: AbortSignal): Promise<void> {
    const ended = Promise.withResolvers<never>();
    const onAbort = () => ended.reject(abort!.reason);
    ended.promise.catch(() => {});
    if (abort?.aborted) onAbort();
    abort?.addEventListener("abort", onAbort, { once: true });
    try {
      const queues = Object.values(this.#queues);
      const goals = queues.map(({ added }) => added);
      for (const queue of queues) this.#send(queue);
      while (queues.some(({ gone }, n) => gone < goals[n]!)) {
        this.#stop.signal.throwIfAborted();
        await Promise.race([this.#gone.promise, ended.promise]);
      }
    } finally {
      abort?.removeEventListener("abort", onAbort);
    }
  }

  /** Takes no more. */
  refuse(): void {
    this.#closing = true;
    this.#room.open();
  }

  /** Ends all waits; what is not in the journal then is lost, and told of. Idempotent. */
  end(): void {
    this.refuse();
    for (const queue of Object.values(this.#queues)) {
      clearTimeout(queue.timer);
      queue.timer = undefined;
    }
    this.#stop.abort();
    this.#wake();
  }

  /**
   * Tells of records that will never be stored and of which it has not told before. What is in a journal
   * in memory has to be stored by then, or the delivery closed.
   *
   * @throws {UnstoredRecordsError} There are some.
   */
  async tell(): Promise<void> {
    await Promise.all(this.#unstored.keys());
    const { records, unstored } = this.stats;
    const lost = this.#stop.signal.aborted ? records + unstored : 0;
    const untold = this.#untold;
    this.#untold = 0;
    if (lost + untold === 0) return;
    const why = [
      ...lost > 0 ? [`${lost} were left when it was closed (a dataDir would keep them)`] : [],
      ...untold > 0 ? [`${untold} are refused for good`] : [],
    ].join(", ");
    const last = this.#lastError === undefined ? "" : `; last error: ${this.#lastError.message}`;
    throw new UnstoredRecordsError(lost + untold, why + last);
  }

  #wake(): void {
    this.#gone.resolve();
    this.#gone = Promise.withResolvers();
    this.#room.wake();
  }

  #send(queue: Queue): void {
    clearTimeout(queue.timer);
    queue.timer = undefined;
    queue.due = queue.added;
    void this.#run(queue);
  }

  /** Hands on what is due and what is enough for a request, one request at a time. */
  async #run(queue: Queue): Promise<void> {
    if (queue.running) return;
    queue.running = true;
    const { items } = queue;
    const { signal: stop } = this.#stop;
    while (!stop.aborted && (queue.gone < queue.due || items.length >= this.#rules.batchSize)) {
      const batch = this.#batchOf(queue);
      if (!await this.#handOn(queue.signal, batch)) continue;
      items.splice(0, batch.length);
      this.#bytes -= batch.reduce((sum, { length }) => sum + length, 0);
      queue.gone += batch.length;
      if (items.length === 0) {
        clearTimeout(queue.timer);
        queue.timer = undefined;
      }
      this.#wake();
    }
    queue.running = false;
  }

  #batchOf({ items }: Queue): Uint8Array[] {
    let bytes = 0;
    const batch: Uint8Array[] = [];
    for (const item of items) {
      if (batch.length === this.#rules.batchSize) break;
      if (batch.length > 0 && bytes + item.length > BATCH_BYTES) break;
      bytes += item.length;
      batch.push(item);
    }
    return batch;
  }

  /** Whether the records are the journal's now, or rejected. Else they are to be tried again. */
  async #handOn(signal: Signal, batch: readonly Uint8Array[]): Promise<boolean> {
    const { signal: stop } = this.#stop;
    try {
      const { result, stored } = await this.#rules.take(signal, joined(batch), stop);
      if (stored === undefined) this.#reject(result.rejected, result.message);
      else this.#watch(batch.length, stored);
      return true;
    } catch (error) {
      if (stop.aborted) return false;
      if (error instanceof OtlpDecodeError || error instanceof OtlpTooLargeError) {
        this.#reject(batch.length, error.message);
        return true;
      }
      this.#failures++;
      this.#note(reasonOf(error));
      this.#rules.onEvent({
        level: "warn",
        message: "cannot take what is buffered, trying again",
        fields: { signal, error: reasonOf(error) },
      });
      await waited(error instanceof UnavailableError ? error.retryAfterMs : RETRY_MS, stop);
      return false;
    }
  }

  /** Keeps in view what a crash would lose until it is stored. */
  #watch(count: number, stored: NonNullable<Taken["stored"]>): void {
    const watched = stored().then(({ rejected, message }) => {
      this.#reject(rejected, message);
      this.#unstored.delete(watched);
    }, (error) => {
      // It is being closed: they stay counted as what is not stored.
      this.#note(reasonOf(error));
    });
    this.#unstored.set(watched, count);
  }

  #reject(count: number, message: string): void {
    if (count === 0) return;
    this.#rejected += count;
    this.#untold += count;
    this.#note(message);
    this.#rules.onEvent({
      level: "error",
      message: "records that were buffered are refused for good",
      fields: { records: count, reason: message },
    });
  }

  #note(message: string): void {
    this.#lastError = { message, atMs: Date.now() };
  }
}

function newQueue(signal: Signal): Queue {
  return { signal, items: [], added: 0, gone: 0, due: 0, running: false, timer: undefined };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

async function waited(ms: number, stop: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const onAbort = () => resolve();
  const timer = setTimeout(resolve, ms);
  stop.addEventListener("abort", onAbort, { once: true });
  await promise;
  clearTimeout(timer);
  stop.removeEventListener("abort", onAbort);
}
