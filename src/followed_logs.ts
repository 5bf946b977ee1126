/**
 * Following the logs from a position: what is stored first, then what comes.
 *
 * @module
 */

import type { ArrivedLog, LogFollower } from "./log_follower.ts";
import type { LogTail } from "./log_tail.ts";
import type { Database } from "./postgres/database.ts";
import { jsonbText } from "./postgres/jsonb_text.ts";
import {
  type LogTailChoice,
  type LogTailOptions,
  positionText,
  tailChoice,
  type TailPosition,
} from "./query/log_tail.ts";
import { MAX_LIMIT } from "./query/limits.ts";
import { type ReadOptions, searchLogs, type Stored } from "./query.ts";
import type { KeyValue, LogRecord } from "./record.ts";

/** What a follower gets. */
export type LogTailEvent =
  | {
    readonly kind: "log";
    /** The record. */
    readonly log: Stored<LogRecord>;
    /** Where to go on behind it: for `after`. */
    readonly position: string;
  }
  | {
    readonly kind: "dropped";
    /** How many records may be missing before the next one; undefined when that was not counted. */
    readonly count: number | undefined;
  };

/**
 * Events as they come, in the order in which they should be shown: those that have come since, one at
 * least, again and again.
 */
export type LogTailing = AsyncIterableIterator<readonly LogTailEvent[], undefined>;

/** What is stored. */
export interface StoredLogs {
  /** Resolves when everything acknowledged so far is stored. */
  flush(signal: AbortSignal): Promise<void>;
  /** Opens the database. */
  open(options: ReadOptions): Promise<Database>;
}

/** How long it is waited for that what was acknowledged is stored, in ms. */
const CATCH_UP_MS = 2_000;
/** Events that are given together at most. */
const MAX_BATCH = 256;
const LAST_NANOS = 2n ** 64n - 1n;

/**
 * Follows the logs.
 *
 * With a position the follower gets what is stored from it on, the newest 1,000, and then what comes;
 * a record that does both comes once. A position is a time, so what is told late, with an older time,
 * while nobody follows is not there.
 *
 * @returns What has come, again and again, at least one event each time.
 * @throws {QueryError} An option is wrong.
 * @throws {QueryTimeoutError} To read what is stored took too long.
 * @throws {UnavailableError} There are too many followers, or it is closed.
 */
export async function followLogs(
  tail: LogTail,
  stored: StoredLogs,
  options: LogTailOptions,
  read: ReadOptions,
): Promise<LogTailing> {
  const choice = tailChoice(options);
  // Followed first, so that nothing is between what is stored and what comes.
  const follower = tail.follow(choice.matches, read.signal);
  try {
    const { from } = choice;
    if (from === undefined) return new FollowedLogs(follower);
    return new FollowedLogs(follower, from, await storedSince(stored, choice, from, read));
  } catch (error) {
    follower.end();
    throw error;
  }
}

/** What is stored from a position on. */
interface StoredSince {
  /** The oldest first. */
  readonly logs: readonly Stored<LogRecord>[];
  /** Whether there are more before them, or may be behind. */
  readonly isCut: boolean;
}

async function storedSince(
  stored: StoredLogs,
  { search }: LogTailChoice,
  { time, seen }: TailPosition,
  read: ReadOptions,
): Promise<StoredSince> {
  const late = AbortSignal.timeout(CATCH_UP_MS);
  const signals = read.signal === undefined ? [late] : [late, read.signal];
  let isLate = false;
  await stored.flush(AbortSignal.any(signals)).catch((error) => {
    if (!late.aborted) throw error;
    isLate = true;
  });
  const page = await searchLogs(
    await stored.open(read),
    { ...search, since: time, until: LAST_NANOS, limit: MAX_LIMIT },
    read,
  );
  const logs = page.logs.toReversed();
  const isLong = page.cursor !== undefined;
  let skip = isLong ? 0 : seen;
  while (skip > 0 && logs[0] !== undefined && timeOf(logs[0].record) === time) {
    logs.shift();
    skip--;
  }
  return { logs, isCut: isLong || isLate };
}

