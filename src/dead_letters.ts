/**
 * Dead letters on disk: what a destination will never take, kept until somebody looks at it.
 *
 * One file a letter, named `<destination>-<journal>-<position>-<index>`: the first 8 digits of the
 * journal's id, the position in the journal as 16 hex digits, the index within the record. So a letter
 * that is written again, after a crash or a restart, is the same file; and a journal that begins anew
 * at position 0 does not overwrite the letters of the one before it.
 *
 * ```text
 * otel-dead-letter 1 <CRC-32 of the next line>
 * {"destination":"…","signal":"traces","count":1,"reason":"…",…,"bytes":123,"crc32":"…"}
 * <123 bytes of OTLP protobuf>
 * ```
 *
 * Guarantees:
 *
 * - {@linkcode DeadLetters.add} resolves when the letters will survive a crash of the machine: each is
 *   written to a file of another name, fsynced, renamed, and the folder fsynced;
 * - the letters are bounded by bytes and number. Full means {@linkcode DeadLettersFullError}: nothing is
 *   overwritten, and who adds waits for {@linkcode DeadLetters.room};
 * - a damaged file is named and skipped, and never removed but by {@linkcode DeadLetters.drop}.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { z } from "zod";
import type { JournalFiles } from "./journal_files.ts";
import type { Signal } from "./record.ts";
import type { DeadLetter } from "./sink.ts";

/** Options of {@linkcode DeadLetters.open}. */
export interface DeadLettersOptions {
  /** Bytes of all letters; a single larger one is taken when there is no other. Default 256 MiB. */
  readonly maxBytes?: number;
  /** Letters. Default 100 000. */
  readonly maxLetters?: number;
  /** Milliseconds since 1970. Default `Date.now`. */
  readonly now?: () => number;
}

/** Whose letters are added. */
export interface Sender {
  /** The name of the destination. */
  readonly destination: string;
  /** The id of the journal that the positions belong to. */
  readonly journal: string;
  /** How often it was tried, of the batch that the letters were in. */
  readonly attempts: number;
}

/** What is known of a letter without its body. */
export interface LetterHead {
  /** The name of its file, by which it is read and dropped. */
  readonly name: string;
  /** The name of the destination that refused it. */
  readonly destination: string;
  /** The id of the journal it was in. */
  readonly journal: string;
  /** The position there of the record it was in. */
  readonly position: bigint;
  /** Which one of that record. */
  readonly index: number;
  /** Its signal. */
  readonly signal: Signal;
  /** Valid records in it. */
  readonly count: number;
  /** What the destination said. */
  readonly reason: string;
  /** When it was received, in ns since 1970. */
  readonly arrivalUnixNano: bigint;
  /** When it became a dead letter, in ms since 1970. */
  readonly diedAtMs: number;
  /** Attempts until then, of the batch it was in. */
  readonly attempts: number;
  /** Bytes of its body. */
  readonly bytes: number;
}

/** A file that is no letter, or not any more. */
export interface DamagedLetter {
  /** The name of the file. */
  readonly name: string;
  /** What is wrong with it. */
  readonly reason: string;
}

/** Which letters; all of the given have to hold. */
export interface LetterFilter {
  /** Of this destination. */
  readonly destination?: string;
  /** Of this signal. */
  readonly signal?: Signal;
  /** Whose reason contains this text. */
  readonly reason?: string;
  /** How many at most, of letters and of damaged files. Default 1 000. */
  readonly limit?: number;
}

/** What was found, in the order of the names: by destination and position. */
export interface LetterList {
  /** The letters that the filter lets through. */
  readonly letters: readonly LetterHead[];
  /** Damaged files, of the destination if one was asked for. */
  readonly damaged: readonly DamagedLetter[];
}

/** Numbers about the letters. */
export interface DeadLetterStats {
  /** Letters there are, damaged ones included. */
  readonly letters: number;
  /** Bytes of their files. */
  readonly bytes: number;
  /** The bound of those bytes. */
  readonly maxBytes: number;
  /** Written since the start. */
  readonly written: number;
  /** Found written already. */
  readonly repeated: number;
  /** Dropped since the start. */
  readonly dropped: number;
}

