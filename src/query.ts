/**
 * Typed reads of what is stored.
 *
 * Records come back as OTLP has them, exactly as they were sent (attributes in any order, of a
 * doubled key the last). SQL on the views of schema `otel` is the other way to read.
 *
 * @module
 */

import type {
  ExportRequests,
  InstrumentationScope,
  LogRecord,
  Metric,
  Resource,
  Signal,
  Span,
} from "./record.ts";
import { Conditions } from "./conditions.ts";
import type { Database, Queryable, Row, SqlValue } from "./postgres/database.ts";
import {
  logOf,
  metricOf,
  SELECT_LOGS,
  SELECT_POINTS,
  SELECT_SPANS,
  SELECT_SPANS_OF_TRACE,
  spanOf,
  type Stored,
} from "./postgres/stored.ts";

import type { ReadOptions } from "./query/reading.ts";
import { serviceIs } from "./query/services.ts";

export type { Stored, StoredRecords } from "./postgres/stored.ts";
export type { ReadOptions } from "./query/reading.ts";
export { QueryError, QueryTimeoutError } from "./query/query_error.ts";
export type { RangeOptions, TimeRange } from "./query/range.ts";
export { searchTraces, TRACE_SEARCH, type TracePage, type TraceSearch } from "./query/traces.ts";
export type { SpanKindName, SpanSearch, SpanStatusName } from "./query/span_search.ts";
export type { TraceService, TraceSummary } from "./query/trace_summaries.ts";
export {
  getTraceTree,
  TRACE_QUERY,
  type TraceQuery,
  type TraceTree,
  type TreeSpan,
} from "./query/trace_tree.ts";
export {
  countLogs,
  LOG_COUNTING,
  LOG_SEARCH,
  type LogChoice,
  type LogCount,
  type LogCounting,
  type LogCounts,
  type LogPage,
  type LogSearch,
  searchLogs,
} from "./query/logs.ts";
export { LOG_TAIL, type LogTailOptions } from "./query/log_tail.ts";
export {
  ATTRIBUTE_SEARCH,
  type AttributeInfo,
  type AttributeList,
  type AttributeSearch,
  listAttributes,
} from "./query/attribute_keys.ts";
export {
  listOperations,
  listServices,
  OPERATION_SEARCH,
  type OperationInfo,
  type OperationList,
  type OperationSearch,
  SERVICE_SEARCH,
  type ServiceInfo,
  type ServiceList,
  type ServiceSearch,
} from "./query/services.ts";
export {
  countRequests,
  REQUEST_QUERY,
  type RequestCounts,
  type RequestGroup,
  type RequestNumbers,
  type RequestOrder,
  type RequestQuery,
  type RequestStep,
} from "./query/requests.ts";
export {
  getServiceGraph,
  SERVICE_GRAPH_QUERY,
  type ServiceEdge,
  type ServiceGraph,
  type ServiceGraphQuery,
} from "./query/service_graph.ts";
export {
  ERROR_QUERY,
  type ErrorGroup,
  type ErrorGroups,
  type ErrorQuery,
  groupErrors,
} from "./query/error_groups.ts";
export {
  findSimilarTraces,
  SIMILAR_QUERY,
  type SimilarQuery,
  type SimilarTraces,
} from "./query/similar.ts";
export {
  COMPARE_QUERY,
  type ComparedSide,
  type ComparedSpan,
  type CompareQuery,
  compareTraces,
  type TraceComparison,
} from "./query/compare.ts";
export {
  listPartitions,
  PARTITION_QUERY,
  type PartitionList,
  type PartitionQuery,
  type StoredPartition,
} from "./query/partitions.ts";
export {
  METRIC_QUERY,
  type MetricAnswer,
  type MetricLine,
  type MetricQuery,
  type MetricValue,
  type MetricValues,
  queryMetric,
} from "./query/metric.ts";
export {
  type Bucket,
  BUCKET_QUERY,
  type BucketCounts,
  type BucketQuery,
  type BucketStep,
  countBuckets,
  type MetricBuckets,
} from "./query/metric_buckets.ts";
export {
  type ListedMetric,
  listMetrics,
  METRIC_SEARCH,
  type MetricPage,
  type MetricSearch,
} from "./query/metric_list.ts";
export type {
  MetricDescriptor,
  MetricKind,
  MetricType,
  Temporality,
} from "./query/metric_series.ts";
export type { Across, MetricFunction } from "./query/metric_tally.ts";
export {
  EXEMPLAR_SEARCH,
  type ExemplarSearch,
  findExemplars,
  type FoundExemplar,
  type FoundExemplars,
} from "./query/exemplars.ts";

/** Which log records to read; conditions are joined by and. */
export interface LogFilter {
  /** 32 hex digits. */
  readonly traceId?: string;
  /** At least this severity number, 1 to 24. */
  readonly minSeverity?: number;
  /** Resource attribute `service.name`. */
  readonly service?: string;
  /** Nanoseconds since 1970, inclusive. */
  readonly since?: bigint;
  /** Nanoseconds since 1970, exclusive. */
  readonly until?: bigint;
  /** How many at most, newest first. @default {1000} */
  readonly limit?: number;
}

