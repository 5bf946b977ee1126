/**
 * Gathers the rows of many requests and stores them together.
 *
 * While one batch is being stored, the next fills; it is stored as soon as the first is done. So one
 * lone request is stored at once, and under load batches grow by themselves. Guarantees:
 *
 * - `write` resolves when the records of its request are committed, and rejects when they are not;
 * - the buffer is bounded by bytes and records: a full one lets `room` and `write` wait, then refuse
 *   with {@linkcode UnavailableError}; and by age: a request that has waited too long behind others is
 *   taken back out and refused;
 * - a batch that the database refuses for what is in it is halved until the request that holds it
 *   stands alone; that one is rejected, the others are stored.
 *
 * @module
 */

import type { Signal } from "../record.ts";
import { classify } from "../retry.ts";
import { Batch } from "./batch.ts";
import type { StorePart, StoreRows } from "./sink.ts";
import type { Transcoder } from "./transcode.ts";

/** Nothing was stored, and sending the same again later will help. */
export class UnavailableError extends Error {
  /** Always `UnavailableError`. */
  override readonly name = "UnavailableError";
  /** When to try again, in milliseconds from now. */
  readonly retryAfterMs: number;

  /**
   * Says that it is worth trying again.
   *
   * @param message Says what could not be done, why, and what to do.
   * @param retryAfterMs When to try again, in milliseconds from now.
   */
  constructor(message: string, retryAfterMs: number, options?: ErrorOptions) {
    super(message, options);
    this.retryAfterMs = retryAfterMs;
  }
}

/** What became of a request's records. */
export interface WriteResult {
  /** Records that are stored. */
  readonly accepted: number;
  /** Records that the protocol calls invalid and that are not kept. */
  readonly rejected: number;
  /** Why, for the client; empty when nothing was rejected. */
  readonly message: string;
}

/** The bounds of the buffer. */
export interface BufferLimits {
  /** Bytes of rows that wait or are being stored. */
  readonly maxBufferBytes: number;
  /** Records that wait or are being stored. */
  readonly maxBufferRecords: number;
  /** How long a request waits behind others before it is refused, in milliseconds. */
  readonly maxBufferAgeMs: number;
  /** How long a request waits for room in a full buffer, in milliseconds. */
  readonly maxRoomWaitMs: number;
}

/** Where batches go: the sink, with whatever guards it. */
export interface PartStore {
  /** Makes what the batch needs. */
  prepare(batch: Batch): Promise<void>;
  /** Stores a part, exactly once. */
  store(part: StorePart, to: bigint): Promise<void>;
}

/** Numbers about a writer since it began. */
export interface WriterStats {
  /** Records committed. */
  readonly stored: number;
  /** Records rejected as invalid. */
  readonly rejected: number;
  /** Records whose write was refused or failed: their sender knows. */
  readonly refused: number;
  /** Records that wait or are being stored. */
  readonly bufferedRecords: number;
  /** Bytes of rows that they take. */
  readonly bufferedBytes: number;
}

/** A request whose rows lie in a batch. */
interface Waiting extends WriteResult {
  readonly signal: Signal;
  /** Where its tuples lie in the buffer of its signal. */
  readonly from: number;
  readonly to: number;
  readonly replaced: number;
  /** Its place in the order of all requests: the position its storing moves to. */
  readonly position: bigint;
  readonly resolve: (result: WriteResult) => void;
  readonly reject: (error: unknown) => void;
  readonly cleanUp: () => void;
  settled: boolean;
}

interface Filling {
  readonly batch: Batch;
  readonly waiting: Waiting[];
}

/** Writes requests in the order of their arrival. */
export class BatchWriter {
  readonly #transcoder: Transcoder;
  readonly #store: PartStore;
  readonly #limits: BufferLimits;
  #filling: Filling = { batch: new Batch(), waiting: [] };
  /** The batch being stored. */
  #storing: Filling | undefined;
  /** The memory of the last batch, to be used again. */
  #spare: Batch | undefined;
  #running: Promise<void> | undefined;
  #closed = false;
  #position = 0n;
  /** Wake those who wait for room, first come, first served. */
  readonly #roomWaiters = new Set<() => void>();
  #stored = 0;
  #rejected = 0;
  #refused = 0;

  constructor(transcoder: Transcoder, store: PartStore, limits: BufferLimits) {
    this.#transcoder = transcoder;
    this.#store = store;
    this.#limits = limits;
  }

  /** Counters. */
  get stats(): WriterStats {
    return {
      stored: this.#stored,
      rejected: this.#rejected,
      refused: this.#refused,
      bufferedRecords: this.#buffered((batch) => batch.count),
      bufferedBytes: this.#buffered((batch) => batch.bytes),
    };
  }

  #buffered(of: (batch: Batch) => number): number {
    return of(this.#filling.batch) + (this.#storing === undefined ? 0 : of(this.#storing.batch));
  }

