/**
 * What became of the records of one destination, in valid records by signal:
 *
 *     accepted = delivered + pending + dead + skipped
 *
 * The journal counts the records before each position since it began. So what is pending is a
 * difference of two such counts, and right from the first moment of a process on.
 *
 * @module
 */

import type { Signal } from "./record.ts";
import { type Counts, noCounts } from "./sink.ts";

/** The ledger of a destination, since the process began. */
export interface LedgerCounts {
  /** Pending at the start, received since, and what is to be delivered a second time. */
  readonly accepted: Counts;
  /** The destination has them. */
  readonly delivered: Counts;
  /** In the journal, and yet to be delivered. */
  readonly pending: Counts;
  /** The destination will never take them; they are among the dead letters. */
  readonly dead: Counts;
  /** Given up: told to skip them, or the journal has lost them. */
  readonly skipped: Counts;
}

/** What became of records: each is one of these. */
export type Settled = Pick<LedgerCounts, "delivered" | "dead" | "skipped">;

/**
 * The ledger of one destination.
 *
 * @example Two spans received, one delivered
 * ```ts
 * import assert from "node:assert/strict";
 * import { noCounts } from "./sink.ts";
 *
 * const ledger = new Ledger(noCounts());
 * const one = { ...noCounts(), traces: 1 };
 * ledger.pass(one, { delivered: one });
 * const { accepted, pending } = ledger.counts({ ...noCounts(), traces: 2 });
 * assert.deepEqual([accepted.traces, pending.traces], [2, 1]);
 * ```
 */
export class Ledger {
  /** Records of the journal before the first that was taken. */
  #start: Counts;
  /** Records of the journal before the first that is pending. */
  #passed: Counts;
  #settled: Settled = { delivered: noCounts(), dead: noCounts(), skipped: noCounts() };

  /** @param before Records of the journal before the first that is to be delivered. */
  constructor(before: Counts) {
    this.#start = before;
    this.#passed = before;
  }

  /** Records of the journal before the first that is pending. */
  get passed(): Counts {
    return this.#passed;
  }

  /**
   * Goes on.
   *
   * @param before Records of the journal before the first that is pending now.
   * @param settled What became of those passed.
   */
  pass(before: Counts, settled: Partial<Settled>): void {
    const { delivered, dead, skipped } = this.#settled;
    this.#settled = {
      delivered: sum(delivered, settled.delivered),
      dead: sum(dead, settled.dead),
      skipped: sum(skipped, settled.skipped),
    };
    this.#passed = before;
  }

  /** Goes back to where `before` records of the journal are done with. */
  rewind(before: Counts): void {
    // What is delivered again is taken again.
    this.#start = difference(this.#start, difference(this.#passed, before));
    this.#passed = before;
  }

  /** @param total Records of the journal. */
  counts(total: Counts): LedgerCounts {
    return {
      accepted: difference(total, this.#start),
      pending: difference(total, this.#passed),
      ...this.#settled,
    };
  }
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
