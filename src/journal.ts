/**
 * The journal: requests on disk, in the order of their arrival, for any number of readers.
 *
 * It guarantees:
 *
 * - **On disk.** When `append` resolves, the request is durable: it outlives the process, the
 *   system and the power. A request for which it rejects may be there or not, but only once.
 * - **Once.** A request that is sent again within 10 minutes is not stored again, whatever happened
 *   in between; a copy that comes while the first is being stored gets its answer.
 * - **In order.** Records have positions that only grow, and the bytes that were appended. What has
 *   been read at a position stays there: a position is never given to another request.
 * - **No failed sync is believed.** What a failed write or sync leaves is void; the same requests are
 *   written again to a new file before they are acknowledged.
 * - **Nothing is lost to damage around it.** Readers go on behind what cannot be read, after it has
 *   been told, counted and set aside. A cursor that cannot be read starts at the oldest record.
 * - **Kept until all have it.** A segment goes when every destination that has a cursor has passed
 *   it, and then not before a grace, unless the space is needed.
 * - **Bounded.** By bytes and by what is free on the disk. Without space `append` and `room` wait,
 *   then refuse with {@linkcode JournalFullError}. Nothing is dropped to make space.
 * - **Little memory.** Bodies are not copied to be appended, segments are not read whole, and the
 *   keys of a million recent requests take 56 MiB.
 *
 * One process at a time may have the folder open: whoever opens a journal holds a lock elsewhere.
 *
 * @module
 */

import type { Signal } from "./record.ts";

/** Valid records of each signal: spans, log records, metric points. */
export type Counts = Readonly<Record<Signal, number>>;

/** A request in the journal. Its bytes are shared: they must not be changed. */
export interface JournalRecord {
  /** Where it begins. */
  readonly position: bigint;
  /** Where the following one begins. */
  readonly next: bigint;
  /** Its signal. */
  readonly signal: Signal;
  /** When it arrived, in nanoseconds since 1970. */
  readonly arrivalUnixNano: bigint;
  /** SHA-256 of signal and body: what tells a request sent again. */
  readonly key: Uint8Array;
  /** Valid records in it. */
  readonly count: number;
  /** Valid records before it since the journal began. */
  readonly before: Counts;
  /**
   * OTLP protobuf as received.
   *
   * @throws {TypeError} It was not read: see {@linkcode JournalRecord.isKnown}.
   */
  readonly body: Uint8Array;
  /** Whether it was read without its body, by a reader who said that it knows it. Default false. */
  readonly isKnown?: boolean;
}

/** A request to be appended. */
export interface JournalRequest {
  /** Its signal. */
  readonly signal: Signal;
  /** OTLP protobuf. It must not be changed until the append has ended. */
  readonly body: Uint8Array;
  /** Valid records in it. */
  readonly count: number;
  /** When it arrived, in nanoseconds since 1970. */
  readonly arrivalUnixNano: bigint;
}

/** How to append. */
export interface AppendOptions {
  /** Takes the request back while it waits; one that is being written is written. */
  readonly signal?: AbortSignal;
  /** Stores it even if it came lately, such as a dead letter that is replayed. Default false. */
  readonly again?: boolean;
}

/** Where a request is. */
export interface Appended {
  /** Its position, or that of the first copy. */
  readonly position: bigint;
  /** Whether it was there already. */
  readonly duplicate: boolean;
}

/**
 * Where a destination starts that has no cursor yet: at the oldest record, or at the head. One whose
 * position is kept elsewhere (`external`) starts at the oldest until it is moved, and has no file.
 */
export type CursorStart = "oldest" | "head" | "external";

/** What a journal should know about a destination. */
export interface CursorOptions {
  /**
   * Makes durable what the destination has, for one that may forget it when the power fails. Called
   * before something is removed that it has passed; what it passes meanwhile stays for the next time.
   * It may take long: nobody waits for it but what is to be removed. A journal in memory has no use
   * for it.
   *
   * @throws Why it could not. Nothing is removed then, and it is called again later.
   */
  readonly secure?: () => Promise<void>;
}

