/**
 * A journal in memory, for places without a disk: the same in all but durability. It is lost with
 * the process; a record goes as soon as all destinations have passed it.
 *
 * @module
 */

import { randomUUID } from "node:crypto";
import { inspect } from "node:util";
import * as z from "zod";
import {
  type Appended,
  type AppendOptions,
  type Counts,
  type Cursor,
  type CursorStart,
  type Journal,
  JournalFullError,
  type JournalRecord,
  type JournalRequest,
  type JournalStats,
  JournalUnavailableError,
  type ReadBounds,
  type Unkept,
} from "./journal.ts";
import { cursorFile, JournalCursor, lowest } from "./journal/cursor.ts";
import { ResendWindow } from "./journal/resend_window.ts";
import { Room } from "./journal/room.ts";
import { HEAD_BYTES, keyOf, NO_COUNTS, plus } from "./journal/segment.ts";
import { counted, NOTHING } from "./journal/tally.ts";
import { Waiters } from "./journal/waiters.ts";
import type { Signal } from "./record.ts";

/** Settings of {@linkcode memoryJournal}. */
export interface MemoryJournalOptions {
  /** Bytes of records held; one request may go over it. @default 64 MiB */
  readonly maxBytes?: number;
  /** How long a request waits for space, in ms. @default 5,000 */
  readonly maxWaitMs?: number;
  /** How long a request is known, so that it is not stored again, in ms. @default 600,000 */
  readonly resendWindowMs?: number;
  /** How many requests are known. @default 1,000,000 */
  readonly maxKeys?: number;
  /** A monotonic clock in ms. @default performance.now */
  readonly clock?: () => number;
}

const OPTIONS = z.strictObject({
  maxBytes: z.number().int().min(1).default(64 << 20),
  maxWaitMs: z.number().min(0).default(5_000),
  resendWindowMs: z.number().min(0).default(600_000),
  maxKeys: z.number().int().min(1).default(1_000_000),
  clock: z.custom<() => number>((value) => typeof value === "function", "expected a function")
    .default(() => () => performance.now()),
});

/**
 * Begins a journal in memory.
 *
 * @throws {RangeError} An option is unknown or out of range; the message names it and its value.
 */
export function memoryJournal(options: MemoryJournalOptions = {}): Journal {
  const parsed = OPTIONS.safeParse(options, { reportInput: true });
  if (parsed.success) return new MemoryJournal(parsed.data);
  const { path: [option = "options"], message, input } = parsed.error.issues[0]!;
  throw new RangeError(
    `Cannot make a journal with '${String(option)}': ${inspect(input)} (${message})`,
    { cause: parsed.error },
  );
}

/** When it is worth trying again while there is no space, in ms. */
const RETRY_AFTER_MS = 1_000;

class MemoryJournal implements Journal {
  readonly id = randomUUID();
  readonly #options: z.output<typeof OPTIONS>;
  readonly #window: ResendWindow;
  readonly #room: Room;
  readonly #cursors = new Map<string, JournalCursor>();
  readonly #headWaiters = new Waiters();
  readonly #records: JournalRecord[] = [];
  #head = 0n;
  #bytes = 0;
  #accepted = NO_COUNTS;
  #tally: Unkept = NOTHING;
  #appended = 0;
  #refused = 0;
  #started = false;
  #closed = false;

