/**
 * A delivery in a world without time: clocks that stand still until told, a sink that does as it is
 * told, a journal and dead letters in memory.
 *
 * @module
 */

import assert from "node:assert/strict";
import { setTimeout as timer } from "node:timers/promises";
import { DeadLetters, type DeadLettersOptions } from "../src/dead_letters.ts";
import {
  Delivery,
  type DeliveryEvent,
  type DeliveryOptions,
  type DeliveryStats,
  type DeliveryTime,
} from "../src/delivery.ts";
import type { Cursor, Journal, JournalRecord } from "../src/journal.ts";
import { difference, sum } from "../src/ledger.ts";
import { memoryJournal } from "../src/memory_journal.ts";
import type { Signal } from "../src/record.ts";
import { type Bury, type DeadLetter, type Delivered, noCounts, type Sink } from "../src/sink.ts";
import { LetterFiles } from "./letter_files.ts";

/** A time that stands still until it is moved. */
export class HeldTime implements DeliveryTime {
  #clock = 0;
  readonly #waits = new Set<{ readonly until: number; readonly resolve: () => void }>();

  now(): number {
    return 1_700_000_000_000 + this.#clock;
  }

  clock(): number {
    return this.#clock;
  }

  async wait(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const wait = { until: this.#clock + ms, resolve };
    this.#waits.add(wait);
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", abort);
      this.#waits.delete(wait);
    }
  }

  /** How long each wait under way still takes, in ms. */
  get waits(): number[] {
    return [...this.#waits].map(({ until }) => until - this.#clock).sort((a, b) => a - b);
  }

  /** Moves the clock, and lets those go on whose time is up. */
  advance(ms: number): void {
    this.#clock += ms;
    for (const { until, resolve } of this.#waits) if (until <= this.#clock) resolve();
  }

  /** Moves the clock, and waits for what comes of it. */
  async pass(ms: number): Promise<void> {
    this.advance(ms);
    await settled();
  }
}

/** Lets everything happen that needs no time. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await timer();
}

/** Lets things happen until a condition holds. */
export async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 20_000; turn++) {
    if (condition()) return;
    await timer();
  }
  assert.fail(`It did not come to: ${condition}`);
}

type Deliver = (
  records: readonly JournalRecord[],
  signal: AbortSignal,
  bury: Bury,
) => Promise<Delivered> | Delivered;

/** Takes everything, unless told otherwise. */
export class TestSink implements Sink {
  /** The first bytes of the bodies, by call. */
  readonly calls: number[][] = [];
  /** What the calls to come do; the last one stays. Default: take all. */
  plan: Deliver[] = [];
  position?: (signal: AbortSignal) => Promise<bigint | undefined>;

  async deliver(
    records: readonly JournalRecord[],
    signal: AbortSignal,
    bury: Bury,
  ): Promise<Delivered> {
    this.calls.push(records.map(({ body }) => body[0]!));
    const deliver = this.plan.length > 1 ? this.plan.shift()! : this.plan[0] ?? take;
    return await deliver(records, signal, bury);
  }
}

/** Takes records; those of the given numbers or bodies are dead. */
export function take(records: readonly JournalRecord[], ...dead: unknown[]): Delivered {
  const isDead = ({ body }: JournalRecord) => dead.includes(body[0]) || dead.includes(body);
  return {
    next: records.at(-1)!.next,
    delivered: sum(noCounts(), counts(records.filter((record) => !isDead(record)))),
    dead: records.filter(isDead).map(letterOf),
  };
}

/** What a dead record leaves. */
export function letterOf(record: JournalRecord): DeadLetter {
  const { position, signal, count, arrivalUnixNano, body } = record;
  return { position, index: 0, signal, count, arrivalUnixNano, reason: "poison", body };
}

function counts(records: readonly JournalRecord[]): Record<Signal, number> {
  const counts = noCounts();
  for (const { signal, count } of records) counts[signal] += count;
  return counts;
}

/** Rejects with an error. */
export function fail(error: unknown): Deliver {
  return () => Promise.reject(error);
}

/** Hangs until it is given up. */
export function hang(_: readonly JournalRecord[], signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** An error that passes. */
export function down(retryAfterMs?: number): Error {
  return Object.assign(new Error("destination down"), { code: "ECONNREFUSED", retryAfterMs });
}

/** All there is in a test. */
export interface World {
  readonly journal: Journal;
  readonly cursor: Cursor;
  readonly sink: TestSink;
  readonly files: LetterFiles;
  readonly letters: DeadLetters;
  readonly time: HeldTime;
  readonly events: DeliveryEvent[];
  readonly delivery: Delivery;
  /** Appends a record; `n` is its first byte, and its count unless given. */
  append(n: number, given?: { signal?: Signal; count?: number; bytes?: number }): Promise<void>;
  /** Numbers of the delivery, with a look at the ledger. */
  stats(): DeliveryStats;
}

/** What a test may change of the world. */
export interface WorldOptions extends DeliveryOptions {
  readonly letters?: DeadLettersOptions;
  readonly journal?: Journal;
  readonly sink?: (sink: TestSink) => void;
  readonly cursor?: (cursor: Cursor) => Cursor;
}

/** Makes a world, and ends its delivery at the end. */
export async function inWorld(
  options: WorldOptions,
  use: (world: World) => Promise<void>,
): Promise<void> {
  const { letters: letterOptions, journal: given, sink: change, cursor: wrap, ...rest } = options;
  const journal = given ?? memoryJournal({ clock: () => 0 });
  const sink = new TestSink();
  change?.(sink);
  const own = await journal.cursor("vendor", sink.position ? "external" : "oldest");
  const cursor = wrap?.(own) ?? own;
  const files = new LetterFiles();
  const letters = await DeadLetters.open(files, letterOptions);
  const time = new HeldTime();
  const events: DeliveryEvent[] = [];
  const delivery = new Delivery(journal, cursor, sink, letters, {
    time,
    onEvent: (event) => events.push(event),
    maxAttempts: 1,
    retryDelayMs: 0,
    ...rest,
  });
  const stats = () => {
    const stats = delivery.stats;
    assertLedger(stats);
    return stats;
  };
  const append: World["append"] = async (n, { signal = "traces", count = n, bytes = 1 } = {}) => {
    const body = new Uint8Array(bytes).fill(n);
    const arrivalUnixNano = BigInt(time.now()) * 1_000_000n;
    await journal.append({ signal, body, count, arrivalUnixNano }, { again: true });
  };
  try {
    await use({ journal, cursor, sink, files, letters, time, events, delivery, append, stats });
  } finally {
    const closing = delivery.close();
    await time.pass(1_000_000);
    await time.pass(1_000_000);
    await closing;
  }
}

/** accepted = delivered + pending + dead + skipped */
export function assertLedger(stats: DeliveryStats): void {
  const { accepted, delivered, pending, dead, skipped } = stats;
  const all = [delivered, pending, dead, skipped].reduce((a, b) => sum(a, b));
  assert.deepEqual(difference(accepted, all), noCounts(), `${JSON.stringify({ accepted, all })}`);
  const { failures, attempts } = stats;
  assert.ok(failures <= attempts, `${failures} failures in ${attempts} attempts`);
}
