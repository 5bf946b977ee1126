/**
 * Traces that are like one: with a span of the same service, operation and attribute keys.
 *
 * @module
 */

import { z } from "zod";
import { Conditions } from "../conditions.ts";
import type { Database, Queryable } from "../postgres/database.ts";
import { limitField, SPAN_ID, storedSpanId, TRACE_ID } from "./limits.ts";
import { checked } from "./query_error.ts";
import { RANGE_FIELDS, rangeOf, type RangeOptions, type TimeRange } from "./range.ts";
import { reading, type ReadOptions } from "./reading.ts";
import { traceSummaries, type TraceSummary } from "./trace_summaries.ts";

/** Like which. */
export interface SimilarQuery extends RangeOptions {
  /** 32 hex digits; dashes are allowed. */
  readonly traceId: string;
  /** Which of its spans, 16 hex digits. Default: its root. */
  readonly spanId?: string | undefined;
  /** How many traces at most, 1 to 1,000. @default {20} */
  readonly limit?: number | undefined;
}

/** The options of {@linkcode findSimilarTraces}. */
export const SIMILAR_QUERY = z.object({
  ...RANGE_FIELDS,
  traceId: TRACE_ID,
  spanId: SPAN_ID.optional().describe("Which of its spans: 16 hex digits. Default: its root"),
  limit: limitField(20),
});

/** Traces that are alike. */
export interface SimilarTraces {
  /** What was searched. */
  readonly range: TimeRange;
  /** The others, the newest first. Empty when the trace or span is not stored. */
  readonly traces: readonly TraceSummary[];
}

interface Like extends Record<string, unknown> {
  readonly service_id: bigint | null;
  readonly name_id: bigint;
  readonly keys: readonly string[];
}

/** The keys of span `t` with set `a`, in order. */
const KEYS = `array(
  select k from jsonb_object_keys(coalesce(t.attributes, a.attributes, '{}')) k
  union select unnest(case when t.attributes is null then a.own_keys end) order by 1
)`;

/**
 * Traces with a span of the same service and operation whose attributes have the same keys.
 *
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
 * assert.deepEqual((await findSimilarTraces(database, { traceId })).traces, []);
 * ```
 */
export async function findSimilarTraces(
  database: Database,
  query: SimilarQuery,
  options: ReadOptions = {},
): Promise<SimilarTraces> {
  const { traceId, spanId, limit, ...given } = checked(SIMILAR_QUERY, query);
  const range = rangeOf(given);
  return await reading(database, options, async (reader) => {
    const like = await spanLike(reader, traceId, spanId);
    if (like === undefined) return { range, traces: [] };
    const where = new Conditions();
    where.time(range);
    where.add("t.service_id is not distinct from $::bigint", like.service_id);
    if (like.service_id !== null) where.add("t.service_id = $::bigint", like.service_id);
    where.add("t.name_id = $::bigint", like.name_id);
    where.add("t.trace_id <> $::uuid", traceId);
    const keys = `${where.parameter(like.keys)}::text[]`;
    // Sets are few and spans many: those with the keys are found first.
    where.addSql(
      `case when t.attribute_set_id is null then ${KEYS} = ${keys} else t.attribute_set_id in (
      select a.id from otel_data.attribute_sets a
      where array(select k from jsonb_object_keys(a.attributes) k union select unnest(a.own_keys) order by 1) = ${keys}
    ) end`,
    );
    const rows = await reader.query<{ trace_id: string }>(
      `select t.trace_id from otel_data.spans t
       left join otel_data.attribute_sets a on false ${where.sql}
       group by t.trace_id order by max(t.time) desc, t.trace_id
       limit ${where.parameter(limit)}::int`,
      where.parameters,
    );
    const traces = await traceSummaries(reader, range, rows.map(({ trace_id }) => trace_id));
    return { range, traces };
  });
}

/** What has to be alike; undefined when there is no such span. */
async function spanLike(
  reader: Queryable,
  traceId: string,
  spanId: string | undefined,
): Promise<Like | undefined> {
  const where = new Conditions();
  where.add("t.trace_id = $::uuid", traceId);
  if (spanId !== undefined) where.add("t.span_id = $::bigint", storedSpanId(spanId));
  const [like] = await reader.query<Like>(
    `select t.service_id, t.name_id, ${KEYS} as keys from otel_data.spans t
     left join otel_data.attribute_sets a on a.id = t.attribute_set_id ${where.sql}
     order by (t.parent_span_id is not null), t.time, t.time_frac, t.span_id limit 1`,
    where.parameters,
  );
  return like;
}
