/**
 * One trace: its spans as a tree, with the log records and points that name it.
 *
 * @module
 */

import { z } from "zod";
import { Conditions } from "../conditions.ts";
import type { Database, Queryable } from "../postgres/database.ts";
import {
  logOf,
  metricOf,
  SELECT_LOGS_OF_TRACE,
  SELECT_POINTS,
  type Stored,
} from "../postgres/stored.ts";
import type { LogRecord, Metric, Span } from "../record.ts";
import { TRACE_ID } from "./limits.ts";
import { checked } from "./query_error.ts";
import { reading, type ReadOptions } from "./reading.ts";
import { treeOf } from "./span_tree.ts";
import { placeOf, spansOfTrace } from "./trace_spans.ts";
import { around } from "./trace_summaries.ts";

/** Which trace to read, and how much of it. */
export interface TraceQuery {
  /** 32 hex digits; dashes are allowed. */
  readonly traceId: string;
  /** How many spans at most, the earliest ones, 1 to 100,000. @default {10_000} */
  readonly maxSpans?: number | undefined;
  /** How many log records at most, the earliest ones, 0 to 10,000. @default {1_000} */
  readonly maxLogs?: number | undefined;
  /** How many points with exemplars at most, 0 to 1,000. @default {100} */
  readonly maxPoints?: number | undefined;
  /**
   * The {@linkcode TraceTree.cursor} of an answer about the same trace: the spans that follow those. They
   * come without log records and points. The other options may be others.
   */
  readonly cursor?: string | undefined;
}

/** The options of {@linkcode getTraceTree}. */
export const TRACE_QUERY = z.object({
  traceId: TRACE_ID,
  maxSpans: z.int().min(1).max(100_000).default(10_000).describe(
    "How many spans at most, the earliest ones, 1 to 100,000. Default: 10,000",
  ),
  maxLogs: z.int().min(0).max(10_000).default(1_000).describe(
    "How many log records at most, the earliest ones, 0 to 10,000. Default: 1,000",
  ),
  maxPoints: z.int().min(0).max(1_000).default(100).describe(
    "How many points with exemplars of the trace at most, 0 to 1,000. Default: 100",
  ),
  cursor: z.string().optional().describe(
    "The spans that follow those of the answer this cursor came with, of the same trace and without " +
      "log records and points. The other options may be others",
  ),
});

/** A trace, or a part of its spans. */
export interface TraceTree {
  /** 32 hex digits. */
  readonly traceId: string;
  /** Start of the first of these spans, in nanoseconds since 1970; 0 when none came with one. */
  readonly startUnixNano: bigint;
  /** From there to the end of the last span, in nanoseconds. */
  readonly durationNs: bigint;
  /**
   * Its spans: each comes behind its parent, siblings by start. Those that a cursor asked for are a tree
   * of their own, in which who has a parent among those before is an orphan.
   */
  readonly spans: readonly TreeSpan[];
  /** Whether there are more spans. */
  readonly hasMoreSpans: boolean;
  /** For the spans that follow; absent when there are none. */
  readonly cursor?: string;
  /**
   * How many spans have come since the answer that the cursor is from, and start before those that it
   * asks for. To have them, ask without a cursor. 0 without one.
   */
  readonly lateSpans: number;
  /** Log records that name the trace, by time. */
  readonly logs: readonly Stored<LogRecord>[];
  /** Whether there are more log records. */
  readonly hasMoreLogs: boolean;
  /**
   * Metrics with one point each, which has an exemplar that names the trace, by time; taken while the
   * trace lasted or a quarter of an hour before or after.
   */
  readonly points: readonly Stored<Metric>[];
}

/** A span in its tree. */
export interface TreeSpan extends Stored<Span> {
  /** Resource attribute `service.name`, empty for none. */
  readonly service: string;
  /** 0 for a root. */
  readonly depth: number;
  /** Where its parent is among the spans. Undefined for a root. */
  readonly parent: number | undefined;
  /** Whether it names a parent that is not there, or stands in a circle that was cut before it. */
  readonly isOrphan: boolean;
}

