/**
 * An independent implementation to judge ours: protobufjs with the official message definitions of
 * OTLP, written out here and shared with nothing in `src/`.
 *
 * Source: https://github.com/open-telemetry/opentelemetry-proto/tree/v1.9.0/opentelemetry/proto and
 * https://github.com/googleapis/googleapis/blob/master/google/rpc/status.proto
 */

import protobuf from "protobufjs";
import type { ExportRequests, Signal } from "../src/record.ts";

const DEFINITIONS = `
syntax = "proto3";

message AnyValue {
  oneof value {
    string string_value = 1;
    bool bool_value = 2;
    int64 int_value = 3;
    double double_value = 4;
    ArrayValue array_value = 5;
    KeyValueList kvlist_value = 6;
    bytes bytes_value = 7;
  }
}
message ArrayValue { repeated AnyValue values = 1; }
message KeyValueList { repeated KeyValue values = 1; }
message KeyValue {
  string key = 1;
  AnyValue value = 2;
}
message InstrumentationScope {
  string name = 1;
  string version = 2;
  repeated KeyValue attributes = 3;
  uint32 dropped_attributes_count = 4;
}
message EntityRef {
  string schema_url = 1;
  string type = 2;
  repeated string id_keys = 3;
  repeated string description_keys = 4;
}
message Resource {
  repeated KeyValue attributes = 1;
  uint32 dropped_attributes_count = 2;
  repeated EntityRef entity_refs = 3;
}

message ResourceSpans {
  reserved 1000;
  Resource resource = 1;
  repeated ScopeSpans scope_spans = 2;
  string schema_url = 3;
}
message ScopeSpans {
  InstrumentationScope scope = 1;
  repeated Span spans = 2;
  string schema_url = 3;
}
message Span {
  bytes trace_id = 1;
  bytes span_id = 2;
  string trace_state = 3;
  bytes parent_span_id = 4;
  fixed32 flags = 16;
  string name = 5;
  enum SpanKind {
    SPAN_KIND_UNSPECIFIED = 0;
    SPAN_KIND_INTERNAL = 1;
    SPAN_KIND_SERVER = 2;
    SPAN_KIND_CLIENT = 3;
    SPAN_KIND_PRODUCER = 4;
    SPAN_KIND_CONSUMER = 5;
  }
  SpanKind kind = 6;
  fixed64 start_time_unix_nano = 7;
  fixed64 end_time_unix_nano = 8;
  repeated KeyValue attributes = 9;
  uint32 dropped_attributes_count = 10;
  message Event {
    fixed64 time_unix_nano = 1;
    string name = 2;
    repeated KeyValue attributes = 3;
    uint32 dropped_attributes_count = 4;
  }
  repeated Event events = 11;
  uint32 dropped_events_count = 12;
  message Link {
    bytes trace_id = 1;
    bytes span_id = 2;
    string trace_state = 3;
    repeated KeyValue attributes = 4;
    uint32 dropped_attributes_count = 5;
    fixed32 flags = 6;
  }
  repeated Link links = 13;
  uint32 dropped_links_count = 14;
  Status status = 15;
}
message Status {
  reserved 1;
  string message = 2;
  enum StatusCode {
    STATUS_CODE_UNSET = 0;
    STATUS_CODE_OK = 1;
    STATUS_CODE_ERROR = 2;
  }
  StatusCode code = 3;
}

message ResourceLogs {
  reserved 1000;
  Resource resource = 1;
  repeated ScopeLogs scope_logs = 2;
  string schema_url = 3;
}
message ScopeLogs {
  InstrumentationScope scope = 1;
  repeated LogRecord log_records = 2;
  string schema_url = 3;
}
enum SeverityNumber {
  SEVERITY_NUMBER_UNSPECIFIED = 0;
  SEVERITY_NUMBER_TRACE = 1;
  SEVERITY_NUMBER_TRACE2 = 2;
  SEVERITY_NUMBER_TRACE3 = 3;
  SEVERITY_NUMBER_TRACE4 = 4;
  SEVERITY_NUMBER_DEBUG = 5;
  SEVERITY_NUMBER_DEBUG2 = 6;
  SEVERITY_NUMBER_DEBUG3 = 7;
  SEVERITY_NUMBER_DEBUG4 = 8;
  SEVERITY_NUMBER_INFO = 9;
  SEVERITY_NUMBER_INFO2 = 10;
  SEVERITY_NUMBER_INFO3 = 11;
  SEVERITY_NUMBER_INFO4 = 12;
  SEVERITY_NUMBER_WARN = 13;
  SEVERITY_NUMBER_WARN2 = 14;
  SEVERITY_NUMBER_WARN3 = 15;
  SEVERITY_NUMBER_WARN4 = 16;
  SEVERITY_NUMBER_ERROR = 17;
  SEVERITY_NUMBER_ERROR2 = 18;
  SEVERITY_NUMBER_ERROR3 = 19;
  SEVERITY_NUMBER_ERROR4 = 20;
  SEVERITY_NUMBER_FATAL = 21;
  SEVERITY_NUMBER_FATAL2 = 22;
  SEVERITY_NUMBER_FATAL3 = 23;
  SEVERITY_NUMBER_FATAL4 = 24;
}
message LogRecord {
  reserved 4;
  fixed64 time_unix_nano = 1;
  fixed64 observed_time_unix_nano = 11;
  SeverityNumber severity_number = 2;
  string severity_text = 3;
  AnyValue body = 5;
  repeated KeyValue attributes = 6;
  uint32 dropped_attributes_count = 7;
  fixed32 flags = 8;
  bytes trace_id = 9;
  bytes span_id = 10;
  string event_name = 12;
}

message ResourceMetrics {
  reserved 1000;
  Resource resource = 1;
  repeated ScopeMetrics scope_metrics = 2;
  string schema_url = 3;
}
message ScopeMetrics {
  InstrumentationScope scope = 1;
  repeated Metric metrics = 2;
  string schema_url = 3;
}
message Metric {
  reserved 4, 6, 8;
  string name = 1;
  string description = 2;
  string unit = 3;
  oneof data {
    Gauge gauge = 5;
    Sum sum = 7;
    Histogram histogram = 9;
    ExponentialHistogram exponential_histogram = 10;
    Summary summary = 11;
  }
  repeated KeyValue metadata = 12;
}
message Gauge { repeated NumberDataPoint data_points = 1; }
message Sum {
  repeated NumberDataPoint data_points = 1;
  AggregationTemporality aggregation_temporality = 2;
  bool is_monotonic = 3;
}
message Histogram {
  repeated HistogramDataPoint data_points = 1;
  AggregationTemporality aggregation_temporality = 2;
}
message ExponentialHistogram {
  repeated ExponentialHistogramDataPoint data_points = 1;
  AggregationTemporality aggregation_temporality = 2;
}
message Summary { repeated SummaryDataPoint data_points = 1; }
enum AggregationTemporality {
  AGGREGATION_TEMPORALITY_UNSPECIFIED = 0;
  AGGREGATION_TEMPORALITY_DELTA = 1;
  AGGREGATION_TEMPORALITY_CUMULATIVE = 2;
}
message NumberDataPoint {
  reserved 1;
  repeated KeyValue attributes = 7;
  fixed64 start_time_unix_nano = 2;
  fixed64 time_unix_nano = 3;
  oneof value {
    double as_double = 4;
    sfixed64 as_int = 6;
  }
  repeated Exemplar exemplars = 5;
  uint32 flags = 8;
}
message HistogramDataPoint {
  reserved 1;
  repeated KeyValue attributes = 9;
  fixed64 start_time_unix_nano = 2;
  fixed64 time_unix_nano = 3;
  fixed64 count = 4;
  optional double sum = 5;
  repeated fixed64 bucket_counts = 6;
  repeated double explicit_bounds = 7;
  repeated Exemplar exemplars = 8;
  uint32 flags = 10;
  optional double min = 11;
  optional double max = 12;
}
message ExponentialHistogramDataPoint {
  repeated KeyValue attributes = 1;
  fixed64 start_time_unix_nano = 2;
  fixed64 time_unix_nano = 3;
  fixed64 count = 4;
  optional double sum = 5;
  sint32 scale = 6;
  fixed64 zero_count = 7;
  Buckets positive = 8;
  Buckets negative = 9;
  message Buckets {
    sint32 offset = 1;
    repeated uint64 bucket_counts = 2;
  }
  uint32 flags = 10;
  repeated Exemplar exemplars = 11;
  optional double min = 12;
  optional double max = 13;
  double zero_threshold = 14;
}
message SummaryDataPoint {
  reserved 1;
  repeated KeyValue attributes = 7;
  fixed64 start_time_unix_nano = 2;
  fixed64 time_unix_nano = 3;
  fixed64 count = 4;
  double sum = 5;
  message ValueAtQuantile {
    double quantile = 1;
    double value = 2;
  }
  repeated ValueAtQuantile quantile_values = 6;
  uint32 flags = 8;
}
message Exemplar {
  reserved 1;
  repeated KeyValue filtered_attributes = 7;
  fixed64 time_unix_nano = 2;
  oneof value {
    double as_double = 3;
    sfixed64 as_int = 6;
  }
  bytes span_id = 4;
  bytes trace_id = 5;
}

message ExportTraceServiceRequest { repeated ResourceSpans resource_spans = 1; }
message ExportTraceServiceResponse { ExportTracePartialSuccess partial_success = 1; }
message ExportTracePartialSuccess {
  int64 rejected_spans = 1;
  string error_message = 2;
}
message ExportLogsServiceRequest { repeated ResourceLogs resource_logs = 1; }
message ExportLogsServiceResponse { ExportLogsPartialSuccess partial_success = 1; }
message ExportLogsPartialSuccess {
  int64 rejected_log_records = 1;
  string error_message = 2;
}
message ExportMetricsServiceRequest { repeated ResourceMetrics resource_metrics = 1; }
message ExportMetricsServiceResponse { ExportMetricsPartialSuccess partial_success = 1; }
message ExportMetricsPartialSuccess {
  int64 rejected_data_points = 1;
  string error_message = 2;
}

message RpcStatus {
  int32 code = 1;
  string message = 2;
  repeated Any details = 3;
}
message Any {
  string type_url = 1;
  bytes value = 2;
}
`;

