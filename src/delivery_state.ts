/**
 * The states of a delivery, as one union, and what is told of it.
 *
 * @module
 */

import type { CircuitState } from "./breaker.ts";
import type { JournalRecord } from "./journal.ts";
import type { LedgerCounts } from "./ledger.ts";
import type { Delivered } from "./sink.ts";

/** What a delivery does; `delivery.ts` says what follows on what. */
export type State =
  | { readonly kind: "new" }
  | Locating
  | { readonly kind: "ready" }
  | { readonly kind: "idle" }
  | { readonly kind: "paused" }
  | Skipping
  | { readonly kind: "delivering"; readonly records: readonly JournalRecord[] }
  | Settling
  | { readonly kind: "full"; readonly bytes: number; readonly then: Resumable }
  | { readonly kind: "waiting"; readonly until: number; readonly then: Resumable }
  | { readonly kind: "closed" };

/** What is tried again after a failure. */
export type Resumable = Locating | Settling | Skipping;

/** It asks where to go on. */
export interface Locating {
  readonly kind: "locating";
}

/** It passes over what it was told to skip. */
export interface Skipping {
  readonly kind: "skipping";
}

/** The sink has answered; the answer is yet to be made durable. */
export interface Settling {
  readonly kind: "settling";
  readonly records: readonly JournalRecord[];
  readonly answer: Delivered;
}

/** The states in which it waits until something happens. */
export const RESTS: ReadonlySet<State["kind"]> = new Set([
  "idle",
  "paused",
  "full",
  "waiting",
]);

/** What a delivery is doing; see the module of `Delivery`. */
export type DeliveryStateKind =
  | "new"
  | "locating"
  | "ready"
  | "idle"
  | "paused"
  | "skipping"
  | "delivering"
  | "settling"
  | "full"
  | "waiting"
  | "closed";

/** Numbers about a delivery. */
export interface DeliveryStats extends LedgerCounts {
  /** The name of the destination. */
  readonly name: string;
  /** What it is doing. */
  readonly state: DeliveryStateKind;
  /** Whether it was told to pause. */
  readonly paused: boolean;
  /**
   * Whether it is known where it is. A destination that keeps its position itself has to be asked for it
   * after a start; until then it is taken to be at the oldest record of the journal.
   */
  readonly located: boolean;
  /** Where it will go on. */
  readonly position: bigint;
  /** Bytes of the journal from there to its head. */
  readonly lagBytes: number;
  /** Age of the oldest record that is not delivered, in seconds; 0 when there is none. */
  readonly lagSeconds: number;
  /** Bytes of the journal that were gone before they were delivered. */
  readonly gapBytes: number;
  /** State of the breaker. */
  readonly breaker: CircuitState;
  /** Since when it is closed, or is not, in ms since 1970. */
  readonly breakerSinceMs: number;
  /** How long it waits until it tries again, in ms; 0 when it does not wait. */
  readonly nextAttemptMs: number;
  /** Calls of the sink, asked where it is or given records, and failures that were none of a call. */
  readonly attempts: number;
  /** Rounds of attempts that failed, and writes to disk that did: no more than the attempts. */
  readonly failures: number;
  /** What failed last, if anything did. */
  readonly lastError: { readonly message: string; readonly atMs: number } | undefined;
}
