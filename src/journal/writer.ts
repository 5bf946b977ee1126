/**
 * Writes groups of records to segment files.
 *
 * After a failed write or sync nobody knows what is on disk, and the next sync may say that all is
 * well: the system forgets the bytes it could not write. So the segment is left alone from then on,
 * and the group is written again to a new one. That begins where the old one was last known to be
 * durable, and a segment ends where the next begins, so what the old one may hold behind is void.
 *
 * @module
 */

import type { Tell } from "./tell.ts";
import { changeNames, type JournalFile, type JournalFiles } from "../journal_files.ts";
import { type Segment, segmentName } from "./segment.ts";

/** Appends to the newest segment, and begins a new one when that is long enough. */
export class SegmentWriter {
  readonly #files: JournalFiles;
  /** All segments, oldest first. */
  readonly #segments: Segment[];
  readonly #segmentBytes: () => number;
  readonly #tell: Tell;
  /** The newest segment; undefined when nothing can be added to it. */
  #file: JournalFile | undefined;
  #failures = 0;

  /**
   * @param segments New ones are added.
   * @param file The newest of them, if there is one.
   * @param segmentBytes A segment that would become longer is followed by a new one.
   */
  constructor(
    files: JournalFiles,
    segments: Segment[],
    file: JournalFile | undefined,
    segmentBytes: () => number,
    tell: Tell,
  ) {
    this.#files = files;
    this.#segments = segments;
    this.#file = file;
    this.#segmentBytes = segmentBytes;
    this.#tell = tell;
  }

  /** Writes and syncs that failed. */
  get failures(): number {
    return this.#failures;
  }

  /** The newest segment. There is none before the first is begun. */
  get newest(): Segment {
    return this.#segments.at(-1)!;
  }

  /**
   * Makes a group durable behind all others. It counts when the end is moved behind it.
   *
   * @param chunks Records, together `bytes` long, that say that they are at the end.
   * @throws What the system says, after a second attempt. Nothing was added.
   */
  async write(chunks: readonly Uint8Array[], bytes: number): Promise<void> {
    try {
      await this.#attempt(chunks, bytes);
    } catch (error) {
      const name = segmentName(this.newest.start);
      this.#tell("write failed", `Cannot write segment ${name}: trying a new one`, error);
      await this.#attempt(chunks, bytes);
    }
  }

  /** Begins a new segment at a position, not before the end. */
  async begin(position: bigint): Promise<void> {
    await this.close();
    const name = segmentName(position);
    let file: JournalFile | undefined;
    try {
      await changeNames(this.#files, async () => {
        // There is one of the name if nothing in it became durable: it may hold a group that failed.
        await this.#files.remove(name);
        file = await this.#files.create(name);
      });
    } catch (error) {
      await file?.close().catch(() => {});
      throw error;
    }
    this.#file = file;
    if (this.#segments.at(-1)?.start !== position) {
      this.#segments.push({ start: position, end: position });
    }
  }

  /** Closes the newest segment. What was written is durable already. */
  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close().catch(() => {});
  }

  async #attempt(chunks: readonly Uint8Array[], bytes: number): Promise<void> {
    try {
      const { start, end } = this.newest;
      const isLong = end > start && Number(end - start) + bytes > this.#segmentBytes();
      if (this.#file === undefined || isLong) await this.begin(end);
      await this.#file!.write(chunks);
      await this.#file!.sync();
    } catch (error) {
      this.#failures++;
      await this.#abandon();
      throw error;
    }
  }

  /** Lets go of the newest segment, and of the space behind its durable end if that is possible. */
  async #abandon(): Promise<void> {
    const { start, end } = this.newest;
    // What is there does not count any more, whether it can be cut off or not.
    await this.#file?.truncate(Number(end - start)).catch(() => {});
    await this.close();
  }
}
