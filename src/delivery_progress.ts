/**
 * How far a delivery has got in its journal, and what became of what it has passed.
 *
 * Positions are those of the journal. What is durable is the cursor or, for a sink that keeps the
 * position itself, what the sink says; this follows them, and squares what they say with what the
 * journal has:
 *
 * | found | then |
 * | --- | --- |
 * | the journal begins behind the position | a gap: on to its oldest record |
 * | nothing readable at the position | a gap: on to the next record; its records are skipped |
 * | the sink is further than it said | its answer was lost: what is between is delivered |
 * | the sink is less far than it said | restored from an older copy: deliver that again |
 * | the sink is further than the journal | the journal was restored: what came since is put behind |
 *
 * @module
 */

import type { DeliveryEvent } from "./delivery_options.ts";
import type { Cursor, Journal, JournalRecord, ReadBounds } from "./journal.ts";
import { countsOf, difference, Ledger, type LedgerCounts, type Settled, sum } from "./ledger.ts";
import type { Counts, DeadLetter, Delivered } from "./sink.ts";

/** To look at one record. */
const ONE: ReadBounds = { maxBytes: 1, maxRecords: 1 };

/** The progress of one delivery. Its calls must not overlap. */
export class Progress {
  readonly #journal: Journal;
  readonly #cursor: Cursor;
  readonly #tell: (event: DeliveryEvent) => void;
  /** Where the journal ended at the start: what is behind has come since. */
  readonly #startHead: bigint;
  /** What has come since and is to be put behind a sink that is further than the journal was. */
  #behind: bigint;
  #position: bigint;
  /** Undefined until the journal was looked at. */
  #ledger: Ledger | undefined;
  /** Whether it was told where to begin. */
  #located = false;
  #arrival: bigint | undefined;
  #gapBytes = 0n;
  /** What was buried from the position on: the sink may have moved on without an answer. */
  readonly #buried = new Map<string, DeadLetter>();

  /** @param tell Takes events. */
  constructor(journal: Journal, cursor: Cursor, tell: (event: DeliveryEvent) => void) {
    this.#journal = journal;
    this.#cursor = cursor;
    this.#tell = tell;
    this.#startHead = journal.head;
    this.#behind = journal.head;
    this.#position = cursor.position;
  }

  /** Where to go on. */
  get position(): bigint {
    return this.#position;
  }

  /** Whether the journal has nothing more. */
  get atHead(): boolean {
    return this.#journal.head <= this.#position;
  }

  /** Whether it is known where to go on. */
  get isLocated(): boolean {
    return this.#located;
  }

  /** When the record at the position arrived, in ns since 1970; undefined when that is not known. */
  get arrivalUnixNano(): bigint | undefined {
    return this.#arrival;
  }

  /** Bytes that were gone before they were delivered. */
  get gapBytes(): bigint {
    return this.#gapBytes;
  }

