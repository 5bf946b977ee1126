/**
 * A progress bar as text.
 *
 * @module
 */

import { durationText } from "./stats_table.ts";

/** What a bar shows. */
export interface Progress {
  /** What is done. */
  readonly done: number;
  /** What there is to do; may be an estimate. */
  readonly total: number;
  /** Since the beginning, in milliseconds. */
  readonly elapsedMs: number;
}

/** Cells of the longest bar. */
const MAX_CELLS = 40;

/**
 * Draws a bar with how much is done of how much, how many a second, and how long it will take.
 *
 * @param progress How far it is.
 * @param width Columns at most.
 *
 * @example Half of it
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.equal(
 *   progressBar({ done: 500, total: 1000, elapsedMs: 10_000 }, 60),
 *   "[##########          ]  50%  500 of 1000, 50/s, 10s left",
 * );
 * ```
 */
export function progressBar(progress: Progress, width: number): string {
  const text = `${percentOf(progress).toString().padStart(4)}%  ${progressText(progress)}`;
  // Of the width alone: a bar that got shorter with the text beside it would seem to go back.
  const cells = Math.min(MAX_CELLS, Math.floor(width / 3));
  if (cells + 2 + text.length > width) return text.trim().slice(0, Math.max(0, width));
  const full = Math.floor(cells * shareOf(progress));
  return `[${"#".repeat(full)}${" ".repeat(cells - full)}]${text}`;
}

/** The same without a bar. */
export function progressText(progress: Progress): string {
  const { done, total, elapsedMs } = progress;
  const rate = elapsedMs > 0 ? done * 1000 / elapsedMs : 0;
  const left = rate > 0 && total > done ? `, ${durationText((total - done) / rate)} left` : "";
  return `${done} of ${Math.max(done, total)}, ${Math.round(rate)}/s${left}`;
}

/** Rounded down: nothing is done before its end. */
function percentOf(progress: Progress): number {
  return Math.floor(100 * shareOf(progress));
}

function shareOf({ done, total }: Progress): number {
  return done >= total ? 1 : done / total;
}
