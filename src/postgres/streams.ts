/**
 * Slices of the journal, copied side by side and committed in its order.
 *
 * While the server is busy with one slice, the next one is made into rows. Each slice has a
 * transaction and a connection of its own, and moves the position only when the slice before it is
 * committed; when that one fails, it rolls back. So whatever fails, what is stored is the journal up
 * to one position.
 *
 * @module
 */

import { setImmediate } from "node:timers/promises";
import type { JournalRecord } from "../journal.ts";
import type { Counts } from "../sink.ts";
import type { Batch } from "./batch.ts";
import type { PreparedRows, RequestOfJournal } from "./prepared_rows.ts";
import type { PostgresSink } from "./sink.ts";

/** Bytes of requests made into rows before others get their turn: a millisecond or two. */
const TURN_BYTES = 64 << 10;

/** What makes requests into rows: {@linkcode PreparedRows}. */
export type RowMaker = Pick<PreparedRows, "append" | "forget">;

/** What became of slices. */
export interface StoredSlices {
  /** Records of those that are stored, which are the first ones. */
  readonly stored: readonly Counts[];
  /** Why the next one is not. Undefined when all are. */
  readonly failure?: unknown;
}

/** A slice on its way. */
interface Stream {
  /** Resolves when its transaction has begun, and also when it has failed. */
  readonly begun: Promise<void>;
  /** Resolves to the number of its records when they are committed. */
  readonly stored: Promise<Counts>;
  /** Aborted when it has failed. */
  readonly failed: AbortSignal;
}

/** Stores slices of the journal side by side. Its calls must not overlap. */
export class Streams {
  readonly #sink: PostgresSink;
  readonly #rows: RowMaker;
  readonly #batches: readonly Batch[];

  /** @param batches Memory for the rows, one for each slice. */
  constructor(
    sink: PostgresSink,
    rows: RowMaker,
    batches: readonly Batch[],
  ) {
    this.#sink = sink;
    this.#rows = rows;
    this.#batches = batches;
  }

  /**
   * Stores slices, each once. What fails is not tried again.
   *
   * @param slices Records in journal order, at most as many slices as there are batches.
   * @param signal Gives up those that are not committed.
   */
  async store(
    slices: readonly (readonly JournalRecord[])[],
    signal: AbortSignal,
  ): Promise<StoredSlices> {
    const streams: Stream[] = [];
    let from = this.#sink.at;
    for (const [n, records] of slices.entries()) {
      const before = streams.at(-1);
      const ended = before === undefined ? signal : AbortSignal.any([signal, before.failed]);
      const filled = fill(this.#batches[n]!, this.#rows, records, ended);
      const to = records.at(-1)!.next;
      streams.push(this.#begin(filled, { from, to }, before, ended));
      // Its failure is the stream's. There is one thread to make rows on.
      await Promise.allSettled([filled]);
      from = to;
    }
    const outcomes = await Promise.allSettled(streams.map(({ stored }) => stored));
    const stored: Counts[] = [];
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") return { stored, failure: outcome.reason };
      stored.push(outcome.value);
    }
    return { stored };
  }

  #begin(
    filled: Promise<Batch>,
    { from, to }: { readonly from: bigint; readonly to: bigint },
    before: Stream | undefined,
    signal: AbortSignal,
  ): Stream {
    const begun = Promise.withResolvers<void>();
    const failed = new AbortController();
    const store = async () => {
      const batch = await filled;
      // Of what both name, each new row is written by one of them. And who commits first gets its
      // connection first: where there is only one, nobody waits for ever.
      await before?.begun;
      const after = before?.stored;
      await this.#sink.storeSlice(batch, { from, to, after, onBegun: begun.resolve, signal });
      return countsOf(batch);
    };
    const stored = store();
    stored.catch((error) => {
      failed.abort(error);
      begun.resolve();
    });
    return { begun: begun.promise, stored, failed: failed.signal };
  }
}

/**
 * Cuts records into consecutive slices of about equal bytes.
 *
 * @param most How many slices at most.
 * @param sliceBytes How many bytes of requests a slice has to have, unless it is the only one.
 *
 * @example Four requests of the same size
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const requests = [1, 2, 3, 4].map((n) => ({ n, body: new Uint8Array(100) }));
 * assert.deepEqual(cut(requests, 2, 150).map((slice) => slice.map(({ n }) => n)), [[1, 2], [3, 4]]);
 * assert.equal(cut(requests, 2, 300).length, 1);
 * ```
 */
export function cut<R extends { readonly body: Uint8Array }>(
  records: readonly R[],
  most: number,
  sliceBytes: number,
): readonly (readonly R[])[] {
  const bytes = records.reduce((sum, { body }) => sum + body.length, 0);
  const count = Math.min(most, Math.floor(bytes / sliceBytes));
  if (count < 2) return [records];
  const slices: R[][] = [];
  let last = -1;
  let before = 0;
  for (const record of records) {
    // A record belongs to where its middle lies; a large one may leave a slice without any.
    const slice = Math.floor((before + record.body.length / 2) / bytes * count);
    if (slice !== last) slices.push([]);
    slices.at(-1)!.push(record);
    before += record.body.length;
    last = slice;
  }
  return slices;
}

/**
 * Makes a batch the rows of requests, and lets others have their turn in between.
 *
 * @param signal Ends it.
 * @returns The batch.
 * @throws What the making of rows throws, or the signal's reason.
 */
export async function fill(
  batch: Batch,
  rows: RowMaker,
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
    rows.append(request, batch);
    bytes += request.body.length;
  }
  return batch;
}

/** How many records a batch has. */
export function countsOf({ traces, logs, metrics }: Batch): Counts {
  return { traces: traces.count, logs: logs.count, metrics: metrics.count };
}
