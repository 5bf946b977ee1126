/**
 * Rate, errors and duration of requests, by service or operation.
 *
 * A request is what a service was asked for: a span of kind `SERVER` or `CONSUMER`, or one without a
 * parent. Spans that came without a start have no duration and are left out.
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
import { STEP_FIELD, stepOf } from "./steps.ts";
import { START_NANOS } from "./trace_summaries.ts";

/** How requests are put in order. */
export type RequestOrder = "requests" | "errors" | "slowest" | "total";

/** Which requests, and how they are grouped. */
export interface RequestQuery extends RangeOptions {
  /** Resource attribute `service.name`. */
  readonly service?: string | undefined;
  /** Anything else, in the grammar of filters. */
  readonly filter?: string | undefined;
  /** Whether operations (names of spans) of a service are told apart. @default {"service"} */
  readonly by?: "service" | "operation" | undefined;
  /**
   * Most requests first, most errors, longest 99th percentile of durations, or longest total of
   * durations. @default {"requests"}
   */
  readonly order?: RequestOrder | undefined;
  /** How many groups at most, 1 to 1,000. @default {100} */
  readonly limit?: number | undefined;
  /** Whether they are also counted over time. @default {false} */
  readonly overTime?: boolean | undefined;
  /** Width of a step in milliseconds, for `overTime`. Default: so that the range has about 60. */
  readonly stepMs?: number | undefined;
}

/** The options of {@linkcode countRequests}. */
export const REQUEST_QUERY = z.object({
  ...RANGE_FIELDS,
  service: z.string().optional().describe("Resource attribute `service.name`"),
  filter: FILTER_FIELD,
  by: z.enum(["service", "operation"]).default("service").describe(
    "Whether operations (names of spans) of a service are told apart. Default: service",
  ),
  order: z.enum(["requests", "errors", "slowest", "total"]).default("requests").describe(
    "Most requests first, most errors, longest 99th percentile, or longest total. Default: requests",
  ),
  limit: limitField(100),
  overTime: z.boolean().default(false).describe("Whether they are also counted over time"),
  stepMs: STEP_FIELD,
});

/** Requests by group. */
export interface RequestCounts {
  /** When they began. */
  readonly range: TimeRange;
  /** Width of a step in milliseconds. Absent without `overTime`. */
  readonly stepMs?: number;
  /** The groups, in order. */
  readonly groups: readonly RequestGroup[];
}

/** What is told of some requests. */
export interface RequestNumbers {
  /** How many there are. */
  readonly requests: number;
  /** How many of them have the status ERROR. */
  readonly errors: number;
  /** The duration that half of them do not exceed, in nanoseconds: one that occurs. */
  readonly p50Ns: bigint;
  /** The same of 95 in a hundred. */
  readonly p95Ns: bigint;
  /** The same of 99 in a hundred. */
  readonly p99Ns: bigint;
}

/** The requests of a service or operation. */
export interface RequestGroup extends RequestNumbers {
  /** Name of the service, empty for none. */
  readonly service: string;
  /** Name of the operation. Absent where they are not told apart. */
  readonly operation?: string;
  /** Requests a second. */
  readonly rate: number;
  /** The sum of their durations, in nanoseconds. */
  readonly totalNs: bigint;
  /** By step, those without requests left out. Absent without `overTime`. */
  readonly steps?: readonly RequestStep[];
}

/** The requests of a step. */
export interface RequestStep extends RequestNumbers {
  /** When it begins, in nanoseconds since 1970. */
  readonly since: bigint;
}

/** Spans that are requests, of rows `t`. */
export const IS_REQUEST = "(t.kind in (2, 5) or t.parent_span_id is null) and t.time_frac >= 0";

const DURATION = "greatest(t.duration_ns, 0)";
const NUMBERS = `count(*) as requests, count(*) filter (where t.status = 2) as errors,
  percentile_disc(array[0.5, 0.95, 0.99]) within group (order by ${DURATION}) as quantiles,
  sum(${DURATION})::text as total`;
const ORDERS: Readonly<Record<RequestOrder, string>> = {
  requests: "requests",
  errors: "errors",
  slowest: "quantiles[3]",
  total: "total::numeric",
};

