/**
 * The OTLP exporters of the OpenTelemetry JS SDK, by encoding and compression.
 *
 * @module
 */

import { OTLPLogExporter as JsonLogs } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPLogExporter as ProtobufLogs } from "@opentelemetry/exporter-logs-otlp-proto";
import {
  AggregationTemporalityPreference,
  OTLPMetricExporter as JsonMetrics,
} from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPMetricExporter as ProtobufMetrics } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPTraceExporter as JsonSpans } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtobufSpans } from "@opentelemetry/exporter-trace-otlp-proto";
import { CompressionAlgorithm } from "@opentelemetry/otlp-exporter-base";
import type { LogRecordExporter } from "@opentelemetry/sdk-logs";
import type { PushMetricExporter } from "@opentelemetry/sdk-metrics";
import type { SpanExporter } from "@opentelemetry/sdk-trace";
import type { Encoding } from "../src/otlp.ts";

/** How a client sends. */
export interface Sending {
  readonly encoding: Encoding;
  readonly compression: "none" | "gzip";
}

/** One exporter a signal, and one for each temporality of metrics. */
export interface Exporters {
  readonly spans: SpanExporter;
  readonly logs: LogRecordExporter;
  readonly delta: PushMetricExporter;
  readonly cumulative: PushMetricExporter;
}

/** Exporters that send to a collector at `url`. */
export function exportersTo(url: string, { encoding, compression }: Sending): Exporters {
  const to = (signal: string) => ({
    url: `${url}/v1/${signal}`,
    compression: compression === "gzip" ? CompressionAlgorithm.GZIP : CompressionAlgorithm.NONE,
    // An open connection would outlive the test.
    keepAlive: false,
  });
  const { DELTA, CUMULATIVE } = AggregationTemporalityPreference;
  const delta = { ...to("metrics"), temporalityPreference: DELTA };
  const cumulative = { ...to("metrics"), temporalityPreference: CUMULATIVE };
  return encoding === "json"
    ? {
      spans: new JsonSpans(to("traces")),
      logs: new JsonLogs(to("logs")),
      delta: new JsonMetrics(delta),
      cumulative: new JsonMetrics(cumulative),
    }
    : {
      spans: new ProtobufSpans(to("traces")),
      logs: new ProtobufLogs(to("logs")),
      delta: new ProtobufMetrics(delta),
      cumulative: new ProtobufMetrics(cumulative),
    };
}
