/**
 * The journal on disk: puts its parts in their order.
 *
 * | part | what it does |
 * | --- | --- |
 * | `recovery` | what is found in the folder, and put in order, when it is opened |
 * | `tally` | what came in and is not appended |
 * | `resend_window`, `keys` | requests that are sent again, and how that outlives segments |
 * | `space`, `room` | how much there is, and the line of those who wait for it |
 * | `appender`, `writer` | groups of records, one after the other, into segment files |
 * | `segment` | the format of a record, and reading them in pieces |
 * | `reader`, `damage` | records in their order, past what cannot be read |
 * | `recent` | the newest of them, for those who need no bodies |
 * | `cursor`, `upkeep` | how far destinations have got, and removing what all have passed |
 *
 * @module
 */

import {
  type Appended,
  type AppendOptions,
  type Counts,
  type Cursor,
  type CursorOptions,
  type CursorStart,
  type Journal,
  JournalFormatError,
  JournalFullError,
  type JournalRecord,
  type JournalRequest,
  type JournalStats,
  JournalUnavailableError,
  type ReadBounds,
  type Unkept,
} from "./journal.ts";
import { Appender, type NewRecord } from "./journal/appender.ts";
import {
  cursorFile,
  JournalCursor,
  keepInFile,
  keepNoteInFile,
  lowest,
  noteFile,
} from "./journal/cursor.ts";
import { DamageLog } from "./journal/damage.ts";
import { KeyFiles } from "./journal/keys.ts";
import { type JournalOptions, type ParsedOptions, parseOptions } from "./journal/options.ts";
import { SegmentReader } from "./journal/reader.ts";
import { RecentRecords } from "./journal/recent.ts";
import { type Recovered, Recovery } from "./journal/recovery.ts";
import { ResendWindow } from "./journal/resend_window.ts";
import { Room } from "./journal/room.ts";
import { keyOf } from "./journal/segment.ts";
import { Space } from "./journal/space.ts";
import { Tally } from "./journal/tally.ts";
import { type Tell, telling } from "./journal/tell.ts";
import { Upkeep } from "./journal/upkeep.ts";
import { ended, Waiters } from "./journal/waiters.ts";
import { SegmentWriter } from "./journal/writer.ts";
import type { JournalFiles } from "./journal_files.ts";
import type { Signal } from "./record.ts";

