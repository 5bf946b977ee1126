/**
 * The one table of OTLP's messages and fields: it drives protobuf and JSON, both ways.
 *
 * Names are those of OTLP JSON and of `record.ts`. Besides the types of protobuf there is `id`: bytes
 * on the wire, hex in JSON and in the model. `optional` scalars have presence, as messages always
 * have; the `oneof` fields of a message exclude each other (no OTLP message has two such groups).
 *
 * Source: https://github.com/open-telemetry/opentelemetry-proto/tree/v1.9.0/opentelemetry/proto and
 * https://github.com/googleapis/googleapis/blob/master/google/rpc/status.proto
 *
 * @module
 */

import { WIRE } from "./protobuf_wire.ts";
import type { Signal } from "./record.ts";

/** A decoded message of whatever kind; `record.ts` has the shapes. */
export type Model = Record<string, unknown>;

/** The types of fields that are no messages. Enums are open: any int32. */
export type ScalarType =
  | "string"
  | "bytes"
  | "id"
  | "bool"
  | "enum"
  | "int32"
  | "uint32"
  | "sint32"
  | "fixed32"
  | "int64"
  | "uint64"
  | "fixed64"
  | "sfixed64"
  | "double";

/** One field of a message. */
export interface Field {
  readonly name: string;
  readonly number: number;
  /** Its wire type; of the elements, if it is repeated. */
  readonly wire: number;
  readonly type: ScalarType | "message";
  readonly repeated: boolean;
  /** What an absent field reads as; undefined when the field has presence. */
  readonly initial: string | number | bigint | boolean | undefined;
  /** The message it holds. */
  readonly message: Message | undefined;
  /** The numbers of an enum's names. */
  readonly names: ReadonlyMap<string, number> | undefined;
  /** The other members of its oneof. */
  readonly rivals: readonly Field[];
}

/** One kind of message. */
export interface Message {
  readonly name: string;
  /** By field number, ascending: the order in which they are written. */
  readonly fields: readonly Field[];
  readonly byNumber: readonly (Field | undefined)[];
  readonly byName: ReadonlyMap<string, Field>;
  /** A new message in which nothing is set. */
  create(): Model;
}

const WIRES: Readonly<Record<Field["type"], number>> = {
  string: WIRE.bytes,
  bytes: WIRE.bytes,
  id: WIRE.bytes,
  message: WIRE.bytes,
  bool: WIRE.varint,
  enum: WIRE.varint,
  int32: WIRE.varint,
  uint32: WIRE.varint,
  sint32: WIRE.varint,
  int64: WIRE.varint,
  uint64: WIRE.varint,
  fixed32: WIRE.fixed32,
  fixed64: WIRE.fixed64,
  sfixed64: WIRE.fixed64,
  double: WIRE.fixed64,
};

const INITIAL: Readonly<Record<Field["type"], Field["initial"]>> = {
  string: "",
  bytes: undefined,
  id: "",
  message: undefined,
  bool: false,
  enum: 0,
  int32: 0,
  uint32: 0,
  sint32: 0,
  fixed32: 0,
  int64: 0n,
  uint64: 0n,
  fixed64: 0n,
  sfixed64: 0n,
  double: 0,
};