/** There is no room for a letter: drop or replay some. */
export class DeadLettersFullError extends Error {
  /** Always `DeadLettersFullError`. */
  override readonly name = "DeadLettersFullError";
  /** What there has to be room for, for {@linkcode DeadLetters.room}. */
  readonly bytes: number;

  /** Made by {@linkcode DeadLetters.add}. */
  constructor(message: string, bytes: number) {
    super(message);
    this.bytes = bytes;
  }
}

/** A letter cannot be read: its file is damaged. The message says how. */
export class DamagedLetterError extends Error {
  /** Always `DamagedLetterError`. */
  override readonly name = "DamagedLetterError";
}

const OPTIONS = z.strictObject({
  maxBytes: z.int().min(1).default(256 * 1024 * 1024),
  maxLetters: z.int().min(1).default(100_000),
  now: z.custom<() => number>((value) => typeof value === "function", "expected a function")
    .default(() => () => Date.now()),
});

const MAGIC = "otel-dead-letter 1";
/** A file that is being written. */
const UNFINISHED = ".new";
const NAME = /^(.+)-[\da-f]{8}-[\da-f]{16}-\d+$/;
/** What a reason may have, so that both lines fit into {@linkcode HEAD_BYTES} however they escape. */
const MAX_REASON = 1_000;
/** What is read to list a letter. */
const HEAD_BYTES = 8 * 1024;

const HEAD = z.object({
  destination: z.string(),
  journal: z.string(),
  position: z.string().transform(BigInt),
  index: z.int(),
  signal: z.enum(["traces", "logs", "metrics"]),
  count: z.int(),
  reason: z.string(),
  arrivalUnixNano: z.string().transform(BigInt),
  diedAtMs: z.number(),
  attempts: z.int(),
  bytes: z.int(),
  crc32: z.string(),
});

/**
 * The dead letters in one folder, of all destinations. One process at a time.
 *
 * Made by {@linkcode DeadLetters.open}.
 */
export class DeadLetters {
  readonly #files: JournalFiles;
  readonly #options: z.output<typeof OPTIONS>;
  /** Bytes by name. */
  readonly #sizes = new Map<string, number>();
  /** Called when something was dropped. */
  readonly #waiting = new Set<() => void>();
  /** Of all letters, and of those being written. */
  #bytes = 0;
  #written = 0;
  #repeated = 0;
  #dropped = 0;

  private constructor(files: JournalFiles, options: z.output<typeof OPTIONS>) {
    this.#files = files;
    this.#options = options;
  }

  /**
   * Looks at the folder and removes what a crash left unfinished.
   *
   * @param files The folder, of its own.
   * @param options See {@linkcode DeadLettersOptions}.
   * @throws {RangeError} An option is unknown or out of range; the message names it and its value.
   * @throws What the file system throws.
   */
  static async open(files: JournalFiles, options: DeadLettersOptions = {}): Promise<DeadLetters> {
    const parsed = OPTIONS.safeParse(options, { reportInput: true });
    if (!parsed.success) {
      const { path: [option = "options"], message, input } = parsed.error.issues[0]!;
      throw new RangeError(
        `Cannot keep dead letters with '${String(option)}': ${String(input)} (${message})`,
        { cause: parsed.error },
      );
    }
    const letters = new DeadLetters(files, parsed.data);
    for (const name of (await files.list()).sort()) {
      if (name.endsWith(UNFINISHED)) await files.remove(name);
      // What is no file takes no room here, and shows as damaged.
      else letters.#count(name, await files.size(name).catch(() => 0));
    }
    return letters;
  }

  /** Counters. */
  get stats(): DeadLetterStats {
    return {
      letters: this.#sizes.size,
      bytes: this.#bytes,
      maxBytes: this.#options.maxBytes,
      written: this.#written,
      repeated: this.#repeated,
      dropped: this.#dropped,
    };
  }

  /**
   * Keeps letters. Those that were kept before are not written again, so after a failure the same
   * call may be made again.
   *
   * @throws {DeadLettersFullError} There is no room for one of them; those before it may be written.
   * @throws What the file system throws.
   */
  async add(letters: readonly DeadLetter[], sender: Sender): Promise<void> {
    for (const letter of letters) await this.#write(letter, sender);
    // Also for letters found there: whoever renamed them may not have come to this.
    if (letters.length > 0) await this.#files.sync();
  }