interface NumbersRow extends Record<string, unknown> {
  readonly service: string | null;
  readonly operation: string | null;
  readonly requests: bigint;
  readonly errors: bigint;
  readonly quantiles: readonly bigint[];
  readonly total: string;
}

/**
 * Counts requests.
 *
 * @throws {QueryError} An option is wrong.
 * @throws {QueryTimeoutError} It took too long.
 *
 * @example The slowest operations of a service in the last hour
 * ```ts
 * import { pglite } from "../postgres/pglite.ts";
 * import { migrate } from "../postgres/migrate.ts";
 * import assert from "node:assert/strict";
 *
 * await using database = pglite("memory://");
 * await migrate(database);
 * const { groups } = await countRequests(database, {
 *   service: "shop",
 *   by: "operation",
 *   order: "slowest",
 * });
 * assert.deepEqual(groups, []);
 * ```
 */
export async function countRequests(
  database: Database,
  query: RequestQuery = {},
  options: ReadOptions = {},
): Promise<RequestCounts> {
  const { service, filter, by, order, limit, overTime, stepMs, ...given } = checked(
    REQUEST_QUERY,
    query,
  );
  const range = rangeOf(given);
  const steps = overTime ? stepOf(range, stepMs) : undefined;
  const chosen = filterOf("traces", filter, [field("service", "=", service)]);
  const where = rowsWhere({ signal: "traces", filter: chosen }, range);
  where.addSql(IS_REQUEST);
  const isByOperation = by === "operation";
  // Services of one name in several namespaces are one.
  const keys = `v.name as service, ${isByOperation ? "n.name" : "null::text"} as operation`;
  const from = `${fromOf("traces")} left join otel_data.services v on v.id = t.service_id`;
  const shown = "to_json(g.service)::text as service, to_json(g.operation)::text as operation";
  return await reading(database, options, async (reader) => {
    const rows = await reader.query<NumbersRow>(
      `select ${shown}, g.requests, g.errors, g.quantiles, g.total from (
         select ${keys}, ${NUMBERS} ${from} ${where.sql} group by 1, 2
       ) g order by g.${ORDERS[order]} desc, g.service collate "C", g.operation collate "C"
       limit ${where.parameter(limit)}::int`,
      where.parameters,
    );
    const groups = rows.map((row) => groupOf(row, isByOperation, range));
    if (steps === undefined) return { range, groups };
    where.parameters.pop();
    const step = `div(${START_NANOS} - ${where.parameter(range.since)}::numeric, ${
      where.parameter(BigInt(steps.stepMs) * 1_000_000n)
    }::numeric)::int`;
    const told = await reader.query<NumbersRow & { step: number }>(
      `select ${shown}, g.step, g.requests, g.errors, g.quantiles, g.total from (
         select ${keys}, ${step} as step, ${NUMBERS} ${from} ${where.sql} group by 1, 2, 3
       ) g order by g.step`,
      where.parameters,
    );
    const keyOf = (row: NumbersRow) => `${row.service} ${row.operation}`;
    const byGroup = Map.groupBy(told, keyOf);
    return {
      range,
      stepMs: steps.stepMs,
      groups: groups.map((group, n) => ({
        ...group,
        steps: byGroup.get(keyOf(rows[n]!))!.map((row) => ({
          since: steps.begins[row.step]!,
          ...numbersOf(row),
        })),
      })),
    };
  });
}

function groupOf(row: NumbersRow, isByOperation: boolean, range: TimeRange): RequestGroup {
  const seconds = Number(range.until - range.since) / 1e9;
  return {
    service: textOf(row.service),
    ...isByOperation && { operation: textOf(row.operation) },
    ...numbersOf(row),
    rate: Number(row.requests) / seconds,
    totalNs: BigInt(row.total),
  };
}

function numbersOf({ requests, errors, quantiles }: NumbersRow): RequestNumbers {
  const [p50Ns, p95Ns, p99Ns] = quantiles;
  return {
    requests: Number(requests),
    errors: Number(errors),
    p50Ns: p50Ns!,
    p95Ns: p95Ns!,
    p99Ns: p99Ns!,
  };
}

function textOf(json: string | null): string {
  return json === null ? "" : JSON.parse(json);
}
