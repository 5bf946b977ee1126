/**
 * Which metrics there are.
 *
 * @module
 */

import { z } from "zod";
import { Conditions } from "../conditions.ts";
import { filterSql } from "../filter_sql.ts";
import type { Database } from "../postgres/database.ts";
import { cursorOf, positionOf } from "./cursor.ts";
import { filterOf } from "./filters.ts";
import { CURSOR_FIELD, FILTER_FIELD, limitField } from "./limits.ts";
import {
  descriptorOf,
  type DescriptorRow,
  KIND_FIELDS,
  type MetricDescriptor,
  type MetricKind,
  ofKind,
} from "./metric_series.ts";
import { checked } from "./query_error.ts";
import { RANGE_FIELDS, rangeOf, type RangeOptions, type TimeRange } from "./range.ts";
import { reading, type ReadOptions } from "./reading.ts";

/** Which metrics to list. */
export interface MetricSearch extends RangeOptions, MetricKind {
  /** A part of their name, in either case. */
  readonly name?: string | undefined;
  /** Those with a series that this chooses, in the grammar of filters. */
  readonly filter?: string | undefined;
  /** How many at most, 1 to 1,000. @default {100} */
  readonly limit?: number | undefined;
  /** Where the page begins: the `cursor` of the page before. */
  readonly cursor?: string | undefined;
}

/** The options of {@linkcode listMetrics}. */
export const METRIC_SEARCH = z.object({
  name: z.string().max(4_096).optional().describe("A part of their name, in either case"),
  ...KIND_FIELDS,
  filter: FILTER_FIELD,
  limit: limitField(100),
  cursor: CURSOR_FIELD,
  ...RANGE_FIELDS,
});

/** Some metrics, by name, type, unit and temporality. */
export interface MetricPage {
  /** They have points in it. */
  readonly range: TimeRange;
  /** The metrics. */
  readonly metrics: readonly ListedMetric[];
  /** Where the next page begins; absent when there is none. */
  readonly cursor?: string;
}

/** A metric that has points in the range. */
export interface ListedMetric extends MetricDescriptor {
  /** Values of `service.name` of those that send it, in order. */
  readonly services: readonly string[];
  /** How many series it has. */
  readonly series: number;
  /** Time of its latest point in the range, in nanoseconds since 1970, to the microsecond. */
  readonly lastSeen: bigint;
}

interface ListedRow extends DescriptorRow {
  readonly [column: string]: unknown;
  readonly id: bigint;
  readonly services: string;
  readonly series: bigint;
  readonly last_micros: bigint;
}

/**
 * The metrics that have points in a time range.
 *
 * @throws {QueryError} An option is wrong.
 * @throws {QueryTimeoutError} It took too long.
 *
 * @example None yet
 * ```ts
 * import { OTelStorageAdapter } from "../adapter.ts";
 * import assert from "node:assert/strict";
 *
 * await using adapter = new OTelStorageAdapter({ pgliteDir: "memory://" });
 * await adapter.init();
 * const { metrics } = await listMetrics(await adapter.database(), { name: "http" });
 * assert.deepEqual(metrics, []);
 * ```
 */
export async function listMetrics(
  database: Database,
  search: MetricSearch = {},
  options: ReadOptions = {},
): Promise<MetricPage> {
  const asked = checked(METRIC_SEARCH, search);
  const question = { query: "metrics", options: search };
  const position = asked.cursor === undefined ? undefined : positionOf(question, asked.cursor, 1);
  const range = position?.range ?? rangeOf(asked);
  const filter = filterOf("metrics", asked.filter);
  const where = new Conditions();
  where.time(range);
  const inRange = where.sql;
  const parameter = where.parameter.bind(where);
  const terms = [ofKind(asked, parameter), filterSql(filter, "metrics", parameter)];
  if (asked.name !== undefined) {
    terms.push(`strpos(lower(m.name), lower(${parameter(asked.name)}::text)) > 0`);
  }
  const behind = position === undefined
    ? "true"
    : `(${SORTED}) > (select ${SORTED} from otel_data.metrics m where m.id = ${
      parameter(position.key[0]!)
    }::bigint)`;
  return await reading(database, options, async (reader) => {
    const rows = await reader.query<ListedRow>(
      `with seen as (
         select m.id, m.name, m.type, coalesce(m.unit, '') as unit, m.description,
           m.temporality, m.is_monotonic, e.id as series_id, v.name as service, p.time
         from otel_data.metrics m
         join otel_data.series e on e.metric_id = m.id
         left join otel_data.services v on v.id = e.service_id
         cross join lateral (
           select t.time from otel_data.metric_points t ${inRange} and t.series_id = e.id
           order by t.time desc limit 1
         ) p
         where ${terms.join(" and ")} and ${behind}
       )
       select max(m.id) as id, to_json(m.name)::text as name, m.type, to_json(m.unit)::text as unit,
         to_json(max(m.description))::text as description, m.temporality, m.is_monotonic,
         to_json(array_agg(distinct m.service))::text as services, count(*) as series,
         (extract(epoch from max(m.time)) * 1000000)::bigint as last_micros
       from seen m group by m.name, m.type, m.unit, m.temporality, m.is_monotonic
       order by ${SORTED} limit ${parameter(asked.limit + 1)}::int`,
      where.parameters,
    );
    const page = rows.slice(0, asked.limit);
    const last = page.at(-1);
    return {
      range,
      metrics: page.map(listedOf),
      ...last !== undefined && rows.length > asked.limit &&
        { cursor: cursorOf(question, { range, key: [last.id] }) },
    };
  });
}

/** The order of the list, of rows `m`: the same in every database. */
const SORTED = `m.name collate "C", m.type, coalesce(m.unit, '') collate "C",
  coalesce(m.temporality, -1), coalesce(m.is_monotonic, false)`;

function listedOf(row: ListedRow): ListedMetric {
  const services: (string | null)[] = JSON.parse(row.services);
  return {
    ...descriptorOf(row),
    services: services.filter((service) => service !== null).sort(),
    series: Number(row.series),
    lastSeen: row.last_micros * 1000n,
  };
}
