/**
 * The two ways out of a program, each with processors and readers of its own, so that one that is down,
 * hangs or refuses never holds up the other.
 *
 * @module
 */

import { type ExportResult, ExportResultCode } from "@opentelemetry/core";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { BatchLogRecordProcessor, type LogRecordExporter } from "@opentelemetry/sdk-logs";
import { PeriodicExportingMetricReader, type PushMetricExporter } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, type SpanExporter } from "@opentelemetry/sdk-trace";
import type { ExportStore } from "./export_delegate.ts";
import { reasonOf } from "./reason.ts";
import {
  StorageLogRecordExporter,
  StorageMetricExporter,
  StorageSpanExporter,
} from "./storage_exporters.ts";
import type { OtlpOptions, TelemetrySettings } from "./telemetry_options.ts";

/** Which way. */
export type LegName = "otlp" | "postgresql";

/** What one way has taken and lost since the program began, in batches. */
export interface LegStats {
  /** Batches that have arrived. */
  readonly exported: number;
  /** Batches that were given up. */
  readonly failed: number;
}

/** A part that can be told to finish. */
interface Flushable {
  forceFlush(): Promise<void>;
  shutdown(): Promise<void>;
}

interface Exporters {
  readonly spans: SpanExporter;
  readonly logs: LogRecordExporter;
  readonly metrics: PushMetricExporter;
}

/** Exporters to an OTLP destination. */
export function otlpExporters({ url, headers, timeoutMs }: OtlpOptions): Exporters {
  const to = (signal: string) => ({
    ...(url === undefined ? {} : { url: `${url.replace(/\/+$/, "")}/v1/${signal}` }),
    ...(headers === undefined ? {} : { headers: { ...headers } }),
    ...(timeoutMs === undefined ? {} : { timeoutMillis: timeoutMs }),
  });
  return {
    spans: new OTLPTraceExporter(to("traces")),
    logs: new OTLPLogExporter(to("logs")),
    metrics: new OTLPMetricExporter(to("metrics")),
  };
}

/** Exporters to a store. */
export function storageExporters(
  store: ExportStore,
  { exportTimeoutMs: timeoutMs }: TelemetrySettings,
): Exporters {
  return {
    spans: new StorageSpanExporter(store, { timeoutMs }),
    logs: new StorageLogRecordExporter(store, { timeoutMs }),
    metrics: new StorageMetricExporter(store, { timeoutMs }),
  };
}

/** One way: what the SDK hands over to it, and how far it has come. */
export class TelemetryLeg {
  /** Which one. */
  readonly name: LegName;
  /** Absent where the signal is off, as the others. */
  readonly spans: BatchSpanProcessor | undefined;
  /** What log records go through. */
  readonly logs: BatchLogRecordProcessor | undefined;
  /** What collects metrics. */
  readonly metrics: PeriodicExportingMetricReader | undefined;
  readonly #exporters: Exporters;
  readonly #settings: TelemetrySettings;
  #exported = 0;
  #failed = 0;

  /** Makes processors and a reader for the signals that are on. */
  constructor(name: LegName, exporters: Exporters, settings: TelemetrySettings) {
    this.name = name;
    this.#exporters = exporters;
    this.#settings = settings;
    const { traces, logs, metrics, batchDelayMs, maxQueueSize, metricIntervalMs } = settings;
    const { exportTimeoutMs } = settings;
    const batch = {
      scheduledDelayMillis: batchDelayMs,
      maxQueueSize,
      maxExportBatchSize: Math.min(512, maxQueueSize),
      // The exporter gives up first, and says why.
      exportTimeoutMillis: exportTimeoutMs + 1_000,
    };
    const { spans: toSpans, logs: toLogs, metrics: toMetrics } = exporters;
    for (const exporter of Object.values(exporters)) this.#watch(exporter);
    this.spans = traces ? new BatchSpanProcessor({ ...batch, exporter: toSpans }) : undefined;
    this.logs = logs ? new BatchLogRecordProcessor({ ...batch, exporter: toLogs }) : undefined;
    this.metrics = metrics
      ? new PeriodicExportingMetricReader({
        exporter: toMetrics,
        exportIntervalMillis: metricIntervalMs,
        exportTimeoutMillis: Math.min(metricIntervalMs, exportTimeoutMs + 1_000),
      })
      : undefined;
  }

  /** Numbers since the program began. */
  get stats(): LegStats {
    return { exported: this.#exported, failed: this.#failed };
  }

  /** Counts what becomes of the batches, and says what is lost. */
  #watch<Batch>(
    exporter: { export(batch: Batch, done: (result: ExportResult) => void): void },
  ): void {
    const send = exporter.export.bind(exporter);
    exporter.export = (batch, done) =>
      send(batch, (result) => {
        if (result.code === ExportResultCode.SUCCESS) this.#exported++;
        else this.#onFailure(result.error);
        done(result);
      });
  }

  #onFailure(error: unknown): void {
    this.#failed++;
    this.#settings.onEvent({
      level: "warn",
      message: "cannot export a batch, it is given up",
      fields: { backend: this.name, error: reasonOf(error) },
    });
  }

  /** Exports what waits, for `shutdownTimeoutMs` at most. Never rejects. */
  flush(): Promise<void> {
    return this.#all("flush", async (parts) => {
      await Promise.allSettled(parts.map((part) => part.forceFlush()));
      // The processor of spans does not wait for the batch that its timer has sent.
      await Promise.allSettled(Object.values(this.#exporters).map((to) => to.forceFlush?.()));
    });
  }

  /** The same, and takes no more. */
  shutdown(): Promise<void> {
    return this.#all(
      "shut down",
      (parts) => Promise.allSettled(parts.map((part) => part.shutdown())),
    );
  }

  async #all(action: string, run: (parts: Flushable[]) => Promise<unknown>): Promise<void> {
    const { shutdownTimeoutMs, onEvent } = this.#settings;
    const parts = [this.spans, this.logs, this.metrics].filter((part) => part !== undefined);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<"late">((resolve) => {
      timer = setTimeout(() => resolve("late"), shutdownTimeoutMs);
    });
    // What fails is told where it fails.
    const ended = await Promise.race([run(parts), late]);
    clearTimeout(timer);
    if (ended !== "late") return;
    onEvent({
      level: "warn",
      message: `cannot ${action} in time`,
      fields: { backend: this.name, timeoutMs: shutdownTimeoutMs },
    });
  }
}