// Values of 128 levels are some 380 messages deep.
Object.assign(protobuf.util, { recursionLimit: 1000 });
protobuf.Reader.recursionLimit = 1000;

const { root } = protobuf.parse(DEFINITIONS);

/** The names of the messages, by signal. */
export const ORACLE_MESSAGES = {
  traces: { request: "ExportTraceServiceRequest", response: "ExportTraceServiceResponse" },
  logs: { request: "ExportLogsServiceRequest", response: "ExportLogsServiceResponse" },
  metrics: { request: "ExportMetricsServiceRequest", response: "ExportMetricsServiceResponse" },
} as const;

/** `request` as protobuf. Unlike official writers it writes fields that are 0 or empty, too. */
export function oracleEncode<S extends Signal>(signal: S, request: ExportRequests[S]): Uint8Array {
  return oracleEncodeMessage(ORACLE_MESSAGES[signal].request, request);
}

/** The request in `bytes`, in the shapes of `src/record.ts`. */
export function oracleDecode<S extends Signal>(signal: S, bytes: Uint8Array): ExportRequests[S] {
  return oracleDecodeMessage(ORACLE_MESSAGES[signal].request, bytes) as ExportRequests[S];
}

/** Any message as protobuf. */
export function oracleEncodeMessage(name: string, model: object): Uint8Array {
  const type = root.lookupType(name);
  return new Uint8Array(type.encode(type.create(toMessage(type, model))).finish());
}

