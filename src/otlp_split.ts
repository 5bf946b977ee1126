/**
 * A request taken apart into one request for each of its records.
 *
 * @module
 */

import { decodeRequest, encodeRequest } from "./otlp.ts";
import type { ExportRequests, Metric, Signal } from "./record.ts";

/**
 * One request for each span, log record or data point, in their order, each with the resource and
 * scope it came under. For the rare request of which a part has to be told apart: it costs a decoding
 * and as many encodings.
 *
 * @param body An Export…ServiceRequest in protobuf.
 * @throws {OtlpDecodeError} The body is none.
 *
 * @example Two log records
 * ```ts
 * import assert from "node:assert/strict";
 * import { jsonToProtobuf } from "./otlp.ts";
 *
 * const body = jsonToProtobuf(
 *   "logs",
 *   '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"a"},{"eventName":"b"}]}]}]}',
 * );
 * assert.equal(splitRequest("logs", body).length, 2);
 * ```
 */
export function splitRequest(signal: Signal, body: Uint8Array): Uint8Array[] {
  switch (signal) {
    case "traces":
      return spansOf(decodeRequest(signal, body)).map((one) => encodeRequest(signal, one));
    case "logs":
      return logsOf(decodeRequest(signal, body)).map((one) => encodeRequest(signal, one));
    case "metrics":
      return pointsOf(decodeRequest(signal, body)).map((one) => encodeRequest(signal, one));
  }
}

function spansOf({ resourceSpans }: ExportRequests["traces"]): ExportRequests["traces"][] {
  return resourceSpans.flatMap((outer) =>
    outer.scopeSpans.flatMap((inner) =>
      inner.spans.map((span) => ({
        resourceSpans: [{ ...outer, scopeSpans: [{ ...inner, spans: [span] }] }],
      }))
    )
  );
}

function logsOf({ resourceLogs }: ExportRequests["logs"]): ExportRequests["logs"][] {
  return resourceLogs.flatMap((outer) =>
    outer.scopeLogs.flatMap((inner) =>
      inner.logRecords.map((log) => ({
        resourceLogs: [{ ...outer, scopeLogs: [{ ...inner, logRecords: [log] }] }],
      }))
    )
  );
}

function pointsOf({ resourceMetrics }: ExportRequests["metrics"]): ExportRequests["metrics"][] {
  return resourceMetrics.flatMap((outer) =>
    outer.scopeMetrics.flatMap((inner) =>
      inner.metrics.flatMap(metricsOfOnePoint).map((metric) => ({
        resourceMetrics: [{ ...outer, scopeMetrics: [{ ...inner, metrics: [metric] }] }],
      }))
    )
  );
}

function metricsOfOnePoint(metric: Metric): Metric[] {
  const { gauge, sum, histogram, exponentialHistogram, summary } = metric;
  const each = <D extends { dataPoints: unknown[] }>(data: D | undefined): D[] =>
    data?.dataPoints.map((point) => ({ ...data, dataPoints: [point] })) ?? [];
  return [
    ...each(gauge).map((gauge) => ({ ...metric, gauge })),
    ...each(sum).map((sum) => ({ ...metric, sum })),
    ...each(histogram).map((histogram) => ({ ...metric, histogram })),
    ...each(exponentialHistogram).map((exponentialHistogram) => ({
      ...metric,
      exponentialHistogram,
    })),
    ...each(summary).map((summary) => ({ ...metric, summary })),
  ];
}
