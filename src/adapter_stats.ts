/**
 * The numbers of an adapter: what came in, what became of it at each destination, what is kept.
 *
 * They are taken at one moment, and at any moment
 *
 *     received = rejected + duplicates + accepted
 *     accepted = delivered + pending + dead + skipped      for each destination
 *
 * in records of each signal: spans, log records, metric points. They count since the journal began; one in
 * memory begins with the process. What came in never falls, however the process ends: what is told here is
 * on disk. A kill only forgets what was rejected or sent again since these numbers were last asked for.
 *
 * @module
 */

import type { DeadLetterStats } from "./dead_letters.ts";
import type { DeliveryStats } from "./delivery_state.ts";
import type { Counts, JournalStats } from "./journal.ts";
import type { LogTailStats } from "./log_tail.ts";
import type { BufferStats } from "./record_buffer.ts";

/** Numbers about an adapter. */
export interface AdapterStats {
  /** Records of answered requests: rejected, duplicates and accepted. */
  readonly received: Counts;
  /** Invalid records. */
  readonly rejected: Counts;
  /** Valid records of requests that were sent again. */
  readonly duplicates: Counts;
  /** Valid records that the journal has taken. */
  readonly accepted: Counts;
  /** How long what is stored is kept, in days. */
  readonly retentionDays: number;
  /** What `storeTrace`, `storeLog` and `storeMetrics` have taken and the journal has not. */
  readonly buffer: BufferStats;
  /** The journal. */
  readonly journal: JournalNumbers;
  /** Who follows the logs, and what followers did not get. */
  readonly tail: LogTailStats;
  /** What destinations will never take. */
  readonly deadLetters: DeadLetterStats;
  /** The database first, then the forwards in the order in which they were given. */
  readonly destinations: readonly DestinationStats[];
}

/** Numbers about a journal, and which one it is. */
export interface JournalNumbers extends JournalStats {
  /** A UUID, new for a new or emptied folder. */
  readonly id: string;
  /** Whether it outlives the process. */
  readonly kind: "disk" | "memory";
  /** Position of the oldest record kept. */
  readonly oldest: bigint;
  /** Behind the newest durable record. */
  readonly head: bigint;
}

/** Numbers about a destination. */
export interface DestinationStats extends DeliveryStats {
  /** What it is. */
  readonly kind: "postgres" | "otlp";
  /** Where it is, without passwords and queries. */
  readonly url: string;
  /** Records that it said it rejected, of requests it took; they are among the delivered. */
  readonly rejectedThere: Counts;
}
