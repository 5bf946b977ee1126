// deno-lint-ignore-file no-explicit-any -- What providers hand out is of `@opentelemetry/api`, whose types
// the public ones do not name: its own documentation is not complete, which ours has to be.

/**
 * What `@opentelemetry/api` hands out: providers, the context and the propagation of a program.
 *
 * @module
 */

import { context, logs, metrics, propagation, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  CompositePropagator,
  W3CBaggagePropagator,
  W3CTraceContextPropagator,
} from "@opentelemetry/core";

/** The providers of a program, as `@opentelemetry/api` has them; absent where a signal is off. */
export interface Providers {
  /** A `TracerProvider`: makes spans. */
  readonly tracerProvider?: {
    getTracer(name: string, version?: string, options?: any): any;
  };
  /** A `LoggerProvider`: makes log records. */
  readonly loggerProvider?: {
    getLogger(name: string, version?: string, options?: any): any;
  };
  /** A `MeterProvider`: makes metrics. */
  readonly meterProvider?: { getMeter(name: string, version?: string, options?: any): any };
}

/** What was registered. */
export interface Registration extends Disposable {
  /** Signals whose providers are not those given: somebody else's were there before. */
  readonly taken: readonly ("traces" | "logs" | "metrics")[];
}

/**
 * Registers providers, and what carries the context where nothing does so yet. Disposing takes back
 * what was registered here, and nothing else.
 */
export function registerGlobally(
  { tracerProvider, loggerProvider, meterProvider }: Providers,
): Registration {
  const undo: (() => void)[] = [];
  const taken: ("traces" | "logs" | "metrics")[] = [];
  const register = (isDone: boolean, disable: () => void): boolean => {
    if (isDone) undo.push(disable);
    return isDone;
  };
  const manager = new AsyncLocalStorageContextManager().enable();
  if (!register(context.setGlobalContextManager(manager), () => context.disable())) {
    manager.disable();
  }
  const propagator = new CompositePropagator({
    propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()],
  });
  register(propagation.setGlobalPropagator(propagator), () => propagation.disable());
  if (
    tracerProvider !== undefined &&
    !register(trace.setGlobalTracerProvider(tracerProvider), () => trace.disable())
  ) taken.push("traces");
  if (
    loggerProvider !== undefined &&
    !register(logs.setGlobalLoggerProvider(loggerProvider), () => logs.disable())
  ) taken.push("logs");
  if (
    meterProvider !== undefined &&
    !register(metrics.setGlobalMeterProvider(meterProvider), () => metrics.disable())
  ) taken.push("metrics");
  return {
    taken,
    [Symbol.dispose]() {
      for (const take of undo.splice(0)) take();
    },
  };
}
