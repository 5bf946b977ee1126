/**
 * Requests in protobuf whose records are told apart by numbers.
 *
 * @module
 */

import { jsonToProtobuf } from "../src/otlp.ts";

/** What the records of a request have in common. */
export interface RequestOptions {
  /** Resource attribute `service.name`. */
  readonly service?: string;
  /** Nanoseconds since 1970; by default now. */
  readonly time?: bigint;
  /** Of the spans, or of the metric. */
  readonly name?: string;
  /** 32 hex digits. */
  readonly traceId?: string;
  /** Of the spans. */
  readonly statusMessage?: string;
  /** Of the log records; 9, which is INFO, by default. */
  readonly severityNumber?: number;
}

/** The trace of all records that are given no other. */
export const TRACE_ID = "5b8efff798038103d269b633813fc60c";

/** A span id: the number as 16 hex digits. */
export function spanId(number: number): string {
  return number.toString(16).padStart(16, "0");
}

/** An ExportTraceServiceRequest of spans with these numbers, each the span's id; 0 is an invalid one. */
export function spans(numbers: readonly number[], options: RequestOptions = {}): Uint8Array {
  const { name = "work", traceId = TRACE_ID, statusMessage } = options;
  const time = timeOf(options);
  return jsonToProtobuf(
    "traces",
    JSON.stringify({
      resourceSpans: [{
        resource: resourceOf(options),
        scopeSpans: [{
          scope: { name: "tests" },
          spans: numbers.map((number) => ({
            traceId,
            spanId: spanId(number),
            name,
            kind: 2,
            startTimeUnixNano: time,
            endTimeUnixNano: time,
            ...statusMessage !== undefined && { status: { message: statusMessage } },
          })),
        }],
      }],
    }),
  );
}

/** An ExportLogsServiceRequest of records with these numbers, each the record's body and span. */
export function logs(numbers: readonly number[], options: RequestOptions = {}): Uint8Array {
  const { traceId = TRACE_ID, severityNumber = 9 } = options;
  return jsonToProtobuf(
    "logs",
    JSON.stringify({
      resourceLogs: [{
        resource: resourceOf(options),
        scopeLogs: [{
          logRecords: numbers.map((number) => ({
            timeUnixNano: timeOf(options),
            severityNumber,
            body: { intValue: number },
            traceId,
            spanId: spanId(number),
          })),
        }],
      }],
    }),
  );
}

/** An ExportMetricsServiceRequest of points of a gauge with these numbers, each the point's value. */
export function points(numbers: readonly number[], options: RequestOptions = {}): Uint8Array {
  const { name = "work" } = options;
  return jsonToProtobuf(
    "metrics",
    JSON.stringify({
      resourceMetrics: [{
        resource: resourceOf(options),
        scopeMetrics: [{
          metrics: [{
            name,
            gauge: {
              dataPoints: numbers.map((number) => ({
                timeUnixNano: timeOf(options),
                asInt: number,
              })),
            },
          }],
        }],
      }],
    }),
  );
}

/** The numbers from `first` on. */
export function numbers(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}

function resourceOf({ service = "shop" }: RequestOptions): unknown {
  return { attributes: [{ key: "service.name", value: { stringValue: service } }] };
}

function timeOf({ time = BigInt(Date.now()) * 1_000_000n }: RequestOptions): string {
  return String(time);
}
