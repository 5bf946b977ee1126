/**
 * The journal on disk: puts its parts in their order.
 *
 * | part | what it does |
 * | --- | --- |
 * | `recovery` | what is found in the folder, and put in order, when it is opened |
 * | `resend_window`, `keys` | requests that are sent again, and how that outlives segments |
 * | `room` | the line of those who wait for space |
 * | `appender`, `writer` | groups of records, one after the other, into segment files |
 * | `segment` | the format of a record, and reading them in pieces |
 * | `reader`, `damage` | records in their order, past what cannot be read |
 * | `cursor`, `upkeep` | how far destinations have got, and removing what all have passed |
 *
 * @module
 */

import { inspect } from "node:util";
import * as z from "zod";
import {
  type Appended,
  type AppendOptions,
  type Counts,
  type Cursor,
  type CursorStart,
  type Journal,
  type JournalEvent,
  JournalFormatError,
  JournalFullError,
  type JournalRecord,
  type JournalRequest,
  type JournalStats,
  JournalUnavailableError,
  type ReadBounds,
} from "./journal.ts";
import { Appender, type NewRecord } from "./journal/appender.ts";
import { cursorFile, JournalCursor, keepInFile, lowest } from "./journal/cursor.ts";
import { DamageLog } from "./journal/damage.ts";
import { KeyFiles } from "./journal/keys.ts";
import { SegmentReader } from "./journal/reader.ts";
import { type Recovered, Recovery } from "./journal/recovery.ts";
import { ResendWindow } from "./journal/resend_window.ts";
import { Room } from "./journal/room.ts";
import { keyOf, NO_COUNTS, plus } from "./journal/segment.ts";
import { type Tell, telling } from "./journal/tell.ts";
import { Upkeep } from "./journal/upkeep.ts";
import { Waiters } from "./journal/waiters.ts";
import { SegmentWriter } from "./journal/writer.ts";
import type { JournalFiles } from "./journal_files.ts";

/** Settings of {@linkcode openJournal}. */
export interface JournalOptions {
  /** Length of a segment, at most a quarter of `maxBytes`. @default 64 MiB */
  readonly segmentBytes?: number;
  /** Bytes of all segments; one request may go over it. @default 1 GiB */
  readonly maxBytes?: number;
  /** Bytes to be left free on the disk. @default 256 MiB */
  readonly minFreeBytes?: number;
  /** How long a request waits for space, in ms. @default 5,000 */
  readonly maxWaitMs?: number;
  /** How long a segment stays after all have passed it, if there is space, in ms. @default 120,000 */
  readonly graceMs?: number;
  /** How long a request is known, so that it is not stored again, in ms. @default 600,000 */
  readonly resendWindowMs?: number;
  /** How many requests are known. @default 1,000,000 */
  readonly maxKeys?: number;
  /** A monotonic clock in ms. @default performance.now */
  readonly clock?: () => number;
  /** The time in ms since 1970. @default Date.now */
  readonly now?: () => number;
  /** Told what should be logged. @default nobody */
  readonly onEvent?: (event: JournalEvent) => void;
}

const bytes = z.number().int().min(0);
const ms = z.number().min(0);
const clock = z.custom<() => number>((value) => typeof value === "function", "expected a function");
const OPTIONS = z.strictObject({
  segmentBytes: bytes.min(1).default(64 << 20),
  maxBytes: bytes.min(1).default(1 << 30),
  minFreeBytes: bytes.default(256 << 20),
  maxWaitMs: ms.default(5_000),
  graceMs: ms.default(120_000),
  resendWindowMs: ms.default(600_000),
  maxKeys: z.number().int().min(1).default(1_000_000),
  clock: clock.default(() => () => performance.now()),
  now: clock.default(() => () => Date.now()),
  onEvent: z.custom<(event: JournalEvent) => void>(
    (value) => typeof value === "function",
    "expected a function",
  ).default(() => () => {}),
});

