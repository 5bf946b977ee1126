/**
 * Errors that are alike, in groups.
 *
 * Of each span with the status ERROR: its exceptions or, when it has none, the message of its status.
 * What differs from one to the next is taken out of messages: quoted parts, ids and numbers.
 *
 * @module
 */

import { z } from "zod";
import type { Database } from "../postgres/database.ts";
import { field, filterOf } from "./filters.ts";
import { FILTER_FIELD, limitField } from "./limits.ts";
import { checked } from "./query_error.ts";
import { RANGE_FIELDS, rangeOf, type RangeOptions, type TimeRange } from "./range.ts";
import { reading, type ReadOptions } from "./reading.ts";
import { fromOf, rowsWhere } from "./scan.ts";
import { START_NANOS } from "./trace_summaries.ts";

/** Which errors. */
export interface ErrorQuery extends RangeOptions {
  /** Resource attribute `service.name`. */
  readonly service?: string | undefined;
  /** Anything else about the spans, in the grammar of filters. */
  readonly filter?: string | undefined;
  /** How many groups at most, those with the most errors, 1 to 1,000. @default {100} */
  readonly limit?: number | undefined;
}

/** The options of {@linkcode groupErrors}. */
export const ERROR_QUERY = z.object({
  ...RANGE_FIELDS,
  service: z.string().optional().describe("Resource attribute `service.name`"),
  filter: FILTER_FIELD,
  limit: limitField(100),
});

/** Errors in groups. */
export interface ErrorGroups {
  /** When their spans began. */
  readonly range: TimeRange;
  /** The groups, most errors first. */
  readonly groups: readonly ErrorGroup[];
}

/** Errors of one service, type and message. */
export interface ErrorGroup {
  /** Name of the service, empty for none. */
  readonly service: string;
  /** `exception.type`; empty where there was no exception, or none was named. */
  readonly type: string;
  /** The message, with `'…'` for what was quoted, `<id>` for ids and `<n>` for numbers. */
  readonly message: string;
  /** How many there are. */
  readonly count: number;
  /** When the span of the first of them began, in nanoseconds since 1970. */
  readonly firstSeen: bigint;
  /** The same of the last one. */
  readonly lastSeen: bigint;
  /** A few of their traces, the latest first. */
  readonly traceIds: readonly string[];
}

const TRACES_SHOWN = 5;
/** So much of a message is compared. */
const MESSAGE_CHARACTERS = 1_000;

/** What is taken out of a message, in this order. POSIX and JavaScript read these alike. */
export const TAKEN_OUT: readonly (readonly [pattern: string, by: string])[] = [
  [`"[^"]*"|'[^']*'`, "'…'"],
  ["[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}", "<id>"],
  ["[0-9]*[a-fA-F]+[0-9][0-9a-fA-F]{6,}|[0-9]+[a-fA-F][0-9a-fA-F]{6,}", "<id>"],
  ["[0-9]+([.][0-9]+)?", "<n>"],
];

/**
 * Puts errors in groups.
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
 * assert.deepEqual((await groupErrors(database, { service: "shop" })).groups, []);
 * ```
 */
export async function groupErrors(
  database: Database,
  query: ErrorQuery = {},
  options: ReadOptions = {},
): Promise<ErrorGroups> {
  const { service, filter, limit, ...given } = checked(ERROR_QUERY, query);
  const range = rangeOf(given);
  const chosen = filterOf("traces", filter, [field("service", "=", service)]);
  const where = rowsWhere({ signal: "traces", filter: chosen }, range);
  where.addSql("t.status = 2");
  const message = TAKEN_OUT.reduce(
    (text, [pattern, by]) =>
      `regexp_replace(${text}, ${where.parameter(pattern)}, ${where.parameter(by)}, 'g')`,
    `left(coalesce(x.message, case when x.at is null then t.status_message end, ''), ${MESSAGE_CHARACTERS})`,
  );
  const rows = await reading(database, options, (reader) =>
    reader.query<GroupRow>(
      `select to_json(g.service)::text as service, to_json(g.type)::text as type,
         to_json(g.message)::text as message, g.count, g.first::text as first, g.last::text as last,
         to_json(g.traces)::text as traces
       from (
         select e.service, e.type, e.message, count(*) as count, min(e.start) as first,
           max(e.start) as last, array(
             select s.id from unnest(array_agg(e.trace_id), array_agg(e.start)) s (id, start)
             group by s.id order by max(s.start) desc, s.id limit ${TRACES_SHOWN}
           ) as traces
         from (
           select coalesce(v.name, '') as service, coalesce(x.type, '') as type,
             ${message} as message, ${START_NANOS} as start, t.trace_id
           ${fromOf("traces")}
           left join otel_data.services v on v.id = t.service_id
           left join lateral (
             select u.at, u.event -> 'attributes' ->> 'exception.type' as type,
               u.event -> 'attributes' ->> 'exception.message' as message
             from jsonb_array_elements(t.events) with ordinality u (event, at)
             where u.event ->> 'name' = 'exception'
           ) x on true
           ${where.sql}
         ) e
         group by e.service, e.type, e.message
       ) g
       order by g.count desc, g.service collate "C", g.type collate "C", g.message collate "C"
       limit ${where.parameter(limit)}::int`,
      where.parameters,
    ));
  return {
    range,
    groups: rows.map(({ service, type, message, count, first, last, traces }) => ({
      service: JSON.parse(service),
      type: JSON.parse(type),
      message: JSON.parse(message),
      count: Number(count),
      firstSeen: BigInt(first),
      lastSeen: BigInt(last),
      traceIds: (JSON.parse(traces) as string[]).map((id) => id.replaceAll("-", "")),
    })),
  };
}

interface GroupRow extends Record<string, unknown> {
  readonly service: string;
  readonly type: string;
  readonly message: string;
  readonly count: bigint;
  readonly first: string;
  readonly last: string;
  readonly traces: string;
}
