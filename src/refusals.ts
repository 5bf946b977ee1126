/**
 * What a database refuses of requests whose senders still wait for their answer: they are told.
 *
 * It stands in the place of dead letters where there is no disk to keep them on.
 *
 * @module
 */

import type { Graveyard } from "./dead_letters.ts";
import type { DeadLetter } from "./sink.ts";

/** Records of one request that were refused. */
export interface Refusal {
  /** How many. */
  readonly count: number;
  /** What the database said of the first one. */
  readonly reason: string;
}

/** Refusals that nobody has asked for are kept up to here; the oldest go. */
const MAX_KEPT = 1_000;

/** Refused records by the position of their request. */
export class Refusals implements Graveyard {
  readonly #byPosition = new Map<
    bigint,
    { readonly reason: string; readonly refused: Set<number> }
  >();

  /** Remembers records. The same one again is the same. */
  add(letters: readonly DeadLetter[]): Promise<void> {
    for (const { position, index, reason } of letters) {
      const known = this.#byPosition.get(position);
      if (known !== undefined) known.refused.add(index);
      else this.#byPosition.set(position, { reason, refused: new Set([index]) });
    }
    for (const position of this.#byPosition.keys()) {
      if (this.#byPosition.size <= MAX_KEPT) break;
      this.#byPosition.delete(position);
    }
    return Promise.resolve();
  }

  /** There always is. */
  room(): Promise<void> {
    return Promise.resolve();
  }

  /** What was refused of the request at a position; undefined when nothing was. */
  of(position: bigint): Refusal | undefined {
    const known = this.#byPosition.get(position);
    return known && { count: known.refused.size, reason: known.reason };
  }
}
