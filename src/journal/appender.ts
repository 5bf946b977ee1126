/**
 * Gathers the requests that arrive together into groups that are written and synced at once.
 *
 * While one group is being written the next gathers: a lone request is written at once, and under
 * load groups grow by themselves.
 *
 * @module
 */

import {
  type Counts,
  JournalFullError,
  type JournalRecord,
  JournalUnavailableError,
} from "../journal.ts";
import { codeOf } from "../journal_files.ts";
import type { RecordHead } from "./recent.ts";
import { HEAD_BYTES, plus, segmentName, writeHead } from "./segment.ts";
import type { SegmentWriter } from "./writer.ts";

/** What is appended. */
export type NewRecord = Omit<JournalRecord, "position" | "next" | "before" | "isKnown">;

/** How many bytes a group has at most, if it is more than one record. */
const GROUP_BYTES = 8 << 20;

interface Waiting {
  readonly record: NewRecord;
  readonly bytes: number;
  readonly resolve: (position: bigint) => void;
  readonly reject: (error: unknown) => void;
}

/** A group as it is written. */
interface Formatted {
  readonly chunks: Uint8Array[];
  readonly heads: readonly RecordHead[];
  /** Valid records since the journal began, with those of the group. */
  readonly accepted: Counts;
}

/** Appends records one group after the other. */
export class Appender {
  readonly #writer: SegmentWriter;
  readonly #durable: (head: RecordHead) => void;
  readonly #ended: () => void;
  readonly #queue: Waiting[] = [];
  #running: Promise<void> | undefined;
  /** Groups and skips come one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #queuedBytes = 0;
  #appended = 0;
  #accepted: Counts;

  /**
   * @param accepted Valid records since the journal began.
   * @param durable Called for each record that became durable, in their order.
   * @param ended Called after each group, whatever became of it.
   */
  constructor(
    writer: SegmentWriter,
    accepted: Counts,
    durable: (head: RecordHead) => void,
    ended: () => void,
  ) {
    this.#writer = writer;
    this.#accepted = accepted;
    this.#durable = durable;
    this.#ended = ended;
  }

  /** Valid records since the journal began. */
  get accepted(): Counts {
    return this.#accepted;
  }

  /** Records that became durable here. */
  get appended(): number {
    return this.#appended;
  }

  /** Bytes that wait or are being written. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /**
   * Resolves with the position of a record when it is durable.
   *
   * @param signal Takes it back, as long as it is not being written.
   * @throws {JournalUnavailableError} It is not there.
   */
  async add(record: NewRecord, signal?: AbortSignal): Promise<bigint> {
    const { promise, resolve, reject } = Promise.withResolvers<bigint>();
    const waiting = { record, bytes: HEAD_BYTES + record.body.length, resolve, reject };
    const abort = () => {
      const at = this.#queue.indexOf(waiting);
      if (at < 0) return;
      this.#queue.splice(at, 1);
      this.#queuedBytes -= waiting.bytes;
      reject(signal!.reason);
    };
    signal?.addEventListener("abort", abort);
    this.#queue.push(waiting);
    this.#queuedBytes += waiting.bytes;
    this.#running ??= this.#run();
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Lets no record be before a position from now on. */
  async skipTo(position: bigint): Promise<void> {
    await this.#alone(async () => {
      if (position > this.#writer.newest.end) await this.#writer.begin(position);
    });
  }

  /** Resolves when all that was added is durable or failed. */
  async flush(): Promise<void> {
    await this.#running;
    await this.#turn;
  }

  async #alone(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    await turn;
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      await this.#alone(async () => {
        const group = this.#takeGroup();
        // Who waited may have been taken back meanwhile.
        if (group.length > 0) await this.#commit(group);
      });
    }
    this.#running = undefined;
  }

  #takeGroup(): Waiting[] {
    let bytes = 0;
    const over = this.#queue.findIndex((waiting) => (bytes += waiting.bytes) > GROUP_BYTES);
    return this.#queue.splice(0, over < 0 ? this.#queue.length : Math.max(over, 1));
  }

  async #commit(group: readonly Waiting[]): Promise<void> {
    const start = this.#writer.newest.end;
    const bytes = group.reduce((sum, waiting) => sum + waiting.bytes, 0);
    try {
      const { chunks, heads, accepted } = this.#format(group, start);
      await this.#writer.write(chunks, bytes);
      this.#writer.newest.end += BigInt(bytes);
      this.#accepted = accepted;
      this.#appended += group.length;
      heads.forEach((head, n) => {
        this.#durable(head);
        group[n]!.resolve(head.position);
      });
    } catch (error) {
      const reason = unavailable(error, segmentName(this.#writer.newest.start));
      for (const { reject } of group) reject(reason);
    } finally {
      this.#queuedBytes -= bytes;
      this.#ended();
    }
  }

  /** The bytes of a group that begins at `start`, and what will be known of it. */
  #format(group: readonly Waiting[], start: bigint): Formatted {
    const memory = new Uint8Array(group.length * HEAD_BYTES);
    const chunks: Uint8Array[] = [];
    const heads: RecordHead[] = [];
    let accepted = this.#accepted;
    let position = start;
    group.forEach(({ record, bytes }, n) => {
      const { body, ...about } = record;
      const next = position + BigInt(bytes);
      const head = { ...about, position, next, before: accepted };
      const written = memory.subarray(n * HEAD_BYTES, (n + 1) * HEAD_BYTES);
      writeHead(written, { ...head, body, group: start });
      chunks.push(written, body);
      heads.push(head);
      accepted = plus(accepted, record.signal, record.count);
      position = next;
    });
    return { chunks, heads, accepted };
  }
}

/** When it is worth trying again after the disk has failed, in ms. */
const RETRY_AFTER_MS = 5_000;

function unavailable(error: unknown, name: string): JournalUnavailableError {
  const code = codeOf(error);
  const cause = { cause: error };
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new JournalFullError(
      `Cannot append to the journal: the disk of segment ${name} is full (${code}); ` +
        "free some space on it",
      RETRY_AFTER_MS,
      cause,
    );
  }
  return new JournalUnavailableError(
    `Cannot append to the journal: segment ${name} cannot be written (${code ?? error}); ` +
      "look after the disk",
    RETRY_AFTER_MS,
    cause,
  );
}
