/**
 * The model: the messages of OTLP 1.x as plain objects.
 *
 * Field names are those of OTLP JSON. Every 64-bit integer is a `bigint`, every time a `bigint` of
 * nanoseconds since 1970 (unsigned, up to the year 2554), every id a lower-case hex string (empty
 * when absent). Scalars without presence hold their proto3 default; what has presence is optional.
 *
 * Source: https://github.com/open-telemetry/opentelemetry-proto/tree/v1.9.0
 *
 * @module
 */

/** The three OTLP signals, named as in the paths `/v1/<signal>`. */
export type Signal = "traces" | "logs" | "metrics";

/** A value of an attribute or a log body: at most one member is set, none means an empty value. */
export interface AnyValue {
  /** Text. */
  stringValue?: string;
  /** True or false. */
  boolValue?: boolean;
  /** A signed 64-bit integer. */
  intValue?: bigint;
  /** A 64-bit float, NaN and the infinities included. */
  doubleValue?: number;
  /** A list of values, of mixed types. */
  arrayValue?: ArrayValue;
  /** A map from text to values. */
  kvlistValue?: KeyValueList;
  /** Bytes. */
  bytesValue?: Uint8Array;
}

/** An ordered list of values. */
export interface ArrayValue {
  /** In the order in which they were sent. */
  values: AnyValue[];
}

/** A map as a list; of a key given twice the last one counts. */
export interface KeyValueList {
  /** The entries. */
  values: KeyValue[];
}

/** One attribute. An absent value is an empty one. */
export interface KeyValue {
  /** Its name, unique within its list. */
  key: string;
  /** Its value. */
  value?: AnyValue;
}

/** A reference to an entity that describes (part of) a resource. */
export interface EntityRef {
  /** Schema of the entity, empty when unknown. */
  schemaUrl: string;
  /** What kind of entity it is, such as `service` or `host`. */
  type: string;
  /** The resource attributes that identify it. */
  idKeys: string[];
  /** The resource attributes that describe it. */
  descriptionKeys: string[];
}

/** What produced the telemetry. */
export interface Resource {
  /** What describes it, such as `service.name`. */
  attributes: KeyValue[];
  /** How many attributes the sender left out. */
  droppedAttributesCount: number;
  /** The entities it is made of. */
  entityRefs: EntityRef[];
}

/** The instrumentation scope that recorded it. */
export interface InstrumentationScope {
  /** Name of the library or component that recorded, empty when unknown. */
  name: string;
  /** Its version. */
  version: string;
  /** What else describes it. */
  attributes: KeyValue[];
  /** How many attributes the sender left out. */
  droppedAttributesCount: number;
}

/** One operation within a trace. `kind`: 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
export interface Span {
  /** 32 hex digits, the trace it belongs to. */
  traceId: string;
  /** 16 hex digits. */
  spanId: string;
  /** W3C `tracestate`. */
  traceState: string;
  /** 16 hex digits; empty for a root. */
  parentSpanId: string;
  /** Unsigned 32 bits: W3C trace flags in the lowest 8, then whether the parent is remote. */
  flags: number;
  /** Name of the operation. */
  name: string;
  /** Its role in the trace, see above. */
  kind: number;
  /** When it began. */
  startTimeUnixNano: bigint;
  /** When it ended. */
  endTimeUnixNano: bigint;
  /** What describes it. */
  attributes: KeyValue[];
  /** How many attributes the sender left out. */
  droppedAttributesCount: number;
  /** What happened meanwhile. */
  events: SpanEvent[];
  /** How many events the sender left out. */
  droppedEventsCount: number;
  /** Other spans it has to do with. */
  links: SpanLink[];
  /** How many links the sender left out. */
  droppedLinksCount: number;
  /** How it ended; absent means unset. */
  status?: Status;
}

/** Something that happened during a span. */
export interface SpanEvent {
  /** When it happened. */
  timeUnixNano: bigint;
  /** What happened. */
  name: string;
  /** What describes it. */
  attributes: KeyValue[];
  /** How many attributes the sender left out. */
  droppedAttributesCount: number;
}

/** A pointer from a span to another span. */
export interface SpanLink {
  /** 32 hex digits, the trace of the other span. */
  traceId: string;
  /** 16 hex digits, the other span. */
  spanId: string;
  /** W3C `tracestate` of the other span. */
  traceState: string;
  /** What describes the link. */
  attributes: KeyValue[];
  /** How many attributes the sender left out. */
  droppedAttributesCount: number;
  /** Unsigned 32 bits, as in {@linkcode Span}. */
  flags: number;
}

/** How a span ended. `code`: 0 unset, 1 ok, 2 error. */
export interface Status {
  /** What went wrong, for people. */
  message: string;
  /** See above. */
  code: number;
}