const MESSAGES = compile(
  `
  AnyValue {
    oneof string stringValue = 1
    oneof bool boolValue = 2
    oneof int64 intValue = 3
    oneof double doubleValue = 4
    oneof ArrayValue arrayValue = 5
    oneof KeyValueList kvlistValue = 6
    oneof bytes bytesValue = 7
  }
  ArrayValue {
    repeated AnyValue values = 1
  }
  KeyValueList {
    repeated KeyValue values = 1
  }
  KeyValue {
    string key = 1
    AnyValue value = 2
  }
  InstrumentationScope {
    string name = 1
    string version = 2
    repeated KeyValue attributes = 3
    uint32 droppedAttributesCount = 4
  }
  EntityRef {
    string schemaUrl = 1
    string type = 2
    repeated string idKeys = 3
    repeated string descriptionKeys = 4
  }
  Resource {
    repeated KeyValue attributes = 1
    uint32 droppedAttributesCount = 2
    repeated EntityRef entityRefs = 3
  }

  ExportTraceServiceRequest {
    repeated ResourceSpans resourceSpans = 1
  }
  ResourceSpans {
    Resource resource = 1
    repeated ScopeSpans scopeSpans = 2
    string schemaUrl = 3
  }
  ScopeSpans {
    InstrumentationScope scope = 1
    repeated Span spans = 2
    string schemaUrl = 3
  }
  Span {
    id traceId = 1
    id spanId = 2
    string traceState = 3
    id parentSpanId = 4
    string name = 5
    SpanKind kind = 6
    fixed64 startTimeUnixNano = 7
    fixed64 endTimeUnixNano = 8
    repeated KeyValue attributes = 9
    uint32 droppedAttributesCount = 10
    repeated SpanEvent events = 11
    uint32 droppedEventsCount = 12
    repeated SpanLink links = 13
    uint32 droppedLinksCount = 14
    Status status = 15
    fixed32 flags = 16
  }
  SpanEvent {
    fixed64 timeUnixNano = 1
    string name = 2
    repeated KeyValue attributes = 3
    uint32 droppedAttributesCount = 4
  }
  SpanLink {
    id traceId = 1
    id spanId = 2
    string traceState = 3
    repeated KeyValue attributes = 4
    uint32 droppedAttributesCount = 5
    fixed32 flags = 6
  }
  Status {
    string message = 2
    StatusCode code = 3
  }

  ExportLogsServiceRequest {
    repeated ResourceLogs resourceLogs = 1
  }
  ResourceLogs {
    Resource resource = 1
    repeated ScopeLogs scopeLogs = 2
    string schemaUrl = 3
  }
  ScopeLogs {
    InstrumentationScope scope = 1
    repeated LogRecord logRecords = 2
    string schemaUrl = 3
  }
  LogRecord {
    fixed64 timeUnixNano = 1
    SeverityNumber severityNumber = 2
    string severityText = 3
    AnyValue body = 5
    repeated KeyValue attributes = 6
    uint32 droppedAttributesCount = 7
    fixed32 flags = 8
    id traceId = 9
    id spanId = 10
    fixed64 observedTimeUnixNano = 11
    string eventName = 12
  }

  ExportMetricsServiceRequest {
    repeated ResourceMetrics resourceMetrics = 1
  }
  ResourceMetrics {
    Resource resource = 1
    repeated ScopeMetrics scopeMetrics = 2
    string schemaUrl = 3
  }
  ScopeMetrics {
    InstrumentationScope scope = 1
    repeated Metric metrics = 2
    string schemaUrl = 3
  }
  Metric {
    string name = 1
    string description = 2
    string unit = 3
    oneof Gauge gauge = 5
    oneof Sum sum = 7
    oneof Histogram histogram = 9
    oneof ExponentialHistogram exponentialHistogram = 10
    oneof Summary summary = 11
    repeated KeyValue metadata = 12
  }
  Gauge {
    repeated NumberDataPoint dataPoints = 1
  }
  Sum {
    repeated NumberDataPoint dataPoints = 1
    AggregationTemporality aggregationTemporality = 2
    bool isMonotonic = 3
  }
  Histogram {
    repeated HistogramDataPoint dataPoints = 1
    AggregationTemporality aggregationTemporality = 2
  }
  ExponentialHistogram {
    repeated ExponentialHistogramDataPoint dataPoints = 1
    AggregationTemporality aggregationTemporality = 2
  }
  Summary {
    repeated SummaryDataPoint dataPoints = 1
  }
  NumberDataPoint {
    fixed64 startTimeUnixNano = 2
    fixed64 timeUnixNano = 3
    oneof double asDouble = 4
    repeated Exemplar exemplars = 5
    oneof sfixed64 asInt = 6
    repeated KeyValue attributes = 7
    uint32 flags = 8
  }
  HistogramDataPoint {
    fixed64 startTimeUnixNano = 2
    fixed64 timeUnixNano = 3
    fixed64 count = 4
    optional double sum = 5
    repeated fixed64 bucketCounts = 6
    repeated double explicitBounds = 7
    repeated Exemplar exemplars = 8
    repeated KeyValue attributes = 9
    uint32 flags = 10
    optional double min = 11
    optional double max = 12
  }
  ExponentialHistogramDataPoint {
    repeated KeyValue attributes = 1
    fixed64 startTimeUnixNano = 2
    fixed64 timeUnixNano = 3
    fixed64 count = 4
    optional double sum = 5
    sint32 scale = 6
    fixed64 zeroCount = 7
    Buckets positive = 8
    Buckets negative = 9
    uint32 flags = 10
    repeated Exemplar exemplars = 11
    optional double min = 12
    optional double max = 13
    double zeroThreshold = 14
  }
  Buckets {
    sint32 offset = 1
    repeated uint64 bucketCounts = 2
  }
  SummaryDataPoint {
    fixed64 startTimeUnixNano = 2
    fixed64 timeUnixNano = 3
    fixed64 count = 4
    double sum = 5
    repeated ValueAtQuantile quantileValues = 6
    repeated KeyValue attributes = 7
    uint32 flags = 8
  }
  ValueAtQuantile {
    double quantile = 1
    double value = 2
  }
  Exemplar {
    fixed64 timeUnixNano = 2
    oneof double asDouble = 3
    id spanId = 4
    id traceId = 5
    oneof sfixed64 asInt = 6
    repeated KeyValue filteredAttributes = 7
  }

  ExportTraceServiceResponse {
    ExportTracePartialSuccess partialSuccess = 1
  }
  ExportTracePartialSuccess {
    int64 rejectedSpans = 1
    string errorMessage = 2
  }
  ExportLogsServiceResponse {
    ExportLogsPartialSuccess partialSuccess = 1
  }
  ExportLogsPartialSuccess {
    int64 rejectedLogRecords = 1
    string errorMessage = 2
  }
  ExportMetricsServiceResponse {
    ExportMetricsPartialSuccess partialSuccess = 1
  }
  ExportMetricsPartialSuccess {
    int64 rejectedDataPoints = 1
    string errorMessage = 2
  }
  google.rpc.Status {
    int32 code = 1
    string message = 2
  }
`,
  {
    SpanKind: ["SPAN_KIND_", "UNSPECIFIED INTERNAL SERVER CLIENT PRODUCER CONSUMER"],
    StatusCode: ["STATUS_CODE_", "UNSET OK ERROR"],
    SeverityNumber: [
      "SEVERITY_NUMBER_",
      "UNSPECIFIED TRACE TRACE2 TRACE3 TRACE4 DEBUG DEBUG2 DEBUG3 DEBUG4 INFO INFO2 INFO3 INFO4 " +
      "WARN WARN2 WARN3 WARN4 ERROR ERROR2 ERROR3 ERROR4 FATAL FATAL2 FATAL3 FATAL4",
    ],
    AggregationTemporality: ["AGGREGATION_TEMPORALITY_", "UNSPECIFIED DELTA CUMULATIVE"],
  },
);

