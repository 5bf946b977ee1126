/**
 * One who follows the logs, and what has not been read yet.
 *
 * @module
 */

import type { LogRecord } from "./record.ts";
import type { LogPredicate } from "./query/log_predicate.ts";
import type { Stored } from "./query.ts";

/** A log record that was acknowledged. */
export interface ArrivedLog {
  /** The record. */
  readonly log: Stored<LogRecord>;
  /** When it arrived, in nanoseconds since 1970. */
  readonly arrivalUnixNano: bigint;
  /** Its share of its request, in bytes. */
  readonly bytes: number;
}

/** What came for a follower. */
export interface Arrived {
  /** Records that it did not get, before these: it reads too slowly, or all of it came too fast. */
  readonly dropped: number;
  /** The oldest first. */
  readonly logs: readonly ArrivedLog[];
}

/** How much a follower may leave unread. */
export interface FollowerBounds {
  readonly records: number;
  readonly bytes: number;
}

/** What is yet to be read. When there is too much of it, the oldest is dropped and counted. */
export class LogFollower {
  readonly #matches: LogPredicate;
  readonly #bounds: FollowerBounds;
  readonly #left: () => void;
  #logs: ArrivedLog[] = [];
  /** Where in `#logs` the oldest is. */
  #oldest = 0;
  #bytes = 0;
  #dropped = 0;
  #ended = false;
  #waiting: (() => void) | undefined;

  /** @param left Called once, when it ends. */
  constructor(matches: LogPredicate, bounds: FollowerBounds, left: () => void) {
    this.#matches = matches;
    this.#bounds = bounds;
    this.#left = left;
  }

  /** Keeps a record if it is one of those that are followed. Returns how many were dropped for it. */
  offer(arrived: ArrivedLog): number {
    if (!this.#matches(arrived.log)) return 0;
    this.#logs.push(arrived);
    this.#bytes += arrived.bytes;
    let dropped = 0;
    while (
      this.#logs.length - this.#oldest > this.#bounds.records || this.#bytes > this.#bounds.bytes
    ) {
      this.#bytes -= this.#logs[this.#oldest++]!.bytes;
      dropped++;
    }
    // What was dropped goes now and then, which costs less than to move the rest each time.
    if (this.#oldest > this.#bounds.records) {
      this.#logs = this.#logs.slice(this.#oldest);
      this.#oldest = 0;
    }
    this.#dropped += dropped;
    this.#wake();
    return dropped;
  }

  /** Says that records were dropped before anybody looked whether they are followed. */
  miss(count: number): void {
    this.#dropped += count;
    this.#wake();
  }

  /** Waits until something has come, and gives all of it; undefined when it has ended. One at a time. */
  async take(): Promise<Arrived | undefined> {
    while (!this.#ended && this.#logs.length === this.#oldest && this.#dropped === 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting = resolve;
      await promise;
    }
    if (this.#ended) return undefined;
    const taken = { dropped: this.#dropped, logs: this.#logs.slice(this.#oldest) };
    this.#logs = [];
    this.#oldest = this.#bytes = this.#dropped = 0;
    return taken;
  }

  /** Ends it. Idempotent. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#logs = [];
    this.#left();
    this.#wake();
  }

  #wake(): void {
    this.#waiting?.();
    this.#waiting = undefined;
  }
}
