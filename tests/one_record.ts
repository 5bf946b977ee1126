/**
 * Plain records and requests around them, for tests that care about one thing in them.
 */

import type {
  Exemplar,
  ExportRequests,
  InstrumentationScope,
  KeyValue,
  LogRecord,
  Metric,
  NumberDataPoint,
  Resource,
  Span,
  SpanEvent,
  SpanLink,
} from "../src/record.ts";

/** 2025-10-09T08:53:20Z. */
export const TIME = 1_760_000_000_000_000_000n;

/** An attribute that is text. */
export function attribute(key: string, text = "value"): KeyValue {
  return { key, value: { stringValue: text } };
}

/** A span that lasts a second. */
export function span(fields: Partial<Span> = {}): Span {
  return {
    traceId: "5b8efff798038103d269b633813fc60c",
    spanId: "eee19b7ec3c1b174",
    traceState: "",
    parentSpanId: "",
    flags: 0,
    name: "",
    kind: 0,
    startTimeUnixNano: TIME,
    endTimeUnixNano: TIME + 1_000_000_000n,
    attributes: [],
    droppedAttributesCount: 0,
    events: [],
    droppedEventsCount: 0,
    links: [],
    droppedLinksCount: 0,
    ...fields,
  };
}

/** An event of a span. */
export function event(fields: Partial<SpanEvent> = {}): SpanEvent {
  return { timeUnixNano: TIME, name: "", attributes: [], droppedAttributesCount: 0, ...fields };
}

/** A link of a span. */
export function link(fields: Partial<SpanLink> = {}): SpanLink {
  return {
    traceId: "5b8efff798038103d269b633813fc60c",
    spanId: "eee19b7ec3c1b174",
    traceState: "",
    attributes: [],
    droppedAttributesCount: 0,
    flags: 0,
    ...fields,
  };
}

/** A log record without a body. */
export function log(fields: Partial<LogRecord> = {}): LogRecord {
  return {
    timeUnixNano: TIME,
    observedTimeUnixNano: 0n,
    severityNumber: 0,
    severityText: "",
    attributes: [],
    droppedAttributesCount: 0,
    flags: 0,
    traceId: "",
    spanId: "",
    eventName: "",
    ...fields,
  };
}

/** A point without a value. */
export function point(fields: Partial<NumberDataPoint> = {}): NumberDataPoint {
  return {
    attributes: [],
    startTimeUnixNano: 0n,
    timeUnixNano: TIME,
    exemplars: [],
    flags: 0,
    ...fields,
  };
}

/** An exemplar without a value. */
export function exemplar(fields: Partial<Exemplar> = {}): Exemplar {
  return { filteredAttributes: [], timeUnixNano: TIME, spanId: "", traceId: "", ...fields };
}

/** A gauge. */
export function gauge(dataPoints: NumberDataPoint[], fields: Partial<Metric> = {}): Metric {
  return {
    name: "gauge",
    description: "",
    unit: "",
    metadata: [],
    gauge: { dataPoints },
    ...fields,
  };
}

/** A resource. */
export function resource(attributes: KeyValue[], fields: Partial<Resource> = {}): Resource {
  return { attributes, droppedAttributesCount: 0, entityRefs: [], ...fields };
}

/** A scope. */
export function scope(fields: Partial<InstrumentationScope> = {}): InstrumentationScope {
  return { name: "", version: "", attributes: [], droppedAttributesCount: 0, ...fields };
}

/** What records come from. */
export interface Origin {
  readonly resource?: Resource;
  readonly scope?: InstrumentationScope;
}

/** A request of spans. */
export function traces(spans: Span[], { resource, scope }: Origin = {}): ExportRequests["traces"] {
  const scoped = { spans, schemaUrl: "", ...(scope && { scope }) };
  return {
    resourceSpans: [{ scopeSpans: [scoped], schemaUrl: "", ...(resource && { resource }) }],
  };
}

/** A request of log records. */
export function logs(
  logRecords: LogRecord[],
  { resource, scope }: Origin = {},
): ExportRequests["logs"] {
  const scoped = { logRecords, schemaUrl: "", ...(scope && { scope }) };
  return { resourceLogs: [{ scopeLogs: [scoped], schemaUrl: "", ...(resource && { resource }) }] };
}

/** A request of metrics. */
export function metrics(
  metrics: Metric[],
  { resource, scope }: Origin = {},
): ExportRequests["metrics"] {
  const scoped = { metrics, schemaUrl: "", ...(scope && { scope }) };
  return {
    resourceMetrics: [{ scopeMetrics: [scoped], schemaUrl: "", ...(resource && { resource }) }],
  };
}