/**
 * Opens the journal in a folder, or begins one.
 *
 * @param files The folder, nobody else's while the journal is open.
 * @throws {RangeError} An option is unknown or out of range; the message names it and its value.
 * @throws {JournalFormatError} The folder is of another version; nothing was changed in it.
 * @throws {Error} The folder cannot be used; the cause is what the system says.
 */
export async function openJournal(
  files: JournalFiles,
  options: JournalOptions = {},
): Promise<Journal> {
  const parsed = OPTIONS.safeParse(options, { reportInput: true });
  if (!parsed.success) {
    const { path: [option = "options"], message, input } = parsed.error.issues[0]!;
    throw new RangeError(
      `Cannot open the journal with '${String(option)}': ${inspect(input)} (${message})`,
      { cause: parsed.error },
    );
  }
  try {
    return await DiskJournal.open(files, parsed.data);
  } catch (error) {
    if (error instanceof JournalFormatError) throw error;
    const what = error instanceof Error ? error.message : String(error);
    throw new Error(
      `Cannot open the journal: ${what}; the folder has to be readable and writable`,
      {
        cause: error,
      },
    );
  }
}

/** How many bytes may wait to be written, if the disk is slow: they are held in memory. */
const QUEUE_BYTES = 64 << 20;
/** When it is worth trying again while there is no space, in ms. */
const RETRY_AFTER_MS = 5_000;

class DiskJournal implements Journal {
  readonly id: string;
  readonly #files: JournalFiles;
  readonly #options: z.output<typeof OPTIONS>;
  readonly #tell: Tell;
  readonly #damage: DamageLog;
  readonly #window: ResendWindow;
  readonly #recovered: Recovered;
  readonly #writer: SegmentWriter;
  readonly #appender: Appender;
  readonly #reader: SegmentReader;
  readonly #upkeep: Upkeep;
  readonly #room: Room;
  readonly #cursors = new Map<string, JournalCursor>();
  readonly #headWaiters = new Waiters();
  #started = false;
  #closed = false;
  #freeBytes = Infinity;
  #measuring: Promise<void> | undefined;
  #freeUnknown = false;
  #duplicates = NO_COUNTS;
  #refused = 0;

  static async open(
    files: JournalFiles,
    options: z.output<typeof OPTIONS>,
  ): Promise<DiskJournal> {
    const tell = telling(options.onEvent);
    const { resendWindowMs: windowMs, maxKeys, clock, now } = options;
    const damage = new DamageLog(files, tell);
    const window = new ResendWindow({ windowMs, maxKeys, clock });
    const keys = new KeyFiles(files, window, { clock, now }, tell);
    const recovery = new Recovery({ files, window, keys, damage, windowMs, now, tell });
    const recovered = await recovery.run();
    const journal = new DiskJournal(files, options, tell, damage, window, keys, recovered);
    try {
      // A cursor ahead of all records: they are lost, and what comes now must not be passed over.
      const positions = [...recovered.cursors.values()].map((position) => position ?? 0n);
      const behind = positions.reduce((a, b) => a > b ? a : b, 0n);
      if (recovered.segments.length === 0) await journal.#writer.begin(behind);
      else await journal.skipTo(behind);
      await journal.#measure();
    } catch (error) {
      await journal.#writer.close();
      throw error;
    }
    return journal;
  }

