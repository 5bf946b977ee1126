/**
 * Searches traces by their spans.
 *
 * @module
 */

import { z } from "zod";
import type { Filter } from "../filter.ts";
import type { Database, Queryable } from "../postgres/database.ts";
import { cursorOf, positionOf } from "./cursor.ts";
import { CURSOR_FIELD, limitField } from "./limits.ts";
import { checked } from "./query_error.ts";
import { rangeOf, type TimeRange } from "./range.ts";
import { reading, type ReadOptions } from "./reading.ts";
import { type Scan, scan, tracesGiven } from "./scan.ts";
import { scanKey, scanKeyLength, type ScannedRow } from "./scan_key.ts";
import { SPAN_FIELDS, spanFilter, type SpanSearch } from "./span_search.ts";
import { traceSummaries, type TraceSummary } from "./trace_summaries.ts";

/** Options of {@linkcode searchTraces}: which spans, and how many of their traces in which order. */
export interface TraceSearch extends SpanSearch {
  /**
   * `newest`: by the start of the newest span that is meant. `slowest`: by the duration of the slowest
   * one. @default {"newest"}
   */
  readonly order?: "newest" | "slowest" | undefined;
  /** How many traces at most, 1 to 1000. @default {20} */
  readonly limit?: number | undefined;
  /**
   * The {@linkcode TracePage.cursor} of the page before, of the same time range: that may be left out. All
   * other options but `limit` have to be the same.
   */
  readonly cursor?: string | undefined;
}

/** The options of {@linkcode searchTraces}. */
export const TRACE_SEARCH = z.object({
  ...SPAN_FIELDS,
  order: z.enum(["newest", "slowest"]).default("newest").describe(
    "By the newest, or by the slowest span of a trace that is meant. Default: newest",
  ),
  limit: limitField(20),
  cursor: CURSOR_FIELD,
});

/** Traces, in the order of the search. */
export interface TracePage {
  /** What was searched. */
  readonly range: TimeRange;
  /** The traces. */
  readonly traces: readonly TraceSummary[];
  /** For the next page; absent on the last one. */
  readonly cursor?: string;
}

/**
 * Traces that have a span that is meant. Each is given once, on the page of its newest (or slowest)
 * such span.
 *
 * @throws {QueryError} An option is wrong.
 * @throws {QueryTimeoutError} It took too long.
 *
 * @example Slow requests of a service
 * ```ts
 * import { pglite } from "../postgres/pglite.ts";
 * import { migrate } from "../postgres/migrate.ts";
 * import assert from "node:assert/strict";
 *
 * await using database = pglite("memory://");
 * await migrate(database);
 * const { traces } = await searchTraces(database, {
 *   service: "shop",
 *   kind: "SERVER",
 *   minDurationNs: 250_000_000n,
 * });
 * assert.deepEqual(traces, []);
 * ```
 */
export async function searchTraces(
  database: Database,
  options: TraceSearch = {},
  read: ReadOptions = {},
): Promise<TracePage> {
  const search = checked(TRACE_SEARCH, options);
  const { order, limit, cursor } = search;
  const question = { query: "traces", options };
  const position = cursor === undefined
    ? undefined
    : positionOf(question, cursor, scanKeyLength(order));
  const range = position?.range ?? rangeOf(search);
  const filter = spanFilter(search);
  return await reading(database, read, async (reader) => {
    const found = await tracesOf(reader, { filter, range, order, before: position?.key }, limit);
    const traces = await traceSummaries(reader, range, found.traceIds);
    if (found.last === undefined) return { range, traces };
    const key = scanKey(found.last, order);
    return { range, traces, cursor: cursorOf(question, { range, key }) };
  });
}

/** Traces that were found, and where to go on. */
export interface FoundTraces {
  /** As the database writes them: UUIDs. */
  readonly traceIds: readonly string[];
  /** The row that the last one was found by; undefined when there are no more. */
  readonly last?: ScannedRow;
}

/** Rows that are read at a time for each trace that is wanted, and at most. */
const ROWS_PER_TRACE = 4;
const MAX_ROWS = 10_000;

/** The traces of the spans that a filter chooses, by their first span in the order. */
export async function tracesOf(
  reader: Queryable,
  { filter, range, order, before }: {
    readonly filter: Filter;
    readonly range: TimeRange;
    readonly order: "newest" | "slowest";
    readonly before?: readonly bigint[] | undefined;
  },
  limit: number,
): Promise<FoundTraces> {
  const search = { signal: "traces", filter, range, order, columns: "ids" } as const;
  const found = new Map<string, ScannedRow>();
  const given = new Set<string>();
  let at = before;
  let rowCount = (limit + 1) * ROWS_PER_TRACE;
  while (true) {
    const rows: ScannedRow[] = await scan(reader, { ...search, limit: rowCount, before: at });
    const first = new Map<string, ScannedRow>();
    for (const row of rows) {
      const id = row.trace_id as string;
      if (!found.has(id) && !given.has(id) && !first.has(id)) first.set(id, row);
    }
    if (before !== undefined && first.size > 0) {
      const earlier: Scan & { before: readonly bigint[] } = { ...search, limit, before };
      for (const id of await tracesGiven(reader, earlier, [...first.keys()])) given.add(id);
    }
    for (const [id, row] of first) {
      if (given.has(id)) continue;
      if (found.size === limit) {
        return { traceIds: [...found.keys()], last: [...found.values()].at(-1)! };
      }
      found.set(id, row);
    }
    if (rows.length < rowCount) return { traceIds: [...found.keys()] };
    at = scanKey(rows.at(-1)!, order);
    rowCount = Math.min(rowCount * 2, MAX_ROWS);
  }
}
