/**
 * What a terminal shows of an answer: for each question the columns that people look for.
 *
 * @module
 */

import type { z } from "zod";
import type {
  BUCKET_COUNTS,
  ERROR_GROUPS,
  FOUND_EXEMPLARS,
  LOG_COUNTS,
  METRIC_ANSWER,
  METRIC_PAGE,
  PARTITION_LIST,
  REQUEST_COUNTS,
  SERVICE_GRAPH,
  SERVICE_LIST,
  TRACE_COMPARISON,
  TRACE_PAGE,
} from "./api_answers.ts";
import { durationText } from "./duration.ts";
import { valueText } from "./log_line.ts";
import { timeText } from "./time_text.ts";

/** A row of a table. */
export type Cells = Readonly<Record<string, string | number>>;

/** What is shown of one object of an answer. */
type Shown<Row> = (row: Row) => readonly Cells[];

type Traces = Shown<z.output<typeof TRACE_PAGE>["traces"][number]>;
type MetricRow = z.output<typeof METRIC_ANSWER>["metrics"][number];
/** A series of a metric, which says whose it is. */
type SeriesRow = Omit<MetricRow, "series"> & MetricRow["series"][number];
type BucketsOf = z.output<typeof BUCKET_COUNTS>["metrics"][number];
/** What is in a bucket in a window. */
type BucketRow =
  & Pick<BucketsOf, "metric">
  & Omit<BucketsOf["steps"][number], "counts">
  & BucketsOf["buckets"][number]
  & { readonly count: number | string };

/** Longer numbers are cut to this, as a terminal is no place to compute from. */
const DIGITS = 6;

/**
 * The objects of an answer: its list. Of a metric its series, each with what is said of the metric; of
 * buckets each of each window that holds something.
 *
 * @param answer As its schema describes it.
 */
export function rowsOf(ask: string, answer: unknown): unknown[] {
  if (ask === "metric") {
    const { metrics } = answer as z.output<typeof METRIC_ANSWER>;
    return metrics.flatMap(({ series, ...metric }) =>
      series.map((one): SeriesRow => ({ ...metric, ...one }))
    );
  }
  if (ask === "metric-buckets") {
    const { metrics } = answer as z.output<typeof BUCKET_COUNTS>;
    return metrics.flatMap(({ metric, buckets, steps }) =>
      steps.flatMap(({ since, counts }) =>
        buckets.map((bucket, n): BucketRow => ({ metric, since, ...bucket, count: counts[n]! }))
          .filter(({ count }) => count !== 0)
      )
    );
  }
  return Object.values(answer as Record<string, unknown>).find(Array.isArray) ?? [];
}

/** The rows of a table for one object. Where nothing is said about a question, it is shown as it is. */
export function cellsOf(ask: string, row: unknown): readonly Cells[] {
  const shown = SHOWN[ask] as Shown<unknown> | undefined;
  return shown === undefined ? [row as Cells] : shown(row);
}

const traces: Traces = (trace) => [{
  trace: trace.traceId,
  time: timeOf(trace.startUnixNano),
  root: `${trace.rootService}: ${trace.rootOperation}`,
  duration: lengthOf(trace.durationNs),
  spans: trace.spanCount,
  errors: trace.errorCount,
  services: trace.services.map(({ service }) => service).join(", "),
}];

const services: Shown<z.output<typeof SERVICE_LIST>["services"][number]> = (row) => [{
  service: row.service,
  namespace: row.namespace,
  "first seen": timeOf(row.firstSeen),
  "last seen": timeOf(row.lastSeen),
}];

const requests: Shown<z.output<typeof REQUEST_COUNTS>["groups"][number]> = (row) => {
  const steps = row.steps?.map((step) => ({ time: timeOf(step.since), ...step })) ?? [row];
  return steps.map((part) => ({
    ..."time" in part ? { time: part.time } : {},
    service: row.service,
    ...row.operation === undefined ? {} : { operation: row.operation },
    requests: part.requests,
    ...part === row ? { "per second": numberOf(row.rate) } : {},
    errors: part.errors,
    p50: lengthOf(part.p50Ns),
    p95: lengthOf(part.p95Ns),
    p99: lengthOf(part.p99Ns),
    ...part === row ? { total: lengthOf(row.totalNs) } : {},
  }));
};

