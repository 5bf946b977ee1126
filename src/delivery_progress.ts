/**
 * How far a delivery has got in its journal, and what became of what it has passed.
 *
 * Positions are those of the journal. What is durable is the cursor or, for a sink that keeps the
 * position itself, what the sink says, and the note of the ledger beside it; this follows them, and
 * squares what they say with what the journal has:
 *
 * | found | then |
 * | --- | --- |
 * | the journal begins behind the position | a gap: on to its oldest record; what was there is skipped |
 * | nothing readable at the position | a gap: on to the next record; its records are skipped |
 * | the sink is further than it said | its answer was lost: what is between is delivered, or dead |
 * | the sink is less far than it said | restored from an older copy: deliver that again |
 * | the sink has nothing, and had something | another database: deliver all that the journal has |
 * | the sink is further than the journal | the journal was restored: what came since is put behind |
 * | a position without a note | the note was lost: all before the position is delivered |
 *
 * Before the position moves past records that are not delivered, the note says so. So after a crash
 * between any two steps the ledger is right.
 *
 * @module
 */

import type { DeliveryEvent } from "./delivery_options.ts";
import type { Cursor, Journal, JournalRecord, ReadBounds } from "./journal.ts";
import {
  atMost,
  beginning,
  between,
  countsOf,
  difference,
  knownBefore,
  Ledger,
  type LedgerCounts,
  sum,
} from "./ledger.ts";
import { decodeNote, encodeNote, type LedgerNote } from "./ledger_note.ts";
import { type Counts, type DeadLetter, type Delivered, noCounts } from "./sink.ts";

/** To look at one record. */
const ONE: ReadBounds = { maxBytes: 1, maxRecords: 1 };
/** To look for one. */
const MANY: ReadBounds = { maxBytes: 1 << 20, maxRecords: 1_000 };

/** The progress of one delivery. Its calls must not overlap, but for `bury`. */
export class Progress {
  readonly #journal: Journal;
  readonly #cursor: Cursor;
  readonly #tell: (event: DeliveryEvent) => void;
  /** The end of the journal at the start, and its records: what is behind has come since. */
  readonly #startHead: bigint;
  readonly #startAccepted: Counts;
  /** The note that was found at the start. */
  readonly #found: LedgerNote | undefined;
  /** The note that will be found after a crash; undefined when that is not known. */
  #noted: LedgerNote | undefined;
  /** What has come since and is to be put behind a sink that is further than the journal was. */
  #behind: bigint;
  #position: bigint;
  /** Undefined until the journal was looked at. */
  #ledger: Ledger | undefined;
  /** Whether the cursor is what will be found after a crash: a move that failed may have been made. */
  #isSure = true;
  /** Whether it was told where to begin. */
  #located = false;
  /** Whether the sink keeps the position. */
  #isAsked = false;
  #arrival: bigint | undefined;
  #gapBytes = 0n;
  /** The last gap that was told. */
  #gap: { readonly from: bigint; readonly to: bigint } | undefined;
  /** What was buried from the position on. */
  readonly #buried = new Map<string, DeadLetter>();

  /** @param tell Takes events. */
  constructor(journal: Journal, cursor: Cursor, tell: (event: DeliveryEvent) => void) {
    this.#journal = journal;
    this.#cursor = cursor;
    this.#tell = tell;
    this.#startHead = journal.head;
    this.#startAccepted = journal.accepted;
    this.#found = decodeNote(cursor.note);
    this.#noted = this.#found;
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
    const ledger = this.#ledger ?? new Ledger(beginning(total), this.#position, total);
    return ledger.counts(total);
  }

