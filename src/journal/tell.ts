/**
 * How the parts of a journal tell what should be logged.
 *
 * @module
 */

import type { JournalEvent, JournalEventKind } from "../journal.ts";

/** Takes events. It cannot throw into the journal. */
export type Tell = (kind: JournalEventKind, message: string, error?: unknown) => void;

/** Makes a {@linkcode Tell} of an observer; what that throws goes to the console. */
export function telling(observer: (event: JournalEvent) => void): Tell {
  return (kind, message, error) => {
    try {
      observer({ kind, message, ...(error !== undefined && { error }) });
    } catch (thrown) {
      console.error("Journal: onEvent threw", thrown);
    }
  };
}
