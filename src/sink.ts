/**
 * The seam between a delivery and where it delivers to.
 *
 * A sink takes records of the journal and says what became of them. It alone knows what they are, how
 * they travel, and which of them the other side will never take; the delivery knows when to try again.
 *
 * @module
 */

import type { Counts, JournalRecord } from "./journal.ts";
import type { Signal } from "./record.ts";

export type { Counts } from "./journal.ts";

/** Where a delivery delivers to. */
export interface Sink {
  /**
   * Where to go on, for a sink that keeps the position itself. Asked at the start and after each
   * `deliver` that rejected. Undefined, or no such method: the cursor says.
   */
  position?(signal: AbortSignal): Promise<bigint | undefined>;

  /**
   * Whether it needs no body of the record at a position, because it knows what is in it. Default: it
   * knows none.
   */
  knows?(position: bigint): boolean;

  /**
   * Delivers records, given in journal order, or the first few of them.
   *
   * @param records At least one. Those that it said it knows may come without their bodies.
   * @param signal Give up: end soon, and say what was delivered until then.
   * @param bury Makes dead letters durable. For a sink that keeps the position itself: it has to bury
   * before it moves the position, or a crash in between would lose them. It returns them all the same.
   * @param more For a sink that keeps the position itself and would rather go on than end.
   * @returns What became of the records before {@linkcode Delivered.next}, as far as `more` was not told.
   * @throws When nothing can be said about any of them. All are given again, later.
   */
  deliver(
    records: readonly JournalRecord[],
    signal: AbortSignal,
    bury: Bury,
    more?: More,
  ): Promise<Delivered>;
}

/** Makes dead letters durable before it resolves. The same letters twice are there once. */
export type Bury = (letters: readonly DeadLetter[]) => Promise<void>;

/**
 * Gives the records that follow all those given so far; none when the call is to end soon. One call at a
 * time.
 *
 * @param settled What became of records meanwhile, which need not be returned any more.
 * @throws The call is over: it was left alone, and nobody listens to it.
 */
export type More = (settled?: Delivered) => Promise<readonly JournalRecord[]>;

/** What became of records. Of those before `next` each valid one is either delivered or dead. */
export interface Delivered {
  /** Where to go on: the `next` of the last record that is settled, the first's position if none is. */
  readonly next: bigint;
  /** Records that the other side has. */
  readonly delivered: Counts;
  /** What the other side will never take. */
  readonly dead: readonly DeadLetter[];
  /** Why it stopped before the last record, when it has to be tried again later. */
  readonly failure?: unknown;
}

/** Something that its destination will never take. */
export interface DeadLetter {
  /** The position of the record of the journal that it was in. */
  readonly position: bigint;
  /** Tells the letters of one record apart; the same at each attempt. A whole number from 0. */
  readonly index: number;
  /** Its signal. */
  readonly signal: Signal;
  /** Valid records in it. */
  readonly count: number;
  /** When it was received, in ns since 1970. */
  readonly arrivalUnixNano: bigint;
  /** What the destination said. */
  readonly reason: string;
  /** An OTLP protobuf request of its own. */
  readonly body: Uint8Array;
}

/**
 * Counts of nothing.
 *
 * @example A counter
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const counts = noCounts();
 * counts.logs += 2;
 * assert.deepEqual(counts, { traces: 0, logs: 2, metrics: 0 });
 * ```
 */
export function noCounts(): Record<Signal, number> {
  return { traces: 0, logs: 0, metrics: 0 };
}

/**
 * What became of records, and of those that follow them, as one.
 *
 * @example A log, and then a span
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const log = { next: 100n, delivered: { ...noCounts(), logs: 1 }, dead: [] };
 * const span = { next: 200n, delivered: { ...noCounts(), traces: 1 }, dead: [] };
 * const { next, delivered } = joined(log, span);
 * assert.deepEqual([next, delivered], [200n, { traces: 1, logs: 1, metrics: 0 }]);
 * assert.equal(joined(undefined, log), log);
 * ```
 */
export function joined(first: Delivered | undefined, second: Delivered): Delivered {
  if (first === undefined) return second;
  const delivered = noCounts();
  for (const part of [first, second]) {
    for (const signal of Object.keys(delivered) as Signal[]) {
      delivered[signal] += part.delivered[signal];
    }
  }
  return { ...second, delivered, dead: [...first.dead, ...second.dead] };
}
