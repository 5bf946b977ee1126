/**
 * The cursors of a journal's destinations: how far each has got, and what it has noted beside that.
 *
 * A cursor file `cursor-<name>` holds the position in 16 hex digits and the CRC-32 of these in 8. A file
 * `note-<name>` holds the CRC-32 of the note in 8 hex digits, and the note. A cursor file is made after
 * the note, so that one without a note has lost it.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import type { Cursor } from "../journal.ts";
import { type JournalFiles, replaceFile } from "../journal_files.ts";
import { segmentName } from "./segment.ts";

const PREFIX = "cursor-";
const NOTE_PREFIX = "note-";

/**
 * The name of the file for a destination. Names that differ in case differ on every file system.
 *
 * @throws {RangeError} The name is empty or too long.
 */
export function cursorFile(name: string): string {
  return PREFIX + safe(name);
}

/** The name of the file for its note. */
export function noteFile(name: string): string {
  return NOTE_PREFIX + safe(name);
}

function safe(name: string): string {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length < 1 || bytes.length > 80) {
    throw new RangeError(`Cannot make a cursor: its name has 1 to 80 bytes, got ${bytes.length}`);
  }
  return [...bytes].map((byte) => {
    const character = String.fromCharCode(byte);
    return /[a-z0-9_-]/.test(character) ? character : `%${byte.toString(16).padStart(2, "0")}`;
  }).join("");
}

/** Whether a file of this name is a cursor. */
export function isCursorFile(name: string): boolean {
  return name.startsWith(PREFIX) && /^[a-z0-9_%-]+$/.test(name);
}

/** Whether a file of this name is a note. */
export function isNoteFile(name: string): boolean {
  return name.startsWith(NOTE_PREFIX) && /^[a-z0-9_%-]+$/.test(name);
}

/** What to write into the file of a note. */
export function encodeNote(note: string): Uint8Array {
  return new TextEncoder().encode(`${crc32(note).toString(16).padStart(8, "0")} ${note}`);
}

/** The note in its file; undefined if it is damaged. */
export function decodeNote(bytes: Uint8Array): string | undefined {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  const note = text.slice(9);
  if (!/^[0-9a-f]{8} /.test(text)) return undefined;
  return Number(`0x${text.slice(0, 8)}`) === crc32(note) ? note : undefined;
}

/** What to write into a cursor file. */
export function encodeCursor(position: bigint): Uint8Array {
  const text = segmentName(position);
  return new TextEncoder().encode(`${text} ${crc32(text).toString(16).padStart(8, "0")}\n`);
}

/** The position in a cursor file; undefined if it is damaged. */
export function decodeCursor(bytes: Uint8Array): bigint | undefined {
  const text = new TextDecoder().decode(bytes.subarray(0, 26));
  if (!/^[0-9a-f]{16} [0-9a-f]{8}\n$/.test(text) || bytes.length !== 26) return undefined;
  const digits = text.slice(0, 16);
  return Number(`0x${text.slice(17, 25)}`) === crc32(digits) ? BigInt(`0x${digits}`) : undefined;
}

/** The lowest position of some cursors, at least one. */
export function lowest(cursors: Iterable<Cursor>): bigint {
  return [...cursors].map(({ position }) => position).reduce((a, b) => a < b ? a : b);
}

/** Keeps a position: durably, wherever that is. */
export type KeepPosition = (position: bigint) => Promise<void>;

/** What a {@linkcode JournalCursor} is made of. */
export interface CursorParts {
  readonly name: string;
  /** Where it is. */
  readonly position: bigint;
  readonly note: string | undefined;
  /** It cannot move behind the head of this. */
  readonly journal: { readonly head: bigint };
  /** Called after each move. */
  readonly moved: () => Promise<void>;
  /** Undefined when the position is kept elsewhere: then it may also go back. */
  readonly keepPosition: KeepPosition | undefined;
  readonly keepNote: (note: string) => Promise<void>;
}

/** A cursor in a file of its own, or one whose position is kept elsewhere. */
export class JournalCursor implements Cursor {
  readonly #parts: CursorParts;
  #position: bigint;
  #note: string | undefined;
  /** Whether the position is what will be found after a crash. */
  #isSure = true;
  /** Moves and notes come one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: CursorParts) {
    this.#parts = parts;
    this.#position = parts.position;
    this.#note = parts.note;
  }

  get name(): string {
    return this.#parts.name;
  }

  get position(): bigint {
    return this.#position;
  }

  get note(): string | undefined {
    return this.#note;
  }

  async move(to: bigint, options: { readonly back?: boolean } = {}): Promise<void> {
    const { back = this.#parts.keepPosition === undefined } = options;
    await this.#alone(() => this.#move(to, back));
  }

  async keep(note: string): Promise<void> {
    await this.#alone(async () => {
      await this.#parts.keepNote(note);
      this.#note = note;
    });
  }

  async #alone(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    await turn;
  }

  async #move(to: bigint, back: boolean): Promise<void> {
    const { name, journal, keepPosition, moved } = this.#parts;
    if (to === this.#position && this.#isSure) return;
    if (to > journal.head || (to < this.#position && !back)) {
      throw new RangeError(
        `Cannot move cursor '${name}' to ${to}: it is at ${this.#position}, ` +
          `the journal ends at ${journal.head}`,
      );
    }
    this.#isSure = false;
    await keepPosition?.(to);
    this.#isSure = true;
    this.#position = to;
    await moved();
  }
}

/** Keeps the position of a destination in its file. */
export function keepInFile(files: JournalFiles, name: string): KeepPosition {
  return (position) => replaceFile(files, cursorFile(name), encodeCursor(position));
}

/** Keeps the note of a destination in its file. */
export function keepNoteInFile(files: JournalFiles, name: string): (note: string) => Promise<void> {
  return (note) => replaceFile(files, noteFile(name), encodeNote(note));
}
