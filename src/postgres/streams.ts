/**
 * Slices of the journal, copied side by side and committed in its order.
 *
 * While the server is busy with one slice, the next one is made into rows; and as soon as the oldest
 * one is committed, its memory is for the next one: there is no end at which all wait. Each slice has a
 * transaction and a connection of its own, and moves the position only when the slice before it is
 * committed; when that one fails, it rolls back. So whatever fails, what is stored is the journal up
 * to one position.
 *
 * @module
 */

import { setImmediate } from "node:timers/promises";
import type { JournalRecord } from "../journal.ts";
import { type Counts, type Delivered, joined, type More } from "../sink.ts";
import type { Batch } from "./batch.ts";
import type { PreparedRows, RequestOfJournal } from "./prepared_rows.ts";
import type { PostgresSink } from "./sink.ts";

/** Bytes of requests made into rows before others get their turn: a millisecond or two. */
const TURN_BYTES = 64 << 10;

/** What makes requests into rows: {@linkcode PreparedRows}. */
export type RowMaker = Pick<PreparedRows, "append" | "forget" | "knows">;

/** Gives the body of a request, or of a part of one; reads it where it was read without. */
export type BodyOf = (request: RequestOfJournal) => Promise<Uint8Array>;

/** What became of slices. */
export interface StoredSlices {
  /** Those that are stored and of which nobody was told. Undefined when there are none. */
  readonly settled: Delivered | undefined;
  /** Those that are not, in order. */
  readonly left: readonly (readonly JournalRecord[])[];
  /** Why the first of them is not. */
  readonly failure?: unknown;
}

/** A slice on its way. It holds no records: the one behind it holds it. */
interface Stream {
  /** Resolves when its transaction has begun, and also when it has failed. */
  readonly begun: Promise<void>;
  /** Resolves when it is committed. */
  readonly stored: Promise<Delivered>;
  /** Aborted when it has failed. */
  readonly failed: AbortSignal;
}

/** Stores slices of the journal side by side. Its calls must not overlap. */
export class Streams {
  readonly #sink: PostgresSink;
  readonly #rows: RowMaker;
  readonly #bodyOf: BodyOf;
  readonly #batches: readonly Batch[];

  /** @param batches Memory for the rows: so many slices are under way at a time. */
  constructor(
    sink: PostgresSink,
    rows: RowMaker,
    bodyOf: BodyOf,
    batches: readonly Batch[],
  ) {
    this.#sink = sink;
    this.#rows = rows;
    this.#bodyOf = bodyOf;
    this.#batches = batches;
  }

  /**
   * Stores slices, each once, until there are no more or one has failed, which is not tried again.
   * When it has ended, no slice is under way.
   *
   * @param next Gives the next slice, when there is memory for it, and is told what is stored by then.
   * No records: that was all.
   * @param signal Gives up those that are not committed.
   * @throws What `next` throws.
   */
  async store(next: More, signal: AbortSignal): Promise<StoredSlices> {
    const slices: (readonly JournalRecord[])[] = [];
    const streams: Stream[] = [];
    let settled: Delivered | undefined;
    try {
      for (let n = 0, from = this.#sink.at;; n++) {
        if (streams.length === this.#batches.length) {
          const [oldest] = await Promise.allSettled([streams[0]!.stored]);
          if (oldest!.status === "rejected") break;
          settled = joined(settled, oldest!.value);
          streams.shift();
          slices.shift();
        }
        if (streams.some(({ failed }) => failed.aborted)) break;
        const told = settled;
        settled = undefined;
        const records = await next(told);
        if (records.length === 0) break;
        const batch = this.#batches[n % this.#batches.length]!;
        const { stream, filled } = this.#begin(batch, records, from, streams.at(-1), signal);
        slices.push(records);
        streams.push(stream);
        // Its failure is the stream's. There is one thread to make rows on.
        await Promise.allSettled([filled]);
        from = records.at(-1)!.next;
      }
    } finally {
      // Their memory is used by the next call.
      await Promise.allSettled(streams.map(({ stored }) => stored));
    }
    while (streams.length > 0) {
      const [outcome] = await Promise.allSettled([streams[0]!.stored]);
      if (outcome!.status === "rejected") {
        return { settled, left: slices, failure: outcome!.reason };
      }
      settled = joined(settled, outcome!.value);
      streams.shift();
      slices.shift();
    }
    return { settled, left: [] };
  }

  #begin(
    memory: Batch,
    records: readonly JournalRecord[],
    from: bigint,
    before: Stream | undefined,
    signal: AbortSignal,
  ): { readonly stream: Stream; readonly filled: Promise<Batch> } {
    const ended = before === undefined ? signal : AbortSignal.any([signal, before.failed]);
    const filled = fill(memory, { rows: this.#rows, bodyOf: this.#bodyOf }, records, ended);
    const begun = Promise.withResolvers<void>();
    const failed = new AbortController();
    const to = records.at(-1)!.next;
    const store = async (): Promise<Delivered> => {
      const batch = await filled;
      using _done = { [Symbol.dispose]: () => batch.clear() };
      // Of what both name, each new row is written by one of them. And who commits first gets its
      // connection first: where there is only one, nobody waits for ever.
      await before?.begun;
      const after = before?.stored;
      const onBegun = begun.resolve;
      await this.#sink.storeSlice(batch, { from, to, after, onBegun, signal: ended });
      return { next: to, delivered: countsOf(batch), dead: [] };
    };
    const stored = store();
    stored.catch((error) => {
      failed.abort(error);
      begun.resolve();
    });
    return { stream: { begun: begun.promise, stored, failed: failed.signal }, filled };
  }
}

/**
 * Makes a batch the rows of requests, and lets others have their turn in between.
 *
 * @param from What makes them, and gives the bodies that are needed for that.
 * @param signal Ends it.
 * @returns The batch.
 * @throws What the making of rows and the loading throw, or the signal's reason.
 */
export async function fill(
  batch: Batch,
  { rows, bodyOf }: { readonly rows: RowMaker; readonly bodyOf: BodyOf },
  requests: Iterable<RequestOfJournal>,
  signal: AbortSignal,
): Promise<Batch> {
  // A call that was given up and is late must not touch what is used by the next one.
  signal.throwIfAborted();
  batch.clear();
  let bytes = 0;
  for (const request of requests) {
    if (bytes >= TURN_BYTES) {
      bytes = 0;
      await setImmediate();
      signal.throwIfAborted();
    }
    const { position } = request;
    if (position !== undefined && rows.knows(position)) {
      rows.append(request, batch);
      continue;
    }
    const body = await bodyOf(request);
    signal.throwIfAborted();
    rows.append(request, batch, body);
    bytes += body.length;
  }
  return batch;
}

/** How many records a batch has. */
export function countsOf({ traces, logs, metrics }: Batch): Counts {
  return { traces: traces.count, logs: logs.count, metrics: metrics.count };
}
