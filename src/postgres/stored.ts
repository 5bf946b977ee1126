/**
 * Rows back to OTLP records, exactly: the inverse of the transcoders.
 *
 * A record is read from its columns; whatever its `exact` bytes hold then takes the place of what the
 * columns say.
 *
 * @module
 */

import { type Message, message } from "../otlp_fields.ts";
import { fromProtobuf } from "../otlp_protobuf.ts";
import type {
  Buckets,
  Exemplar,
  InstrumentationScope,
  KeyValue,
  LogRecord,
  Metric,
  Resource,
  Span,
  SpanEvent,
  SpanLink,
  ValueAtQuantile,
} from "../record.ts";
import { ATTRIBUTES, attributesOf } from "./attributes_read.ts";
import type { Row } from "./database.ts";
import {
  bigintMember,
  type JsonText,
  member,
  parseJsonb,
  textMember,
  toAnyValue,
  toKeyValues,
  toNumber,
} from "./json_value.ts";

/** A record and what it belongs to. */
export interface Stored<T> {
  /** The record as it was sent. */
  readonly record: T;
  /** What produced it. */
  readonly resource: Resource;
  /** Schema of the resource, empty when unknown. */
  readonly resourceSchemaUrl: string;
  /** What recorded it. */
  readonly scope: InstrumentationScope;
  /** Schema of the record, empty when unknown. */
  readonly scopeSchemaUrl: string;
}

/** What each signal is stored as; a metric holds one point. */
export interface StoredRecords {
  /** Of traces. */
  readonly traces: Stored<Span>;
  /** Of logs. */
  readonly logs: Stored<LogRecord>;
  /** Of metrics. */
  readonly metrics: Stored<Metric>;
}

const RESOURCE = message("Resource");
const SCOPE = message("InstrumentationScope");
const SPAN = message("Span");
const LOG_RECORD = message("LogRecord");
const METRIC = message("Metric");

/** Column `otel_data.metrics.type` to the member of Metric and the message of its points. */
const DATA = new Map<number, { member: keyof Metric; point: Message }>([
  [5, { member: "gauge", point: message("NumberDataPoint") }],
  [7, { member: "sum", point: message("NumberDataPoint") }],
  [9, { member: "histogram", point: message("HistogramDataPoint") }],
  [10, { member: "exponentialHistogram", point: message("ExponentialHistogramDataPoint") }],
  [11, { member: "summary", point: message("SummaryDataPoint") }],
]);
const EXPONENTIAL_POINT = message("ExponentialHistogramDataPoint");

/** What the rows of every signal are joined with, under the alias `d` for the row's dimensions. */
const SURROUNDINGS = `r.otlp as resource, ${text("r.schema_url", "resource_schema_url")},
  c.otlp as scope, ${text("c.schema_url", "scope_schema_url")}`;

/** The columns of a time: to the microsecond as text, as clients disagree on timestamps. */
const TIME = `(extract(epoch from t.time) * 1000000)::bigint as time_micros, t.time_frac`;

/** A text as a JSON string, because PGlite strips a byte order mark that a text begins with. */
function text(column: string, name: string = column.slice(2)): string {
  return `to_json(${column})::text as ${name}`;
}

function textOf(value: unknown): string {
  return value === null ? "" : JSON.parse(String(value)) as string;
}

/** SELECT … FROM … for spans `t`, to which WHERE and ORDER BY are added; {@linkcode spanOf} reads its rows. */
export const SELECT_SPANS = `select t.trace_id, t.span_id, t.parent_span_id, ${TIME}, t.duration_ns,
  t.end_unix_nano, t.flags, t.kind, t.status, ${text("t.trace_state")}, ${
  text("t.status_message")
}, ${text("n.name")},
  ${ATTRIBUTES}, t.events::text as events, t.links::text as links, t.exact,
  ${SURROUNDINGS}
  from otel_data.spans t
  left join otel_data.names n on n.id = t.name_id
  left join otel_data.resources r on r.id = t.resource_id
  left join otel_data.scopes c on c.id = t.scope_id
  left join otel_data.attribute_sets a on a.id = t.attribute_set_id`;

/** The same for log records `t` and {@linkcode logOf}. */
export const SELECT_LOGS = `select ${TIME}, t.observed_unix_nano, t.trace_id, t.span_id, t.flags,
  t.severity_number, ${text("t.severity_text")}, ${text("t.event_name")}, t.body::text as body,
  ${ATTRIBUTES}, t.exact, ${SURROUNDINGS}
  from otel_data.logs t
  left join otel_data.resources r on r.id = t.resource_id
  left join otel_data.scopes c on c.id = t.scope_id
  left join otel_data.attribute_sets a on a.id = t.attribute_set_id`;

