/**
 * Which service calls which, from parents and children of spans, and which takes up what another began,
 * from links between spans: a consumer and the producers of its messages.
 *
 * @module
 */

import { z } from "zod";
import { Conditions } from "../conditions.ts";
import type { Database } from "../postgres/database.ts";
import { limitField } from "./limits.ts";
import { checked } from "./query_error.ts";
import { RANGE_FIELDS, rangeOf, type RangeOptions, type TimeRange } from "./range.ts";
import { reading, type ReadOptions } from "./reading.ts";
import { around } from "./trace_summaries.ts";

/** Which calls. */
export interface ServiceGraphQuery extends RangeOptions {
  /** Only edges from or to this service. */
  readonly service?: string | undefined;
  /** How many edges at most, those with the most calls, 1 to 1,000. @default {1_000} */
  readonly limit?: number | undefined;
}

/** The options of {@linkcode getServiceGraph}. */
export const SERVICE_GRAPH_QUERY = z.object({
  ...RANGE_FIELDS,
  service: z.string().optional().describe("Only edges from or to this service"),
  limit: limitField(1_000),
});

/** Calls between services. */
export interface ServiceGraph {
  /** When the calls arrived at the one that was called. */
  readonly range: TimeRange;
  /** Who calls whom, most calls first. */
  readonly edges: readonly ServiceEdge[];
}

/** Calls from one service to another, or links. */
export interface ServiceEdge {
  /** The one that calls, or that is linked to; empty where a resource names none. */
  readonly from: string;
  /** The one that is called, or whose spans have the links. */
  readonly to: string;
  /**
   * `call`: spans whose parent is a span of the other service. `link`: spans with a link to one, as those
   * of consumers have to the producers of their messages; a link to the parent is none.
   */
  readonly kind: "call" | "link";
  /** How many calls. Of links each counts, so a span that takes a batch counts for each message of it. */
  readonly calls: number;
  /** How many of them are to spans, or of spans, with the status ERROR. */
  readonly errors: number;
  /** The duration that half of them do not exceed, in nanoseconds: one that occurs. */
  readonly p50Ns: bigint;
  /** The same of 99 in a hundred. */
  readonly p99Ns: bigint;
}

/**
 * The calls and links between services within a time range. A caller, or what is linked to, is looked for
 * up to a quarter of an hour before and after.
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
 * assert.deepEqual((await getServiceGraph(database)).edges, []);
 * ```
 */
export async function getServiceGraph(
  database: Database,
  query: ServiceGraphQuery = {},
  options: ReadOptions = {},
): Promise<ServiceGraph> {
  const { service, limit, ...given } = checked(SERVICE_GRAPH_QUERY, query);
  const range = rangeOf(given);
  const where = new Conditions();
  where.time(range);
  const children = where.sql;
  const near = new Conditions(where.parameters);
  near.time(around(range));
  const named = service === undefined
    ? ""
    : `where ${where.parameter(service)}::text in (f.name, o.name)`;
  const rows = await reading(database, options, (reader) =>
    reader.query<EdgeRow>(
      `select to_json(f.name)::text as "from", to_json(o.name)::text as "to", e.is_link,
         count(*) as calls, count(*) filter (where e.status = 2) as errors,
         percentile_disc(array[0.5, 0.99]) within group (order by e.duration) as quantiles
       from (
         -- Of several spans with one id the first is meant.
         select distinct on (c.place_table, c.place, c.is_link, c.trace_id, c.caller_span_id)
           c.service_id as callee, p.service_id as caller, c.status, c.duration, c.is_link
         from (
           select t.trace_id, t.parent_span_id as caller_span_id, false as is_link, ${CALLEE}
           from otel_data.spans t ${children} and t.parent_span_id is not null
           union all
           select l.trace_id, l.span_id, true, ${CALLEE}
           from otel_data.spans t cross join lateral (${LINKED}) l ${children} and t.links is not null
             and (l.trace_id <> t.trace_id or l.span_id is distinct from t.parent_span_id)
         ) c
         join (
           select t.trace_id, t.span_id, t.service_id, t.time, t.time_frac
           from otel_data.spans t ${near.sql}
         ) p on p.trace_id = c.trace_id and p.span_id = c.caller_span_id
         order by c.place_table, c.place, c.is_link, c.trace_id, c.caller_span_id, p.time, p.time_frac
       ) e
       left join otel_data.services f on f.id = e.caller
       left join otel_data.services o on o.id = e.callee
       ${named}
       group by f.name, o.name, e.is_link
       having f.name is distinct from o.name
       order by calls desc, f.name collate "C" nulls first, o.name collate "C" nulls first,
         e.is_link
       limit ${where.parameter(limit)}::int`,
      where.parameters,
    ));
  return {
    range,
    edges: rows.map(({ from, to, is_link, calls, errors, quantiles: [p50Ns, p99Ns] }) => ({
      from: from === null ? "" : JSON.parse(from),
      to: to === null ? "" : JSON.parse(to),
      kind: is_link ? "link" : "call",
      calls: Number(calls),
      errors: Number(errors),
      p50Ns: p50Ns!,
      p99Ns: p99Ns!,
    })),
  };
}

/** What is told of span `t`, and where it lies. */
const CALLEE = `t.service_id, t.status,
  case when t.time_frac < 0 then 0 else greatest(t.duration_ns, 0) end as duration,
  t.tableoid as place_table, t.ctid as place`;

/** What span `t` links to. Links are stored as they came, so their ids may be none. */
const LINKED =
  `select case when k ->> 'traceId' ~ '^[0-9a-f]{32}$' then (k ->> 'traceId')::uuid end as trace_id,
  case when k ->> 'spanId' ~ '^[0-9a-f]{16}$' then ('x' || (k ->> 'spanId'))::bit(64)::bigint end as span_id
  from jsonb_array_elements(t.links) k`;

interface EdgeRow extends Record<string, unknown> {
  readonly from: string | null;
  readonly to: string | null;
  readonly is_link: boolean;
  readonly calls: bigint;
  readonly errors: bigint;
  readonly quantiles: readonly bigint[];
}
