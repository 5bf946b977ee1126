/**
 * Exporters of the OpenTelemetry SDK that store in Postgres, for the SDK's own processors and readers.
 *
 * Their types say only what they need of those of the SDK: who uses none does not depend on it.
 *
 * @module
 */

import { ProtobufLogsSerializer, ProtobufMetricsSerializer } from "@opentelemetry/otlp-transformer";
import type { ReadableLogRecord } from "@opentelemetry/sdk-logs";
import type { ResourceMetrics } from "@opentelemetry/sdk-metrics";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import {
  ExportDelegate,
  type ExportDone,
  type ExportStore,
  type StorageExporterOptions,
} from "./export_delegate.ts";
import { SpanEncoder } from "./sdk_span_encoder.ts";

/** A span that has ended: a `ReadableSpan` of `@opentelemetry/sdk-trace`. */
export interface ExportableSpan {
  /** What it is called. */
  readonly name: string;
  /** Whether it has ended. */
  readonly ended: boolean;
  /** Its ids. */
  spanContext(): { readonly traceId: string; readonly spanId: string };
}

/** A log record: a `ReadableLogRecord` of `@opentelemetry/sdk-logs`. */
export interface ExportableLogRecord {
  /** When it happened: seconds and nanoseconds. */
  readonly hrTime: readonly [number, number];
  /** When it was made. */
  readonly hrTimeObserved: readonly [number, number];
}

/** Metrics that were collected: `ResourceMetrics` of `@opentelemetry/sdk-metrics`. */
export interface ExportableMetrics {
  /** By instrumentation scope. */
  readonly scopeMetrics: readonly object[];
}

/**
 * Stores spans: a `SpanExporter`.
 *
 * @example Spans of a provider, in an embedded database
 * ```ts
 * import assert from "node:assert/strict";
 * import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
 * import { OTelStorageAdapter } from "@oneiric/otel-storage/adapter";
 * import { StorageSpanExporter } from "@oneiric/otel-storage/exporters";
 *
 * await using storage = new OTelStorageAdapter({ pgliteDir: "memory://" });
 * await storage.init();
 * const exporter = new StorageSpanExporter(storage);
 * const provider = new TracerProvider({ spanProcessors: [new BatchSpanProcessor({ exporter })] });
 *
 * const span = provider.getTracer("shop").startSpan("checkout");
 * span.end();
 * await provider.shutdown();
 *
 * const [stored] = await storage.getTrace(span.spanContext().traceId);
 * assert.equal(stored?.record.name, "checkout");
 * ```
 */
export class StorageSpanExporter {
  readonly #delegate: ExportDelegate<ReadableSpan[]>;

  /**
   * Stores in what is handed in, which it does not close.
   *
   * @param store An `OTelStorageAdapter` that is initialised.
   * @throws {RangeError} An option is unknown or out of range; the message names it and its value.
   */
  constructor(store: ExportStore, options: StorageExporterOptions = {}) {
    this.#delegate = new ExportDelegate("traces", new SpanEncoder(), store, options);
  }

  /** Stores spans. The callback is told when they are durable, or why they are not. */
  export(spans: readonly ExportableSpan[], resultCallback: ExportDone): void {
    this.#delegate.export(spans as ReadableSpan[], resultCallback);
  }

  /** Resolves when all that was exported is durable or has failed, after `timeoutMs` at the latest. */
  forceFlush(): Promise<void> {
    return this.#delegate.forceFlush();
  }

  /** The same, and takes no more. Idempotent. */
  shutdown(): Promise<void> {
    return this.#delegate.shutdown();
  }
}

/**
 * Stores log records: a `LogRecordExporter`.
 *
 * @example Log records of a provider
 * ```ts
 * import assert from "node:assert/strict";
 * import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
 * import { StorageLogRecordExporter } from "@oneiric/otel-storage/exporters";
 *
 * // In place of an OTelStorageAdapter.
 * const requests: Uint8Array[] = [];
 * const exporter = new StorageLogRecordExporter({
 *   write(_signal, body) {
 *     requests.push(body);
 *     return Promise.resolve({ accepted: 1, rejected: 0, message: "" });
 *   },
 * });
 * const provider = new LoggerProvider({ processors: [new BatchLogRecordProcessor({ exporter })] });
 * provider.getLogger("shop").emit({ body: "sold out" });
 * await provider.shutdown();
 * assert.equal(requests.length, 1);
 * ```
 */
export class StorageLogRecordExporter {
  readonly #delegate: ExportDelegate<ReadableLogRecord[]>;

  /**
   * Stores in what is handed in, which it does not close.
   *
   * @param store An `OTelStorageAdapter` that is initialised.
   * @throws {RangeError} An option is unknown or out of range; the message names it and its value.
   */
  constructor(store: ExportStore, options: StorageExporterOptions = {}) {
    this.#delegate = new ExportDelegate("logs", ProtobufLogsSerializer, store, options);
  }

  /** Stores log records. The callback is told when they are durable, or why they are not. */
  export(logs: readonly ExportableLogRecord[], resultCallback: ExportDone): void {
    this.#delegate.export(logs as ReadableLogRecord[], resultCallback);
  }

  /** Resolves when all that was exported is durable or has failed, after `timeoutMs` at the latest. */
  forceFlush(): Promise<void> {
    return this.#delegate.forceFlush();
  }

  /** The same, and takes no more. Idempotent. */
  shutdown(): Promise<void> {
    return this.#delegate.shutdown();
  }
}

/**
 * Stores metrics: a `PushMetricExporter`. They are cumulative: what `otel.increase`, `otel.rate` and `queryMetric` read best.
 *
 * @example Metrics of a provider
 * ```ts
 * import assert from "node:assert/strict";
 * import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
 * import { StorageMetricExporter } from "@oneiric/otel-storage/exporters";
 *
 * // In place of an OTelStorageAdapter.
 * const requests: Uint8Array[] = [];
 * const exporter = new StorageMetricExporter({
 *   write(_signal, body) {
 *     requests.push(body);
 *     return Promise.resolve({ accepted: 1, rejected: 0, message: "" });
 *   },
 * });
 * const reader = new PeriodicExportingMetricReader({ exporter });
 * const provider = new MeterProvider({ readers: [reader] });
 * provider.getMeter("shop").createCounter("orders").add(1);
 * await provider.shutdown();
 * assert.equal(requests.length, 1);
 * ```
 */
export class StorageMetricExporter {
  readonly #delegate: ExportDelegate<ResourceMetrics>;

  /**
   * Stores in what is handed in, which it does not close.
   *
   * @param store An `OTelStorageAdapter` that is initialised.
   * @throws {RangeError} An option is unknown or out of range; the message names it and its value.
   */
  constructor(store: ExportStore, options: StorageExporterOptions = {}) {
    this.#delegate = new ExportDelegate("metrics", ProtobufMetricsSerializer, store, options);
  }

  /** Stores metrics. The callback is told when they are durable, or why they are not. */
  export(metrics: ExportableMetrics, resultCallback: ExportDone): void {
    this.#delegate.export(metrics as ResourceMetrics, resultCallback);
  }

  /** Resolves when all that was exported is durable or has failed, after `timeoutMs` at the latest. */
  forceFlush(): Promise<void> {
    return this.#delegate.forceFlush();
  }

  /** The same, and takes no more. Idempotent. */
  shutdown(): Promise<void> {
    return this.#delegate.shutdown();
  }
}