/** One log record. `severityNumber` is 1 to 24, 0 when unspecified. */
export interface LogRecord {
  /** When it happened; 0 when unknown. */
  timeUnixNano: bigint;
  /** When the collecting side saw it; 0 when unknown. */
  observedTimeUnixNano: bigint;
  /** See above. */
  severityNumber: number;
  /** The severity as the source names it. */
  severityText: string;
  /** What is logged: text, or a structure. */
  body?: AnyValue;
  /** What describes it. */
  attributes: KeyValue[];
  /** How many attributes the sender left out. */
  droppedAttributesCount: number;
  /** Unsigned 32 bits: W3C trace flags in the lowest 8. */
  flags: number;
  /** 32 hex digits, the trace it belongs to; empty for none. */
  traceId: string;
  /** 16 hex digits, the span it belongs to; empty for none. */
  spanId: string;
  /** Name of the kind of event it is; empty when it is none. */
  eventName: string;
}

/** A metric with its points: one of the five members is set. */
export interface Metric {
  /** Its name. */
  name: string;
  /** What it measures, for people. */
  description: string;
  /** Its unit in UCUM notation, such as `s` or `By`. */
  unit: string;
  /** Last values. */
  gauge?: Gauge;
  /** Sums. */
  sum?: Sum;
  /** Histograms with explicit bounds. */
  histogram?: Histogram;
  /** Histograms with exponential bounds. */
  exponentialHistogram?: ExponentialHistogram;
  /** Quantiles. */
  summary?: Summary;
  /** What else describes the metric. */
  metadata: KeyValue[];
}

/** Last values. */
export interface Gauge {
  /** One for each set of attributes and time. */
  dataPoints: NumberDataPoint[];
}

/** Sums over a time window. `aggregationTemporality`: 0 unspecified, 1 delta, 2 cumulative. */
export interface Sum {
  /** One for each set of attributes and time. */
  dataPoints: NumberDataPoint[];
  /** See above. */
  aggregationTemporality: number;
  /** Whether it only grows. */
  isMonotonic: boolean;
}

/** Histograms with explicit bounds. */
export interface Histogram {
  /** One for each set of attributes and time. */
  dataPoints: HistogramDataPoint[];
  /** As in {@linkcode Sum}. */
  aggregationTemporality: number;
}

/** Histograms with exponential bounds. */
export interface ExponentialHistogram {
  /** One for each set of attributes and time. */
  dataPoints: ExponentialHistogramDataPoint[];
  /** As in {@linkcode Sum}. */
  aggregationTemporality: number;
}

/** Quantiles computed by the client. */
export interface Summary {
  /** One for each set of attributes and time. */
  dataPoints: SummaryDataPoint[];
}

/** A point of a gauge or sum; one of `asDouble` and `asInt` is set, none with the no-recorded-value flag. */
export interface NumberDataPoint {
  /** Which series of the metric it is a point of. */
  attributes: KeyValue[];
  /** When the window began; 0 when unknown. */
  startTimeUnixNano: bigint;
  /** When the value was taken. */
  timeUnixNano: bigint;
  /** The value as a float. */
  asDouble?: number;
  /** The value as a signed 64-bit integer. */
  asInt?: bigint;
  /** Measurements behind the value. */
  exemplars: Exemplar[];
  /** Unsigned 32 bits; 1 says that no value was recorded. */
  flags: number;
}

/** A point of an explicit-bounds histogram. */
export interface HistogramDataPoint {
  /** Which series of the metric it is a point of. */
  attributes: KeyValue[];
  /** When the window began; 0 when unknown. */
  startTimeUnixNano: bigint;
  /** When the window ended. */
  timeUnixNano: bigint;
  /** Measurements, unsigned 64 bits. */
  count: bigint;
  /** Their sum. */
  sum?: number;
  /** Measurements by bucket, one more than bounds; empty when only count and sum are known. */
  bucketCounts: bigint[];
  /** Inclusive upper bounds of the buckets but the last, ascending. */
  explicitBounds: number[];
  /** Measurements behind the point. */
  exemplars: Exemplar[];
  /** Unsigned 32 bits; 1 says that no value was recorded. */
  flags: number;
  /** The smallest measurement. */
  min?: number;
  /** The largest measurement. */
  max?: number;
}

