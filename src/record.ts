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
  stringValue?: string;
  boolValue?: boolean;
  intValue?: bigint;
  doubleValue?: number;
  arrayValue?: ArrayValue;
  kvlistValue?: KeyValueList;
  bytesValue?: Uint8Array;
}

/** An ordered list of values. */
export interface ArrayValue {
  values: AnyValue[];
}

/** A map as a list; of a key given twice the last one counts. */
export interface KeyValueList {
  values: KeyValue[];
}

/** One attribute. An absent value is an empty one. */
export interface KeyValue {
  key: string;
  value?: AnyValue;
}

/** A reference to an entity that describes (part of) a resource. */
export interface EntityRef {
  schemaUrl: string;
  type: string;
  idKeys: string[];
  descriptionKeys: string[];
}

/** What produced the telemetry. */
export interface Resource {
  attributes: KeyValue[];
  droppedAttributesCount: number;
  entityRefs: EntityRef[];
}

/** The instrumentation scope that recorded it. */
export interface InstrumentationScope {
  name: string;
  version: string;
  attributes: KeyValue[];
  droppedAttributesCount: number;
}

/** One operation within a trace. `kind`: 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
export interface Span {
  traceId: string;
  spanId: string;
  traceState: string;
  parentSpanId: string;
  flags: number;
  name: string;
  kind: number;
  startTimeUnixNano: bigint;
  endTimeUnixNano: bigint;
  attributes: KeyValue[];
  droppedAttributesCount: number;
  events: SpanEvent[];
  droppedEventsCount: number;
  links: SpanLink[];
  droppedLinksCount: number;
  status?: Status;
}

/** Something that happened during a span. */
export interface SpanEvent {
  timeUnixNano: bigint;
  name: string;
  attributes: KeyValue[];
  droppedAttributesCount: number;
}

/** A pointer from a span to another span. */
export interface SpanLink {
  traceId: string;
  spanId: string;
  traceState: string;
  attributes: KeyValue[];
  droppedAttributesCount: number;
  flags: number;
}

/** How a span ended. `code`: 0 unset, 1 ok, 2 error. */
export interface Status {
  message: string;
  code: number;
}

/** One log record. `severityNumber` is 1 to 24, 0 when unspecified. */
export interface LogRecord {
  timeUnixNano: bigint;
  observedTimeUnixNano: bigint;
  severityNumber: number;
  severityText: string;
  body?: AnyValue;
  attributes: KeyValue[];
  droppedAttributesCount: number;
  flags: number;
  traceId: string;
  spanId: string;
  eventName: string;
}

/** A metric with its points: one of the five members is set. */
export interface Metric {
  name: string;
  description: string;
  unit: string;
  gauge?: Gauge;
  sum?: Sum;
  histogram?: Histogram;
  exponentialHistogram?: ExponentialHistogram;
  summary?: Summary;
  metadata: KeyValue[];
}

/** Last values. */
export interface Gauge {
  dataPoints: NumberDataPoint[];
}

/** Sums over a time window. `aggregationTemporality`: 0 unspecified, 1 delta, 2 cumulative. */
export interface Sum {
  dataPoints: NumberDataPoint[];
  aggregationTemporality: number;
  isMonotonic: boolean;
}

/** Histograms with explicit bounds. */
export interface Histogram {
  dataPoints: HistogramDataPoint[];
  aggregationTemporality: number;
}

/** Histograms with exponential bounds. */
export interface ExponentialHistogram {
  dataPoints: ExponentialHistogramDataPoint[];
  aggregationTemporality: number;
}

/** Quantiles computed by the client. */
export interface Summary {
  dataPoints: SummaryDataPoint[];
}

/** A point of a gauge or sum; one of `asDouble` and `asInt` is set, none with the no-recorded-value flag. */
export interface NumberDataPoint {
  attributes: KeyValue[];
  startTimeUnixNano: bigint;
  timeUnixNano: bigint;
  asDouble?: number;
  asInt?: bigint;
  exemplars: Exemplar[];
  flags: number;
}

/** A point of an explicit-bounds histogram. */
export interface HistogramDataPoint {
  attributes: KeyValue[];
  startTimeUnixNano: bigint;
  timeUnixNano: bigint;
  count: bigint;
  sum?: number;
  bucketCounts: bigint[];
  explicitBounds: number[];
  exemplars: Exemplar[];
  flags: number;
  min?: number;
  max?: number;
}

/** A point of an exponential histogram; bucket i covers (base^(offset+i), base^(offset+i+1)], base = 2^(2^-scale). */
export interface ExponentialHistogramDataPoint {
  attributes: KeyValue[];
  startTimeUnixNano: bigint;
  timeUnixNano: bigint;
  count: bigint;
  sum?: number;
  scale: number;
  zeroCount: bigint;
  positive?: Buckets;
  negative?: Buckets;
  flags: number;
  exemplars: Exemplar[];
  min?: number;
  max?: number;
  zeroThreshold: number;
}

/** The buckets of one sign of an exponential histogram. */
export interface Buckets {
  offset: number;
  bucketCounts: bigint[];
}

/** A point of a summary. */
export interface SummaryDataPoint {
  attributes: KeyValue[];
  startTimeUnixNano: bigint;
  timeUnixNano: bigint;
  count: bigint;
  sum: number;
  quantileValues: ValueAtQuantile[];
  flags: number;
}

/** One quantile of a summary; `quantile` is 0 to 1. */
export interface ValueAtQuantile {
  quantile: number;
  value: number;
}

/** A sample measurement behind a point. */
export interface Exemplar {
  filteredAttributes: KeyValue[];
  timeUnixNano: bigint;
  asDouble?: number;
  asInt?: bigint;
  spanId: string;
  traceId: string;
}

/** The body of `POST /v1/traces`. */
export interface ExportTraceServiceRequest {
  resourceSpans: ResourceSpans[];
}

/** The spans of one resource. */
export interface ResourceSpans {
  resource?: Resource;
  scopeSpans: ScopeSpans[];
  schemaUrl: string;
}

/** The spans of one scope. */
export interface ScopeSpans {
  scope?: InstrumentationScope;
  spans: Span[];
  schemaUrl: string;
}

/** The body of `POST /v1/logs`. */
export interface ExportLogsServiceRequest {
  resourceLogs: ResourceLogs[];
}

/** The log records of one resource. */
export interface ResourceLogs {
  resource?: Resource;
  scopeLogs: ScopeLogs[];
  schemaUrl: string;
}

/** The log records of one scope. */
export interface ScopeLogs {
  scope?: InstrumentationScope;
  logRecords: LogRecord[];
  schemaUrl: string;
}

/** The body of `POST /v1/metrics`. */
export interface ExportMetricsServiceRequest {
  resourceMetrics: ResourceMetrics[];
}

/** The metrics of one resource. */
export interface ResourceMetrics {
  resource?: Resource;
  scopeMetrics: ScopeMetrics[];
  schemaUrl: string;
}

/** The metrics of one scope. */
export interface ScopeMetrics {
  scope?: InstrumentationScope;
  metrics: Metric[];
  schemaUrl: string;
}

/** The request body of each signal. */
export interface ExportRequests {
  traces: ExportTraceServiceRequest;
  logs: ExportLogsServiceRequest;
  metrics: ExportMetricsServiceRequest;
}
