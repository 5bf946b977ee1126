/**
 * The paths of the API that read what is stored: what each takes, asks and answers with.
 *
 * @module
 */

import type { z } from "zod";
import {
  ATTRIBUTE_LIST,
  BUCKET_COUNTS,
  ERROR_GROUPS,
  FOUND_EXEMPLARS,
  LOG_COUNTS,
  LOG_PAGE,
  METRIC_ANSWER,
  METRIC_PAGE,
  OPERATION_LIST,
  PARTITION_LIST,
  REQUEST_COUNTS,
  SERVICE_GRAPH,
  SERVICE_LIST,
  SIMILAR_TRACES,
  TRACE_COMPARISON,
  TRACE_OR_OTLP,
  TRACE_PAGE,
} from "./api_answers.ts";
import { readTrace, TRACE_PARAMETERS, traceText } from "./api_trace.ts";
import type { Database } from "./postgres/database.ts";
import {
  ATTRIBUTE_SEARCH,
  BUCKET_QUERY,
  COMPARE_QUERY,
  compareTraces,
  countBuckets,
  countLogs,
  countRequests,
  ERROR_QUERY,
  EXEMPLAR_SEARCH,
  findExemplars,
  findSimilarTraces,
  getServiceGraph,
  groupErrors,
  listAttributes,
  listMetrics,
  listOperations,
  listPartitions,
  listServices,
  LOG_COUNTING,
  LOG_SEARCH,
  METRIC_QUERY,
  METRIC_SEARCH,
  OPERATION_SEARCH,
  PARTITION_QUERY,
  queryMetric,
  type ReadOptions,
  REQUEST_QUERY,
  searchLogs,
  searchTraces,
  SERVICE_GRAPH_QUERY,
  SERVICE_SEARCH,
  SIMILAR_QUERY,
  TRACE_SEARCH,
} from "./query.ts";

/** One path. */
export interface ApiQuery {
  /** Its last part may be a parameter: `{traceId}`. */
  readonly path: string;
  /** What it is for, in a line. */
  readonly summary: string;
  /** Its parameters and what values they take. */
  readonly parameters: z.ZodObject;
  /** What it answers with. */
  readonly answer: z.ZodType;
  /** Asks; undefined when what is asked for is not there. */
  readonly ask: (database: Database, options: never, read: ReadOptions) => Promise<unknown>;
  /** The answer as JSON. @default {textOf} */
  readonly write?: (answer: never) => string;
}

/** All of them. */
export const API_QUERIES: readonly ApiQuery[] = [
  {
    path: "/api/services",
    summary: "Services by name",
    parameters: SERVICE_SEARCH,
    answer: SERVICE_LIST,
    ask: listServices,
  },
  {
    path: "/api/operations",
    summary: "The operations of a service",
    parameters: OPERATION_SEARCH,
    answer: OPERATION_LIST,
    ask: listOperations,
  },
  {
    path: "/api/attributes",
    summary: "The attributes that the newest spans or log records have, by key",
    parameters: ATTRIBUTE_SEARCH,
    answer: ATTRIBUTE_LIST,
    ask: listAttributes,
  },
  {
    path: "/api/requests",
    summary: "Rate, errors and duration of requests by service or operation",
    parameters: REQUEST_QUERY,
    answer: REQUEST_COUNTS,
    ask: countRequests,
  },
  {
    path: "/api/service-graph",
    summary: "Which service calls which, and which is linked to which",
    parameters: SERVICE_GRAPH_QUERY,
    answer: SERVICE_GRAPH,
    ask: getServiceGraph,
  },
  {
    path: "/api/errors",
    summary: "Errors that are alike, in groups",
    parameters: ERROR_QUERY,
    answer: ERROR_GROUPS,
    ask: groupErrors,
  },
  {
    path: "/api/traces",
    summary: "Traces that have a span that is meant",
    parameters: TRACE_SEARCH,
    answer: TRACE_PAGE,
    ask: searchTraces,
  },
  {
    path: "/api/traces/{traceId}",
    summary: "A trace as a tree with its log records; with `format=otlp` its spans as OTLP JSON",
    parameters: TRACE_PARAMETERS,
    answer: TRACE_OR_OTLP,
    ask: readTrace,
    write: traceText,
  },
  {
    path: "/api/similar-traces",
    summary: "Traces that are like one",
    parameters: SIMILAR_QUERY,
    answer: SIMILAR_TRACES,
    ask: findSimilarTraces,
  },
  {
    path: "/api/compared-traces",
    summary: "Two traces side by side",
    parameters: COMPARE_QUERY,
    answer: TRACE_COMPARISON,
    ask: compareTraces,
  },
  {
    path: "/api/logs",
    summary: "Log records, newest first",
    parameters: LOG_SEARCH,
    answer: LOG_PAGE,
    ask: searchLogs,
  },
  {
    path: "/api/log-counts",
    summary: "How many log records there are, by step and severity",
    parameters: LOG_COUNTING,
    answer: LOG_COUNTS,
    ask: countLogs,
  },
  {
    path: "/api/metrics",
    summary: "Metrics by name",
    parameters: METRIC_SEARCH,
    answer: METRIC_PAGE,
    ask: listMetrics,
  },
  {
    path: "/api/metrics/{metric}",
    summary: "The values of a metric, window by window",
    parameters: METRIC_QUERY,
    answer: METRIC_ANSWER,
    ask: queryMetric,
  },
  {
    path: "/api/metric-buckets",
    summary: "How many measurements of a histogram there were of which size, window by window",
    parameters: BUCKET_QUERY,
    answer: BUCKET_COUNTS,
    ask: countBuckets,
  },
  {
    path: "/api/exemplars",
    summary: "The latest exemplars of a metric",
    parameters: EXEMPLAR_SEARCH,
    answer: FOUND_EXEMPLARS,
    ask: findExemplars,
  },
  {
    path: "/api/partitions",
    summary: "The time partitions of the store, latest first",
    parameters: PARTITION_QUERY,
    answer: PARTITION_LIST,
    ask: listPartitions,
  },
];

/** The name of the parameter that a path ends with, if it does. */
export function pathParameter(path: string): string | undefined {
  return /\{(\w+)\}$/.exec(path)?.[1];
}
