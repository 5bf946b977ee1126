/** What the API answers with, as its own schemas describe it. */

import type { z } from "zod";
import type {
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
  TRACE_PAGE,
  TRACE_TREE,
} from "../../src/api_answers.ts";

export type { StatsJson } from "../../src/stats_json.ts";

export type TracePage = z.infer<typeof TRACE_PAGE>;
export type TraceSummary = TracePage["traces"][number];
export type TraceTree = z.infer<typeof TRACE_TREE>;
export type TreeSpan = TraceTree["spans"][number];
export type LogPage = z.infer<typeof LOG_PAGE>;
export type StoredLog = LogPage["logs"][number];
export type LogCounts = z.infer<typeof LOG_COUNTS>;
export type ServiceList = z.infer<typeof SERVICE_LIST>;
export type OperationList = z.infer<typeof OPERATION_LIST>;
export type AttributeList = z.infer<typeof ATTRIBUTE_LIST>;
export type RequestCounts = z.infer<typeof REQUEST_COUNTS>;
export type ServiceGraph = z.infer<typeof SERVICE_GRAPH>;
export type ErrorGroups = z.infer<typeof ERROR_GROUPS>;
export type PartitionList = z.infer<typeof PARTITION_LIST>;
export type MetricPage = z.infer<typeof METRIC_PAGE>;
export type MetricAnswer = z.infer<typeof METRIC_ANSWER>;
export type BucketCounts = z.infer<typeof BUCKET_COUNTS>;
export type FoundExemplars = z.infer<typeof FOUND_EXEMPLARS>;
/** An attribute and its value. */
export type KeyValue = StoredLog["record"]["attributes"][number];
/** A value of OTLP. */
export type AnyValue = NonNullable<KeyValue["value"]>;
