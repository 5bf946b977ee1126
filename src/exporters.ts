/**
 * Telemetry of your own program into your own Postgres, and to any OTLP destination at once.
 *
 * {@linkcode setupTelemetry} sets up everything. The exporters are for an SDK that is set up already:
 * they go into its processors and readers.
 *
 *     program -> providers -> one processor each -> OTLP exporter            (official)
 *                                                -> exporter -> journal -> Postgres
 *
 * @module
 */

export type { AdapterEvent, OTelStorageAdapter, OTelStorageOptions } from "./adapter.ts";
export type { ExportDone, ExportStore, StorageExporterOptions } from "./export_delegate.ts";
export type { Providers } from "./global_telemetry.ts";
export type { WriteResult } from "./intake.ts";
export type { Signal } from "./record.ts";
export { setupTelemetry, type Telemetry } from "./setup_telemetry.ts";
export {
  type ExportableLogRecord,
  type ExportableMetrics,
  type ExportableSpan,
  StorageLogRecordExporter,
  StorageMetricExporter,
  StorageSpanExporter,
} from "./storage_exporters.ts";
export type { LegName, LegStats } from "./telemetry_legs.ts";
export type {
  ExitMoment,
  OtlpOptions,
  ResourceAttributes,
  TelemetryOptions,
} from "./telemetry_options.ts";
