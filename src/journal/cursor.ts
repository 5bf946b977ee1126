/**
 * The cursors of a journal's destinations: how far each has got.
 *
 * A cursor file `cursor-<name>` holds the position in 16 hex digits and the CRC-32 of these in 8.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import type { Cursor } from "../journal.ts";
import { type JournalFiles, replaceFile } from "../journal_files.ts";
import { segmentName } from "./segment.ts";

const PREFIX = "cursor-";

/**
 * The name of the file for a destination. Names that differ in case differ on every file system.
 *
 * @throws {RangeError} The name is empty or too long.
 */
export function cursorFile(name: string): string {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length < 1 || bytes.length > 80) {
    throw new RangeError(`Cannot make a cursor: its name has 1 to 80 bytes, got ${bytes.length}`);
  }
  const safe = [...bytes].map((byte) => {
    const character = String.fromCharCode(byte);
    return /[a-z0-9_-]/.test(character) ? character : `%${byte.toString(16).padStart(2, "0")}`;
  });
  return PREFIX + safe.join("");
}

/** Whether a file of this name is a cursor. */
export function isCursorFile(name: string): boolean {
  return name.startsWith(PREFIX) && /^[a-z0-9_%-]+$/.test(name);
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

/** A cursor in a file of its own, or one whose position is kept elsewhere. */
export class JournalCursor implements Cursor {
  readonly name: string;
  readonly #journal: { readonly head: bigint };
  readonly #moved: () => Promise<void>;
  readonly #keep: KeepPosition | undefined;
  #position: bigint;
  /** Moves come one after the other. */
  #moving: Promise<unknown> = Promise.resolve();

  /**
   * @param journal It cannot move behind the head of this.
   * @param moved Called after each move.
   * @param keep Absent when the position is kept elsewhere: then it may also go back.
   */
  constructor(
    name: string,
    position: bigint,
    journal: { readonly head: bigint },
    moved: () => Promise<void>,
    keep?: KeepPosition,
  ) {
    this.name = name;
    this.#position = position;
    this.#journal = journal;
    this.#moved = moved;
    this.#keep = keep;
  }

  get position(): bigint {
    return this.#position;
  }

  async move(to: bigint, { back = this.#keep === undefined } = {}): Promise<void> {
    const moving = this.#moving.then(() => this.#move(to, back));
    this.#moving = moving.catch(() => {});
    await moving;
  }

  async #move(to: bigint, back: boolean): Promise<void> {
    if (to === this.#position) return;
    if (to > this.#journal.head || (to < this.#position && !back)) {
      throw new RangeError(
        `Cannot move cursor '${this.name}' to ${to}: it is at ${this.#position}, ` +
          `the journal ends at ${this.#journal.head}`,
      );
    }
    await this.#keep?.(to);
    this.#position = to;
    await this.#moved();
  }
}

/** Keeps the position of a destination in its file. */
export function keepInFile(files: JournalFiles, name: string): KeepPosition {
  return (position) => replaceFile(files, cursorFile(name), encodeCursor(position));
}
