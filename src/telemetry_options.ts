/**
 * The settings of `setupTelemetry`: what there is, what is allowed, what is meant when nothing is said.
 *
 * @module
 */

import * as z from "zod";
import type { AdapterEvent, OTelStorageAdapter, OTelStorageOptions } from "./adapter.ts";
import { refusedOption } from "./option_error.ts";

/** When a program ends by itself or is told to. */
export type ExitMoment = "SIGINT" | "SIGTERM" | "unload";

/** Settings of `setupTelemetry`. */
export interface TelemetryOptions {
  /** Where telemetry goes: an OTLP destination, Postgres, or both. @default {"otlp"} */
  readonly backend?: "otlp" | "postgresql" | "both";
  /** Whether there are spans. @default {true} */
  readonly traces?: boolean;
  /** Whether there are log records. @default {true} */
  readonly logs?: boolean;
  /** Whether there are metrics. @default {true} */
  readonly metrics?: boolean;
  /** The `service.name`. @default `OTEL_SERVICE_NAME`, or one of the SDK's */
  readonly serviceName?: string;
  /** Further attributes of the resource, before those of `OTEL_RESOURCE_ATTRIBUTES`. @default none */
  readonly resource?: ResourceAttributes;
  /**
   * Where Postgres is: the settings of an adapter, or one of yours, which stays open. With a `dataDir`
   * an outage of the database loses nothing. Needed unless `backend` is `otlp`.
   */
  readonly storage?: OTelStorageOptions | OTelStorageAdapter;
  /** The OTLP destination; what is not said is as the environment variables of OpenTelemetry say. */
  readonly otlp?: OtlpOptions;
  /**
   * How long spans and log records are collected before they are exported, in milliseconds.
   *
   * @default {1_000}
   */
  readonly batchDelayMs?: number;
  /** How many spans or log records may wait for each backend; more are dropped. @default {2_048} */
  readonly maxQueueSize?: number;
  /** How often metrics are exported, in milliseconds. @default {60_000} */
  readonly metricIntervalMs?: number;
  /**
   * How long a batch may take to be durable in Postgres, in milliseconds; then it is given up.
   *
   * @default {30_000}
   */
  readonly exportTimeoutMs?: number;
  /** How long `flush` and `shutdown` wait for each backend, in milliseconds. @default {10_000} */
  readonly shutdownTimeoutMs?: number;
  /**
   * When all is flushed and shut down without being asked. After a signal the process ends with 128
   * and its number; leave it out where a handler of yours ends the process, and call `shutdown` there.
   * `unload` is when nothing is left to do: `Deno.exit` ends the process at once and leaves no time.
   *
   * @default never
   */
  readonly flushOn?: readonly ExitMoment[];
  /** Told of what is worth a line in a log; who logs limits the rate. @default nobody */
  readonly onEvent?: (event: AdapterEvent) => void;
}

/** Attributes of what telemetry comes from. */
export type ResourceAttributes = Readonly<
  Record<string, string | number | boolean | string[] | number[] | boolean[]>
>;

/** An OTLP/HTTP destination, for the official exporters. */
export interface OtlpOptions {
  /** The base URL; `/v1/<signal>` is appended. @default `OTEL_EXPORTER_OTLP_ENDPOINT` */
  readonly url?: string | undefined;
  /** Sent with each request and never written anywhere. @default `OTEL_EXPORTER_OTLP_HEADERS` */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** How long a batch may take, retries included, in milliseconds. @default {10_000} */
  readonly timeoutMs?: number | undefined;
}

/** The longest wait a timer can do. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const timeMs = z.number().int().min(1).max(MAX_TIMER_MS);

const schema = z.strictObject({
  backend: z.enum(["otlp", "postgresql", "both"]).default("otlp"),
  traces: z.boolean().default(true),
  logs: z.boolean().default(true),
  metrics: z.boolean().default(true),
  serviceName: z.string().min(1).optional(),
  resource: z.custom<ResourceAttributes>(
    (value) => typeof value === "object" && value !== null,
    "has to be an object of attributes",
  ).default({}),
  // Checked by the adapter.
  storage: z.custom<OTelStorageOptions | OTelStorageAdapter>(
    (value) => typeof value === "object" && value !== null,
    "has to be the settings of an adapter, or an adapter",
  ).optional(),
  otlp: z.strictObject({
    url: z.url({ protocol: /^https?$/, error: "has to be an http: or https: URL" }).optional(),
    headers: z.record(z.string(), z.string()).optional(),
    timeoutMs: timeMs.optional(),
  }).default({}),
  batchDelayMs: timeMs.default(1_000),
  maxQueueSize: z.number().int().min(1).default(2_048),
  metricIntervalMs: timeMs.default(60_000),
  exportTimeoutMs: z.number().int().min(1).max(600_000).default(30_000),
  shutdownTimeoutMs: z.number().int().min(1).max(600_000).default(10_000),
  flushOn: z.array(z.enum(["SIGINT", "SIGTERM", "unload"])).readonly().default([]),
  onEvent: z.custom<(event: AdapterEvent) => void>(
    (value) => typeof value === "function",
    "has to be a function",
  ).default(() => () => {}),
});

/** The options with their defaults. */
export type TelemetrySettings = Readonly<z.infer<typeof schema>>;

const SECRETS: ReadonlySet<PropertyKey> = new Set(["storage", "url", "headers"]);

/**
 * Checks the options and fills in the defaults.
 *
 * @throws {RangeError} An option is unknown or out of range; the message names it and its value, but
 * nothing that may hold a password.
 */
export function telemetrySettings(options: TelemetryOptions): TelemetrySettings {
  const { data, error } = schema.safeParse(options);
  if (error !== undefined) throw refusedOption("set up telemetry", error, options, SECRETS);
  if (data.backend !== "otlp" && data.storage === undefined) {
    throw new RangeError(
      `Cannot set up telemetry with 'backend': '${data.backend}' (say in 'storage' where Postgres is)`,
    );
  }
  return data;
}