/** SELECT … FROM … for the spans of the trace `$1`, to which ORDER BY is added. */
export const SELECT_SPANS_OF_TRACE: string = SELECT_SPANS.replace(
  "otel_data.spans t",
  () => "otel_data.spans_of_trace($1::uuid) t",
);

/** The same for its log records. */
export const SELECT_LOGS_OF_TRACE: string = SELECT_LOGS.replace(
  "otel_data.logs t",
  () => "otel_data.logs_of_trace($1::uuid) t",
);

/** The same for points `t` of metrics `m` and {@linkcode metricOf}. */
export const SELECT_POINTS =
  `select ${TIME}, t.start_unix_nano, t.value, t.value_int, t.count, t.sum,
  t.min, t.max, t.zero_count, t.zero_threshold, t.scale, t.flags, t.bucket_counts,
  t.explicit_bounds, t.positive::text as positive, t.negative::text as negative,
  t.quantiles::text as quantiles, t.exemplars::text as exemplars, t.exact,
  e.otlp as point_attributes, m.type, m.otlp as metric, ${SURROUNDINGS}
  from otel_data.metric_points t
  join otel_data.series e on e.id = t.series_id
  join otel_data.metrics m on m.id = e.metric_id
  left join otel_data.resources r on r.id = e.resource_id
  left join otel_data.scopes c on c.id = e.scope_id`;

/** A row of {@linkcode SELECT_SPANS}. */
export function spanOf(row: Row): Stored<Span> {
  const start = timeOf(row);
  const span: Span = {
    traceId: String(row.trace_id).replaceAll("-", ""),
    spanId: idOf(row.span_id),
    traceState: textOf(row.trace_state),
    parentSpanId: idOf(row.parent_span_id),
    flags: Number(row.flags) >>> 0,
    name: textOf(row.name),
    kind: Number(row.kind),
    startTimeUnixNano: start,
    endTimeUnixNano: row.end_unix_nano === null
      ? start + (row.duration_ns as bigint)
      : unsigned(row.end_unix_nano),
    attributes: attributesOf(row),
    droppedAttributesCount: 0,
    events: listOf(row.events, eventOf),
    droppedEventsCount: 0,
    links: listOf(row.links, linkOf),
    droppedLinksCount: 0,
  };
  if (row.status !== null) {
    span.status = { code: Number(row.status), message: textOf(row.status_message) };
  }
  const exact = exactOf<Span>(SPAN, row);
  if (exact?.status !== undefined) {
    span.status = { message: span.status?.message ?? "", code: exact.status.code };
    delete exact.status;
  }
  return surrounded(row, withExact(span, exact));
}

/** A row of {@linkcode SELECT_LOGS}. */
export function logOf(row: Row): Stored<LogRecord> {
  const log: LogRecord = {
    timeUnixNano: timeOf(row),
    observedTimeUnixNano: unsigned(row.observed_unix_nano),
    severityNumber: Number(row.severity_number),
    severityText: textOf(row.severity_text),
    attributes: attributesOf(row),
    droppedAttributesCount: 0,
    flags: Number(row.flags) >>> 0,
    traceId: row.trace_id === null ? "" : String(row.trace_id).replaceAll("-", ""),
    spanId: idOf(row.span_id),
    eventName: textOf(row.event_name),
  };
  const body = parseJsonb(row.body);
  if (body !== undefined) log.body = toAnyValue(body);
  return surrounded(row, withExact(log, exactOf<LogRecord>(LOG_RECORD, row)));
}

/** A row of {@linkcode SELECT_POINTS}: its metric with this one point. */
export function metricOf(row: Row): Stored<Metric> {
  const metric = fromProtobuf(METRIC, row.metric as Uint8Array) as unknown as Metric;
  const data = DATA.get(Number(row.type))!;
  const attributes = fromProtobuf(EXPONENTIAL_POINT, row.point_attributes as Uint8Array)
    .attributes as KeyValue[];
  const point = {
    ...data.point.create(),
    ...defined({
      attributes,
      startTimeUnixNano: unsigned(row.start_unix_nano),
      timeUnixNano: timeOf(row),
      asDouble: row.value,
      asInt: row.value_int,
      count: row.count === null ? null : unsigned(row.count),
      sum: row.sum,
      min: row.min,
      max: row.max,
      zeroCount: row.zero_count === null ? null : unsigned(row.zero_count),
      zeroThreshold: row.zero_threshold,
      scale: row.scale,
      flags: Number(row.flags) >>> 0,
      bucketCounts: row.bucket_counts === null
        ? null
        : (row.bucket_counts as bigint[]).map(unsigned),
      explicitBounds: row.explicit_bounds,
      positive: bucketsOf(row.positive),
      negative: bucketsOf(row.negative),
      quantileValues: row.quantiles === null ? null : listOf(row.quantiles, quantileOf),
      exemplars: row.exemplars === null ? null : listOf(row.exemplars, exemplarOf),
    }),
  };
  const points = (metric[data.member] as { dataPoints: unknown[] }).dataPoints;
  points.push(withExact(point, exactOf(data.point, row)));
  return surrounded(row, metric);
}