  get #hasRoom(): boolean {
    return this.#buffered((batch) => batch.bytes) < this.#limits.maxBufferBytes &&
      this.#buffered((batch) => batch.count) < this.#limits.maxBufferRecords;
  }

  /**
   * Resolves when the buffer has room.
   *
   * @throws {UnavailableError} If it has none for `maxRoomWaitMs`, or the writer is closed.
   * @throws The reason of `signal` when it is aborted.
   */
  async room(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.#refuseIfClosed();
    if (this.#hasRoom && this.#roomWaiters.size === 0) return;
    const { maxRoomWaitMs } = this.#limits;
    await new Promise<void>((resolve, reject) => {
      const end = (settle: () => void) => {
        this.#roomWaiters.delete(wake);
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
        settle();
      };
      const wake = () => end(resolve);
      const abort = () => end(() => reject(signal!.reason));
      const timer = setTimeout(() =>
        end(() => {
          const error = new UnavailableError(
            `Cannot take the request: the buffer has been full for ${maxRoomWaitMs} ms; send it again later`,
            1000,
          );
          reject(error);
        }), maxRoomWaitMs);
      signal?.addEventListener("abort", abort);
      this.#roomWaiters.add(wake);
    });
    this.#refuseIfClosed();
  }

  /**
   * Stores the records of a request.
   *
   * @param body An Export…ServiceRequest in protobuf.
   * @throws {OtlpDecodeError} The body is none. Nothing is stored.
   * @throws {UnavailableError} Nothing is stored; send it again later.
   * @throws The database's own error when it refuses the records. Nothing is stored.
   */
  async write(signal: Signal, body: Uint8Array, abort?: AbortSignal): Promise<WriteResult> {
    await this.room(abort);
    const { batch, waiting } = this.#filling;
    const rows = batch.of(signal);
    const from = rows.at;
    const replaced = rows.replaced;
    const arrival = BigInt(Math.round(Date.now() * 1e6));
    const result = this.#transcoder.transcode(signal, body, arrival, batch);
    this.#rejected += result.rejected;
    if (result.accepted === 0) return result;
    return await new Promise<WriteResult>((resolve, reject) => {
      const request: Waiting = {
        ...result,
        signal,
        from,
        to: rows.at,
        replaced: rows.replaced - replaced,
        position: ++this.#position,
        resolve,
        reject,
        cleanUp: () => {
          clearTimeout(timer);
          abort?.removeEventListener("abort", onAbort);
        },
        settled: false,
      };
      const { maxBufferAgeMs } = this.#limits;
      const timer = setTimeout(() => {
        const message =
          `Cannot store the request: it has waited ${maxBufferAgeMs} ms behind others; send it again later`;
        this.#takeBack(request, new UnavailableError(message, 1000));
      }, maxBufferAgeMs);
      const onAbort = () => this.#takeBack(request, abort!.reason);
      abort?.addEventListener("abort", onAbort);
      waiting.push(request);
      this.#running ??= this.#run();
    });
  }

  /** Resolves when all that has been written is committed or refused. */
  async flush(): Promise<void> {
    await this.#running;
  }

  /** Takes no more; resolves when all that has been written is committed or refused. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const wake of [...this.#roomWaiters]) wake();
    await this.flush();
  }

  #refuseIfClosed(): void {
    if (this.#closed) throw new UnavailableError("Cannot take the request: shutting down", 1000);
  }

  /** A request that is already being stored can no longer be taken back. */
  #takeBack(request: Waiting, reason: unknown): void {
    if (this.#filling.waiting.includes(request)) this.#fail(request, reason);
  }

  #fail(request: Waiting, error: unknown): void {
    if (request.settled) return;
    request.settled = true;
    request.cleanUp();
    this.#refused += request.accepted;
    request.reject(error);
  }

  async #run(): Promise<void> {
    // Requests that arrive in the same turn of the event loop share the first batch.
    await new Promise((resolve) => setTimeout(resolve, 0));
    while (this.#filling.waiting.length > 0) {
      const sealed = this.#filling;
      this.#storing = sealed;
      this.#filling = { batch: this.#spare ?? new Batch(), waiting: [] };
      this.#spare = undefined;
      await this.#storeAll(sealed);
      sealed.batch.clear();
      this.#spare = sealed.batch;
      this.#storing = undefined;
      for (const wake of [...this.#roomWaiters]) {
        if (!this.#hasRoom) break;
        wake();
      }
    }
    this.#running = undefined;
  }

  async #storeAll({ batch, waiting }: Filling): Promise<void> {
    const live = waiting.filter((request) => !request.settled);
    if (live.length === 0) return;
    try {
      await this.#store.prepare(batch);
    } catch (error) {
      for (const request of live) this.#fail(request, error);
      return;
    }
    await this.#storeRequests(batch, live);
  }

  async #storeRequests(batch: Batch, requests: readonly Waiting[]): Promise<void> {
    try {
      await this.#store.store(partOf(batch, requests), requests.at(-1)!.position);
    } catch (error) {
      if (requests.length === 1 || classify(error).kind !== "permanent") {
        for (const request of requests) this.#fail(request, error);
        return;
      }
      const half = requests.length >> 1;
      await this.#storeRequests(batch, requests.slice(0, half));
      await this.#storeRequests(batch, requests.slice(half));
      return;
    }
    for (const request of requests) {
      request.settled = true;
      request.cleanUp();
      this.#stored += request.accepted;
      const { accepted, rejected, message } = request;
      request.resolve({ accepted, rejected, message });
    }
  }
}

/** The rows of some requests of a batch, neighbours in one piece. */
function partOf(batch: Batch, requests: readonly Waiting[]): StorePart {
  const rows: StoreRows[] = [];
  for (const { signal, table, bytes } of batch.signals) {
    const own = requests.filter((request) => request.signal === signal);
    if (own.length === 0) continue;
    const tuples: Uint8Array[] = [];
    let start = own[0]!.from;
    own.forEach(({ to }, n) => {
      const next = own[n + 1]?.from;
      if (next === to) return;
      tuples.push(bytes.subarray(start, to));
      start = next ?? to;
    });
    rows.push({
      signal,
      table,
      tuples,
      count: own.reduce((sum, { accepted }) => sum + accepted, 0),
    });
  }
  return { rows, replaced: requests.reduce((sum, { replaced }) => sum + replaced, 0) };
}
