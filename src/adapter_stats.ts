/**
 * What the adapter tells of itself: the ledger of every record, the journal, and each destination.
 *
 *     received = rejected + duplicates + accepted
 *     accepted = delivered + pending + dead + skipped      for each destination
 *
 * @module
 */

import type { DeadLetterStats } from "./dead_letters.ts";
import type { DeliveryStats } from "./delivery_state.ts";
import type { JournalStats } from "./journal.ts";
import type { Counts } from "./sink.ts";

/** Numbers about an adapter, taken at one moment. */
export interface AdapterStats {
  /** Records of answered requests: rejected, duplicates and accepted. */
  readonly received: Counts;
  /** Invalid records, since the process began. */
  readonly rejected: Counts;
  /** Valid records of requests that were sent again, since the process began. */
  readonly duplicates: Counts;
  /** Valid records in the journal, since the journal began. */
  readonly accepted: Counts;
  /** The journal. */
  readonly journal: AdapterJournalStats;
  /** What destinations would not take. */
  readonly deadLetters: DeadLetterStats;
  /** Postgres first, then those that are forwarded to. */
  readonly destinations: readonly DestinationStats[];
}

/** Numbers about the journal of an adapter. */
export interface AdapterJournalStats extends JournalStats {
  /** A UUID, new for a new or emptied folder. */
  readonly id: string;
  /** Where it is kept. */
  readonly kind: "disk" | "memory";
  /** Position of the oldest record kept. */
  readonly oldest: bigint;
  /** Behind the newest durable record. */
  readonly head: bigint;
}

/** Numbers about one destination. */
export interface DestinationStats extends DeliveryStats {
  /** How it is delivered to. */
  readonly kind: "postgres" | "otlp";
  /** Where it is, without secrets. */
  readonly url: string;
  /** Records the other side said it rejected in requests it took; among the delivered. */
  readonly rejectedThere: Counts;
}