  constructor(options: z.output<typeof OPTIONS>) {
    const { maxBytes, maxWaitMs, resendWindowMs: windowMs, maxKeys, clock } = options;
    this.#options = options;
    this.#window = new ResendWindow({ windowMs, maxKeys, clock });
    this.#room = new Room({
      hasRoom: () => this.#bytes < maxBytes,
      look: () => Promise.resolve(),
      maxWaitMs,
      refusal: () =>
        new JournalFullError(
          `Cannot append to the journal: it has been full for ${maxWaitMs} ms, it has ` +
            `${this.#bytes} of ${maxBytes} bytes; its destinations have to catch up`,
          RETRY_AFTER_MS,
        ),
    });
  }

  get oldest(): bigint {
    return this.#records[0]?.position ?? this.#head;
  }

  get head(): bigint {
    return this.#head;
  }

  get accepted(): Counts {
    return this.#accepted;
  }

  get tally(): Unkept {
    return this.#tally;
  }

  get stats(): JournalStats {
    return {
      bytes: this.#bytes,
      maxBytes: this.#options.maxBytes,
      queuedBytes: 0,
      freeBytes: Infinity,
      segments: 0,
      appended: this.#appended,
      refused: this.#refused,
      waiting: this.#room.waiting,
      keys: this.#window.size,
      keysEvictedEarly: this.#window.evictedEarly,
      damaged: 0,
      damagedBytes: 0,
      gaps: 0,
      gapBytes: 0n,
      failedWrites: 0,
    };
  }

  async append(request: JournalRequest, options: AppendOptions = {}): Promise<Appended> {
    const { signal, again = false } = options;
    this.#refuseIfClosed();
    signal?.throwIfAborted();
    const key = keyOf(request.signal, request.body);
    const store = () => this.#store(request, key, signal);
    if (again) return { position: await store(), duplicate: false };
    const appended = await this.#window.once(key, store, signal);
    if (appended.duplicate) this.#count("duplicates", request.signal, request.count);
    return appended;
  }

  reject(signal: Signal, count: number): void {
    this.#count("rejected", signal, count);
  }

  keepTally(): Promise<void> {
    return Promise.resolve();
  }

  async room({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#refuseIfClosed();
    await this.#inRoom(() => {}, signal);
  }

  read(from: bigint, { maxBytes, maxRecords }: ReadBounds): Promise<JournalRecord[]> {
    const first = this.#behind(from);
    let bytes = 0;
    let end = first;
    for (; end < this.#records.length && end < first + maxRecords; end++) {
      bytes += this.#records[end]!.body.length;
      if (end > first && bytes > maxBytes) break;
    }
    return Promise.resolve(this.#records.slice(first, end));
  }

  async waitFor(position: bigint, signal?: AbortSignal): Promise<void> {
    await this.#headWaiters.until(() => {
      this.#refuseIfClosed();
      return this.#head > position;
    }, signal);
  }

  cursor(name: string, start: CursorStart): Promise<Cursor> {
    // For the same names as on disk.
    cursorFile(name);
    const position = start === "head" ? this.#head : this.oldest;
    const cursor = this.#cursors.get(name) ?? new JournalCursor({
      name,
      position,
      note: "",
      journal: this,
      moved: () => this.#cursorMoved(),
      keepPosition: start === "external" ? undefined : () => Promise.resolve(),
      keepNote: () => Promise.resolve(),
    });
    this.#cursors.set(name, cursor);
    return Promise.resolve(cursor);
  }

  start(): void {
    this.#started = true;
  }

  skipTo(position: bigint): Promise<void> {
    if (position > this.#head) this.#head = position;
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#room.open();
    this.#headWaiters.wake();
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #store(request: JournalRequest, key: Uint8Array, signal?: AbortSignal): Promise<bigint> {
    return await this.#inRoom(() => this.#add(request, key), signal);
  }

  async #inRoom<T>(work: () => T, signal: AbortSignal | undefined): Promise<T> {
    try {
      return await this.#room.take(() => {
        this.#refuseIfClosed();
        return work();
      }, signal);
    } catch (error) {
      if (error instanceof JournalFullError) this.#refused++;
      throw error;
    }
  }

  #add(request: JournalRequest, key: Uint8Array): bigint {
    const { count, body } = request;
    const position = this.#head;
    const next = position + BigInt(HEAD_BYTES + body.length);
    this.#records.push({ ...request, key, before: this.#accepted, position, next });
    this.#head = next;
    this.#bytes += HEAD_BYTES + body.length;
    this.#accepted = plus(this.#accepted, request.signal, count);
    this.#appended++;
    this.#window.add({ key, position, arrivalMs: this.#options.clock() });
    this.#headWaiters.wake();
    return position;
  }

  #count(what: keyof Unkept, signal: Signal, count: number): void {
    this.#tally = counted(this.#tally, what, signal, count);
  }

  /** The index of the first record that ends behind a position. */
  #behind(position: bigint): number {
    let [low, high] = [0, this.#records.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#records[middle]!.next > position) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #cursorMoved(): Promise<void> {
    if (this.#started && this.#cursors.size > 0) {
      const passed = lowest(this.#cursors.values());
      for (const { body } of this.#records.splice(0, this.#behind(passed))) {
        this.#bytes -= HEAD_BYTES + body.length;
      }
      this.#room.wake();
    }
    return Promise.resolve();
  }

  #refuseIfClosed(): void {
    if (!this.#closed) return;
    throw new JournalUnavailableError("Cannot use the journal: it is closed", RETRY_AFTER_MS);
  }
}