  constructor(
    files: JournalFiles,
    options: z.output<typeof OPTIONS>,
    tell: Tell,
    damage: DamageLog,
    window: ResendWindow,
    keys: KeyFiles,
    recovered: Recovered,
  ) {
    const { segments, file, accepted } = recovered;
    const { graceMs, clock } = options;
    this.id = recovered.id;
    this.#files = files;
    this.#options = options;
    this.#tell = tell;
    this.#damage = damage;
    this.#window = window;
    this.#recovered = recovered;
    this.#writer = new SegmentWriter(files, segments, file, this.#segmentBytes, tell);
    this.#appender = new Appender(
      this.#writer,
      accepted,
      ({ key }, position) => window.add({ key, position, arrivalMs: clock() }),
      () => this.#groupEnded(),
    );
    this.#reader = new SegmentReader(files, segments, damage);
    this.#upkeep = new Upkeep({
      files,
      segments,
      keys,
      passed: () => this.#passed,
      isTight: () => !this.#hasRoomFor(this.#segmentBytes),
      graceMs,
      clock,
      tell,
    });
    this.#room = new Room({
      hasRoom: () => this.#hasRoom,
      look: async () => {
        await this.#measure();
        await this.#upkeep.run();
        await this.#measure();
      },
      maxWaitMs: options.maxWaitMs,
      refusal: () => this.#full(),
    });
  }

  get oldest(): bigint {
    return this.#recovered.segments[0]!.start;
  }

  get head(): bigint {
    return this.#writer.newest.end;
  }

  get accepted(): Counts {
    return this.#appender.accepted;
  }

  get stats(): JournalStats {
    return {
      bytes: this.#bytes,
      queuedBytes: this.#appender.queuedBytes,
      freeBytes: this.#freeBytes,
      segments: this.#recovered.segments.length,
      duplicates: this.#duplicates,
      appended: this.#appender.appended,
      refused: this.#refused,
      waiting: this.#room.waiting,
      keys: this.#window.size,
      keysEvictedEarly: this.#window.evictedEarly,
      damaged: this.#damage.damaged,
      damagedBytes: this.#damage.damagedBytes,
      gaps: this.#damage.gaps,
      gapBytes: this.#damage.gapBytes,
      failedWrites: this.#writer.failures,
    };
  }

  async append(request: JournalRequest, options: AppendOptions = {}): Promise<Appended> {
    const { signal, again = false } = options;
    this.#refuseIfClosed();
    signal?.throwIfAborted();
    const record = { ...request, key: keyOf(request.signal, request.body) };
    const store = () => this.#store(record, signal);
    if (again) return { position: await store(), duplicate: false };
    const appended = await this.#window.once(record.key, store, signal);
    if (appended.duplicate) {
      this.#duplicates = plus(this.#duplicates, request.signal, request.count);
    }
    return appended;
  }

  async room({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#refuseIfClosed();
    try {
      await this.#room.enter(signal);
    } catch (error) {
      if (error instanceof JournalFullError) this.#refused++;
      throw error;
    }
    this.#refuseIfClosed();
  }

  async read(from: bigint, bounds: ReadBounds): Promise<JournalRecord[]> {
    return await this.#reader.read(from, bounds);
  }

  async waitFor(position: bigint, signal?: AbortSignal): Promise<void> {
    await this.#headWaiters.until(() => {
      this.#refuseIfClosed();
      return this.head > position;
    }, signal);
  }

  async cursor(name: string, start: CursorStart): Promise<Cursor> {
    const existing = this.#cursors.get(name);
    if (existing !== undefined) return existing;
    const external = start === "external";
    const file = cursorFile(name);
    const found = this.#recovered.cursors;
    const kept = external ? undefined : found.get(file);
    const isDamaged = !external && found.has(file) && kept === undefined;
    const position = kept ?? (start === "head" && !isDamaged ? this.head : this.oldest);
    const keep = external ? undefined : keepInFile(this.#files, name);
    const cursor = new JournalCursor(name, position, this, () => this.#cursorMoved(), keep);
    // From here on it holds segments back.
    this.#cursors.set(name, cursor);
    if (external || kept !== undefined) return cursor;
    try {
      await keep!(position);
    } catch (error) {
      this.#cursors.delete(name);
      throw error;
    }
    const why = isDamaged ? "has a cursor that cannot be read" : "has no cursor yet";
    const where = position === this.oldest ? "the oldest record" : "the head";
    this.#tell("new cursor", `Destination '${name}' ${why}: it starts at ${where} (${position})`);
    return cursor;
  }

  start(): void {
    if (this.#started) return;
    this.#started = true;
    const used = new Set([...this.#cursors.keys()].map(cursorFile));
    for (const file of this.#recovered.cursors.keys()) {
      if (used.has(file)) continue;
      this.#tell("unused cursor", `Nobody uses ${file} any more: it holds nothing back`);
    }
  }

  async skipTo(position: bigint): Promise<void> {
    await this.#appender.skipTo(position);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#room.open();
    this.#headWaiters.wake();
    await this.#appender.flush();
    await this.#upkeep.run();
    await this.#measuring;
    await this.#writer.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #store(record: NewRecord, signal: AbortSignal | undefined): Promise<bigint> {
    try {
      if (!this.#room.isOpen) await this.#room.enter(signal);
      this.#refuseIfClosed();
      return await this.#appender.add(record, signal);
    } catch (error) {
      if (error instanceof JournalUnavailableError) this.#refused++;
      throw error;
    }
  }

  get #segmentBytes(): number {
    const { segmentBytes, maxBytes } = this.#options;
    return Math.min(segmentBytes, Math.ceil(maxBytes / 4));
  }

  get #bytes(): number {
    return this.#recovered.segments.reduce((sum, { start, end }) => sum + Number(end - start), 0);
  }

  get #hasRoom(): boolean {
    if (this.#appender.queuedBytes >= QUEUE_BYTES) return false;
    if (this.#hasRoomFor(0)) return true;
    // A single segment that is longer than all may be is followed by a new one, and can go then.
    const isIdle = this.#appender.queuedBytes === 0 && this.#recovered.segments.length === 1;
    return isIdle && this.#passed === this.head && this.#isDiskFree(0);
  }

  #hasRoomFor(more: number): boolean {
    const { queuedBytes } = this.#appender;
    return this.#bytes + queuedBytes + more < this.#options.maxBytes && this.#isDiskFree(more);
  }

  #isDiskFree(more: number): boolean {
    return this.#freeBytes - this.#appender.queuedBytes - more >= this.#options.minFreeBytes;
  }

  /** How far all destinations have got. */
  get #passed(): bigint | undefined {
    if (!this.#started || this.#cursors.size === 0) return undefined;
    return lowest(this.#cursors.values());
  }

  #full(): JournalFullError {
    const { maxWaitMs } = this.#options;
    return new JournalFullError(
      `Cannot append to the journal: it has been full for ${maxWaitMs} ms, ${this.#whyFull()}`,
      RETRY_AFTER_MS,
    );
  }

  #whyFull(): string {
    const { maxBytes, minFreeBytes } = this.#options;
    const { queuedBytes } = this.#appender;
    if (queuedBytes >= QUEUE_BYTES) {
      return `${queuedBytes} bytes wait to be written; look after the disk`;
    }
    if (this.#isDiskFree(0)) {
      return `it has ${this.#bytes} of ${maxBytes} bytes; its destinations have to catch up`;
    }
    return `its disk has ${this.#freeBytes} bytes free, less than ${minFreeBytes}; ` +
      "free some space on it";
  }

  #refuseIfClosed(): void {
    if (!this.#closed) return;
    throw new JournalUnavailableError("Cannot use the journal: it is closed", RETRY_AFTER_MS);
  }

  #groupEnded(): void {
    this.#headWaiters.wake();
    // One at a time: the file system may hang.
    this.#measuring ??= this.#measure().finally(() => this.#measuring = undefined);
    this.#room.wake();
  }

  async #cursorMoved(): Promise<void> {
    await this.#upkeep.run();
    this.#room.wake();
  }

  /** Asks how much is free on the disk. */
  async #measure(): Promise<void> {
    if (this.#freeUnknown) return;
    try {
      this.#freeBytes = await this.#files.freeBytes();
    } catch (error) {
      this.#freeUnknown = true;
      this.#freeBytes = Infinity;
      const message = "Cannot ask how much is free on the disk of the journal: only maxBytes holds";
      this.#tell("upkeep failed", message, error);
    }
  }
}
