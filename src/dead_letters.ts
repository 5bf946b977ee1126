/**
 * Dead letters on disk: what a destination will never take, kept until somebody looks at it.
 *
 * `dead_letter_file.ts` says how a letter is named and what is in its file.
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

import { z } from "zod";
import {
  DamagedLetterError,
  decodeHead,
  decodeLetter,
  destinationOf,
  encodeLetter,
  HEAD_BYTES,
  type Letter,
  type LetterHead,
  nameOf,
  type Sender,
} from "./dead_letter_file.ts";
import type { JournalFiles } from "./journal_files.ts";
import type { Signal } from "./record.ts";
import type { DeadLetter } from "./sink.ts";

export {
  DamagedLetterError,
  type Letter,
  type LetterHead,
  type Sender,
} from "./dead_letter_file.ts";

/** Options of {@linkcode DeadLetters.open}. */
export interface DeadLettersOptions {
  /** Bytes of all letters; a single larger one is taken when there is no other. Default 256 MiB. */
  readonly maxBytes?: number;
  /** Letters. Default 100 000. */
  readonly maxLetters?: number;
  /** Milliseconds since 1970. Default `Date.now`. */
  readonly now?: () => number;
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
  /** What there has to be room for, for {@linkcode Graveyard.room}. */
  readonly bytes: number;

  /**
   * Made by {@linkcode Graveyard.add}.
   *
   * @param message What there is, what the bound is, what to do.
   * @param bytes What there has to be room for.
   */
  constructor(message: string, bytes: number) {
    super(message);
    this.bytes = bytes;
  }
}

/** Where a delivery puts dead letters. */
export interface Graveyard {
  /**
   * Keeps letters, as durably as the journal keeps its records. The same letters twice are there once,
   * so after a failure the same call may be made again.
   *
   * @throws {DeadLettersFullError} There is no room for one of them; those before it may be kept.
   */
  add(letters: readonly DeadLetter[], sender: Sender): Promise<void>;
  /**
   * Waits until there is room.
   *
   * @param bytes For how much, as a {@linkcode DeadLettersFullError} said.
   * @throws The signal's reason when it aborts first.
   */
  room(bytes: number, signal: AbortSignal): Promise<void>;
}

const OPTIONS = z.strictObject({
  maxBytes: z.int().min(1).default(256 * 1024 * 1024),
  maxLetters: z.int().min(1).default(100_000),
  now: z.custom<() => number>((value) => typeof value === "function", "expected a function")
    .default(() => () => Date.now()),
});

/** A file that is being written. */
const UNFINISHED = ".new";
/**
 * The dead letters in one folder, of all destinations. One process at a time.
 *
 * Made by {@linkcode DeadLetters.open}.
 *
 * @example A letter kept, read and dropped
 * ```ts
 * import assert from "node:assert/strict";
 * import { diskFiles } from "./journal_files.ts";
 *
 * const folder = await Deno.makeTempDir();
 * const letters = await DeadLetters.open(diskFiles(folder));
 * const letter = {
 *   position: 0n,
 *   index: 0,
 *   signal: "logs",
 *   count: 1,
 *   arrivalUnixNano: 1_700_000_000_000_000_000n,
 *   reason: "400: no such tenant",
 *   body: new Uint8Array(3),
 * } as const;
 * await letters.add([letter], {
 *   destination: "vendor",
 *   journal: "0f8fad5b-d9cb-469f-a165-70867728950e",
 *   attempts: 1,
 * });
 *
 * const [head] = (await letters.list({ destination: "vendor" })).letters;
 * assert.equal(head!.reason, "400: no such tenant");
 * assert.equal((await letters.read(head!.name)).body.length, 3);
 * assert(await letters.drop(head!.name));
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export class DeadLetters implements Graveyard {
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
   * @throws {Error} The folder cannot be used; the cause is what the file system throws.
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
    try {
      await letters.#look();
    } catch (cause) {
      const what = cause instanceof Error ? cause.message : String(cause);
      throw new Error(
        `Cannot open the dead letters: ${what}; the folder has to be readable and writable`,
        { cause },
      );
    }
    return letters;
  }

  async #look(): Promise<void> {
    for (const name of (await this.#files.list()).sort()) {
      if (name.endsWith(UNFINISHED)) await this.#files.remove(name);
      // What is no file takes no room here, and shows as damaged.
      else this.#count(name, await this.#files.size(name).catch(() => 0));
    }
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
    const chunks = encodeLetter(letter, sender, this.#options.now());
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
  async read(name: string): Promise<Letter> {
    if (!this.#sizes.has(name)) {
      throw new RangeError(`Cannot read the dead letter ${name}: no such`);
    }
    return decodeLetter(name, await this.#files.read(name));
  }

  /**
   * Removes a letter for good, or a damaged file.
   *
   * @param name As listed.
   * @returns Whether there was one.
   * @throws What the file system throws.
   */
  async drop(name: string): Promise<boolean> {
    const size = this.#sizes.get(name);
    // Forgotten first, so that nobody finds a letter whose file is gone.
    if (size === undefined || !this.#forget(name)) return false;
    try {
      await this.#files.remove(name);
      await this.#files.sync();
    } catch (error) {
      this.#count(name, size);
      throw error;
    }
    this.#dropped++;
    for (const wake of this.#waiting) wake();
    return true;
  }
}