function surrounded<T>(row: Row, record: T): Stored<T> {
  return {
    record,
    resource: fromProtobuf(RESOURCE, bytesOf(row.resource)) as unknown as Resource,
    resourceSchemaUrl: textOf(row.resource_schema_url),
    scope: fromProtobuf(SCOPE, bytesOf(row.scope)) as unknown as InstrumentationScope,
    scopeSchemaUrl: textOf(row.scope_schema_url),
  };
}

/** A dimension that has expired reads as empty. */
function bytesOf(value: unknown): Uint8Array {
  return value instanceof Uint8Array ? value : new Uint8Array(0);
}

function exactOf<T extends object>(of: Message, row: Row): Partial<T> | undefined {
  if (row.exact === null) return undefined;
  return fromProtobuf(of, row.exact as Uint8Array) as Partial<T>;
}

/** The fields that `exact` has say more than the columns; those it lacks read as their default. */
function withExact<T extends object>(record: T, exact: Partial<T> | undefined): T {
  for (const [key, value] of Object.entries(exact ?? {})) {
    const isSet = Array.isArray(value) ? value.length > 0 : Boolean(value);
    if (isSet) (record as Record<string, unknown>)[key] = value;
  }
  return record;
}

function defined(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== null && value !== undefined),
  );
}

function timeOf(row: Row): bigint {
  const frac = Number(row.time_frac);
  return frac < 0 ? 0n : (row.time_micros as bigint) * 1000n + BigInt(frac);
}

function unsigned(value: unknown): bigint {
  return value === null ? 0n : BigInt.asUintN(64, value as bigint);
}

function idOf(value: unknown): string {
  return value === null ? "" : unsigned(value).toString(16).padStart(16, "0");
}

function listOf<T>(text: unknown, read: (json: JsonText) => T): T[] {
  return ((parseJsonb(text) ?? []) as JsonText[]).map(read);
}

function eventOf(json: JsonText): SpanEvent {
  return {
    timeUnixNano: bigintMember(json, "timeUnixNano"),
    name: textMember(json, "name"),
    attributes: toKeyValues(member(json, "attributes")),
    droppedAttributesCount: toNumber(member(json, "droppedAttributesCount")),
  };
}

function linkOf(json: JsonText): SpanLink {
  return {
    traceId: textMember(json, "traceId"),
    spanId: textMember(json, "spanId"),
    traceState: textMember(json, "traceState"),
    attributes: toKeyValues(member(json, "attributes")),
    droppedAttributesCount: toNumber(member(json, "droppedAttributesCount")),
    flags: toNumber(member(json, "flags")),
  };
}

function exemplarOf(json: JsonText): Exemplar {
  const exemplar: Exemplar = {
    filteredAttributes: toKeyValues(member(json, "filteredAttributes")),
    timeUnixNano: bigintMember(json, "timeUnixNano"),
    spanId: textMember(json, "spanId"),
    traceId: textMember(json, "traceId"),
  };
  const asDouble = member(json, "asDouble");
  if (asDouble !== undefined) exemplar.asDouble = toNumber(asDouble);
  if (member(json, "asInt") !== undefined) exemplar.asInt = bigintMember(json, "asInt");
  return exemplar;
}

function quantileOf(json: JsonText): ValueAtQuantile {
  return {
    quantile: toNumber(member(json, "quantile")),
    value: toNumber(member(json, "value")),
  };
}

function bucketsOf(text: unknown): Buckets | undefined {
  const json = parseJsonb(text);
  if (json === undefined) return undefined;
  return {
    offset: toNumber(member(json, "offset")),
    bucketCounts: (member(json, "bucketCounts") as JsonText[]).map((count) =>
      BigInt(String(count))
    ),
  };
}
