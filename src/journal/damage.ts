/**
 * What of a journal cannot be read any more: it is told, counted, and kept for people to look at.
 *
 * @module
 */

import type { Tell } from "./tell.ts";
import { changeNames, type JournalFiles } from "../journal_files.ts";
import { type Damage, readerOf, type Segment, segmentName } from "./segment.ts";

/** How much is copied at a time. */
const COPY_BYTES = 1 << 20;

/** The prefix of the names under which things are set aside. */
export const DAMAGED = "damaged-";

/** Counts damage and gaps, each once however often it is met. */
export class DamageLog {
  readonly #files: JournalFiles;
  readonly #tell: Tell;
  /** Where the damage begins that was met. */
  readonly #damaged = new Set<bigint>();
  readonly #gaps = new Set<bigint>();
  #damagedBytes = 0;
  #gapBytes = 0n;

  constructor(files: JournalFiles, tell: Tell) {
    this.#files = files;
    this.#tell = tell;
  }

  /** Places where acknowledged bytes could not be read. */
  get damaged(): number {
    return this.#damaged.size;
  }

  /** Bytes in these places. */
  get damagedBytes(): number {
    return this.#damagedBytes;
  }

  /** Places where acknowledged bytes are missing. */
  get gaps(): number {
    return this.#gaps.size;
  }

  /** Bytes that are missing there. */
  get gapBytes(): bigint {
    return this.#gapBytes;
  }

  /** Nothing is there from one position up to another. */
  gap(from: bigint, to: bigint): void {
    if (this.#gaps.has(from)) return;
    this.#gaps.add(from);
    this.#gapBytes += to - from;
    this.#tell(
      "gap",
      `The journal has a gap of ${to - from} bytes at ${segmentName(from)}: ` +
        `going on at ${segmentName(to)}`,
    );
  }

  /** Copies bytes of a segment that are no records to a file of their own. */
  async setAside(segment: Segment, { position, next }: Damage): Promise<void> {
    if (this.#damaged.has(position)) return;
    this.#damaged.add(position);
    this.#damagedBytes += Number(next - position);
    const name = DAMAGED + segmentName(position);
    const what = `${next - position} bytes of segment ${segmentName(segment.start)}`;
    try {
      await changeNames(this.#files, () => this.#copy(segment, position, next, name));
      this.#tell("damaged", `Cannot read ${what}: they are kept in ${name}, going on behind`);
    } catch (error) {
      const message = `Cannot read ${what} from ${segmentName(position)} on: going on behind`;
      this.#tell("damaged", message, error);
    }
  }

  /** Renames what stands where a file of the journal should be. */
  async setAsideFile(name: string, why: string): Promise<void> {
    const names = new Set(await this.#files.list());
    let aside = DAMAGED + name;
    for (let n = 2; names.has(aside); n++) aside = `${DAMAGED}${name}-${n}`;
    await this.#files.rename(name, aside);
    this.#tell("set aside", `Cannot use ${name}: ${why}; it is ${aside} now`);
  }

  async #copy(segment: Segment, from: bigint, to: bigint, name: string): Promise<void> {
    const read = readerOf(this.#files, segment);
    // An earlier run may have copied it, or a part of it.
    await this.#files.remove(name);
    await using file = await this.#files.create(name);
    for (let at = from; at < to; at += BigInt(COPY_BYTES)) {
      await file.write([await read(at, Math.min(COPY_BYTES, Number(to - at)))]);
    }
    await file.sync();
  }
}
