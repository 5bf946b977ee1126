/**
 * Traces in a line each: what a list of them shows.
 *
 * @module
 */

import { Conditions } from "../conditions.ts";
import type { Queryable } from "../postgres/database.ts";
import type { TimeRange } from "./range.ts";

/** A trace, as far as its spans lie in the range that is read, or a quarter of an hour round it. */
export interface TraceSummary {
  /** 32 hex digits. */
  readonly traceId: string;
  /** Service of the root, the first span without a parent; where there is none, of the first span. */
  readonly rootService: string;
  /** Name of that span. */
  readonly rootOperation: string;
  /** Start of the first span, in nanoseconds since 1970. */
  readonly startUnixNano: bigint;
  /** From there to the end of the last span, in nanoseconds. */
  readonly durationNs: bigint;
  /** How many spans it has. */
  readonly spanCount: number;
  /** How many of them have the status ERROR. */
  readonly errorCount: number;
  /** The services in it, those with the most spans first. */
  readonly services: readonly TraceService[];
}

/** A service in a trace. */
export interface TraceService {
  /** Its name; empty where a resource names none. */
  readonly service: string;
  /** Its spans. */
  readonly spanCount: number;
  /** Those with the status ERROR. */
  readonly errorCount: number;
}

/** How far round a range the rest of what lies in it is looked for: a quarter of an hour. */
const SLACK = 900_000_000_000n;
const LAST_NANOS = 2n ** 64n - 1n;

/** A range and what is near. */
export function around({ since, until }: TimeRange): TimeRange {
  return {
    since: since < SLACK ? 0n : since - SLACK,
    until: until > LAST_NANOS - SLACK ? LAST_NANOS : until + SLACK,
  };
}

/** Nanoseconds since 1970 when span `t` began, or arrived if it came without a start. */
export const START_NANOS =
  "(trunc(extract(epoch from t.time) * 1000000) * 1000 + greatest(t.time_frac, 0))";

/** How long span `t` took, in nanoseconds; 0 where it has no start, or ends before it. */
const LENGTH = `case when t.time_frac < 0 then 0 when t.end_unix_nano is not null
  then greatest(otel_data.uint64(t.end_unix_nano) - ${START_NANOS}, 0)
  else greatest(t.duration_ns, 0) end`;

/** The traces with these ids, as far as they are in the range or near, in the order of the ids. */
export async function traceSummaries(
  reader: Queryable,
  range: TimeRange,
  traceIds: readonly string[],
): Promise<TraceSummary[]> {
  if (traceIds.length === 0) return [];
  const where = new Conditions();
  where.time(around(range));
  where.add("t.trace_id = any ($::uuid[])", traceIds);
  const rows = await reader.query<SummaryRow>(
    `select g.trace_id, coalesce(v.name, '') as service, g.spans, g.errors, g.is_root,
       to_json(n.name)::text as operation, g.started::text as started, g.ended::text as ended
     from (
       select t.trace_id, t.service_id, count(*) as spans,
         count(*) filter (where t.status = 2) as errors,
         min(${START_NANOS}) as started, max(${START_NANOS} + ${LENGTH}) as ended,
         (array_agg(t.name_id order by ${FIRST}))[1] as name_id,
         (array_agg(t.parent_span_id is null order by ${FIRST}))[1] as is_root,
         (array_agg(${START_NANOS} order by ${FIRST}))[1] as root_started,
         (array_agg(t.span_id order by ${FIRST}))[1] as root_id
       from otel_data.spans t ${where.sql}
       group by t.trace_id, t.service_id
     ) g
     left join otel_data.services v on v.id = g.service_id
     left join otel_data.names n on n.id = g.name_id
     order by g.is_root desc, g.root_started, g.root_id`,
    where.parameters,
  );
  const byTrace = Map.groupBy(rows, ({ trace_id }) => trace_id.replaceAll("-", ""));
  return traceIds.map((id) => id.replaceAll("-", "")).flatMap((traceId) => {
    const parts = byTrace.get(traceId);
    return parts === undefined ? [] : [summaryOf(traceId, parts)];
  });
}

/** Which span of a trace comes first: roots, then by start. */
const FIRST = "(t.parent_span_id is not null), t.time, t.time_frac, t.span_id";

interface SummaryRow extends Record<string, unknown> {
  readonly trace_id: string;
  readonly service: string;
  readonly spans: bigint;
  readonly errors: bigint;
  readonly is_root: boolean;
  readonly operation: string | null;
  readonly started: string;
  readonly ended: string;
}

/** Of the parts of a trace that services have, the one with the root first. */
function summaryOf(traceId: string, parts: readonly SummaryRow[]): TraceSummary {
  const root = parts[0]!;
  const started = parts.map(({ started }) => BigInt(started)).reduce((a, b) => a < b ? a : b);
  const ended = parts.map(({ ended }) => BigInt(ended)).reduce((a, b) => a > b ? a : b);
  const services = new Map<string, { spanCount: number; errorCount: number }>();
  for (const { service, spans, errors } of parts) {
    const counts = services.get(service) ?? { spanCount: 0, errorCount: 0 };
    counts.spanCount += Number(spans);
    counts.errorCount += Number(errors);
    services.set(service, counts);
  }
  const counted = [...services].map(([service, counts]) => ({ service, ...counts }));
  return {
    traceId,
    rootService: root.service,
    rootOperation: root.operation === null ? "" : JSON.parse(root.operation) as string,
    startUnixNano: started,
    durationNs: ended - started,
    spanCount: counted.reduce((sum, { spanCount }) => sum + spanCount, 0),
    errorCount: counted.reduce((sum, { errorCount }) => sum + errorCount, 0),
    services: counted.sort((a, b) =>
      b.spanCount - a.spanCount || (a.service < b.service ? -1 : a.service > b.service ? 1 : 0)
    ),
  };
}