/** How far a destination has got. */
export interface Cursor {
  /** The name of the destination. */
  readonly name: string;
  /** All before it is done with. */
  readonly position: bigint;
  /**
   * What the destination has noted last. Empty while it has noted nothing; undefined when that cannot
   * be read any more.
   */
  readonly note: string | undefined;
  /**
   * Moves it, durably where it is kept in a file.
   *
   * @param to The new position, at most the journal's head.
   * @param options `back`: it may go back, so that records are read again.
   * @throws {RangeError} If `to` is behind the head, or before the position without `back`.
   * @throws What the system says; the cursor has not moved. Whether it will be found there after a
   * crash is not known until it is moved again, which may be to where it is.
   */
  move(to: bigint, options?: { readonly back?: boolean }): Promise<void>;
  /**
   * Keeps a note beside the position, instead of the one before: durably, wherever the position is
   * kept. The journal does not know what it says.
   *
   * @param note A few KiB of text.
   * @throws What the system says; either note may be there from now on, whole.
   */
  keep(note: string): Promise<void>;
}

/** Records that came in and are not in the journal, since it began. */
export interface Unkept {
  /** Invalid ones. */
  readonly rejected: Counts;
  /** Valid ones of requests that were there already. */
  readonly duplicates: Counts;
}

/** Numbers about a journal. Those marked (run) count since it was opened. */
export interface JournalStats {
  /** Bytes of its segments. */
  readonly bytes: number;
  /** The bound of those bytes; one request may go over it. */
  readonly maxBytes: number;
  /** Bytes that wait or are being written. */
  readonly queuedBytes: number;
  /** Bytes free on its disk; Infinity when that is not known. */
  readonly freeBytes: number;
  /** Its segments. */
  readonly segments: number;
  /** Requests appended (run). */
  readonly appended: number;
  /** Requests refused because there was no space, or writing failed (run). */
  readonly refused: number;
  /** Requests that wait for space. */
  readonly waiting: number;
  /** Requests of the last minutes that are known. */
  readonly keys: number;
  /** Keys forgotten before their time, because there were too many (run). */
  readonly keysEvictedEarly: number;
  /** Places that could not be read (run). */
  readonly damaged: number;
  /** Bytes in these places (run). */
  readonly damagedBytes: number;
  /** Places where acknowledged bytes are missing (run). */
  readonly gaps: number;
  /** Bytes missing there (run). */
  readonly gapBytes: bigint;
  /** Writes and syncs that failed (run). */
  readonly failedWrites: number;
}

/** How much one read gives at most; but one record if there is one. */
export interface ReadBounds {
  /** Bytes of bodies. */
  readonly maxBytes: number;
  /** Records. */
  readonly maxRecords: number;
  /** Says of a position whether the body of its record is not needed, which may then not be read. */
  readonly knows?: (position: bigint) => boolean;
}