/** The body of `POST /v1/<signal>`. */
export const REQUESTS: Readonly<Record<Signal, Message>> = {
  traces: message("ExportTraceServiceRequest"),
  logs: message("ExportLogsServiceRequest"),
  metrics: message("ExportMetricsServiceRequest"),
};

/** The answer to it. */
export const RESPONSES: Readonly<Record<Signal, Message>> = {
  traces: message("ExportTraceServiceResponse"),
  logs: message("ExportLogsServiceResponse"),
  metrics: message("ExportMetricsServiceResponse"),
};

/** The answer to a request that failed: `google.rpc.Status` without details. */
export const RPC_STATUS: Message = message("google.rpc.Status");

/** The recursive message. */
export const ANY_VALUE: Message = message("AnyValue");

/**
 * How deeply an AnyValue may be nested; that of an attribute or body is level 1. Decoders do not
 * look into a value one level deeper: it stands there empty, so that its record can be rejected.
 */
export const MAX_VALUE_LEVEL = 128;

/** The message of that name, as in OTLP, e.g. `Span`. */
export function message(name: string): Message {
  const found = MESSAGES.get(name);
  if (found === undefined) throw new TypeError(`Cannot find a message: ${name}`);
  return found;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

function compile(
  text: string,
  enums: Readonly<Record<string, readonly [prefix: string, names: string]>>,
): ReadonlyMap<string, Message> {
  const blocks = [...text.matchAll(/([\w.]+) \{([^}]*)\}/g)] as unknown as [
    string,
    string,
    string,
  ][];
  const messages = new Map<string, Writable<Message>>(
    blocks.map(([, name]) => [
      name,
      { name, fields: [], byNumber: [], byName: new Map(), create: () => ({}) },
    ]),
  );
  const names = new Map(
    Object.entries(enums).map(([name, [prefix, list]]) => [
      name,
      new Map(list.split(" ").map((item, value) => [prefix + item, value])),
    ]),
  );
  for (const [, name, body] of blocks) {
    const fields = parseFields(body, messages, names);
    const byNumber: (Field | undefined)[] = [];
    for (const field of fields) byNumber[field.number] = field;
    Object.assign(messages.get(name)!, {
      fields,
      byNumber: Array.from(byNumber),
      byName: new Map(fields.map((field) => [field.name, field])),
      create: creator(fields),
    });
  }
  return messages;
}

function parseFields(
  body: string,
  messages: ReadonlyMap<string, Message>,
  names: ReadonlyMap<string, ReadonlyMap<string, number>>,
): Field[] {
  const rivals: Field[] = [];
  const fields: Field[] = [];
  for (const line of body.matchAll(/(?:(repeated|optional|oneof) )?(\w+) (\w+) = (\d+)/g)) {
    const [, label, typeName, name, number] = line as unknown as string[];
    const type = messages.has(typeName!)
      ? "message"
      : names.has(typeName!)
      ? "enum"
      : typeName as ScalarType;
    const field: Writable<Field> = {
      name: name!,
      number: Number(number),
      wire: WIRES[type],
      type,
      repeated: label === "repeated",
      initial: label === undefined ? INITIAL[type] : undefined,
      message: messages.get(typeName!),
      names: names.get(typeName!),
      rivals: [],
    };
    if (label === "oneof") rivals.push(field);
    fields.push(field);
  }
  for (const field of rivals as Writable<Field>[]) {
    field.rivals = rivals.filter((other) => other !== field);
  }
  return fields.sort((a, b) => a.number - b.number);
}

/** A function that makes an empty message: a copy of the initial values, and new lists. */
function creator(fields: readonly Field[]): () => Model {
  const initial: Model = {};
  const lists: string[] = [];
  for (const field of fields) {
    if (field.repeated) lists.push(field.name);
    else if (field.initial !== undefined) initial[field.name] = field.initial;
  }
  return () => {
    const model = { ...initial };
    for (const name of lists) model[name] = [];
    return model;
  };
}