  async #write(letter: DeadLetter, sender: Sender): Promise<void> {
    const name = nameOf(letter, sender);
    if (this.#sizes.has(name) && await this.#isWhole(name)) {
      this.#repeated++;
      return;
    }
    const chunks = encode(letter, sender, this.#options.now());
    const size = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    // A damaged letter gives its place to the same one made anew.
    this.#forget(name);
    if (!this.#fits(size)) throw this.#full(size);
    this.#bytes += size;
    try {
      await this.#create(name, chunks);
    } finally {
      this.#bytes -= size;
    }
    this.#count(name, size);
    this.#written++;
  }

  async #create(name: string, chunks: readonly Uint8Array[]): Promise<void> {
    const unfinished = `${name}${UNFINISHED}`;
    // One of an attempt that failed and could not be cleaned up.
    await this.#files.remove(unfinished);
    try {
      await using file = await this.#files.create(unfinished);
      await file.write(chunks);
      await file.sync();
    } catch (error) {
      // Half a file on a full disk is room that others need. The first error is the one to tell.
      await this.#files.remove(unfinished).catch(() => {});
      throw error;
    }
    await this.#files.rename(unfinished, name);
  }

  async #isWhole(name: string): Promise<boolean> {
    try {
      await this.read(name);
      return true;
    } catch (error) {
      if (error instanceof DamagedLetterError) return false;
      throw error;
    }
  }

  /**
   * Waits until there is room.
   *
   * @param bytes For how much.
   * @param signal Ends the wait.
   * @throws The signal's reason when it aborts first.
   */
  async room(bytes: number, signal: AbortSignal): Promise<void> {
    while (!this.#fits(bytes)) {
      signal.throwIfAborted();
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const abort = () => reject(signal.reason);
      this.#waiting.add(resolve);
      signal.addEventListener("abort", abort, { once: true });
      try {
        await promise;
      } finally {
        this.#waiting.delete(resolve);
        signal.removeEventListener("abort", abort);
      }
    }
  }

  #fits(size: number): boolean {
    if (this.#bytes === 0) return true;
    const { maxBytes, maxLetters } = this.#options;
    return this.#bytes + size <= maxBytes && this.#sizes.size < maxLetters;
  }

  #full(size: number): DeadLettersFullError {
    const { maxBytes, maxLetters } = this.#options;
    return new DeadLettersFullError(
      `Cannot keep a dead letter of ${size} bytes: there are ${this.#sizes.size} (at most ` +
        `${maxLetters}) with ${this.#bytes} bytes (at most ${maxBytes}), drop or replay some`,
      size,
    );
  }

  #count(name: string, size: number): void {
    this.#sizes.set(name, size);
    this.#bytes += size;
  }

  #forget(name: string): boolean {
    const size = this.#sizes.get(name);
    if (size === undefined) return false;
    this.#sizes.delete(name);
    this.#bytes -= size;
    return true;
  }

  /**
   * Reads the heads of letters. Bodies are not read, so damage in one is found by
   * {@linkcode DeadLetters.read}.
   *
   * @throws What the file system throws, but for files that are gone or cannot be read.
   */
  async list(filter: LetterFilter = {}): Promise<LetterList> {
    const { destination, signal, reason, limit = 1_000 } = filter;
    const letters: LetterHead[] = [];
    const damaged: DamagedLetter[] = [];
    for (const name of [...this.#sizes.keys()].sort()) {
      if (letters.length + damaged.length >= limit) break;
      if (destination !== undefined && destinationOf(name) !== destination) continue;
      try {
        const { head } = decodeHead(name, await this.#files.read(name, 0, HEAD_BYTES));
        if (signal !== undefined && head.signal !== signal) continue;
        if (reason !== undefined && !head.reason.includes(reason)) continue;
        letters.push(head);
      } catch (error) {
        // Dropped while this went on: nothing to tell about.
        if (!this.#sizes.has(name)) continue;
        damaged.push({ name, reason: error instanceof Error ? error.message : String(error) });
      }
    }
    return { letters, damaged };
  }

  /**
   * Reads a letter with its body.
   *
   * @param name As listed.
   * @throws {DamagedLetterError} The file is damaged.
   * @throws {RangeError} There is no such letter.
   */
  async read(name: string): Promise<{ readonly head: LetterHead; readonly body: Uint8Array }> {
    if (!this.#sizes.has(name)) {
      throw new RangeError(`Cannot read the dead letter ${name}: no such`);
    }
    const bytes = await this.#files.read(name);
    const { head, crc, length } = decodeHead(name, bytes);
    const body = bytes.subarray(length);
    if (body.length !== head.bytes) {
      throw damage(name, `its body has ${body.length} bytes and not ${head.bytes}`);
    }
    if (checksum(body) !== crc) throw damage(name, "its body does not match its checksum");
    return { head, body };
  }

  /**
   * Removes a letter for good, or a damaged file.
   *
   * @param name As listed.
   * @returns Whether there was one.
   * @throws What the file system throws.
   */
  async drop(name: string): Promise<boolean> {
    if (!this.#sizes.has(name)) return false;
    await this.#files.remove(name);
    await this.#files.sync();
    // Two may have dropped it at a time.
    if (!this.#forget(name)) return false;
    this.#dropped++;
    for (const wake of this.#waiting) wake();
    return true;
  }
}

function nameOf({ position, index }: DeadLetter, { destination, journal }: Sender): string {
  const place = position.toString(16).padStart(16, "0");
  return `${fileSafe(destination)}-${journal.slice(0, 8)}-${place}-${index}`;
}

/** Names stay apart on file systems that do not tell the case of letters, and reveal no folder. */
function fileSafe(text: string): string {
  const escape = (byte: number) => `%${byte.toString(16).padStart(2, "0")}`;
  return text.replace(
    /[^a-z0-9_.-]/gu,
    (character) => [...new TextEncoder().encode(character)].map(escape).join(""),
  );
}

/** Undefined for a file that is no letter. */
function destinationOf(name: string): string | undefined {
  try {
    return decodeURIComponent(NAME.exec(name)?.[1] ?? "") || undefined;
  } catch {
    return undefined;
  }
}

function checksum(bytes: Uint8Array): string {
  return crc32(bytes).toString(16).padStart(8, "0");
}

function encode(letter: DeadLetter, sender: Sender, now: number): Uint8Array[] {
  const { position, index, signal, count, arrivalUnixNano, reason, body } = letter;
  const { destination, journal, attempts } = sender;
  const line = new TextEncoder().encode(JSON.stringify({
    destination,
    journal,
    position: String(position),
    index,
    signal,
    count,
    reason: reason.slice(0, MAX_REASON),
    arrivalUnixNano: String(arrivalUnixNano),
    diedAtMs: now,
    attempts,
    bytes: body.length,
    crc32: checksum(body),
  }));
  const first = new TextEncoder().encode(`${MAGIC} ${checksum(line)}\n`);
  return [first, line, new TextEncoder().encode("\n"), body];
}

/** The head, the checksum of the body, and where the body begins. */
function decodeHead(
  name: string,
  bytes: Uint8Array,
): { readonly head: LetterHead; readonly crc: string; readonly length: number } {
  const from = bytes.indexOf(10) + 1;
  const to = bytes.indexOf(10, from);
  const first = new TextDecoder().decode(bytes.subarray(0, from));
  if (from === 0 || to < 0 || !first.startsWith(`${MAGIC} `)) {
    throw damage(name, "it does not begin as a dead letter does");
  }
  const line = bytes.subarray(from, to);
  if (first !== `${MAGIC} ${checksum(line)}\n`) {
    throw damage(name, "its second line does not match its checksum");
  }
  // What has its checksum was written by us.
  const { crc32: crc, ...rest } = HEAD.parse(JSON.parse(new TextDecoder().decode(line)));
  return { head: { name, ...rest }, crc, length: to + 1 };
}

function damage(name: string, what: string): DamagedLetterError {
  return new DamagedLetterError(`Cannot read the dead letter ${name}: ${what}`);
}