/** What was stored, and then what comes. */
class FollowedLogs implements LogTailing {
  readonly #follower: LogFollower;
  /** What was read and not given yet. */
  #events: LogTailEvent[] = [];
  /** Of what was stored and may come once more: how many of each. */
  readonly #doubles = new Map<string, number>();
  #readUnixNano = 0n;
  #time: bigint;
  #seen: number;

  /** @param from Where it begins. */
  constructor(
    follower: LogFollower,
    from: TailPosition = { time: 0n, seen: 0 },
    { logs, isCut }: StoredSince = { logs: [], isCut: false },
  ) {
    this.#follower = follower;
    this.#time = from.time;
    this.#seen = from.seen;
    const now = BigInt(Date.now()) * 1_000_000n;
    if (isCut) this.#events.push({ kind: "dropped", count: undefined });
    for (const log of logs) {
      this.#events.push(this.#eventOf(log, now));
      const print = printOf(log);
      this.#doubles.set(print, (this.#doubles.get(print) ?? 0) + 1);
    }
    this.#readUnixNano = now;
  }

  /** Waits for events. Done when the signal that it was opened with aborts, or the tail is closed. */
  async next(): Promise<IteratorResult<readonly LogTailEvent[], undefined>> {
    while (this.#events.length === 0) {
      const arrived = await this.#follower.take();
      if (arrived === undefined) return { done: true, value: undefined };
      const { dropped, logs } = arrived;
      if (dropped > 0) this.#events.push({ kind: "dropped", count: dropped });
      for (const one of logs) {
        if (!this.#isDouble(one)) this.#events.push(this.#eventOf(one.log, one.arrivalUnixNano));
      }
    }
    return { done: false, value: this.#events.splice(0, MAX_BATCH) };
  }

  /** Ends it. */
  return(): Promise<IteratorResult<readonly LogTailEvent[], undefined>> {
    this.#follower.end();
    this.#events = [];
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Itself. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /**
   * A position never goes back, and not beyond what has arrived: a sender whose clock is wrong would
   * make it useless.
   */
  #eventOf(log: Stored<LogRecord>, arrivalUnixNano: bigint): LogTailEvent {
    const own = timeOf(log.record);
    const time = own < arrivalUnixNano ? own : arrivalUnixNano;
    if (time > this.#time) {
      this.#time = time;
      this.#seen = 0;
    }
    if (time === this.#time) this.#seen++;
    return { kind: "log", log, position: positionText({ time: this.#time, seen: this.#seen }) };
  }

  #isDouble({ log, arrivalUnixNano }: ArrivedLog): boolean {
    if (this.#doubles.size === 0) return false;
    if (arrivalUnixNano > this.#readUnixNano) {
      // It came when all that was stored had been read, and so will the rest.
      this.#doubles.clear();
      return false;
    }
    const print = printOf(log);
    const count = this.#doubles.get(print) ?? 0;
    if (count > 1) this.#doubles.set(print, count - 1);
    else this.#doubles.delete(print);
    return count > 0;
  }
}

function timeOf({ timeUnixNano, observedTimeUnixNano }: LogRecord): bigint {
  return timeUnixNano === 0n ? observedTimeUnixNano : timeUnixNano;
}

/** The same text for the same record, stored or not. */
function printOf({ record, resource, scope }: Stored<LogRecord>): string {
  const { body, attributes, droppedAttributesCount: _, ...rest } = record;
  const parts = [
    Object.entries(rest).map(([name, value]) => [name, String(value)]).sort(),
    body && jsonbText(body),
    textsOf(attributes),
    textsOf(resource.attributes),
    scope.name,
    scope.version,
  ];
  return JSON.stringify(parts);
}

function textsOf(attributes: readonly KeyValue[]): unknown[] {
  return attributes.map(({ key, value }) => [key, value && jsonbText(value)]).sort();
}
