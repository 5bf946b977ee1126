/**
 * Removes the segments of a journal that nobody needs any more.
 *
 * @module
 */

import type { Tell } from "./tell.ts";
import { changeNames, type JournalFiles } from "../journal_files.ts";
import type { KeyFiles } from "./keys.ts";
import { type Segment, segmentName } from "./segment.ts";

/** What {@linkcode Upkeep} works with. */
export interface UpkeepParts {
  readonly files: JournalFiles;
  /** Oldest first; removed ones are taken out. */
  readonly segments: Segment[];
  readonly keys: KeyFiles;
  /** How far all destinations have got; undefined while that is not known. */
  readonly passed: () => bigint | undefined;
  /** Whether space is needed, so that segments go before their grace is over. */
  readonly isTight: () => boolean;
  /** How long a segment stays after all have passed it, in ms. */
  readonly graceMs: number;
  /** A monotonic clock in ms. */
  readonly clock: () => number;
  readonly tell: Tell;
}

/** Removes segments that all have passed, oldest first, after a grace. */
export class Upkeep {
  readonly #parts: UpkeepParts;
  /** When it was noticed that all have passed a segment. */
  readonly #passedAt = new WeakMap<Segment, number>();
  #running: Promise<void> | undefined;

  constructor(parts: UpkeepParts) {
    this.#parts = parts;
  }

  /** Removes what can go. Never fails; what could not be removed is tried again the next time. */
  async run(): Promise<void> {
    // What one who comes now has seen may have come too late for a run under way.
    await this.#running;
    await (this.#running ??= this.#run().finally(() => this.#running = undefined));
  }

  async #run(): Promise<void> {
    const { keys, tell } = this.#parts;
    try {
      for (let gone = this.#next(); gone !== undefined; gone = this.#next()) {
        await this.#remove(gone);
      }
      await keys.removeOld();
    } catch (error) {
      tell("upkeep failed", "Cannot remove segments that are not needed: trying again", error);
    }
  }

  /** The oldest segment, if it can go. */
  #next(): Segment | undefined {
    const { segments, passed, isTight, graceMs, clock } = this.#parts;
    const position = passed();
    if (position === undefined) return undefined;
    for (const segment of segments) {
      if (segment.end > position) break;
      if (!this.#passedAt.has(segment)) this.#passedAt.set(segment, clock());
    }
    const [oldest, next] = segments;
    if (oldest === undefined || oldest.end > position) return undefined;
    // The newest record says how many there were: it stays.
    if (next === undefined || next.end === next.start) return undefined;
    const since = this.#passedAt.get(oldest)!;
    return clock() - since >= graceMs || isTight() ? oldest : undefined;
  }

  async #remove(segment: Segment): Promise<void> {
    const { files, segments, keys, tell } = this.#parts;
    const name = segmentName(segment.start);
    try {
      await keys.save(segment.end);
    } catch (error) {
      // On a full disk, space matters more. They are still in memory.
      const message = `Cannot keep the keys of segment ${name} beyond this run`;
      tell("keys lost", message, error);
    }
    // Durable at once: were this one to come back without the next, there would be a gap.
    await changeNames(files, () => files.remove(name));
    segments.shift();
  }
}
