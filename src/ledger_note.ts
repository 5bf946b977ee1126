/**
 * What a destination notes beside its position, so that its ledger is right after a crash.
 *
 * What was delivered is not noted, it is what is left:
 *
 *     delivered = passed - start - dead - skipped
 *
 * where the journal knows how many records come before the position. So a note is written when
 * something rare happens, and never for a batch.
 *
 * A position and a note are not written at once. Therefore what becomes of rare records is noted before
 * the position moves past them, as a loss that counts from a position on. Whether it counts is seen by
 * the position that is found. The newest ones stay in that form: a position that goes back, because a
 * database was restored, then takes back the right ones.
 *
 * @module
 */

import { z } from "zod";
import type { Counts } from "./sink.ts";

/** Records that a destination has not got, and never will. */
export interface Loss {
  /** They count when the position is here, or behind. */
  readonly to: bigint;
  /** Records of the journal before that. */
  readonly passed: Counts;
  /** Those among the dead letters. */
  readonly dead: Counts;
  /** Those given up. */
  readonly skipped: Counts;
}

/** The note. Its counts are of valid records by signal. */
export interface LedgerNote {
  /** Records of the journal before the first of this destination. */
  readonly start: Counts;
  /** Dead, besides the losses below. */
  readonly dead: Counts;
  /** Skipped, besides the losses below. */
  readonly skipped: Counts;
  /** In the order of their positions. */
  readonly losses: readonly Loss[];
  /** A destination that keeps the position itself has had something. */
  readonly hadSome?: true;
}

const NUMBER = z.int().min(0);
/** In the order of the signals: traces, logs, metrics. */
const COUNTS = z.tuple([NUMBER, NUMBER, NUMBER])
  .transform(([traces, logs, metrics]) => ({ traces, logs, metrics }));
const POSITION = z.string().regex(/^[0-9a-f]{1,16}$/).transform((digits) => BigInt(`0x${digits}`));
const NOTE = z.strictObject({
  start: COUNTS,
  dead: COUNTS,
  skipped: COUNTS,
  losses: z.array(z.strictObject({ to: POSITION, passed: COUNTS, dead: COUNTS, skipped: COUNTS })),
  hadSome: z.literal(true).exactOptional(),
});

/**
 * Writes a note as text.
 *
 * @example There and back
 * ```ts
 * import assert from "node:assert/strict";
 * import { noCounts } from "./sink.ts";
 *
 * const none = noCounts();
 * const two = { ...none, logs: 2 };
 * const loss = { to: 99n, passed: two, dead: two, skipped: none };
 * const note = { start: none, dead: none, skipped: none, losses: [loss] };
 * assert.deepEqual(decodeNote(encodeNote(note)), note);
 * ```
 */
export function encodeNote({ start, dead, skipped, losses, ...rest }: LedgerNote): string {
  return JSON.stringify({
    ...rest,
    start: tuple(start),
    dead: tuple(dead),
    skipped: tuple(skipped),
    losses: losses.map(({ to, passed, dead, skipped }) => ({
      to: to.toString(16),
      passed: tuple(passed),
      dead: tuple(dead),
      skipped: tuple(skipped),
    })),
  });
}

/**
 * Reads a note.
 *
 * @param text As it was written; undefined when there is none.
 * @returns Undefined when it is no such note.
 *
 * @example A note of something else
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.equal(decodeNote("milk, eggs"), undefined);
 * ```
 */
export function decodeNote(text: string | undefined): LedgerNote | undefined {
  try {
    return NOTE.safeParse(JSON.parse(text ?? "")).data;
  } catch {
    // It is not even JSON.
    return undefined;
  }
}

function tuple({ traces, logs, metrics }: Counts): readonly number[] {
  return [traces, logs, metrics];
}