/** Any message from protobuf. */
export function oracleDecodeMessage(name: string, bytes: Uint8Array): unknown {
  const type = root.lookupType(name);
  return toModel(type, type.decode(bytes) as unknown as Fields);
}

/** The fields of a message that has been read by protobufjs itself, for benchmarks. */
export function oracleType(name: string): protobuf.Type {
  return root.lookupType(name);
}

type Fields = Record<string, unknown>;

function toMessage(type: protobuf.Type, model: object): Fields {
  return convert(type, model as Fields, (field, value) => {
    if (field.resolvedType instanceof protobuf.Type) {
      return toMessage(field.resolvedType, value as Fields);
    }
    if (typeof value === "bigint") return toLong(value);
    return isId(field) ? Uint8Array.fromHex(value as string) : value;
  });
}

function toModel(type: protobuf.Type, message: Fields): Fields {
  const model = convert(type, message, (field, value) => {
    if (field.resolvedType instanceof protobuf.Type) {
      return toModel(field.resolvedType, value as Fields);
    }
    if (/64$/.test(field.type)) return BigInt(String(value));
    if (isId(field)) return new Uint8Array(value as Uint8Array).toHex();
    return field.type === "bytes" ? new Uint8Array(value as Uint8Array) : value;
  });
  for (const field of type.fieldsArray) {
    const hasPresence = field.partOf !== null || field.resolvedType instanceof protobuf.Type;
    if (field.repeated) model[field.name] ??= [];
    else if (!hasPresence) model[field.name] ??= absent(field);
  }
  return model;
}

/** The fields that are set, each converted. */
function convert(
  type: protobuf.Type,
  fields: Fields,
  one: (field: protobuf.Field, value: unknown) => unknown,
): Fields {
  const result: Fields = {};
  for (const field of type.fieldsArray) {
    field.resolve();
    if (!Object.hasOwn(fields, field.name) || fields[field.name] === undefined) continue;
    const value = fields[field.name];
    result[field.name] = field.repeated
      ? (value as unknown[]).map((item) => one(field, item))
      : one(field, value);
  }
  return result;
}

function absent(field: protobuf.Field): unknown {
  if (field.type === "string" || isId(field)) return "";
  if (field.type === "bool") return false;
  return /64$/.test(field.type) ? 0n : 0;
}

function isId(field: protobuf.Field): boolean {
  return /^(traceId|spanId|parentSpanId)$/.test(field.name);
}

function toLong(value: bigint): object {
  const bits = BigInt.asUintN(64, value);
  return {
    low: Number(bits & 0xffffffffn) | 0,
    high: Number(bits >> 32n) | 0,
    unsigned: value >= 0n,
  };
}
