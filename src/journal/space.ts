/**
 * How much space a journal has: within its own bound, and on its disk.
 *
 * @module
 */

import { JournalFullError } from "../journal.ts";
import type { DiskSpace, JournalFiles } from "../journal_files.ts";
import type { Tell } from "./tell.ts";

/** What {@linkcode Space} has to know. */
export interface SpaceParts {
  readonly files: JournalFiles;
  /** Bytes of all segments. */
  readonly maxBytes: number;
  /** Bytes to be left free on the disk. Undefined: what suits its size. */
  readonly minFreeBytes: number | undefined;
  /** How long one waits for space, in ms. */
  readonly maxWaitMs: number;
  /** Bytes of the segments. */
  readonly bytes: () => number;
  /** Bytes that wait or are being written. */
  readonly queuedBytes: () => number;
  /** Whether nothing is there that is needed, but it can only go when there is something newer. */
  readonly isDone: () => boolean;
  readonly tell: Tell;
}

/** How many bytes may wait to be written, if the disk is slow: they are held in memory. */
const QUEUE_BYTES = 64 << 20;
/** Bytes to be left free on a disk. */
const MIN_FREE_BYTES = 256 << 20;
/** Of a smaller one, this part. */
const MIN_FREE_PART = 1 / 10;
/** When it is worth trying again while there is no space, in ms. */
const RETRY_AFTER_MS = 5_000;

/** Of a disk that does not say. */
const UNKNOWN: DiskSpace = { freeBytes: Infinity, totalBytes: Infinity };

/** Says whether there is space. */
export class Space {
  readonly #parts: SpaceParts;
  #disk: DiskSpace = UNKNOWN;
  #isUnknown = false;
  #measuring: Promise<void> | undefined;

  constructor(parts: SpaceParts) {
    this.#parts = parts;
  }

  /** Bytes that were free on the disk when it was last asked; Infinity if it does not say. */
  get freeBytes(): number {
    return this.#disk.freeBytes;
  }

  /** Bytes to be left free on it. */
  get #minFreeBytes(): number {
    const { minFreeBytes } = this.#parts;
    return minFreeBytes ?? Math.min(MIN_FREE_BYTES, this.#disk.totalBytes * MIN_FREE_PART);
  }

  /** Whether one more request may come, which may go over the bounds. */
  get isThere(): boolean {
    const { queuedBytes, isDone } = this.#parts;
    if (queuedBytes() >= QUEUE_BYTES) return false;
    return this.isThereFor(0) || isDone() && this.#isDiskFree(0);
  }

  /** Whether there is space for more than so many bytes. */
  isThereFor(more: number): boolean {
    const { bytes, queuedBytes, maxBytes } = this.#parts;
    return bytes() + queuedBytes() + more < maxBytes && this.#isDiskFree(more);
  }

  /** What one is told who has waited for space and got none. */
  refusal(): JournalFullError {
    const { maxWaitMs } = this.#parts;
    return new JournalFullError(
      `Cannot append to the journal: it has been full for ${maxWaitMs} ms, ${this.#why()}`,
      RETRY_AFTER_MS,
    );
  }

  /** Asks how much is free on the disk. One at a time: the file system may hang. */
  async measure(): Promise<void> {
    await (this.#measuring ??= this.#measure().finally(() => this.#measuring = undefined));
  }

  async #measure(): Promise<void> {
    if (this.#isUnknown) return;
    try {
      this.#disk = await this.#parts.files.space();
    } catch (error) {
      this.#isUnknown = true;
      this.#disk = UNKNOWN;
      const message = "Cannot ask how much is free on the disk of the journal: only maxBytes holds";
      this.#parts.tell("upkeep failed", message, error);
    }
  }

  #isDiskFree(more: number): boolean {
    return this.#disk.freeBytes - this.#parts.queuedBytes() - more >= this.#minFreeBytes;
  }

  #why(): string {
    const { bytes, queuedBytes, maxBytes } = this.#parts;
    if (queuedBytes() >= QUEUE_BYTES) {
      return `${queuedBytes()} bytes wait to be written; look after the disk`;
    }
    if (this.#isDiskFree(0)) {
      return `it has ${bytes()} of ${maxBytes} bytes; its destinations have to catch up`;
    }
    const least = Math.ceil(this.#minFreeBytes);
    return `its disk has ${this.#disk.freeBytes} bytes free, less than ${least}; ` +
      "free some space on it";
  }
}
