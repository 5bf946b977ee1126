/**
 * What the transcoders of single records are handed: where the record belongs, and the tally.
 *
 * @module
 */

import type { SignalRows } from "./batch.ts";
import type { Dimension, ResourceDimension } from "./dimensions.ts";
import type { Instant } from "./instant.ts";

/** What a record belongs to, and the tally of the request. */
export interface Surroundings {
  resource: ResourceDimension;
  scope: Dimension;
  /** When the request arrived, for records without a time. */
  readonly arrival: Instant;
  accepted: number;
  rejected: number;
  /** Why the first one was rejected. */
  reason: string;
}

/** Writes the records of one signal. */
export interface RecordTranscoder {
  /** Writes the record(s) in the message between the cursor and `end`. */
  record(end: number, surroundings: Surroundings, rows: SignalRows): void;
}

/** Counts records that are not kept, and why the first one was not. */
export function reject(surroundings: Surroundings, count: number, reason: string): void {
  if (count > 0 && surroundings.rejected === 0) surroundings.reason = reason;
  surroundings.rejected += count;
}
