/**
 * What the subcommands of the collector ask of a collector that runs; internal, and will change.
 *
 * @module
 */

import type { Letter, LetterFilter, LetterList } from "./dead_letters.ts";
import type { Signal } from "./record.ts";

export type {
  DamagedLetter,
  Letter,
  LetterFilter,
  LetterHead,
  LetterList,
} from "./dead_letters.ts";

/** What the subcommands of the collector ask for. */
export interface Admin {
  /** Runs one query that reads, and returns its rows as JSON objects, each on a line of its own. */
  query(
    sql: string,
    options: { readonly signal: AbortSignal },
  ): Promise<{ readonly lines: readonly string[]; readonly truncated: boolean }>;
  /** Makes partitions ahead, seals and expires; counts what it did. */
  maintain(options: { readonly signal: AbortSignal }): Promise<Readonly<Record<string, number>>>;
  /** Numbers about everything, as JSON has them. @default {undefined} There is no such path */
  stats?(): Promise<Readonly<Record<string, unknown>>>;
  /** The same as text for Prometheus. @default {undefined} There is no such path */
  metrics?(): Promise<string>;
  /** What destinations would not take. @default {undefined} There is no such path */
  readonly deadLetters?: DeadLetterOps;
  /** Sends what is stored to a destination. @default {undefined} There is no such path */
  readonly replay?: Replay;
}

/** What one does with dead letters. */
export interface DeadLetterOps {
  /** The heads of letters. */
  list(filter: LetterFilter): Promise<LetterList>;
  /**
   * A letter with its body.
   *
   * Rejects with a `RangeError` when there is none of the name, with a `DamagedLetterError` when it
   * cannot be read.
   */
  read(name: string): Promise<Letter>;
  /**
   * Gives a letter to its destination again, and drops it when that takes it. Rejects like `read`, and
   * with another error when the destination cannot be asked.
   */
  replay(name: string, options?: { readonly signal?: AbortSignal }): Promise<LetterReplay>;
  /** Removes a letter for good. Says whether there was one. */
  drop(name: string): Promise<boolean>;
}

/** What a destination said to a letter that it was given again. */
export interface LetterReplay {
  /** Taken, or refused again. */
  readonly outcome: "replayed" | "refused";
  /** What the destination said; empty when it said nothing. */
  readonly reason: string;
}

/** What to send where. */
export interface ReplayRequest {
  /** The base URL; `/v1/<signal>` is appended. */
  readonly to: string;
  /** Sent with each request. */
  readonly headers: Readonly<Record<string, string>>;
  /** From this time on, in ns since 1970; undefined from the first. */
  readonly since: bigint | undefined;
  /** Before this time, in ns since 1970; undefined to the last. */
  readonly until: bigint | undefined;
  /** Which signals, in this order. */
  readonly signals: readonly Signal[];
  /** A filter; empty chooses all. */
  readonly filter: string;
}

/** How far the replay of a signal is. */
export interface ReplayProgress {
  /** Which signal. */
  readonly signal: Signal;
  /** Records that the destination took. */
  readonly sent: number;
  /** Records that it left out of requests which it took. */
  readonly rejected: number;
  /** Records in requests that it refused. */
  readonly refused: number;
  /** Why, with how many records for each reason. */
  readonly reasons: ReadonlyMap<string, number>;
  /** Requests that were answered. */
  readonly requests: number;
  /** Records in all; an estimate of a large history. */
  readonly total: number;
  /** Everything before this time was answered for; undefined before the first answer. */
  readonly lastUnixNano: bigint | undefined;
}

/** Sends what is stored to a destination. Says how each signal went. */
export type Replay = (
  request: ReplayRequest,
  options: ReplayCalls,
) => Promise<readonly ReplayProgress[]>;

/** How to follow and end a replay. */
export interface ReplayCalls {
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Told after each request. */
  readonly onProgress: (progress: ReplayProgress) => void;
}
