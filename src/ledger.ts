/**
 * What became of the records of one destination, in valid records by signal:
 *
 *     accepted = delivered + pending + dead + skipped
 *
 * The journal counts the records before each position since it began. So what is pending is a
 * difference of two such counts, and what is delivered is what is left; see `ledger_note.ts`.
 *
 * @module
 */

import type { LedgerNote, Loss } from "./ledger_note.ts";
import type { Signal } from "./record.ts";
import { type Counts, noCounts } from "./sink.ts";

/** The ledger of a destination, since it began in this journal. */
export interface LedgerCounts {
  /** Records of the journal since the first of this destination. */
  readonly accepted: Counts;
  /** The destination has them. */
  readonly delivered: Counts;
  /** In the journal, and yet to be delivered. */
  readonly pending: Counts;
  /** The destination would not take them: they became dead letters, whatever became of those. */
  readonly dead: Counts;
  /** Given up: told to skip them, or the journal has lost them. */
  readonly skipped: Counts;
}

/** Records that are not delivered, and why. */
export type Lost = Pick<LedgerCounts, "dead" | "skipped">;

/** Losses that are noted with their positions; of more than that the oldest are summed up. */
const MAX_LOSSES = 100;

/**
 * The ledger of one destination: its note, and the position for which it holds.
 *
 * @example Three spans received, one delivered and one dead
 * ```ts
 * import assert from "node:assert/strict";
 * import { noCounts } from "./sink.ts";
 *
 * const traces = (n: number) => ({ ...noCounts(), traces: n });
 * const ledger = new Ledger(beginning(noCounts()), 0n, noCounts());
 * ledger.lose(0n, { to: 200n, passed: traces(2), dead: traces(1), skipped: noCounts() });
 * ledger.pass(200n, traces(2));
 * const { accepted, delivered, pending, dead } = ledger.counts(traces(3));
 * assert.deepEqual(accepted, traces(3));
 * assert.deepEqual([delivered, pending, dead], [traces(1), traces(1), traces(1)]);
 * ```
 */
export class Ledger {
  #note: LedgerNote;
  #position: bigint;
  #passed: Counts;

  /**
   * The ledger of a destination that is found at a position, as by `goTo`.
   *
   * @param note What was noted.
   * @param position Where the destination is.
   * @param passed Records of the journal before that.
   */
  constructor(note: LedgerNote, position: bigint, passed: Counts) {
    this.#note = note;
    this.#position = position;
    this.#passed = passed;
    this.goTo(position, passed);
  }

  /** What has to be noted before the position moves on. The same object while nothing changes. */
  get note(): LedgerNote {
    return this.#note;
  }

  /** Records of the journal before the first that is pending. */
  get passed(): Counts {
    return this.#passed;
  }

  /** Goes on. What was said to be lost up to there is lost now. */
  pass(position: bigint, passed: Counts): void {
    this.#position = position;
    this.#passed = passed;
  }

