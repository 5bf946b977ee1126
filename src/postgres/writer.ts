/**
 * Gathers the rows of many requests and stores them together.
 *
 * While one batch is being stored, the next fills; it is stored as soon as the first is done. So one
 * lone request is stored at once, and under load batches grow by themselves. Guarantees:
 *
 * - `write` resolves when the records of its request are committed, and rejects when they are not;
 * - the buffer is bounded by bytes and records: a full one lets `room` and `write` wait, first come,
 *   first served, then refuse with {@linkcode UnavailableError}; and by age: a request that has waited
 *   too long behind others is taken back out and refused;
 * - a batch that the database refuses for what is in it is halved until the request that holds it
 *   stands alone; that one is rejected, the others are stored.
 *
 * A batch that has to be made anew, without a request or as its halves, is transcoded again from the
 * bodies, which is why they are kept until then.
 *
 * @module
 */

import type { Signal } from "../record.ts";
import { Batch } from "./batch.ts";
import { speaksAgainstRecords } from "./sink.ts";
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
  /** Bytes of rows that wait or are being stored. The request that goes beyond is the last taken. */
  readonly maxBufferBytes: number;
  /** Records that wait or are being stored. */
  readonly maxBufferRecords: number;
  /** How long a request waits behind others before it is refused, in milliseconds. */
  readonly maxBufferAgeMs: number;
  /** How long a request waits for room in a full buffer, in milliseconds. */
  readonly maxRoomWaitMs: number;
}

/** Where batches go: the sink, with whatever guards it. */
export interface BatchStore {
  /** Stores a batch exactly once and moves the position to `to`. */
  store(batch: Batch, to: bigint): Promise<void>;
}

/**
 * Numbers about a writer since it began. The records of the requests that were taken are those
 * stored, rejected, refused and buffered.
 */
export interface WriterStats {
  /** Records committed. */
  readonly stored: number;
  /** Records rejected as invalid. */
  readonly rejected: number;
  /** Records whose write was refused or failed: their sender knows. */
  readonly refused: number;
  /** Requests that found no room in time. Their records were not looked at. */
  readonly turnedAway: number;
  /** Records that wait or are being stored. */
  readonly bufferedRecords: number;
  /** Bytes of rows in the buffer. */
  readonly bufferedBytes: number;
}

/** A request that has been taken. */
interface Request extends WriteResult {
  readonly signal: Signal;
  readonly body: Uint8Array;
  readonly arrivalUnixNano: bigint;
  /** Its place in the order of all requests: the position its storing moves to. */
  readonly position: bigint;
  /** Whether its promise is settled, and its rows no longer wanted. */
  settled: boolean;
  /** Settles it. */
  readonly stored: () => void;
  readonly refused: (error: unknown) => void;
}

/** Requests and their rows. */
class Gathering {
  readonly batch = new Batch();
  requests: Request[] = [];

  clear(): void {
    this.batch.clear();
    this.requests = [];
  }
}

/** What `room` and `write` do when there is room, or when they are refused. */
type Waiter = (refusal?: unknown) => void;

/** When those who were refused may come again, in milliseconds. */
const RETRY_AFTER_MS = 1000;

/** Writes requests in the order of their arrival. */
export class BatchWriter {
  readonly #transcoder: Transcoder;
  readonly #store: BatchStore;
  readonly #limits: BufferLimits;
  #filling = new Gathering();
  #storing = new Gathering();
  /** The size of the batch being stored, as it was when its storing began. */
  #storingBytes = 0;
  #storingCount = 0;
  #running = false;
  #closed = false;
  #position = 0n;
  /** Those who wait for room, in their order. */
  readonly #waiters = new Set<Waiter>();
  /** The calls of `write` that are not settled. */
  readonly #writes = new Set<Promise<WriteResult>>();
  #stored = 0;
  #rejected = 0;
  #refused = 0;
  #turnedAway = 0;
  #buffered = 0;

