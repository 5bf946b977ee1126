/**
 * Telemetry of a program, to an OTLP destination and to Postgres at once.
 *
 * @module
 */

import process from "node:process";
import {
  defaultResource,
  detectResources,
  envDetector,
  type Resource,
  resourceFromAttributes,
} from "@opentelemetry/resources";
import { LoggerProvider } from "@opentelemetry/sdk-logs";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { TracerProvider } from "@opentelemetry/sdk-trace";
import type { OTelStorageAdapter } from "./adapter.ts";
import { type Providers, registerGlobally, type Registration } from "./global_telemetry.ts";
import { StorageLeg } from "./storage_leg.ts";
import {
  type LegName,
  type LegStats,
  otlpExporters,
  storageExporters,
  TelemetryLeg,
} from "./telemetry_legs.ts";
import {
  type ExitMoment,
  type TelemetryOptions,
  type TelemetrySettings,
  telemetrySettings,
} from "./telemetry_options.ts";

/** Telemetry that is set up. Disposing flushes it and shuts it down. */
export interface Telemetry extends AsyncDisposable, Providers {
  /** The adapter, for queries and upkeep; undefined when `backend` is `otlp`. */
  readonly storage: OTelStorageAdapter | undefined;
  /** Resolves when the storage is open, at once when there is none; rejects when shut down before. */
  readonly ready: Promise<void>;
  /** What each backend has taken and lost. */
  readonly stats: Readonly<Partial<Record<LegName, LegStats>>>;
  /**
   * Exports what waits: to the destination, and into the journal or the database. For
   * `shutdownTimeoutMs` at most; what fails is told to `onEvent`. Never rejects.
   */
  flush(): Promise<void>;
  /** The same; then takes no more and closes what it has opened. Idempotent, and never rejects. */
  shutdown(): Promise<void>;
}

/** What a process ends with that a signal has ended: 128 and its number. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

/**
 * Sets up the OpenTelemetry SDK: providers for `@opentelemetry/api`, the context across `await`, and
 * the two ways out. It does not wait for them: a database that cannot be reached is tried again until
 * it comes, and neither backend ever waits for the other.
 *
 * Without a `dataDir` in `storage`, what is exported while the database is away waits in memory
 * (`maxQueueSize` for each signal, `exportTimeoutMs` for a batch) and is then dropped; with one it
 * waits in the journal there.
 *
 * Where Deno's own OpenTelemetry is on (`OTEL_DENO=true`), or another SDK, its providers stay those of
 * `@opentelemetry/api`: what is made through that goes where they send it, and a warning says so. Then
 * make spans, log records and metrics with the providers of the handle, or start without `OTEL_DENO`.
 * The context is shared either way, so spans of both are parents of each other.
 *
 * @throws {RangeError} An option is unknown or out of range; the message names it and its value.
 *
 * @example Spans in an embedded database
 * ```ts
 * import assert from "node:assert/strict";
 * import { trace } from "@opentelemetry/api";
 * import { setupTelemetry } from "@oneiric/otel-storage/exporters";
 *
 * await using telemetry = setupTelemetry({
 *   backend: "postgresql", // or "both": also to OTEL_EXPORTER_OTLP_ENDPOINT
 *   serviceName: "shop",
 *   storage: { pgliteDir: "memory://" },
 * });
 * await telemetry.ready; // an embedded database may start slowly, and a flush waits for 10 s at most
 * const span = trace.getTracer("shop").startSpan("checkout");
 * span.end();
 * await telemetry.flush();
 * const [stored] = await telemetry.storage!.getTrace(span.spanContext().traceId);
 * assert.equal(stored?.record.name, "checkout");
 * ```
 */
export function setupTelemetry(options: TelemetryOptions = {}): Telemetry {
  return new RunningTelemetry(telemetrySettings(options));
}

