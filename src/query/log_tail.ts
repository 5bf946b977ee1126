/**
 * Which log records a live tail shows.
 *
 * @module
 */

import { z } from "zod";
import type { LogRecord } from "../record.ts";
import type { Stored } from "../postgres/stored.ts";
import { type LogPredicate, logPredicate } from "./log_predicate.ts";
import { LOG_SEARCH, type LogChoice, logFilter } from "./logs.ts";
import { checked, QueryError, questionError } from "./query_error.ts";

/** Options of a live tail. */
export interface LogTailOptions extends Omit<LogChoice, "until" | "lastMs"> {
  /**
   * Nanoseconds since 1970: what is stored from then on comes first. Default: only what comes from
   * now on.
   */
  readonly since?: bigint | undefined;
  /** The position of the last record that was seen: what is stored behind it comes first, not `since`. */
  readonly after?: string | undefined;
}

/** A place among log records by time, which a tail can go on from. */
export interface TailPosition {
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  /** How many of that very time were seen. */
  readonly seen: number;
}

/** The options of a live tail. */
export const LOG_TAIL = LOG_SEARCH.omit({ until: true, lastMs: true, limit: true, cursor: true })
  .extend({
    since: LOG_SEARCH.shape.since.describe(
      "What is stored from then on comes first, 1,000 records at most. Default: only what comes from now on",
    ),
    after: z.string().regex(/^\d{1,20}-\d{1,9}$/, "it has to be the id of an event").optional()
      .describe(
        "The `id` of the last event that was seen, to go on behind it. The header `Last-Event-ID` says the same and counts more",
      ),
  });

/** The options of a live tail, read. */
export interface LogTailChoice {
  /** Which records. */
  readonly matches: LogPredicate;
  /** Where to begin among what is stored; undefined for nothing of it. */
  readonly from: TailPosition | undefined;
  /** What is searched for among what is stored. */
  readonly search: LogChoice;
}

/**
 * What options of a live tail choose.
 *
 * @throws {QueryError} An option is wrong.
 *
 * @example Of one service, from an event on
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const { from } = tailChoice({ service: "shop", after: "1760000000000000000-2" });
 * assert.deepEqual(from, { time: 1_760_000_000_000_000_000n, seen: 2 });
 * ```
 */
export function tailChoice(options: LogTailOptions): LogTailChoice {
  const { since, after, ...search } = checked(LOG_TAIL, options);
  const matches = predicateOf(search);
  const { traceId, spanId } = search;
  const ofTrace = ({ record }: Stored<LogRecord>) =>
    (traceId === undefined || record.traceId === traceId) &&
    (spanId === undefined || record.spanId === spanId);
  const from = after === undefined
    ? since === undefined ? undefined : { time: since, seen: 0 }
    : positionOf(after);
  return { matches: (log) => ofTrace(log) && matches(log), from, search };
}

function predicateOf(search: LogChoice): LogPredicate {
  try {
    return logPredicate(logFilter(search));
  } catch (error) {
    throw questionError(error, 0);
  }
}

function positionOf(text: string): TailPosition {
  const [time, seen] = text.split("-");
  if (BigInt(time!) >= 2n ** 64n) throw new QueryError("after", text, "there is no such time");
  return { time: BigInt(time!), seen: Number(seen) };
}

/** A position as a text. */
export function positionText({ time, seen }: TailPosition): string {
  return `${time}-${seen}`;
}