  /** Looks at the journal, so that the ledger is as right as it can be before the sink was asked. */
  async look(): Promise<void> {
    if (this.#ledger !== undefined) return;
    const { passed, arrival } = await this.#lookAt(this.#position);
    this.#ledger = new Ledger(this.#begun(false, passed), this.#position, passed);
    this.#arrival = arrival;
  }

  /**
   * Looks when the first record at the position arrived, as soon as there is one. While nothing can be
   * delivered nobody else reads it.
   *
   * @param signal Ends the wait.
   */
  async watch(signal: AbortSignal): Promise<void> {
    if (this.#arrival !== undefined) return;
    const at = this.#position;
    await this.#journal.waitFor(at, signal);
    const [first] = await this.#journal.read(at, ONE);
    if (at === this.#position) this.#arrival ??= first?.arrivalUnixNano;
  }

  /**
   * Finds where to go on.
   *
   * @param said What the sink says, `nothing` when it has none of the journal; undefined: it is not
   * asked, the cursor knows.
   */
  async locate(said: bigint | "nothing" | undefined): Promise<void> {
    await this.look();
    this.#isAsked = said !== undefined;
    const hasSome = typeof said === "bigint";
    const at = hasSome ? said : this.#position;
    if (said === "nothing" && !this.#located && this.#found?.hadSome) {
      this.#tell({ kind: "unknown", from: at });
    }
    const { head } = this.#journal;
    const isAhead = at > head || (!this.#located && at > this.#startHead);
    if (isAhead) await this.#putBehind(at);
    const { passed, arrival } = await this.#lookAt(at);
    const [from, before] = this.#located
      ? [this.#position, this.#ledger!.passed]
      : [this.#startHead, this.#startAccepted];
    if (this.#located) this.#moved(at, passed);
    else this.#ledger = new Ledger(this.#begun(hasSome, passed), at, passed);
    // It will be given the copies of these.
    if (isAhead) {
      const skipped = difference(passed, before);
      this.#ledger!.lose(from, { to: at, passed, dead: noCounts(), skipped });
    }
    if (hasSome) this.#ledger!.had();
    this.#position = at;
    this.#arrival = arrival;
    this.#buried.clear();
    await this.#note();
    await this.#keep(at);
    this.#located = true;
  }

  /**
   * The first records to be delivered, without a gap between them. Empty when there is none to be
   * read.
   */
  async read(bounds: ReadBounds): Promise<readonly JournalRecord[]> {
    const { head, accepted } = this.#journal;
    // What is given to the sink again is buried again.
    this.#buried.clear();
    const records = await this.#journal.read(this.#position, bounds);
    const { position: from, before } = records[0] ?? { position: head, before: accepted };
    if (from > this.#position) await this.#skipGap(from, before);
    this.#arrival = records[0]?.arrivalUnixNano;
    return beforeGap(records, records[0]?.position);
  }

  /**
   * The records that follow those which the sink has, without a gap before or between them. Empty when
   * there is none, or less than what is worth it.
   *
   * @param from Where the last one that it has ends.
   * @param leastBytes How much of the journal is worth it.
   */
  async readOn(
    from: bigint,
    bounds: ReadBounds,
    leastBytes: number,
  ): Promise<readonly JournalRecord[]> {
    if (this.#journal.head - from < leastBytes) return [];
    return beforeGap(await this.#journal.read(from, bounds), from);
  }

  /**
   * Notes what was made durable as dead letters, before the sink moves its position past them.
   *
   * @param letters Some of them.
   * @param records Those that the sink was given.
   */
  async bury(letters: readonly DeadLetter[], records: readonly JournalRecord[]): Promise<void> {
    for (const letter of letters) {
      this.#buried.set(`${letter.position} ${letter.index}`, letter);
    }
    for (const record of records) {
      const { position, next: to } = record;
      if (!letters.some((letter) => letter.position === position)) continue;
      const dead = countsOf([...this.#buried.values()].filter((one) => one.position === position));
      this.#ledger!.lose(position, { to, passed: after(record), dead, skipped: noCounts() });
    }
    await this.#note();
  }

  /**
   * Goes on behind records, durably.
   *
   * @param records Those that were read.
   * @param answer What became of the first of them. Its dead letters are durable.
   * @param isLast Whether the sink has said all that it has to say of what it was given.
   */
  async settle(
    records: readonly JournalRecord[],
    answer: Delivered,
    isLast: boolean,
  ): Promise<void> {
    const { next, dead, failure } = answer;
    const ledger = this.#ledger!;
    // After a failure it is asked for the position: it may have gone on without an answer.
    if (isLast && failure === undefined) ledger.forget(next);
    const passed = after(records.findLast(({ position }) => position < next)!);
    const skipped = noCounts();
    ledger.lose(this.#position, { to: next, passed, dead: countsOf(dead), skipped });
    if (this.#isAsked) ledger.had();
    await this.#note();
    await this.#keep(next);
    this.#pass(next, passed);
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
    return await this.#skipTo(last.next, after(last));
  }

  /** The note to begin with. Without one, all before the position is taken for delivered. */
  #begun(hasSome: boolean, passed: Counts): LedgerNote {
    const isNew = this.#cursor.note === "" && !hasSome;
    return this.#found ?? beginning(isNew ? passed : noCounts());
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

  /** The sink says that it is elsewhere. */
  #moved(to: bigint, passed: Counts): void {
    const [from, gap] = [this.#position, this.#gap];
    // It did not hear of a gap yet: that will be met again.
    const isKnown = to === gap?.from && from === gap.to;
    if (to < from && !isKnown) this.#tell({ kind: "rewound", from, to });
    this.#ledger!.goTo(to, passed);
  }

  async #skipGap(to: bigint, before: Counts): Promise<void> {
    const from = this.#position;
    const { traces, logs, metrics } = await this.#skipTo(to, before);
    // Where a position was left free nothing is lost.
    if (traces + logs + metrics === 0 || from === this.#gap?.from) return;
    this.#gap = { from, to };
    this.#gapBytes += to - from;
    this.#tell({ kind: "gap", from, to });
  }

  async #skipTo(to: bigint, passed: Counts): Promise<Counts> {
    const ledger = this.#ledger!;
    const skipped = difference(passed, ledger.passed);
    ledger.lose(this.#position, { to, passed, dead: noCounts(), skipped });
    await this.#note();
    await this.#keep(to);
    this.#pass(to, passed);
    this.#arrival = undefined;
    return skipped;
  }

  /** Nothing else runs between these, so the ledger holds whenever it is looked at. */
  #pass(to: bigint, before: Counts): void {
    this.#ledger!.pass(to, before);
    this.#position = to;
    // What was buried behind may have been passed by the sink, whose answer was lost.
    for (const [key, { position }] of this.#buried) if (position < to) this.#buried.delete(key);
  }

  async #note(): Promise<void> {
    const { note } = this.#ledger!;
    if (note === this.#noted) return;
    // What was noted for a move that may have been made stays until that is undone.
    if (!this.#isSure) await this.#keep(this.#position);
    this.#noted = undefined;
    await this.#cursor.keep(encodeNote(note));
    this.#noted = note;
  }

  async #keep(position: bigint): Promise<void> {
    if (position === this.#cursor.position && this.#isSure) return;
    this.#isSure = false;
    await this.#cursor.move(position, { back: true });
    this.#isSure = true;
  }

  /**
   * Valid records of the journal before a position, and when the first one behind it arrived. Where
   * the journal has lost what is at the position, and what is before it, they are what the note says at
   * least, and of the rest their share of the bytes.
   */
  async #lookAt(at: bigint): Promise<{ passed: Counts; arrival: bigint | undefined }> {
    const { head, accepted } = this.#journal;
    const [first] = at < head ? await this.#journal.read(at, ONE) : [];
    const { position, before } = first ?? { position: head, before: accepted };
    const arrival = first?.arrivalUnixNano;
    if (this.#located && at === this.#position) return { passed: this.#ledger!.passed, arrival };
    if (position <= at) return { passed: before, arrival };
    const note = this.#located ? this.#ledger!.note : this.#found;
    const noted = knownBefore(note ?? beginning(noCounts()), at);
    const last = await this.#lastBefore(at);
    const known = last !== undefined && last.next > noted.to
      ? { to: last.next, passed: after(last) }
      : noted;
    const share = Number(at - known.to) / Number(position - known.to);
    return { passed: atMost(between(known.passed, before, share), before), arrival };
  }

  /** The last record that ends before a position. */
  async #lastBefore(position: bigint): Promise<JournalRecord | undefined> {
    let last: JournalRecord | undefined;
    for (let at = this.#journal.oldest; at < position;) {
      const records = await this.#journal.read(at, MANY);
      const before = records.filter(({ next }) => next <= position);
      last = before.at(-1) ?? last;
      if (before.length === 0 || before.length < records.length) break;
      at = last!.next;
    }
    return last;
  }
}

/** Records from a position on, up to the first gap. */
function beforeGap(
  records: readonly JournalRecord[],
  from: bigint | undefined,
): readonly JournalRecord[] {
  const gap = records.findIndex(({ position }, n) =>
    position !== (n === 0 ? from : records[n - 1]!.next)
  );
  return gap < 0 ? records : records.slice(0, gap);
}

/** Valid records of the journal before the one that follows. */
function after({ before, signal, count }: JournalRecord): Counts {
  return sum(before, countsOf([{ signal, count }]));
}