/**
 * Reads a trace, wherever in time it is.
 *
 * @returns Undefined when nothing is stored of it.
 * @throws {QueryError} An option is wrong.
 * @throws {QueryTimeoutError} It took too long.
 *
 * @example None yet
 * ```ts
 * import { pglite } from "../postgres/pglite.ts";
 * import { migrate } from "../postgres/migrate.ts";
 * import assert from "node:assert/strict";
 *
 * await using database = pglite("memory://");
 * await migrate(database);
 * const traceId = "5b8efff798038103d269b633813fc60c";
 * assert.equal(await getTraceTree(database, { traceId }), undefined);
 * ```
 */
export async function getTraceTree(
  database: Database,
  query: TraceQuery,
  options: ReadOptions = {},
): Promise<TraceTree | undefined> {
  const { traceId, maxSpans, maxLogs, maxPoints, cursor } = checked(TRACE_QUERY, query);
  const from = cursor === undefined ? undefined : placeOf(traceId, cursor);
  return await reading(database, options, async (reader) => {
    const found = await spansOfTrace(reader, traceId, maxSpans, from);
    const told = from === undefined ? await logsOf(reader, traceId, maxLogs) : NO_LOGS;
    const isMissing = found.spans.length === 0 && told.rows.length === 0 && !told.hasMore;
    if (isMissing && from === undefined) return undefined;
    const spans = treeOf(
      found.spans.map((span) => ({ ...span, service: serviceOf(span.resource.attributes) })),
    );
    const { startUnixNano, endUnixNano } = extentOf(spans);
    const range = around({ since: startUnixNano, until: endUnixNano + 1n });
    const points = startUnixNano === 0n || maxPoints === 0 || from !== undefined
      ? []
      : await pointsOf(reader, traceId, range, maxPoints);
    return {
      traceId,
      startUnixNano,
      durationNs: endUnixNano - startUnixNano,
      spans,
      hasMoreSpans: found.cursor !== undefined,
      ...found.cursor !== undefined && { cursor: found.cursor },
      lateSpans: found.lateSpans,
      logs: told.rows.map(logOf),
      hasMoreLogs: told.hasMore,
      points,
    };
  });
}

const NO_LOGS = { rows: [], hasMore: false };

async function logsOf(reader: Queryable, traceId: string, most: number) {
  const rows = await reader.query(
    `${SELECT_LOGS_OF_TRACE} order by t.time, t.time_frac limit $2::int`,
    [traceId, most + 1],
  );
  return { rows: rows.slice(0, most), hasMore: rows.length > most };
}

async function pointsOf(
  reader: Queryable,
  traceId: string,
  range: { readonly since: bigint; readonly until: bigint },
  most: number,
): Promise<Stored<Metric>[]> {
  const where = new Conditions();
  where.time(range);
  where.add("t.exemplars @> $::jsonb", JSON.stringify([{ traceId }]));
  const rows = await reader.query(
    `${SELECT_POINTS} ${where.sql} order by t.time, t.time_frac, t.series_id
     limit ${where.parameter(most)}::int`,
    where.parameters,
  );
  return rows.map(metricOf);
}

/** When spans begin and end, as far as they say so. */
function extentOf(spans: readonly Stored<Span>[]): {
  readonly startUnixNano: bigint;
  readonly endUnixNano: bigint;
} {
  let start = 0n;
  let end = 0n;
  for (const { record: { startTimeUnixNano, endTimeUnixNano } } of spans) {
    if (startTimeUnixNano === 0n) continue;
    if (start === 0n || startTimeUnixNano < start) start = startTimeUnixNano;
    const last = endTimeUnixNano > startTimeUnixNano ? endTimeUnixNano : startTimeUnixNano;
    if (last > end) end = last;
  }
  return { startUnixNano: start, endUnixNano: end };
}

/** The value of `service.name`, empty for none. */
export function serviceOf(
  attributes: readonly {
    readonly key: string;
    readonly value?: { readonly stringValue?: string | undefined } | undefined;
  }[],
): string {
  return attributes.findLast(({ key }) => key === "service.name")?.value?.stringValue ?? "";
}