class RunningTelemetry implements Telemetry {
  readonly tracerProvider?: TracerProvider;
  readonly loggerProvider?: LoggerProvider;
  readonly meterProvider?: MeterProvider;
  readonly #storage: StorageLeg | undefined;
  readonly #legs: readonly TelemetryLeg[];
  readonly #registration: Registration;
  readonly #forget: () => void;
  #shutdown: Promise<void> | undefined;

  constructor(settings: TelemetrySettings) {
    const { backend, otlp, storage, traces, logs, metrics, flushOn, onEvent } = settings;
    // Checked before anything is registered; it begins to open when the context is carried.
    const storageLeg = backend === "otlp" ? undefined : new StorageLeg(storage!, onEvent);
    this.#storage = storageLeg;
    const legs: TelemetryLeg[] = [];
    if (storageLeg !== undefined) {
      const exporters = storageExporters(storageLeg, settings);
      legs.push(new TelemetryLeg("postgresql", exporters, settings));
    }
    if (backend !== "postgresql") {
      legs.push(new TelemetryLeg("otlp", otlpExporters(otlp), settings));
    }
    this.#legs = legs;
    const resource = resourceOf(settings);
    const of = <T>(part: (leg: TelemetryLeg) => T | undefined): T[] =>
      legs.map(part).filter((value) => value !== undefined);
    if (traces) {
      this.tracerProvider = new TracerProvider({
        resource,
        spanProcessors: of((leg) => leg.spans),
      });
    }
    if (logs) {
      this.loggerProvider = new LoggerProvider({ resource, processors: of((leg) => leg.logs) });
    }
    if (metrics) {
      this.meterProvider = new MeterProvider({ resource, readers: of((leg) => leg.metrics) });
    }
    this.#registration = registerGlobally(this);
    storageLeg?.open();
    const { taken } = this.#registration;
    if (taken.length > 0) {
      onEvent({
        level: "warn",
        message: "other providers are registered with @opentelemetry/api (OTEL_DENO, or another " +
          "SDK): what is made through it does not come here, use those of the handle",
        fields: { signals: taken },
      });
    }
    this.#forget = this.#shutDownOn(flushOn);
  }

  get storage(): OTelStorageAdapter | undefined {
    return this.#storage?.adapter;
  }

  get ready(): Promise<void> {
    return this.#storage?.opened ?? Promise.resolve();
  }

  get stats(): Partial<Record<LegName, LegStats>> {
    return Object.fromEntries(this.#legs.map(({ name, stats }) => [name, stats]));
  }

  async flush(): Promise<void> {
    await Promise.all(this.#legs.map((leg) => leg.flush()));
  }

  shutdown(): Promise<void> {
    return this.#shutdown ??= this.#end();
  }

  async #end(): Promise<void> {
    this.#forget();
    await Promise.all(this.#legs.map((leg) => leg.shutdown()));
    await this.#storage?.[Symbol.asyncDispose]();
    // Last: what is stored at the end would be traced without the context that says not to.
    this.#registration[Symbol.dispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  /** @returns Takes the listeners away. */
  #shutDownOn(moments: readonly ExitMoment[]): () => void {
    const listeners = [...new Set(moments)].map((moment) => {
      if (moment === "unload") {
        // Dispatched when nothing is left to do; what is begun in it is waited for.
        const onEnd = () => void this.shutdown();
        globalThis.addEventListener("beforeunload", onEnd);
        return () => globalThis.removeEventListener("beforeunload", onEnd);
      }
      const onSignal = () => void this.shutdown().finally(() => process.exit(EXIT_CODES[moment]));
      process.on(moment, onSignal);
      return () => void process.off(moment, onSignal);
    });
    return () => listeners.forEach((remove) => remove());
  }
}

function resourceOf({ serviceName, resource }: TelemetrySettings): Resource {
  const told = serviceName === undefined ? resource : { ...resource, "service.name": serviceName };
  return defaultResource()
    .merge(detectResources({ detectors: [envDetector] }))
    .merge(resourceFromAttributes(told));
}
