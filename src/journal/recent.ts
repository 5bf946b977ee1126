/**
 * What is known of the newest records without reading them: all but their bodies.
 *
 * A database that keeps up has the rows of a request before it is delivered. To read a body then, only
 * to drop it, takes as much memory as bodies that are received.
 *
 * @module
 */

import type { JournalRecord } from "../journal.ts";

/** Records that are known at a time, some 300 bytes each. */
const MAX_RECORDS = 1_024;

/** A record but for its body. */
export type RecordHead = Omit<JournalRecord, "body" | "isKnown">;

/** The newest records of a journal, by their positions. */
export class RecentRecords {
  /** In their order. */
  readonly #heads = new Map<bigint, RecordHead>();

  /** Adds one that has become durable. The oldest gives way. */
  add(head: RecordHead): void {
    if (this.#heads.size === MAX_RECORDS) {
      for (const oldest of this.#heads.keys()) {
        this.#heads.delete(oldest);
        break;
      }
    }
    this.#heads.set(head.position, head);
  }

  /** The record at a position, undefined when that is not known. Its body throws when it is asked for. */
  at(position: bigint): JournalRecord | undefined {
    const head = this.#heads.get(position);
    if (head === undefined) return undefined;
    return {
      ...head,
      isKnown: true,
      get body(): never {
        throw new TypeError(
          `Cannot give the body of the record at ${position}: it was read by somebody who knows it`,
        );
      },
    };
  }
}