/** A point of an exponential histogram; bucket i covers (base^(offset+i), base^(offset+i+1)], base = 2^(2^-scale). */
export interface ExponentialHistogramDataPoint {
  /** Which series of the metric it is a point of. */
  attributes: KeyValue[];
  /** When the window began; 0 when unknown. */
  startTimeUnixNano: bigint;
  /** When the window ended. */
  timeUnixNano: bigint;
  /** Measurements, unsigned 64 bits. */
  count: bigint;
  /** Their sum. */
  sum?: number;
  /** How fine the buckets are: 32 bits, signed. */
  scale: number;
  /** Measurements within `zeroThreshold` of zero, unsigned 64 bits. */
  zeroCount: bigint;
  /** Buckets of measurements above zero. */
  positive?: Buckets;
  /** Buckets of the absolute values of measurements below zero. */
  negative?: Buckets;
  /** Unsigned 32 bits; 1 says that no value was recorded. */
  flags: number;
  /** Measurements behind the point. */
  exemplars: Exemplar[];
  /** The smallest measurement. */
  min?: number;
  /** The largest measurement. */
  max?: number;
  /** Half the width of the zero bucket. */
  zeroThreshold: number;
}

/** The buckets of one sign of an exponential histogram. */
export interface Buckets {
  /** Index of the first bucket: 32 bits, signed. */
  offset: number;
  /** Measurements by bucket, unsigned 64 bits. */
  bucketCounts: bigint[];
}

/** A point of a summary. */
export interface SummaryDataPoint {
  /** Which series of the metric it is a point of. */
  attributes: KeyValue[];
  /** When the window began; 0 when unknown. */
  startTimeUnixNano: bigint;
  /** When the window ended. */
  timeUnixNano: bigint;
  /** Measurements, unsigned 64 bits. */
  count: bigint;
  /** Their sum. */
  sum: number;
  /** The quantiles, ascending. */
  quantileValues: ValueAtQuantile[];
  /** Unsigned 32 bits; 1 says that no value was recorded. */
  flags: number;
}

/** One quantile of a summary; `quantile` is 0 to 1. */
export interface ValueAtQuantile {
  /** Which one: 0 is the minimum, 1 the maximum. */
  quantile: number;
  /** The value there. */
  value: number;
}

/** A sample measurement behind a point. */
export interface Exemplar {
  /** Attributes of the measurement that the point has not. */
  filteredAttributes: KeyValue[];
  /** When it was taken. */
  timeUnixNano: bigint;
  /** The measurement as a float. */
  asDouble?: number;
  /** The measurement as a signed 64-bit integer. */
  asInt?: bigint;
  /** 16 hex digits, the span in which it was taken; empty for none. */
  spanId: string;
  /** 32 hex digits, the trace in which it was taken; empty for none. */
  traceId: string;
}

/** The body of `POST /v1/traces`. */
export interface ExportTraceServiceRequest {
  /** Spans by what produced them. */
  resourceSpans: ResourceSpans[];
}

/** The spans of one resource. */
export interface ResourceSpans {
  /** What produced them; absent when unknown. */
  resource?: Resource;
  /** Spans by what recorded them. */
  scopeSpans: ScopeSpans[];
  /** Schema of the resource, empty when unknown. */
  schemaUrl: string;
}

/** The spans of one scope. */
export interface ScopeSpans {
  /** What recorded them; absent when unknown. */
  scope?: InstrumentationScope;
  /** The spans. */
  spans: Span[];
  /** Schema of the spans, empty when unknown. */
  schemaUrl: string;
}

/** The body of `POST /v1/logs`. */
export interface ExportLogsServiceRequest {
  /** Log records by what produced them. */
  resourceLogs: ResourceLogs[];
}

/** The log records of one resource. */
export interface ResourceLogs {
  /** What produced them; absent when unknown. */
  resource?: Resource;
  /** Log records by what recorded them. */
  scopeLogs: ScopeLogs[];
  /** Schema of the resource, empty when unknown. */
  schemaUrl: string;
}

/** The log records of one scope. */
export interface ScopeLogs {
  /** What recorded them; absent when unknown. */
  scope?: InstrumentationScope;
  /** The log records. */
  logRecords: LogRecord[];
  /** Schema of the log records, empty when unknown. */
  schemaUrl: string;
}

/** The body of `POST /v1/metrics`. */
export interface ExportMetricsServiceRequest {
  /** Metrics by what produced them. */
  resourceMetrics: ResourceMetrics[];
}

/** The metrics of one resource. */
export interface ResourceMetrics {
  /** What produced them; absent when unknown. */
  resource?: Resource;
  /** Metrics by what recorded them. */
  scopeMetrics: ScopeMetrics[];
  /** Schema of the resource, empty when unknown. */
  schemaUrl: string;
}

/** The metrics of one scope. */
export interface ScopeMetrics {
  /** What recorded them; absent when unknown. */
  scope?: InstrumentationScope;
  /** The metrics. */
  metrics: Metric[];
  /** Schema of the metrics, empty when unknown. */
  schemaUrl: string;
}

/** The request body of each signal. */
export interface ExportRequests {
  /** Of traces. */
  traces: ExportTraceServiceRequest;
  /** Of logs. */
  logs: ExportLogsServiceRequest;
  /** Of metrics. */
  metrics: ExportMetricsServiceRequest;
}
