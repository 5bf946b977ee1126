/**
 * Exemplars: single measurements behind the points of a metric, and the traces they were taken in.
 *
 * @module
 */

import { z } from "zod";
import { Conditions } from "../conditions.ts";
import { filterSql } from "../filter_sql.ts";
import type { Database } from "../postgres/database.ts";
import { metricOf, SELECT_POINTS, type Stored } from "../postgres/stored.ts";
import type { Exemplar, KeyValue, Metric, Resource } from "../record.ts";
import { filterOf } from "./filters.ts";
import { limitField, SERIES_FILTER_FIELD } from "./limits.ts";
import { KIND_FIELDS, type MetricKind, ofKind } from "./metric_series.ts";
import { checked } from "./query_error.ts";
import { RANGE_FIELDS, rangeOf, type RangeOptions, type TimeRange } from "./range.ts";
import { reading, type ReadOptions } from "./reading.ts";

/** Which exemplars to find. */
export interface ExemplarSearch extends RangeOptions, MetricKind {
  /** Name of the metric. */
  readonly metric: string;
  /** Which series, in the grammar of filters: `service`, attributes of the points and the resource. */
  readonly filter?: string | undefined;
  /** How many at most, 1 to 1,000. @default {100} */
  readonly limit?: number | undefined;
}

/** The options of {@linkcode findExemplars}. */
export const EXEMPLAR_SEARCH = z.object({
  metric: z.string().min(1).max(4_096).describe("Name of the metric"),
  ...KIND_FIELDS,
  filter: SERIES_FILTER_FIELD,
  limit: limitField(100),
  ...RANGE_FIELDS,
});

/** What was found. */
export interface FoundExemplars {
  /** The points they belong to were taken in it. */
  readonly range: TimeRange;
  /** Those of the latest points first, each point's from the latest on. */
  readonly exemplars: readonly FoundExemplar[];
}

/** An exemplar and the series it belongs to. */
export interface FoundExemplar {
  /** When it was taken, in nanoseconds since 1970; 0 when that was not sent. */
  readonly time: bigint;
  /** What was measured, as it was sent; absent when nothing was. */
  readonly value?: number | bigint;
  /** 32 hex digits, empty for none. */
  readonly traceId: string;
  /** 16 hex digits, empty for none. */
  readonly spanId: string;
  /** Attributes of the measurement that the series has not. */
  readonly filteredAttributes: readonly KeyValue[];
  /** Attributes of the series. */
  readonly attributes: readonly KeyValue[];
  /** What produced it. */
  readonly resource: Resource;
  /** Unit of the metric, empty when none was sent. */
  readonly unit: string;
}

/**
 * The latest exemplars of a metric.
 *
 * @throws {QueryError} An option is wrong.
 * @throws {QueryTimeoutError} It took too long.
 *
 * @example Traces of slow requests
 * ```ts
 * import { OTelStorageAdapter } from "../adapter.ts";
 * import assert from "node:assert/strict";
 *
 * await using adapter = new OTelStorageAdapter({ pgliteDir: "memory://" });
 * await adapter.init();
 * const { exemplars } = await findExemplars(await adapter.database(), {
 *   metric: "http.server.request.duration",
 *   filter: "service = shop",
 * });
 * assert.deepEqual(exemplars.filter(({ value = 0 }) => value > 1), []);
 * ```
 */
export async function findExemplars(
  database: Database,
  search: ExemplarSearch,
  options: ReadOptions = {},
): Promise<FoundExemplars> {
  const asked = checked(EXEMPLAR_SEARCH, search);
  const range = rangeOf(asked);
  const where = new Conditions();
  const parameter = where.parameter.bind(where);
  where.time(range);
  where.add("m.name = $::text", asked.metric);
  where.addSql(ofKind(asked, parameter));
  where.addSql(filterSql(filterOf("metrics", asked.filter), "metrics", parameter));
  where.addSql("t.exemplars is not null");
  const rows = await reading(database, options, (reader) =>
    reader.query(
      `${SELECT_POINTS} ${where.sql} order by t.time desc, t.time_frac desc, t.series_id
       limit ${parameter(asked.limit)}::int`,
      where.parameters,
    ));
  const exemplars = rows.flatMap((row) => exemplarsOf(metricOf(row))).slice(0, asked.limit);
  return { range, exemplars };
}

/** Those of the one point in it. */
function exemplarsOf({ record, resource }: Stored<Metric>): FoundExemplar[] {
  const data = record.gauge ?? record.sum ?? record.histogram ?? record.exponentialHistogram;
  const [point] = data?.dataPoints ?? [];
  if (point === undefined) return [];
  return point.exemplars.toSorted((a, b) => a.timeUnixNano > b.timeUnixNano ? -1 : 1)
    .map((exemplar) => ({
      time: exemplar.timeUnixNano,
      ...valueOf(exemplar),
      traceId: exemplar.traceId,
      spanId: exemplar.spanId,
      filteredAttributes: exemplar.filteredAttributes,
      attributes: point.attributes,
      resource,
      unit: record.unit,
    }));
}

function valueOf({ asInt, asDouble }: Exemplar): { value?: number | bigint } {
  const value = asInt ?? asDouble;
  return value === undefined ? {} : { value };
}