  /** The ledger. Nothing but zeros before the first look at the journal. */
  counts(): LedgerCounts {
    const total = this.#journal.accepted;
    return (this.#ledger ?? new Ledger(total)).counts(total);
  }

  /** Looks at the journal, so that the ledger is right before anybody can be asked. */
  async look(): Promise<void> {
    if (this.#ledger === undefined) await this.#begin(this.#cursor.position);
  }

  /**
   * Finds where to go on.
   *
   * @param said What the sink says; undefined: it does not know.
   */
  async locate(said: bigint | undefined): Promise<void> {
    await this.look();
    const to = await this.#within(said ?? this.#position);
    if (!this.#located) {
      if (to !== this.#position) await this.#begin(to);
      this.#located = true;
    } else if (to !== this.#position) {
      const { before, arrival } = await this.#lookAt(to);
      if (to < this.#position) this.#rewind(to, before);
      else this.#jump(to, before);
      this.#arrival = arrival;
    }
    await this.#keep(to);
  }

  /** The first records to be delivered. Empty when there is none to be read. */
  async read(bounds: ReadBounds): Promise<readonly JournalRecord[]> {
    const { head, accepted } = this.#journal;
    // What is given to the sink again is buried again.
    this.#buried.clear();
    const records = await this.#journal.read(this.#position, bounds);
    const { position: from, before } = records[0] ?? { position: head, before: accepted };
    if (from > this.#position) {
      const skipped = difference(before, this.#ledger!.passed);
      this.#gap(this.#position, from);
      this.#pass(from, before, { skipped });
      await this.#keep(from);
    }
    this.#arrival = records[0]?.arrivalUnixNano;
    return records;
  }

  /** Remembers what was made durable as dead letters, of records that are not passed yet. */
  buried(letters: readonly DeadLetter[]): void {
    for (const letter of letters) {
      this.#buried.set(`${letter.position} ${letter.index}`, letter);
    }
  }

  /**
   * Goes on behind records, durably.
   *
   * @param records Those that were read.
   * @param answer What became of the first of them. Its dead letters are durable.
   */
  async settle(records: readonly JournalRecord[], answer: Delivered): Promise<void> {
    const { next, delivered, dead } = answer;
    await this.#keep(next);
    const last = records.findLast(({ position }) => position < next)!;
    this.#pass(next, after(last), { delivered, dead: countsOf(dead) });
    this.#arrival = records.find(({ position }) => position >= next)?.arrivalUnixNano;
  }

  /**
   * Goes on behind some records that end before `to`, durably, and counts them as skipped.
   *
   * @returns What was skipped; undefined when no record ends before `to`.
   */
  async skip(to: bigint, bounds: ReadBounds): Promise<Counts | undefined> {
    const records = (await this.read(bounds)).filter(({ next }) => next <= to);
    const last = records.at(-1);
    if (last === undefined) return undefined;
    await this.#keep(last.next);
    const skipped = difference(after(last), this.#ledger!.passed);
    this.#pass(last.next, after(last), { skipped });
    this.#arrival = undefined;
    return skipped;
  }

  async #begin(at: bigint): Promise<void> {
    const { oldest, head } = this.#journal;
    const from = at < oldest ? oldest : at > head ? head : at;
    const { before, arrival } = await this.#lookAt(from);
    if (at < oldest) this.#gap(at, oldest);
    this.#ledger = new Ledger(before);
    this.#position = from;
    this.#arrival = arrival;
  }

  /** A position from which on the journal has what is to be delivered. */
  async #within(position: bigint): Promise<bigint> {
    const { oldest, head } = this.#journal;
    if (position < oldest) {
      this.#gap(position, oldest);
      return oldest;
    }
    const isAhead = position > head || (!this.#located && position > this.#startHead);
    if (isAhead) await this.#putBehind(position);
    return position;
  }

  /**
   * The journal was restored from an older copy: what it had at the start was delivered, what came
   * since was not, although it lies before the position.
   */
  async #putBehind(position: bigint): Promise<void> {
    const { head } = this.#journal;
    this.#tell({ kind: "ahead", position, head });
    if (position > head) await this.#journal.skipTo(position);
    for (;;) {
      const [record] = await this.#journal.read(this.#behind, ONE);
      if (record === undefined || record.position >= position) break;
      await this.#journal.append(record, { again: true });
      // One by one: if the next one fails, this one is not put there twice.
      this.#behind = record.next;
    }
  }

  #gap(from: bigint, to: bigint): void {
    this.#gapBytes += to - from;
    this.#tell({ kind: "gap", from, to });
  }

  #rewind(to: bigint, before: Counts): void {
    this.#tell({ kind: "rewound", from: this.#position, to });
    this.#ledger!.rewind(before);
    this.#position = to;
    this.#buried.clear();
  }

  /** It did what it was asked, and its answer was lost. */
  #jump(to: bigint, before: Counts): void {
    const buried = [...this.#buried.values()].filter(({ position }) => position < to);
    const dead = countsOf(buried);
    const delivered = difference(difference(before, this.#ledger!.passed), dead);
    this.#pass(to, before, { delivered, dead });
  }

  /** Nothing else runs between these, so the ledger holds whenever it is looked at. */
  #pass(to: bigint, before: Counts, settled: Partial<Settled>): void {
    this.#ledger!.pass(before, settled);
    this.#position = to;
    // What was buried behind may have been passed by the sink, whose answer was lost.
    for (const [key, { position }] of this.#buried) if (position < to) this.#buried.delete(key);
  }

  async #keep(position: bigint): Promise<void> {
    if (position !== this.#cursor.position) await this.#cursor.move(position, { back: true });
  }

  /** Valid records before a position, and when the first one behind it arrived. */
  async #lookAt(position: bigint): Promise<{ before: Counts; arrival: bigint | undefined }> {
    const { head, accepted } = this.#journal;
    const [first] = position < head ? await this.#journal.read(position, ONE) : [];
    return { before: first?.before ?? accepted, arrival: first?.arrivalUnixNano };
  }
}

/** Valid records of the journal before the one that follows. */
function after({ before, signal, count }: JournalRecord): Counts {
  return sum(before, countsOf([{ signal, count }]));
}
