/**
 * OpenTelemetry in your own Postgres: OTLP in, rows out, nothing lost on the way.
 *
 * The collector is a script (`@oneiric/otel-storage/collector`), its HTTP part a function
 * (`@oneiric/otel-storage/server`); what both stand on is here.
 *
 * @example Stop asking a database that is down
 * ```ts
 * import { CircuitBreaker, withRetry } from "@oneiric/otel-storage";
 * import assert from "node:assert/strict";
 *
 * const breaker = new CircuitBreaker({ failureThreshold: 5, cooldownMs: 60_000 });
 * const answer = await breaker.call(() => withRetry(() => "stored", { maxAttempts: 3 }));
 * assert.equal(answer, "stored");
 * ```
 *
 * @module
 */

export {
  type AdapterEvent,
  type AdapterStats,
  type Attributes,
  type AttributeValue,
  type BufferStats,
  type DestinationStats,
  type Fault,
  type ForwardSettings,
  type Health,
  type LogData,
  type LogTailEvent,
  type LogTailing,
  type LogTailOptions,
  type MetricData,
  OTelStorageAdapter,
  type OTelStorageOptions,
  RecordError,
  type SpanKindValue,
  type SpanStatusValue,
  type TimeValue,
  type TraceData,
  UnavailableError,
  UnstoredRecordsError,
  type UpkeepReport,
  type WriteResult,
} from "./src/adapter.ts";
export {
  CircuitBreaker,
  CircuitBreakerOpenError,
  type CircuitBreakerOptions,
  type CircuitState,
} from "./src/breaker.ts";
export {
  DeadLetters,
  type DeadLettersOptions,
  type Graveyard,
  type Sender,
} from "./src/dead_letters.ts";
export { Delivery } from "./src/delivery.ts";
export type {
  DeliveryEvent,
  DeliveryOptions,
  DeliveryStats,
  DeliveryTime,
} from "./src/delivery.ts";
export { type JournalOptions, openJournal } from "./src/disk_journal.ts";
export { JournalFullError, JournalUnavailableError } from "./src/journal.ts";
export type * from "./src/journal.ts";
export { diskFiles } from "./src/journal_files.ts";
export type * from "./src/journal_files.ts";
export { memoryJournal, type MemoryJournalOptions } from "./src/memory_journal.ts";
export type { Bury, DeadLetter, Delivered, More, Sink } from "./src/sink.ts";
export { OtlpDecodeError, OtlpTooLargeError } from "./src/otlp_error.ts";
export {
  type Across,
  type AttributeInfo,
  type AttributeList,
  type AttributeSearch,
  type Bucket,
  type BucketCounts,
  type BucketQuery,
  type BucketStep,
  type ComparedSide,
  type ComparedSpan,
  type CompareQuery,
  compareTraces,
  countBuckets,
  countLogs,
  countRequests,
  type ErrorGroup,
  type ErrorGroups,
  type ErrorQuery,
  type ExemplarSearch,
  exportStored,
  findExemplars,
  findSimilarTraces,
  type FoundExemplar,
  type FoundExemplars,
  getLogs,
  getMetricPoints,
  getServiceGraph,
  getTrace,
  getTraceTree,
  groupErrors,
  listAttributes,
  type ListedMetric,
  listMetrics,
  listOperations,
  listServices,
  type LogChoice,
  type LogCount,
  type LogCounting,
  type LogCounts,
  type LogFilter,
  type LogPage,
  type LogSearch,
  type MetricAnswer,
  type MetricBuckets,
  type MetricDescriptor,
  type MetricFunction,
  type MetricKind,
  type MetricLine,
  type MetricPage,
  type MetricQuery,
  type MetricSearch,
  type MetricType,
  type MetricValue,
  type MetricValues,
  type OperationInfo,
  type OperationList,
  type OperationSearch,
  type PointFilter,
  QueryError,
  queryMetric,
  QueryTimeoutError,
  type RangeOptions,
  type ReadOptions,
  type RequestCounts,
  type RequestGroup,
  type RequestNumbers,
  type RequestOrder,
  type RequestQuery,
  type RequestStep,
  searchLogs,
  searchTraces,
  type ServiceEdge,
  type ServiceGraph,
  type ServiceGraphQuery,
  type ServiceInfo,
  type ServiceList,
  type ServiceSearch,
  type SimilarQuery,
  type SimilarTraces,
  type SpanKindName,
  type SpanSearch,
  type SpanStatusName,
  type Stored,
  type StoredRecords,
  type Temporality,
  type TimeRange,
  type TraceComparison,
  type TracePage,
  type TraceQuery,
  type TraceSearch,
  type TraceService,
  type TraceSummary,
  type TraceTree,
  type TreeSpan,
} from "./src/query.ts";
export type * from "./src/record.ts";
export { classify, type Failure, withRetry, type WithRetryOptions } from "./src/retry.ts";
