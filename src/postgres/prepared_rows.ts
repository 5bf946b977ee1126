/**
 * Rows that were made when a request came, kept until the request is stored.
 *
 * A request has to be read whole to be checked, and reading it makes its rows. The delivery that keeps
 * up with what comes finds them here; for one that is far behind they are not kept, and it makes them
 * anew from the journal.
 *
 * Whoever brings more than a healthy delivery can take has to wait a moment, in which it catches up:
 * that is cheaper for both than to make all rows twice. A delivery that has stopped delays nobody.
 *
 * @module
 */

import { BufferPool } from "../buffer_pool.ts";
import type { Signal } from "../record.ts";
import { Batch, type RequestRows } from "./batch.ts";
import type { Transcoded, Transcoder } from "./transcode.ts";

/** A request of the journal. */
export interface RequestOfJournal {
  readonly signal: Signal;
  /** OTLP protobuf. */
  readonly body: Uint8Array;
  /** Whether it was read without its body. */
  readonly isKnown?: boolean;
  /** Nanoseconds since 1970. */
  readonly arrivalUnixNano: bigint;
  /** Where it is in the journal. Undefined for what is only a part of a request. */
  readonly position?: bigint;
}

/** A request that was checked. */
export interface Checked extends Transcoded {
  /** Keeps its rows, once it has its place in the journal. */
  keep(position: bigint): void;
}

/** Bytes of rows that are kept. What goes beyond is made anew. */
const MAX_BYTES = 16 << 20;
/** Requests wait while more of that is taken. */
const WAIT_ABOVE = 0.5;
/** For how long at most, in ms. */
const MAX_WAIT_MS = 250;
/** A delivery that has asked for nothing for so long has stopped, or has had nothing to do, in ms. */
const STOPPED_MS = 1_000;
/** Then so much is kept for when it goes on. */
const KEPT_WHEN_STOPPED = 1 / 8;

/** Makes rows, and keeps those that will be asked for soon. One for each journal and its database. */
export class PreparedRows {
  readonly #transcoder: Transcoder;
  readonly #maxBytes: number;
  readonly #scratch = new Batch();
  /** By position; requests get their places in order, so the first is the lowest. */
  readonly #kept = new Map<bigint, RequestRows>();
  readonly #pool: BufferPool;
  readonly #clock: () => number;
  /** When a delivery last asked for rows. */
  #asked = -Infinity;
  /** Called when it did. */
  readonly #waiting = new Set<() => void>();
  #bytes = 0;
  #used = 0;
  #made = 0;
  /** Changes when what was made before is of no use any more. */
  #epoch = 0;

  /**
   * @param maxBytes Bytes of rows that are kept.
   * @param clock A monotonic clock in ms.
   */
  constructor(
    transcoder: Transcoder,
    maxBytes: number = MAX_BYTES,
    clock: () => number = () => performance.now(),
  ) {
    this.#transcoder = transcoder;
    this.#clock = clock;
    this.#maxBytes = maxBytes;
    this.#pool = new BufferPool(maxBytes / 2);
  }

  /** Requests whose rows were there, and those whose rows were made for a delivery. */
  get stats(): { readonly used: number; readonly made: number; readonly bytes: number } {
    return { used: this.#used, made: this.#made, bytes: this.#bytes };
  }

  /**
   * Waits while a delivery that goes on has much to catch up with, for a quarter of a second at most.
   *
   * @throws The reason of `abort`.
   */
  async room(abort?: AbortSignal): Promise<void> {
    if (!this.#isBehind) return;
    abort?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = () => {
      if (!this.#isBehind) resolve();
    };
    const onAbort = () => reject(abort!.reason);
    const timer = setTimeout(resolve, MAX_WAIT_MS);
    this.#waiting.add(look);
    abort?.addEventListener("abort", onAbort, { once: true });
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(look);
      abort?.removeEventListener("abort", onAbort);
    }
  }

  get #isBehind(): boolean {
    return this.#bytes > this.#maxBytes * WAIT_ABOVE && this.#goesOn;
  }

  get #goesOn(): boolean {
    return this.#clock() - this.#asked < STOPPED_MS;
  }

  /**
   * Says which records of a request are valid, by making the rows that they will be.
   *
   * @throws {OtlpDecodeError} It is none.
   * @throws {OtlpTooLargeError} Its rows take more than 256 MiB.
   */
  check(signal: Signal, body: Uint8Array, arrivalUnixNano: bigint): Checked {
    const batch = this.#scratch;
    try {
      const result = this.#transcoder.transcode(signal, body, arrivalUnixNano, batch);
      const size = batch.of(signal).at;
      if (batch.count === 0 || !this.#fits(size)) return { ...result, keep: () => {} };
      const buffer = this.#pool.take(size);
      const rows = batch.copied(signal, buffer, () => this.#pool.give(buffer));
      const epoch = this.#epoch;
      const keep = (position: bigint) => {
        // The first copy of a request that came twice at once has its place already.
        const isWanted = epoch === this.#epoch && !this.#kept.has(position) && this.#fits(size);
        if (!isWanted) return rows.release();
        this.#kept.set(position, rows);
        this.#bytes += size;
      };
      return { ...result, keep };
    } finally {
      batch.clear();
    }
  }

  #fits(size: number): boolean {
    const most = this.#goesOn ? this.#maxBytes : this.#maxBytes * KEPT_WHEN_STOPPED;
    return this.#bytes + size <= most;
  }

  /** Whether it has the rows of the request at a position, whose body it does not need then. */
  knows(position: bigint): boolean {
    return this.#kept.has(position);
  }

  /**
   * Appends the rows of a request to a batch.
   *
   * @param body Its body. Default: the one that it has.
   * @throws What the transcoder throws; the batch is as it was.
   */
  append(request: RequestOfJournal, batch: Batch, body?: Uint8Array): void {
    const { signal, arrivalUnixNano, position } = request;
    this.#asked = this.#clock();
    const kept = position === undefined ? undefined : this.#take(position);
    for (const look of this.#waiting) look();
    if (kept === undefined) {
      this.#made++;
      this.#transcoder.transcode(signal, body ?? request.body, arrivalUnixNano, batch);
    } else {
      this.#used++;
      batch.put(kept);
    }
  }

  /** Forgets what the database has of what rows name: the next ones bring all of it along. */
  forget(): void {
    this.#transcoder.forget();
    this.#epoch++;
    this.#kept.clear();
    this.#bytes = 0;
  }

  /** The rows of a request. Those before it were passed by and are wanted by nobody. */
  #take(position: bigint): RequestRows | undefined {
    for (const [at, kept] of this.#kept) {
      if (at > position) break;
      this.#kept.delete(at);
      this.#bytes -= kept.bytes.length;
      if (at === position) return kept;
      kept.release();
    }
    return undefined;
  }
}
