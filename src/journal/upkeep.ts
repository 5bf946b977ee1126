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
  /** How those destinations make durable what they have that do not do so at once. */
  readonly hooks: () => readonly (() => Promise<void>)[];
  /** Called when something was removed for which nobody waited. */
  readonly removed: () => void;
  /** Whether space is needed, so that segments go before their grace is over. */
  readonly isTight: () => boolean;
  /** How long a segment stays after all have passed it, in ms. */
  readonly graceMs: number;
  /** A monotonic clock in ms. */
  readonly clock: () => number;
  readonly tell: Tell;
}

/** Removes segments that all have passed, durably, oldest first, after a grace. */
export class Upkeep {
  readonly #parts: UpkeepParts;
  /** When it was noticed that all have passed a segment. */
  readonly #passedAt = new WeakMap<Segment, number>();
  #running: Promise<void> | undefined;
  #securing: Promise<void> | undefined;
  /** What is before has just been made durable by all destinations. */
  #secured: bigint | undefined;
  #isClosed = false;

  constructor(parts: UpkeepParts) {
    this.#parts = parts;
  }

  /** Removes what can go. Never fails; what could not be removed is tried again the next time. */
  async run(): Promise<void> {
    // What one who comes now has seen may have come too late for a run under way.
    await this.#running;
    await (this.#running ??= this.#run().finally(() => this.#running = undefined));
  }

  /** Runs for the last time. What destinations have yet to make durable stays. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.run();
  }

  async #run(): Promise<void> {
    const { keys, hooks, passed, tell } = this.#parts;
    const secured = this.#secured;
    this.#secured = undefined;
    try {
      if (hooks().length === 0) await this.#removeUpTo(passed());
      else if (!this.#isClosed && secured !== undefined) await this.#removeUpTo(secured);
      else if (!this.#isClosed && this.#next(passed()) !== undefined) {
        this.#securing ??= this.#secure(passed()!);
      }
      await keys.removeOld();
    } catch (error) {
      tell("upkeep failed", "Cannot remove segments that are not needed: trying again", error);
    }
  }

  /** Lets the destinations make durable what is before a position, and then removes it. */
  async #secure(position: bigint): Promise<void> {
    const { hooks, removed, tell } = this.#parts;
    try {
      await Promise.all(hooks().map((hook) => hook()));
      this.#secured = position;
      await this.run();
      removed();
    } catch (error) {
      const message =
        "Cannot remove segments: a destination cannot make durable what it has of them";
      tell("upkeep failed", message, error);
    } finally {
      this.#securing = undefined;
    }
  }

  async #removeUpTo(position: bigint | undefined): Promise<void> {
    for (;;) {
      const gone = this.#next(position);
      if (gone === undefined) return;
      await this.#remove(gone);
    }
  }

  /** The oldest segment, if it can go: all have passed it, and it ends at `most` or before. */
  #next(most: bigint | undefined): Segment | undefined {
    const { segments, passed, isTight, graceMs, clock } = this.#parts;
    const position = passed();
    if (position === undefined || most === undefined) return undefined;
    for (const segment of segments) {
      if (segment.end > position) break;
      if (!this.#passedAt.has(segment)) this.#passedAt.set(segment, clock());
    }
    const [oldest, next] = segments;
    if (oldest === undefined || oldest.end > position || oldest.end > most) return undefined;
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
