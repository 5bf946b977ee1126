/**
 * The settings of a journal on disk.
 *
 * @module
 */

import { inspect } from "node:util";
import * as z from "zod";
import type { JournalEvent } from "../journal.ts";

/** Settings of a journal on disk. */
export interface JournalOptions {
  /** Length of a segment, at most a quarter of `maxBytes`. @default 64 MiB */
  readonly segmentBytes?: number;
  /** Bytes of all segments; one request may go over it. @default 1 GiB */
  readonly maxBytes?: number;
  /** Bytes to be left free on the disk. @default 256 MiB, or a tenth of a disk that is smaller */
  readonly minFreeBytes?: number;
  /** How long a request waits for space, in ms. @default 5,000 */
  readonly maxWaitMs?: number;
  /** How long a segment stays after all have passed it, if there is space, in ms. @default 120,000 */
  readonly graceMs?: number;
  /** How long a request is known, so that it is not stored again, in ms. @default 600,000 */
  readonly resendWindowMs?: number;
  /** How many requests are known. @default 1,000,000 */
  readonly maxKeys?: number;
  /** A monotonic clock in ms. @default performance.now */
  readonly clock?: () => number;
  /** The time in ms since 1970. @default Date.now */
  readonly now?: () => number;
  /** Told what should be logged. @default nobody */
  readonly onEvent?: (event: JournalEvent) => void;
}

const bytes = z.number().int().min(0);
const ms = z.number().min(0);
const clock = z.custom<() => number>((value) => typeof value === "function", "expected a function");
const OPTIONS = z.strictObject({
  segmentBytes: bytes.min(1).default(64 << 20),
  maxBytes: bytes.min(1).default(1 << 30),
  minFreeBytes: bytes.optional(),
  maxWaitMs: ms.default(5_000),
  graceMs: ms.default(120_000),
  resendWindowMs: ms.default(600_000),
  maxKeys: z.number().int().min(1).default(1_000_000),
  clock: clock.default(() => () => performance.now()),
  now: clock.default(() => () => Date.now()),
  onEvent: z.custom<(event: JournalEvent) => void>(
    (value) => typeof value === "function",
    "expected a function",
  ).default(() => () => {}),
});

/** Settings with their defaults. */
export type ParsedOptions = z.output<typeof OPTIONS>;

/**
 * Puts in the defaults.
 *
 * @throws {RangeError} An option is unknown or out of range; the message names it and its value.
 */
export function parseOptions(options: JournalOptions): ParsedOptions {
  const parsed = OPTIONS.safeParse(options, { reportInput: true });
  if (!parsed.success) {
    const { path: [option = "options"], message, input } = parsed.error.issues[0]!;
    throw new RangeError(
      `Cannot open the journal with '${String(option)}': ${inspect(input)} (${message})`,
      { cause: parsed.error },
    );
  }
  return parsed.data;
}