  /**
   * Finds the destination elsewhere, ahead or back. What was said to be lost behind that is not.
   * Records that are pending again are taken off those delivered; if these are too few, off those dead
   * and then off those skipped.
   */
  goTo(position: bigint, passed: Counts): void {
    this.pass(position, passed);
    this.forget(position);
    const lost = lostBefore(this.#note, position);
    const start = atMost(this.#note.start, passed);
    const all = difference(passed, start);
    const dead = atMost(lost.dead, atLeast(difference(all, lost.skipped), noCounts()));
    const skipped = atMost(lost.skipped, difference(all, dead));
    const isFine = isSame(start, this.#note.start) && isSame(dead, lost.dead) &&
      isSame(skipped, lost.skipped);
    if (!isFine) this.#note = { ...this.#note, start, dead, skipped, losses: [] };
  }

  /**
   * Says what will be lost of the records between two positions that are yet to be passed, instead of
   * what was said about them before.
   *
   * @param from Where the first of them begins.
   * @param all What will be lost of them, and where the last of them ends.
   */
  lose(from: bigint, all: Loss): void {
    const isOfThese = ({ to }: Loss) => from < to && to <= all.to;
    const { losses } = this.#note;
    const said = lostIn(losses.filter(isOfThese));
    if (isSame(said.dead, all.dead) && isSame(said.skipped, all.skipped)) return;
    const sorted = losses.filter((loss) => !isOfThese(loss));
    const isAny = !isSame(sum(all.dead, all.skipped), noCounts());
    if (isAny) sorted.splice(sorted.findLastIndex(({ to }) => to < all.to) + 1, 0, all);
    this.#note = this.#summedUp({ ...this.#note, losses: sorted });
  }

  /** Says that a destination which keeps the position has had something. */
  had(): void {
    if (this.#note.hadSome === undefined) this.#note = { ...this.#note, hadSome: true };
  }

  /** Takes back what was said to be lost behind a position. */
  forget(position: bigint): void {
    const losses = this.#note.losses.filter(({ to }) => to <= position);
    if (losses.length < this.#note.losses.length) this.#note = { ...this.#note, losses };
  }

  /**
   * The numbers.
   *
   * @param total Records of the journal.
   */
  counts(total: Counts): LedgerCounts {
    const { start } = this.#note;
    const { dead, skipped } = lostBefore(this.#note, this.#position);
    return {
      accepted: difference(total, start),
      delivered: difference(this.#passed, sum(start, sum(dead, skipped))),
      pending: difference(total, this.#passed),
      dead,
      skipped,
    };
  }

  #summedUp(note: LedgerNote): LedgerNote {
    const passed = note.losses.filter(({ to }) => to <= this.#position).length;
    const old = Math.min(note.losses.length - MAX_LOSSES, passed);
    if (old <= 0) return note;
    const { losses } = note;
    return { ...note, ...lostIn(losses.slice(0, old), note), losses: losses.slice(old) };
  }
}

/**
 * The note of a destination that begins.
 *
 * @param start Records of the journal before its first.
 *
 * @example At the beginning of a journal
 * ```ts
 * import assert from "node:assert/strict";
 * import { noCounts } from "./sink.ts";
 *
 * assert.deepEqual(beginning(noCounts()).losses, []);
 * ```
 */
export function beginning(start: Counts): LedgerNote {
  return { start, dead: noCounts(), skipped: noCounts(), losses: [] };
}

/**
 * The last place at or before a position of which a note says how many records come before it, at
 * least.
 *
 * @example After three logs that are dead
 * ```ts
 * import assert from "node:assert/strict";
 * import { noCounts } from "./sink.ts";
 *
 * const three = { ...noCounts(), logs: 3 };
 * const loss = { to: 200n, passed: three, dead: three, skipped: noCounts() };
 * const note = { ...beginning(noCounts()), losses: [loss] };
 * assert.deepEqual(knownBefore(note, 300n), { to: 200n, passed: three });
 * assert.deepEqual(knownBefore(note, 100n), { to: 0n, passed: noCounts() });
 * ```
 */
export function knownBefore(note: LedgerNote, position: bigint): Pick<Loss, "to" | "passed"> {
  const { start, dead, skipped, losses } = note;
  const last = losses.findLast(({ to }) => to <= position);
  const { to, passed } = last ?? { to: 0n, passed: sum(start, sum(dead, skipped)) };
  return { to, passed };
}

function lostBefore(note: LedgerNote, position: bigint): Lost {
  return lostIn(note.losses.filter(({ to }) => to <= position), note);
}

function lostIn(
  losses: readonly Lost[],
  { dead, skipped }: Lost = { dead: noCounts(), skipped: noCounts() },
): Lost {
  return {
    dead: losses.reduce((all, loss) => sum(all, loss.dead), dead),
    skipped: losses.reduce((all, loss) => sum(all, loss.skipped), skipped),
  };
}

function isSame(a: Counts, b: Counts): boolean {
  return a.traces === b.traces && a.logs === b.logs && a.metrics === b.metrics;
}

/**
 * The larger one of `a` and `b`, signal by signal.
 *
 * @example A log, and a span
 * ```ts
 * import assert from "node:assert/strict";
 * import { noCounts } from "./sink.ts";
 *
 * const both = atLeast({ ...noCounts(), logs: 1 }, { ...noCounts(), traces: 1 });
 * assert.deepEqual(both, { traces: 1, logs: 1, metrics: 0 });
 * ```
 */
export function atLeast(a: Counts, b: Counts): Counts {
  return combined(a, b, Math.max);
}

/**
 * The smaller one of `a` and `b`, signal by signal.
 *
 * @example A log, and two
 * ```ts
 * import assert from "node:assert/strict";
 * import { noCounts } from "./sink.ts";
 *
 * assert.equal(atMost({ ...noCounts(), logs: 1 }, { ...noCounts(), logs: 2 }).logs, 1);
 * ```
 */
export function atMost(a: Counts, b: Counts): Counts {
  return combined(a, b, Math.min);
}

/**
 * What lies between `a` and `b`, signal by signal, in whole records.
 *
 * @param part How far from `a` to `b`, from 0 to 1.
 *
 * @example Half of it
 * ```ts
 * import assert from "node:assert/strict";
 * import { noCounts } from "./sink.ts";
 *
 * assert.equal(between(noCounts(), { ...noCounts(), logs: 5 }, 0.5).logs, 2);
 * ```
 */
export function between(a: Counts, b: Counts, part: number): Counts {
  return combined(a, b, (x, y) => x + Math.floor((y - x) * part));
}

/**
 * `a` and `b`, signal by signal.
 *
 * @example A log and another
 * ```ts
 * import assert from "node:assert/strict";
 * import { noCounts } from "./sink.ts";
 *
 * assert.equal(sum({ ...noCounts(), logs: 1 }, { ...noCounts(), logs: 1 }).logs, 2);
 * ```
 */
export function sum(a: Counts, b: Counts = noCounts()): Counts {
  return combined(a, b, (x, y) => x + y);
}

/**
 * `a` less `b`, signal by signal.
 *
 * @example One log less
 * ```ts
 * import assert from "node:assert/strict";
 * import { noCounts } from "./sink.ts";
 *
 * assert.equal(difference({ ...noCounts(), logs: 3 }, { ...noCounts(), logs: 1 }).logs, 2);
 * ```
 */
export function difference(a: Counts, b: Counts): Counts {
  return combined(a, b, (x, y) => x - y);
}

/**
 * The valid records in records of the journal, or in dead letters.
 *
 * @example A request of two logs
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(countsOf([{ signal: "logs", count: 2 }]), { traces: 0, logs: 2, metrics: 0 });
 * ```
 */
export function countsOf(
  records: Iterable<{ readonly signal: Signal; readonly count: number }>,
): Counts {
  const counts = noCounts();
  for (const { signal, count } of records) counts[signal] += count;
  return counts;
}

function combined(a: Counts, b: Counts, of: (x: number, y: number) => number): Counts {
  return {
    traces: of(a.traces, b.traces),
    logs: of(a.logs, b.logs),
    metrics: of(a.metrics, b.metrics),
  };
}
