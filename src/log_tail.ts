/**
 * The live tail: log records to all who follow, when they are acknowledged.
 *
 * Nothing of it is on the way of a request: its body is copied, and read when the answer has been given,
 * once for all followers. While nobody follows not even that is done. What is too much is dropped, the
 * oldest first, and each follower is told how much it did not get: of requests that are not read yet,
 * and of records that a follower leaves unread.
 *
 * @module
 */

import { z } from "zod";
import { UnavailableError } from "./intake.ts";
import { type ArrivedLog, LogFollower } from "./log_follower.ts";
import { receivedLogs } from "./postgres/received.ts";
import type { LogPredicate } from "./query/log_predicate.ts";

/** Bounds of {@linkcode LogTail}. */
export interface LogTailBounds {
  /** Followers at a time. @default {100} */
  readonly maxFollowers?: number;
  /** Records that a follower may leave unread. @default {1_000} */
  readonly unreadRecords?: number;
  /** The same in bytes of the requests they came in. @default {1_048_576} */
  readonly unreadBytes?: number;
  /** Bytes of requests that are not read yet. @default {16_777_216} */
  readonly backlogBytes?: number;
}

/** Numbers about a tail, since the process began. */
export interface LogTailStats {
  /** Who follows now. */
  readonly followers: number;
  /** Records of requests that came faster than they could be read, and were not. */
  readonly skipped: number;
  /** Records that were dropped because a follower did not read them, counted for each follower. */
  readonly dropped: number;
}

const BOUNDS = z.strictObject({
  maxFollowers: z.int().min(1).default(100),
  unreadRecords: z.int().min(1).default(1_000),
  unreadBytes: z.int().min(1).default(1 << 20),
  backlogBytes: z.int().min(1).default(16 << 20),
});

/** How long records are given in one go, in ms. */
const SLICE_MS = 5;
/** And how much of what may be unread, so that who reads at once misses nothing. */
const SLICE_PART = 1 / 4;
/** When one more follower may try again, in ms. */
const RETRY_AFTER_MS = 5_000;

/** A request that was acknowledged. */
interface Acknowledged {
  readonly body: Uint8Array;
  /** Its records that were kept. */
  readonly count: number;
  readonly arrivalUnixNano: bigint;
}

/** Fans acknowledged log records out to followers. */
export class LogTail {
  readonly #bounds: z.output<typeof BOUNDS>;
  readonly #followers = new Set<LogFollower>();
  #backlog: Acknowledged[] = [];
  #backlogBytes = 0;
  /** Of the request that is being read, those that are not given yet: the oldest last. */
  #read: ArrivedLog[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  #skipped = 0;
  #dropped = 0;

  /** @throws {RangeError} A bound is out of range. */
  constructor(bounds: LogTailBounds = {}) {
    const parsed = BOUNDS.safeParse(bounds);
    if (!parsed.success) {
      const { path, message } = parsed.error.issues[0]!;
      throw new RangeError(`Cannot follow logs with '${path.join(".")}': ${message}`);
    }
    this.#bounds = parsed.data;
  }

  /** Numbers as of now. */
  get stats(): LogTailStats {
    return { followers: this.#followers.size, skipped: this.#skipped, dropped: this.#dropped };
  }

  /**
   * Takes a request whose sender is being told that it is kept.
   *
   * @param body An ExportLogsServiceRequest in protobuf; copied, and only if somebody follows.
   * @param count How many of its records were kept.
   * @param arrivalUnixNano When it arrived, in nanoseconds since 1970.
   */
  offer(body: Uint8Array, count: number, arrivalUnixNano: bigint): void {
    if (this.#followers.size === 0) return;
    this.#backlog.push({ body: body.slice(), count, arrivalUnixNano });
    this.#backlogBytes += body.length;
    while (this.#backlogBytes > this.#bounds.backlogBytes) this.#skip(this.#next()!.count);
    this.#schedule();
  }

  /**
   * Follows from now on.
   *
   * @param matches Which records.
   * @param signal Ends it.
   * @throws {UnavailableError} There are as many followers as may be, or it is closed.
   * @throws The reason of the signal.
   */
  follow(matches: LogPredicate, signal?: AbortSignal): LogFollower {
    signal?.throwIfAborted();
    if (this.#closed) throw refused("it is shutting down");
    const { maxFollowers, unreadRecords: records, unreadBytes: bytes } = this.#bounds;
    if (this.#followers.size >= maxFollowers) throw refused(`${maxFollowers} follow already`);
    const follower = new LogFollower(matches, { records, bytes }, () => {
      this.#followers.delete(follower);
      signal?.removeEventListener("abort", end);
    });
    const end = () => follower.end();
    signal?.addEventListener("abort", end, { once: true });
    this.#followers.add(follower);
    return follower;
  }

  /** Ends all followers, and takes no more. Idempotent. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#backlog = [];
    this.#backlogBytes = 0;
    this.#read = [];
    for (const follower of this.#followers) follower.end();
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => this.#fanOut(), 0);
  }

  #fanOut(): void {
    this.#timer = undefined;
    const until = performance.now() + SLICE_MS;
    const { unreadRecords, unreadBytes } = this.#bounds;
    for (let records = 0, bytes = 0;; records++) {
      if (records >= unreadRecords * SLICE_PART || bytes >= unreadBytes * SLICE_PART) break;
      if (this.#followers.size === 0) this.#read = [];
      const arrived = this.#read.pop() ?? this.#readNext();
      if (arrived === undefined) return;
      for (const follower of this.#followers) this.#dropped += follower.offer(arrived);
      bytes += arrived.bytes;
      if (performance.now() > until) break;
    }
    this.#schedule();
  }

  /** Reads requests until there is a record; undefined when there is none. */
  #readNext(): ArrivedLog | undefined {
    for (let request = this.#next(); request !== undefined; request = this.#next()) {
      // Whoever wanted it may have left.
      if (this.#followers.size === 0) continue;
      const { body, count, arrivalUnixNano } = request;
      const bytes = Math.ceil(body.length / count);
      try {
        this.#read = receivedLogs(body).map((log) => ({ log, arrivalUnixNano, bytes })).reverse();
      } catch {
        // It was checked by another reader when it came. Followers are told that they miss it.
        this.#skip(count);
      }
      const arrived = this.#read.pop();
      if (arrived !== undefined) return arrived;
    }
    return undefined;
  }

  #next(): Acknowledged | undefined {
    const request = this.#backlog.shift();
    this.#backlogBytes -= request?.body.length ?? 0;
    return request;
  }

  #skip(count: number): void {
    this.#skipped += count;
    for (const follower of this.#followers) follower.miss(count);
  }
}

function refused(why: string): UnavailableError {
  return new UnavailableError(
    `Cannot follow the logs: ${why}; try again later`,
    RETRY_AFTER_MS,
  );
}
