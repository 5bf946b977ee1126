/**
 * Reads the durable records of a journal in order, past whatever is damaged or missing.
 *
 * @module
 */

import type { JournalRecord, ReadBounds } from "../journal.ts";
import type { DamageLog } from "./damage.ts";
import { codeOf, type JournalFiles } from "../journal_files.ts";
import type { RecentRecords } from "./recent.ts";
import { HEAD_BYTES, scan, type Segment } from "./segment.ts";

/** What is read from a file at a time: at least, and at most unless a record is longer. */
const MIN_CHUNK_BYTES = 64 << 10;
const MAX_CHUNK_BYTES = 1 << 20;

/** Reads segments in pieces of about what it is asked for. */
export class SegmentReader {
  readonly #files: JournalFiles;
  readonly #segments: readonly Segment[];
  readonly #damage: DamageLog;
  readonly #recent: RecentRecords;

  /** @param segments Oldest first; they come and go while this reads. */
  constructor(
    files: JournalFiles,
    segments: readonly Segment[],
    damage: DamageLog,
    recent: RecentRecords,
  ) {
    this.#files = files;
    this.#segments = segments;
    this.#damage = damage;
    this.#recent = recent;
  }

  /** The first records from a position on. */
  async read(from: bigint, bounds: ReadBounds): Promise<JournalRecord[]> {
    const { maxBytes, maxRecords, knows } = bounds;
    const known = (at: bigint) => knows?.(at) ? this.#recent.at(at) : undefined;
    const records: JournalRecord[] = [];
    let bytes = 0;
    // The record at the end of a chunk is read again with the next one: those may not be too long.
    const chunkBytes = Math.min(Math.max(maxBytes, MIN_CHUNK_BYTES), MAX_CHUNK_BYTES);
    for await (const record of this.#from(from, chunkBytes, known)) {
      bytes += Number(record.next - record.position) - HEAD_BYTES;
      if (records.length > 0 && bytes > maxBytes) break;
      records.push(record);
      if (records.length >= maxRecords) break;
    }
    return records;
  }

  /** @param known Gives records that need not be read. */
  async *#from(
    from: bigint,
    chunkBytes: number,
    known: (at: bigint) => JournalRecord | undefined,
  ): AsyncGenerator<JournalRecord> {
    let at = from;
    for (;;) {
      for (let record = known(at); record !== undefined; record = known(at)) {
        yield record;
        at = record.next;
      }
      const segment = this.#segments.find(({ end }) => end > at);
      if (segment === undefined) return;
      if (at < segment.start) at = segment.start;
      // What is appended meanwhile is read by the next round.
      const durable = { ...segment };
      try {
        for await (const found of scan(this.#files, durable, at, chunkBytes)) {
          if ("body" in found) yield found;
          else await this.#damage.setAside(durable, found);
          at = found.next;
          if (known(at) !== undefined) break;
        }
      } catch (error) {
        if (codeOf(error) !== "ENOENT") throw error;
        // Nobody needed it any more, or somebody else removed it.
        if (this.#segments.includes(segment)) this.#damage.gap(at, durable.end);
        at = durable.end;
      }
    }
  }
}
