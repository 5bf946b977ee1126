/**
 * What came in and is not among the records of a journal, counted since that began.
 *
 * To count costs no write. The counts are kept when somebody asks for them, and only what is kept is
 * said: so nobody ever sees one fall, also when the process is killed. What was counted since it was
 * last asked for is forgotten then, and nobody had seen it.
 *
 * They are in the file `tally`, in the form of a note.
 *
 * @module
 */

import * as z from "zod";
import { decodeNote, encodeNote } from "./cursor.ts";
import type { Signal } from "../record.ts";
import type { Unkept } from "../journal.ts";
import { type JournalFiles, replaceFile } from "../journal_files.ts";
import { NO_COUNTS, plus } from "./segment.ts";
import type { Tell } from "./tell.ts";

/** The name of the file. */
export const TALLY_FILE = "tally";

/** Nothing was counted. */
export const NOTHING: Unkept = { rejected: NO_COUNTS, duplicates: NO_COUNTS };

const NUMBER = z.int().min(0);
const COUNTS = z.strictObject({ traces: NUMBER, logs: NUMBER, metrics: NUMBER });
const UNKEPT = z.strictObject({ rejected: COUNTS, duplicates: COUNTS });

/** `unkept` and `count` more of one signal. */
export function counted(
  unkept: Unkept,
  what: keyof Unkept,
  signal: Signal,
  count: number,
): Unkept {
  return { ...unkept, [what]: plus(unkept[what], signal, count) };
}

/** The counts in a file; undefined if it is damaged. */
export function decodeTally(bytes: Uint8Array): Unkept | undefined {
  try {
    return UNKEPT.safeParse(JSON.parse(decodeNote(bytes) ?? "")).data;
  } catch {
    // It is not even JSON.
    return undefined;
  }
}

/** Counts, and keeps what it has counted. */
export class Tally {
  readonly #files: JournalFiles;
  readonly #tell: Tell;
  #counted: Unkept;
  #kept: Unkept;
  #keeping: Promise<void> | undefined;

  /** @param found What was kept. */
  constructor(files: JournalFiles, found: Unkept, tell: Tell) {
    this.#files = files;
    this.#tell = tell;
    this.#counted = this.#kept = found;
  }

  /** What will be found after a crash. */
  get kept(): Unkept {
    return this.#kept;
  }

  /** Counts records. */
  add(what: keyof Unkept, signal: Signal, count: number): void {
    if (count === 0) return;
    this.#counted = counted(this.#counted, what, signal, count);
  }

  /** Keeps what was counted until now. Never fails; what could not be kept is not said until it is. */
  async keep(): Promise<void> {
    // The one under way may not have all of it.
    await this.#keeping;
    await (this.#keeping ??= this.#keep().finally(() => this.#keeping = undefined));
  }

  async #keep(): Promise<void> {
    const now = this.#counted;
    if (now === this.#kept) return;
    try {
      await replaceFile(this.#files, TALLY_FILE, encodeNote(JSON.stringify(now)));
      this.#kept = now;
    } catch (error) {
      const message = "Cannot keep how many records were rejected and sent again: not telling them";
      this.#tell("upkeep failed", message, error);
    }
  }
}