  constructor(transcoder: Transcoder, store: BatchStore, limits: BufferLimits) {
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
      turnedAway: this.#turnedAway,
      bufferedRecords: this.#buffered,
      bufferedBytes: this.#filling.batch.bytes + this.#storingBytes,
    };
  }

  /**
   * Resolves when the buffer has room.
   *
   * @throws {UnavailableError} If it has none for `maxRoomWaitMs`, or the writer is closed.
   * @throws The reason of `signal` when it is aborted.
   */
  async room(signal?: AbortSignal): Promise<void> {
    await this.#whenRoom(() => {}, signal);
  }

  /**
   * Stores the records of a request.
   *
   * @param body An Export…ServiceRequest in protobuf, not to be changed before the promise settles.
   * @throws {OtlpDecodeError} The body is none. Nothing is stored.
   * @throws {UnavailableError} Nothing is stored; send it again later.
   * @throws The error of the store when it refuses the records. Nothing is stored.
   */
  async write(signal: Signal, body: Uint8Array, abort?: AbortSignal): Promise<WriteResult> {
    const written = this.#whenRoom(() => this.#take(signal, body, abort), abort);
    this.#writes.add(written);
    try {
      return await written;
    } finally {
      this.#writes.delete(written);
    }
  }

  /** Resolves when all that has been written until now is committed or refused. */
  async flush(): Promise<void> {
    await Promise.allSettled(this.#writes);
  }

  /** Takes no more; resolves when all that was taken is committed or refused. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const waiter of this.#waiters) waiter(shuttingDown());
    await this.flush();
  }

  get #hasRoom(): boolean {
    const { batch } = this.#filling;
    return batch.bytes + this.#storingBytes < this.#limits.maxBufferBytes &&
      batch.count + this.#storingCount < this.#limits.maxBufferRecords;
  }

  /** Acts as soon as there is room, in turn, and at once: who comes next sees what it took. */
  #whenRoom<T>(act: () => T | PromiseLike<T>, abort: AbortSignal | undefined): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      abort?.throwIfAborted();
      if (this.#closed) throw shuttingDown();
      // Nobody is overtaken: while anybody waits there is no room, because room is given at once.
      if (this.#hasRoom) return resolve(act());
      const { maxRoomWaitMs } = this.#limits;
      const waiter: Waiter = (refusal) => {
        this.#waiters.delete(waiter);
        clearTimeout(timer);
        abort?.removeEventListener("abort", onAbort);
        if (refusal !== undefined) return reject(refusal);
        try {
          resolve(act());
        } catch (error) {
          reject(error);
        }
      };
      const onAbort = () => waiter(abort!.reason);
      const timer = setTimeout(() => {
        this.#turnedAway++;
        waiter(unavailable(`the buffer has been full for ${maxRoomWaitMs} ms`));
      }, maxRoomWaitMs);
      abort?.addEventListener("abort", onAbort);
      this.#waiters.add(waiter);
    });
  }

  #take(signal: Signal, body: Uint8Array, abort?: AbortSignal): Promise<WriteResult> {
    const { batch, requests } = this.#filling;
    const arrivalUnixNano = BigInt(Date.now()) * 1_000_000n;
    let result: WriteResult;
    try {
      result = this.#transcoder.transcode(signal, body, arrivalUnixNano, batch);
    } finally {
      // What nothing came of may have left its dimensions behind, and nobody else will clear them.
      if (batch.count === 0) batch.clear();
    }
    this.#rejected += result.rejected;
    if (result.accepted === 0) return Promise.resolve(result);

    const { maxBufferAgeMs } = this.#limits;
    return new Promise<WriteResult>((resolve, reject) => {
      const settle = () => {
        request.settled = true;
        this.#buffered -= result.accepted;
        clearTimeout(timer);
        abort?.removeEventListener("abort", onAbort);
      };
      const request: Request = {
        ...result,
        signal,
        body,
        arrivalUnixNano,
        position: ++this.#position,
        settled: false,
        stored: () => {
          settle();
          this.#stored += result.accepted;
          resolve(result);
        },
        refused: (error) => {
          settle();
          this.#refused += result.accepted;
          reject(error);
        },
      };
      const timer = setTimeout(() => {
        this.#takeBack(request, unavailable(`it has waited ${maxBufferAgeMs} ms behind others`));
      }, maxBufferAgeMs);
      const onAbort = () => this.#takeBack(request, abort!.reason);
      abort?.addEventListener("abort", onAbort);
      requests.push(request);
      this.#buffered += result.accepted;
      if (!this.#running) this.#run();
    });
  }

  /** A request that is already being stored can no longer be taken back. */
  #takeBack(request: Request, reason: unknown): void {
    if (this.#filling.requests.includes(request)) request.refused(reason);
  }

  async #run(): Promise<void> {
    this.#running = true;
    // Requests that arrive in the same turn of the event loop share the first batch.
    await new Promise((resolve) => setTimeout(resolve, 0));
    while (this.#filling.requests.length > 0) {
      [this.#filling, this.#storing] = [this.#storing, this.#filling];
      const { batch, requests } = this.#storing;
      this.#storingBytes = batch.bytes;
      this.#storingCount = batch.count;
      const wanted = requests.filter(({ settled }) => !settled);
      await this.#storeAll(
        batch,
        wanted.length < requests.length ? this.#fill(batch, wanted) : wanted,
      );
      this.#storing.clear();
      this.#storingBytes = this.#storingCount = 0;
      for (const waiter of this.#waiters) {
        if (!this.#hasRoom) break;
        waiter();
      }
    }
    this.#running = false;
  }

  /** Makes the batch one of these requests, and returns those that are in it. */
  #fill(batch: Batch, requests: readonly Request[]): Request[] {
    batch.clear();
    return requests.filter(({ signal, body, arrivalUnixNano, refused }) => {
      try {
        this.#transcoder.transcode(signal, body, arrivalUnixNano, batch);
        return true;
      } catch (error) {
        // It was readable before: somebody has changed the body meanwhile.
        refused(error);
        return false;
      }
    });
  }

  async #storeAll(batch: Batch, requests: readonly Request[]): Promise<void> {
    if (requests.length === 0) return;
    try {
      await this.#store.store(batch, requests.at(-1)!.position);
    } catch (error) {
      if (requests.length === 1 || !speaksAgainstRecords(error)) {
        for (const request of requests) request.refused(error);
        return;
      }
      const half = requests.length >> 1;
      for (const part of [requests.slice(0, half), requests.slice(half)]) {
        await this.#storeAll(batch, this.#fill(batch, part));
      }
      return;
    }
    for (const request of requests) request.stored();
  }
}

function unavailable(why: string): UnavailableError {
  return new UnavailableError(
    `Cannot store the request: ${why}; send it again later`,
    RETRY_AFTER_MS,
  );
}

function shuttingDown(): UnavailableError {
  return unavailable("shutting down");
}