export type { JournalOptions } from "./journal/options.ts";

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
  const parsed = parseOptions(options);
  try {
    return await DiskJournal.open(files, parsed);
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

/** When it is worth trying again after it was closed, in ms: another process may have it open. */
const RETRY_AFTER_MS = 5_000;

class DiskJournal implements Journal {
  readonly id: string;
  readonly #files: JournalFiles;
  readonly #options: ParsedOptions;
  readonly #tell: Tell;
  readonly #damage: DamageLog;
  readonly #window: ResendWindow;
  readonly #recovered: Recovered;
  readonly #tally: Tally;
  readonly #writer: SegmentWriter;
  readonly #appender: Appender;
  readonly #reader: SegmentReader;
  readonly #upkeep: Upkeep;
  readonly #space: Space;
  readonly #room: Room;
  readonly #cursors = new Map<string, JournalCursor>();
  /** How destinations make durable what they have, by their names. */
  readonly #hooks = new Map<string, () => Promise<void>>();
  readonly #headWaiters = new Waiters();
  #started = false;
  #closed = false;
  #refused = 0;

  static async open(
    files: JournalFiles,
    options: ParsedOptions,
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
      await journal.#space.measure();
    } catch (error) {
      await journal.#writer.close();
      throw error;
    }
    return journal;
  }

  constructor(
    files: JournalFiles,
    options: ParsedOptions,
    tell: Tell,
    damage: DamageLog,
    window: ResendWindow,
    keys: KeyFiles,
    recovered: Recovered,
  ) {
    const { segments, file, accepted } = recovered;
    const { maxBytes, minFreeBytes, maxWaitMs, graceMs, clock } = options;
    const recent = new RecentRecords();
    this.id = recovered.id;
    this.#files = files;
    this.#options = options;
    this.#tell = tell;
    this.#damage = damage;
    this.#window = window;
    this.#recovered = recovered;
    this.#tally = new Tally(files, recovered.unkept, tell);
    this.#writer = new SegmentWriter(files, segments, file, () => this.#segmentBytes, tell);
    this.#appender = new Appender(
      this.#writer,
      accepted,
      (head) => {
        window.add({ key: head.key, position: head.position, arrivalMs: clock() });
        recent.add(head);
      },
      () => this.#groupEnded(),
    );
    this.#reader = new SegmentReader(files, segments, damage, recent);
    this.#upkeep = new Upkeep({
      files,
      segments,
      keys,
      passed: () => this.#passed,
      hooks: () => [...this.#hooks.values()],
      removed: () => this.#groupEnded(),
      isTight: () => !this.#space.isThereFor(this.#segmentBytes),
      graceMs,
      clock,
      tell,
    });
    this.#space = new Space({
      files,
      maxBytes,
      minFreeBytes,
      maxWaitMs,
      bytes: () => this.#bytes,
      queuedBytes: () => this.#appender.queuedBytes,
      // A segment that is longer than all may be is followed by a new one, and can go then.
      isDone: () =>
        segments.length === 1 && this.#appender.queuedBytes === 0 && this.#passed === this.head,
      tell,
    });
    this.#room = new Room({
      hasRoom: () => this.#space.isThere,
      look: async () => {
        await this.#space.measure();
        await this.#upkeep.run();
        await this.#space.measure();
      },
      maxWaitMs,
      refusal: () => this.#space.refusal(),
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

  get tally(): Unkept {
    return this.#tally.kept;
  }

  get stats(): JournalStats {
    return {
      bytes: this.#bytes,
      maxBytes: this.#options.maxBytes,
      queuedBytes: this.#appender.queuedBytes,
      freeBytes: this.#space.freeBytes,
      segments: this.#recovered.segments.length,
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
    if (appended.duplicate) this.#tally.add("duplicates", request.signal, request.count);
    return appended;
  }

  reject(signal: Signal, count: number): void {
    this.#tally.add("rejected", signal, count);
  }

  async keepTally(signal?: AbortSignal): Promise<void> {
    await ended(this.#tally.keep(), signal);
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

  async cursor(name: string, start: CursorStart, options: CursorOptions = {}): Promise<Cursor> {
    const existing = this.#cursors.get(name);
    if (existing !== undefined) return existing;
    const { secure } = options;
    const external = start === "external";
    const file = cursorFile(name);
    const found = this.#recovered.cursors;
    const kept = external ? undefined : found.get(file);
    const isDamaged = !external && found.has(file) && kept === undefined;
    const position = kept ?? (start === "head" && !isDamaged ? this.head : this.oldest);
    const isNew = !external && !found.has(file);
    const note = isNew ? "" : this.#noteOf(name, external);
    const keepPosition = external ? undefined : keepInFile(this.#files, name);
    const keepNote = keepNoteInFile(this.#files, name);
    const cursor = new JournalCursor({
      name,
      position,
      note,
      journal: this,
      moved: () => this.#cursorMoved(),
      keepPosition,
      keepNote,
    });
    // From here on it holds segments back.
    this.#cursors.set(name, cursor);
    if (secure !== undefined) this.#hooks.set(name, secure);
    if (external || kept !== undefined) return cursor;
    try {
      // Before its cursor, and instead of what another destination of the name has left.
      if (isNew) await keepNote("");
      await keepPosition!(position);
    } catch (error) {
      this.#cursors.delete(name);
      this.#hooks.delete(name);
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
    await this.#tally.keep();
    await this.#upkeep.close();
    await this.#space.measure();
    await this.#writer.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #store(record: NewRecord, signal: AbortSignal | undefined): Promise<bigint> {
    try {
      return await this.#room.take(() => {
        this.#refuseIfClosed();
        return this.#appender.add(record, signal);
      }, signal);
    } catch (error) {
      if (error instanceof JournalUnavailableError) this.#refused++;
      throw error;
    }
  }

  #noteOf(name: string, external: boolean): string | undefined {
    const { notes } = this.#recovered;
    const file = noteFile(name);
    if (external && !notes.has(file)) return "";
    const note = notes.get(file);
    if (note === undefined) {
      const what = notes.has(file) ? "that cannot be read" : "that is not there any more";
      this.#tell("note lost", `Destination '${name}' has a note ${what}: it goes on without`);
    }
    return note;
  }

  /** Space comes back by whole segments, so there have to be some. */
  get #segmentBytes(): number {
    const { segmentBytes, maxBytes } = this.#options;
    return Math.min(segmentBytes, Math.ceil(maxBytes / 4), Math.ceil(this.#space.diskBytes / 16));
  }

  get #bytes(): number {
    return this.#recovered.segments.reduce((sum, { start, end }) => sum + Number(end - start), 0);
  }

  /** How far all destinations have got. */
  get #passed(): bigint | undefined {
    if (!this.#started || this.#cursors.size === 0) return undefined;
    return lowest(this.#cursors.values());
  }

  #refuseIfClosed(): void {
    if (!this.#closed) return;
    throw new JournalUnavailableError("Cannot use the journal: it is closed", RETRY_AFTER_MS);
  }

  #groupEnded(): void {
    this.#headWaiters.wake();
    void this.#space.measure();
    this.#room.wake();
  }

  async #cursorMoved(): Promise<void> {
    await this.#upkeep.run();
    this.#room.wake();
  }
}
