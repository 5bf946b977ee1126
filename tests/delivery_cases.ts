/**
 * Letters, counts and cursors that tests of a delivery compare with or get in its way with.
 *
 * @module
 */

import type { DeliveryEvent } from "../src/delivery.ts";
import type { Cursor } from "../src/journal.ts";
import type { Signal } from "../src/record.ts";
import { type DeadLetter, noCounts } from "../src/sink.ts";

/** So many spans, and nothing else. */
export const traces = (n: number): Record<Signal, number> => ({ ...noCounts(), traces: n });

/** A letter that takes room. */
export const OTHER: DeadLetter = {
  position: 0n,
  index: 0,
  signal: "logs",
  count: 1,
  arrivalUnixNano: 0n,
  reason: "",
  body: new Uint8Array(),
};

/** What happened, in its order. */
export const kinds = (events: readonly DeliveryEvent[]): DeliveryEvent["kind"][] =>
  events.map(({ kind }) => kind);

/** A cursor that does something before each move. */
export function cursorThat(before: (to: bigint) => unknown): (cursor: Cursor) => Cursor {
  return (cursor) => ({
    name: cursor.name,
    get position() {
      return cursor.position;
    },
    get note() {
      return cursor.note;
    },
    async move(to, options) {
      await before(to);
      await cursor.move(to, options);
    },
    keep: (note) => cursor.keep(note),
  });
}