/** Which points of a metric to read. */
export interface PointFilter {
  /** Name of the metric. */
  readonly metric: string;
  /** Resource attribute `service.name`. */
  readonly service?: string;
  /** Nanoseconds since 1970, inclusive. */
  readonly since: bigint;
  /** Nanoseconds since 1970, exclusive. */
  readonly until: bigint;
  /** How many at most, oldest first. @default {10000} */
  readonly limit?: number;
}

/**
 * All spans of a trace, by start time.
 *
 * @param traceId 32 hex digits; dashes are allowed.
 * @throws {RangeError} If it is no trace id.
 */
export async function getTrace(
  database: Queryable,
  traceId: string,
  options: ReadOptions = {},
): Promise<Stored<Span>[]> {
  const rows = await rowsOf(
    database,
    `${SELECT_SPANS_OF_TRACE} order by t.time, t.time_frac, t.span_id`,
    [traceIdOf(traceId)],
    options,
  );
  return rows.map(spanOf);
}

/**
 * Log records, newest first.
 *
 * @throws {RangeError} If `traceId` is no trace id, or a bound of the range no time.
 */
export async function getLogs(
  database: Queryable,
  filter: LogFilter,
  options: ReadOptions = {},
): Promise<Stored<LogRecord>[]> {
  const where = new Conditions();
  if (filter.traceId !== undefined) where.add("t.trace_id = $::uuid", traceIdOf(filter.traceId));
  if (filter.minSeverity !== undefined) {
    where.add("t.severity_number >= $::int", filter.minSeverity);
  }
  if (filter.service !== undefined) where.add(serviceIs("t"), filter.service);
  where.time(filter);
  const rows = await rowsOf(
    database,
    `${SELECT_LOGS} ${where.sql} order by t.time desc, t.time_frac desc limit ${
      where.parameter(filter.limit ?? 1000)
    }::int`,
    where.parameters,
    options,
  );
  return rows.map(logOf);
}

/**
 * Points of a metric, oldest first; each comes as its metric with that one point.
 *
 * @throws {RangeError} If a bound of the range is no time.
 */
export async function getMetricPoints(
  database: Queryable,
  filter: PointFilter,
  options: ReadOptions = {},
): Promise<Stored<Metric>[]> {
  const where = new Conditions();
  where.add("m.name = $", filter.metric);
  if (filter.service !== undefined) where.add(serviceIs("e"), filter.service);
  where.time(filter);
  const rows = await rowsOf(
    database,
    `${SELECT_POINTS} ${where.sql} order by t.time, t.time_frac limit ${
      where.parameter(filter.limit ?? 10_000)
    }::int`,
    where.parameters,
    options,
  );
  return rows.map(metricOf);
}

/**
 * Everything stored of a signal, as one OTLP request with a container for each record. For data that
 * fits in memory.
 *
 * @param range Nanoseconds since 1970, `since` inclusive, `until` exclusive; all when absent.
 * @throws {RangeError} If a bound of the range is no time.
 */
export async function exportStored<S extends Signal>(
  database: Queryable,
  signal: S,
  range: { readonly since?: bigint; readonly until?: bigint } = {},
  options: ReadOptions = {},
): Promise<ExportRequests[S]> {
  const where = new Conditions();
  where.time(range);
  const read = READS[signal];
  const rows = await rowsOf(
    database,
    `${read.select} ${where.sql} order by t.time, t.time_frac`,
    where.parameters,
    options,
  );
  return read.request(rows) as ExportRequests[S];
}

const READS = {
  traces: {
    select: SELECT_SPANS,
    request: (rows: Row[]) => ({
      resourceSpans: rows.map(spanOf).map((stored) => ({
        ...container(stored),
        scopeSpans: [{ ...scoped(stored), spans: [stored.record] }],
      })),
    }),
  },
  logs: {
    select: SELECT_LOGS,
    request: (rows: Row[]) => ({
      resourceLogs: rows.map(logOf).map((stored) => ({
        ...container(stored),
        scopeLogs: [{ ...scoped(stored), logRecords: [stored.record] }],
      })),
    }),
  },
  metrics: {
    select: SELECT_POINTS,
    request: (rows: Row[]) => ({
      resourceMetrics: rows.map(metricOf).map((stored) => ({
        ...container(stored),
        scopeMetrics: [{ ...scoped(stored), metrics: [stored.record] }],
      })),
    }),
  },
};

/** In a transaction, because only there all sessions give values in the forms that are read here. */
async function rowsOf(
  database: Queryable | Database,
  sql: string,
  parameters: readonly SqlValue[],
  { signal }: ReadOptions,
): Promise<Row[]> {
  const abort = signal && { signal };
  if (!("transaction" in database)) return await database.query(sql, parameters, abort);
  return await database.transaction((transaction) => transaction.query(sql, parameters), abort);
}

function container(stored: Stored<unknown>): { resource: Resource; schemaUrl: string } {
  return { resource: stored.resource, schemaUrl: stored.resourceSchemaUrl };
}

function scoped(stored: Stored<unknown>): { scope: InstrumentationScope; schemaUrl: string } {
  return { scope: stored.scope, schemaUrl: stored.scopeSchemaUrl };
}

function traceIdOf(text: string): string {
  const digits = text.replaceAll("-", "").toLowerCase();
  if (!/^[0-9a-f]{32}$/.test(digits)) {
    throw new RangeError(`Cannot look up a trace: its id has to be 32 hex digits: ${text}`);
  }
  return digits;
}