const serviceGraph: Shown<z.output<typeof SERVICE_GRAPH>["edges"][number]> = (row) => [{
  from: row.from,
  to: row.to,
  kind: row.kind,
  calls: row.calls,
  errors: row.errors,
  p50: lengthOf(row.p50Ns),
  p99: lengthOf(row.p99Ns),
}];

const errors: Shown<z.output<typeof ERROR_GROUPS>["groups"][number]> = (row) => [{
  count: row.count,
  service: row.service,
  type: row.type,
  message: row.message,
  "first seen": timeOf(row.firstSeen),
  "last seen": timeOf(row.lastSeen),
  "latest trace": row.traceIds[0] ?? "",
}];

const comparedTraces: Shown<z.output<typeof TRACE_COMPARISON>["spans"][number]> = (row) => {
  const side = (one: typeof row.before) =>
    one === undefined ? "" : lengthOf(one.durationNs) + (one.isError ? " ✗" : "");
  return [{
    span: `${"  ".repeat(Math.min(row.depth, 20))}${row.service}: ${row.operation}`,
    before: side(row.before),
    after: side(row.after),
    difference: row.before === undefined || row.after === undefined
      ? ""
      : lengthOf(String(BigInt(row.after.durationNs) - BigInt(row.before.durationNs))),
  }];
};

const LEVELS = ["FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE", "UNSPECIFIED"];

const logCounts: Shown<z.output<typeof LOG_COUNTS>["steps"][number]> = ({ since, counts }) => [{
  time: timeOf(since),
  ...Object.fromEntries(LEVELS.map((level) => [level.toLowerCase(), counts[level] ?? 0])),
}];

const metrics: Shown<z.output<typeof METRIC_PAGE>["metrics"][number]> = (row) => [{
  metric: row.name,
  type: row.type,
  unit: row.unit,
  temporality: row.temporality?.toLowerCase() ?? "",
  services: row.services.join(", "),
  series: row.series,
  "last seen": timeOf(row.lastSeen),
  description: row.description,
}];

const metric: Shown<SeriesRow> = (row) => {
  const attributes = attributesOf(row.attributes);
  return row.points.map(({ time, value }) => ({
    time: timeOf(time),
    value: numberOf(value),
    unit: row.metric.unit,
    function: row.quantile === undefined ? row.function : `p${numberOf(row.quantile * 100)}`,
    attributes,
  }));
};

const metricBuckets: Shown<BucketRow> = (row) => [{
  time: timeOf(row.since),
  above: numberOf(row.above),
  "up to": numberOf(row.upTo),
  unit: row.metric.unit,
  count: numberOf(row.count),
}];

const exemplars: Shown<z.output<typeof FOUND_EXEMPLARS>["exemplars"][number]> = (row) => [{
  time: timeOf(row.time),
  value: row.value === undefined ? "" : numberOf(row.value),
  unit: row.unit,
  trace: row.traceId,
  span: row.spanId,
  attributes: attributesOf([...row.attributes, ...row.filteredAttributes]),
}];

const partitions: Shown<z.output<typeof PARTITION_LIST>["partitions"][number]> = (row) => [{
  signal: row.signal,
  since: row.since === undefined ? "" : timeOf(row.since),
  until: row.until === undefined ? "" : timeOf(row.until),
  rows: row.rowsEstimate,
  bytes: row.bytes,
  sealed: row.sealed ? "yes" : "no",
  name: row.name,
}];

// deno-lint-ignore no-explicit-any -- each takes the rows of its question
const SHOWN: Readonly<Record<string, Shown<any>>> = {
  traces,
  "similar-traces": traces,
  "compared-traces": comparedTraces,
  services,
  requests,
  "service-graph": serviceGraph,
  errors,
  "log-counts": logCounts,
  metrics,
  metric,
  "metric-buckets": metricBuckets,
  exemplars,
  partitions,
};

function timeOf(nanos: string): string {
  return timeText(BigInt(nanos));
}

function lengthOf(nanos: string): string {
  return durationText(BigInt(nanos));
}

function numberOf(value: number | string): number | string {
  return typeof value === "number" ? Number(value.toPrecision(DIGITS)) : value;
}

function attributesOf(attributes: SeriesRow["attributes"]): string {
  return attributes.map(({ key, value = {} }) => `${key}=${valueText(value)}`).join(" ");
}
