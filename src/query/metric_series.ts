/**
 * The series of a metric that have points in a time range, and how they are grouped.
 *
 * @module
 */

import { z } from "zod";
import { Conditions } from "../conditions.ts";
import { type Filter, type FilterTarget, parseFilter } from "../filter.ts";
import { type AddParameter, filterSql } from "../filter_sql.ts";
import type { Queryable } from "../postgres/database.ts";
import { parseAttributes } from "../postgres/json_value.ts";
import type { AnyValue, KeyValue } from "../record.ts";
import { QueryError } from "./query_error.ts";
import type { TimeRange } from "./range.ts";

/** Which kind of points a metric has. */
export type MetricType = "gauge" | "sum" | "histogram" | "exponential_histogram" | "summary";

/** What the points of a sum or histogram count from: the point before, or the start of the series. */
export type Temporality = "UNSPECIFIED" | "DELTA" | "CUMULATIVE";

/** What a metric says of itself. Metrics that differ in more than the description are not the same. */
export interface MetricDescriptor {
  /** Its name. */
  readonly name: string;
  /** Which kind of points it has. */
  readonly type: MetricType;
  /** UCUM unit, empty when none was sent. */
  readonly unit: string;
  /** What it is, empty when that was not sent. */
  readonly description: string;
  /** Absent for gauges and summaries. */
  readonly temporality?: Temporality;
  /** Of a sum: whether it only grows. */
  readonly isMonotonic?: boolean;
}

/** A series: the points that one producer gives a metric with one set of attributes. */
export interface MetricSeries {
  /** Its rows in `otel_data.series`: more than one where attributes came in several orders. */
  readonly ids: bigint[];
  /** What tells it, or its group, from others. */
  readonly attributes: KeyValue[];
  /** The same as a text. */
  readonly group: string;
}

/** A metric and its series. */
export interface MetricWithSeries {
  /** What it says of itself. */
  readonly metric: MetricDescriptor;
  /** In order of their groups. */
  readonly series: MetricSeries[];
}

/** Types by their column. */
export const TYPES: Readonly<Record<number, MetricType>> = {
  5: "gauge",
  7: "sum",
  9: "histogram",
  10: "exponential_histogram",
  11: "summary",
};
/** Temporalities by their column. */
export const TEMPORALITIES: readonly Temporality[] = ["UNSPECIFIED", "DELTA", "CUMULATIVE"];

/** What describes a metric, of rows `m` of `otel_data.metrics`; {@linkcode descriptorOf} reads it. */
export const DESCRIPTOR = `to_json(m.name)::text as name, m.type, to_json(m.unit)::text as unit,
  to_json(m.description)::text as description, m.temporality, m.is_monotonic`;

/** Columns of {@linkcode DESCRIPTOR}. */
export interface DescriptorRow {
  readonly name: string;
  readonly type: number;
  readonly unit: string | null;
  readonly description: string | null;
  readonly temporality: number | null;
  readonly is_monotonic: boolean | null;
}

/** A row of {@linkcode DESCRIPTOR}. */
export function descriptorOf(row: DescriptorRow): MetricDescriptor {
  return {
    name: JSON.parse(row.name),
    type: TYPES[row.type]!,
    unit: JSON.parse(row.unit ?? '""'),
    description: JSON.parse(row.description ?? '""'),
    ...row.temporality !== null &&
      { temporality: TEMPORALITIES[row.temporality] ?? "UNSPECIFIED" },
    ...row.is_monotonic !== null && { isMonotonic: row.is_monotonic },
  };
}

/** More series than that are refused. */
export const MAX_SERIES = 10_000;
const MAX_UNIT = 4_096;

/** Which series. */
export interface SeriesSearch extends MetricKind {
  /** Name of the metric. */
  readonly metric: string;
  /** Of what else its series are chosen by. */
  readonly filter: Filter;
  /** They have points in it. */
  readonly range: TimeRange;
  /** What groups them; each its own group when absent. */
  readonly groupBy?: readonly string[] | undefined;
}

interface SeriesRow extends DescriptorRow {
  readonly [column: string]: unknown;
  readonly id: bigint;
  readonly attributes: string | null;
  readonly resource: string | null;
  readonly scope: string | null;
  readonly version: string | null;
}

/**
 * The metrics of a name with their series, in order of type, unit and temporality.
 *
 * @throws {QueryError} There are more than {@linkcode MAX_SERIES}, or `groupBy` has no attributes.
 */