/** Requests in the order of their arrival. See the module for what it guarantees. */
export interface Journal extends AsyncDisposable {
  /** A UUID, new for a new or emptied folder. */
  readonly id: string;
  /** Position of the oldest record kept. */
  readonly oldest: bigint;
  /** Behind the newest durable record. */
  readonly head: bigint;
  /** Valid records before the head, since the journal began. */
  readonly accepted: Counts;
  /** Records that are not in it, as of the last {@linkcode Journal.keepTally}. None falls, ever. */
  readonly tally: Unkept;
  /** Numbers about it. */
  readonly stats: JournalStats;
  /**
   * Resolves when the request is on disk or, if it came already within the window, when that is.
   *
   * @throws {JournalFullError} There was no space for `maxWaitMs`, or the disk is full.
   * @throws {JournalUnavailableError} It cannot be written, or the journal is closed.
   * @throws The reason of the signal, if it is taken back.
   */
  append(request: JournalRequest, options?: AppendOptions): Promise<Appended>;
  /** Counts invalid records, which are not appended. Duplicates it counts itself. */
  reject(signal: Signal, count: number): void;
  /**
   * Keeps what was counted until now, so that it is in the tally and outlives the process as the records
   * do. Never fails: what cannot be kept now is when it is called again.
   *
   * @param signal Ends the wait, for a disk that hangs.
   */
  keepTally(signal?: AbortSignal): Promise<void>;
  /**
   * Waits for space, at most `maxWaitMs`. To be called before a body is read.
   *
   * @throws {JournalFullError} There is none.
   * @throws {JournalUnavailableError} The journal is closed.
   * @throws The reason of the signal.
   */
  room(options?: { readonly signal?: AbortSignal }): Promise<void>;
  /**
   * The durable records from a position on, at least one if there is one. A first record behind the
   * position says that what was between is not there any more.
   */
  read(from: bigint, bounds: ReadBounds): Promise<JournalRecord[]>;
  /**
   * Resolves when the head is behind a position.
   *
   * @throws {JournalUnavailableError} The journal is closed.
   * @throws The reason of the signal.
   */
  waitFor(position: bigint, signal?: AbortSignal): Promise<void>;
  /**
   * The cursor of a destination, the same one for the same name. Segments stay until it has passed.
   *
   * @param name Up to 80 bytes of UTF-8.
   * @param start Where it starts if there is no cursor of the name. A damaged one is at the oldest.
   * @param options See {@linkcode CursorOptions}. Those of the first call for the name hold.
   * @throws {RangeError} The name is empty or too long.
   */
  cursor(name: string, start: CursorStart, options?: CursorOptions): Promise<Cursor>;
  /**
   * Says that all destinations have got their cursors: from now on segments may go. Cursors without
   * a destination are told and hold nothing back. Without any cursor nothing goes.
   */
  start(): void;
  /**
   * Lets no record be before a position from now on. For a destination that is ahead of the journal,
   * because the folder was restored from an older copy: it would pass over what is appended now.
   */
  skipTo(position: bigint): Promise<void>;
  /** Appends no more; resolves when all that was appended is durable or refused. Idempotent. */
  close(): Promise<void>;
}

/** What an event is about; see {@linkcode JournalEvent}. */
export type JournalEventKind =
  /** The folder had no id that could be read: it is a new journal. */
  | "new id"
  /** Something in the folder is not the journal's, and is left alone. */
  | "junk"
  /** Something stands where a file of the journal should be; it was renamed to `damaged-…`. */
  | "set aside"
  /** The end of the newest segment was never acknowledged, and was cut off. */
  | "torn tail"
  /** Acknowledged bytes cannot be read; they were copied to `damaged-…`, readers go on behind. */
  | "damaged"
  /** Positions of which nothing is there; readers go on behind. */
  | "gap"
  /** A destination has no cursor yet, or one that cannot be read; the message says where it starts. */
  | "new cursor"
  /** A cursor of a destination that is not configured any more; it holds nothing back. */
  | "unused cursor"
  /** What a destination has noted beside its cursor, or the tally, cannot be read; it starts without. */
  | "note lost"
  /** Writing failed; what was written since the last success is written again to a new segment. */
  | "write failed"
  /** A segment that all have passed, what belongs to it or the tally could not be removed or kept. */
  | "upkeep failed"
  /** Which requests came lately was partly forgotten: sent again, they are taken for new ones. */
  | "keys lost";

/** Something to be logged. */
export interface JournalEvent {
  /** What it is about. */
  readonly kind: JournalEventKind;
  /** One sentence for people, with names and sizes. */
  readonly message: string;
  /** The error behind it, if there is one. */
  readonly error?: unknown;
}

/** The request is not in the journal, and sending it again later will help. */
export class JournalUnavailableError extends Error {
  /** The name of its class. */
  override readonly name: string = "JournalUnavailableError";
  /** When to try again, in milliseconds from now. */
  readonly retryAfterMs: number;

  /**
   * Made by the journal.
   *
   * @param message Action, current value, what to do.
   * @param retryAfterMs When to try again, in milliseconds from now.
   * @param options The cause.
   */
  constructor(message: string, retryAfterMs: number, options?: ErrorOptions) {
    super(message, options);
    this.retryAfterMs = retryAfterMs;
  }
}

/** The journal, or the disk it is on, has no space left. */
export class JournalFullError extends JournalUnavailableError {
  /** Always `JournalFullError`. */
  override readonly name: string = "JournalFullError";
}

/** The folder was written by another version of the journal. Nothing was changed in it. */
export class JournalFormatError extends Error {
  /** Always `JournalFormatError`. */
  override readonly name: string = "JournalFormatError";
}