export async function seriesOf(
  reader: Queryable,
  search: SeriesSearch,
): Promise<MetricWithSeries[]> {
  const { metric, filter, range, groupBy } = search;
  const targets = groupBy?.map((name) => ({ name, target: targetOf(name) }));
  const where = new Conditions();
  where.time(range);
  const inRange = where.sql;
  const parameter = where.parameter.bind(where);
  const rows = await reader.query<SeriesRow>(
    `select e.id, e.attributes::text as attributes, r.attributes::text as resource,
       to_json(c.name)::text as scope, to_json(c.version)::text as version, ${DESCRIPTOR}
     from otel_data.metrics m
     join otel_data.series e on e.metric_id = m.id
     left join otel_data.resources r on r.id = e.resource_id
     left join otel_data.scopes c on c.id = e.scope_id
     where m.name = ${parameter(metric)}::text and ${ofKind(search, parameter)}
       and ${filterSql(filter, "metrics", parameter)}
       and exists (
         select from otel_data.metric_points t ${inRange} and t.series_id = e.id
       )
     limit ${MAX_SERIES + 1}`,
    where.parameters,
  );
  if (rows.length > MAX_SERIES) {
    throw new QueryError("metric", metric, `more than ${MAX_SERIES} series: narrow the filter`);
  }
  const metrics = new Map<
    string,
    { metric: MetricDescriptor; series: Map<string, MetricSeries> }
  >();
  for (const row of rows) {
    const { description: _, ...identity } = descriptorOf(row);
    const key = JSON.stringify(identity);
    let found = metrics.get(key);
    if (found === undefined) {
      found = { metric: descriptorOf(row), series: new Map() };
      metrics.set(key, found);
    }
    addSeries(found.series, row, targets);
  }
  return [...metrics].sort(([a], [b]) => a < b ? -1 : 1)
    .map(([, { metric, series }]) => ({
      metric,
      series: [...series.values()].sort((a, b) => a.group < b.group ? -1 : 1),
    }));
}

/** Which metrics. */
export interface MetricKind {
  /** Only of this type. */
  readonly type?: MetricType | undefined;
  /** Only of this unit. */
  readonly unit?: string | undefined;
  /** Only of this temporality. */
  readonly temporality?: Temporality | undefined;
}

/** The fields of {@linkcode MetricKind}, for the schemas of queries. */
export const KIND_FIELDS = {
  type: z.enum(["gauge", "sum", "histogram", "exponential_histogram", "summary"]).optional()
    .describe("Only metrics of this type"),
  unit: z.string().max(MAX_UNIT).optional().describe("Only metrics of this unit"),
  temporality: z.enum(["UNSPECIFIED", "DELTA", "CUMULATIVE"]).optional()
    .describe("Only metrics of this temporality"),
};

/** The condition on rows `m` of `otel_data.metrics`. */
export function ofKind({ type, unit, temporality }: MetricKind, add: AddParameter): string {
  const terms = ["true"];
  if (type !== undefined) {
    const [column] = Object.entries(TYPES).find(([, name]) => name === type)!;
    terms.push(`m.type = ${column}`);
  }
  if (unit !== undefined) terms.push(`coalesce(m.unit, '') = ${add(unit)}::text`);
  if (temporality !== undefined) {
    terms.push(`m.temporality = ${TEMPORALITIES.indexOf(temporality)}`);
  }
  return terms.join(" and ");
}

interface GroupTarget {
  readonly name: string;
  readonly target: FilterTarget;
}

function addSeries(
  all: Map<string, MetricSeries>,
  row: SeriesRow,
  targets: readonly GroupTarget[] | undefined,
): void {
  const identity = JSON.stringify([row.attributes, row.resource, row.scope, row.version]);
  const found = all.get(identity);
  if (found !== undefined) {
    found.ids.push(row.id);
    return;
  }
  const attributes = targets === undefined ? wholeIdentity(row) : valuesOf(row, targets);
  const group = targets === undefined ? identity : JSON.stringify(attributes, bigintText);
  all.set(identity, { ids: [row.id], attributes, group });
}

/** Every attribute under the name that the filter grammar has for it. */
function wholeIdentity(row: SeriesRow): KeyValue[] {
  const attributes = parseAttributes(row.attributes).map((attribute) => {
    const { key } = attribute;
    return { ...attribute, key: isNamedLikeAField(key) ? `attributes.${key}` : key };
  });
  const resource = parseAttributes(row.resource)
    .map((attribute) => ({ ...attribute, key: `resource.${attribute.key}` }));
  const scope = (["scope", "version"] as const).flatMap((part) => {
    const text: string = JSON.parse(row[part] ?? '""');
    const key = part === "scope" ? "otel.scope.name" : "otel.scope.version";
    return text === "" ? [] : [{ key, value: { stringValue: text } }];
  });
  return [...attributes, ...resource, ...scope];
}

/** The attributes asked for, without those that the series lacks. */
function valuesOf(row: SeriesRow, targets: readonly GroupTarget[]): KeyValue[] {
  const resource = parseAttributes(row.resource);
  const own = parseAttributes(row.attributes);
  return targets.flatMap(({ name, target }) => {
    const value = target.kind === "field"
      ? valueOf(resource, "service.name")
      : valueOf(target.of === "resource" ? resource : own, target.key);
    return value === undefined ? [] : [{ key: name, value }];
  });
}

function valueOf(attributes: readonly KeyValue[], key: string): AnyValue | undefined {
  return attributes.find((attribute) => attribute.key === key)?.value;
}

function isNamedLikeAField(key: string): boolean {
  return targetOfName(key)?.kind === "field";
}

/** What a name means in the filter grammar, undefined where it is none. */
function targetOfName(name: string): FilterTarget | undefined {
  try {
    const filter = parseFilter(`${name} exists`);
    return filter.kind === "exists" ? filter.target : undefined;
  } catch {
    return undefined;
  }
}

function targetOf(name: string): FilterTarget {
  const target = targetOfName(name);
  if (target === undefined || (target.kind === "field" && target.name !== "service")) {
    throw new QueryError(
      "groupBy",
      name,
      "groups are by service, or attributes such as http.route or resource.host.name",
    );
  }
  return target;
}

function bigintText(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? `${value}n` : value;
}
