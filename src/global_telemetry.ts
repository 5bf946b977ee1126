/**
 * What `@opentelemetry/api` hands out: providers, the context and the propagation of a program.
 *
 * @module
 */

import {
  context,
  type LoggerProvider,
  logs,
  type MeterProvider,
  metrics,
  propagation,
  trace,
  type TracerProvider,
} from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  CompositePropagator,
  W3CBaggagePropagator,
  W3CTraceContextPropagator,
} from "@opentelemetry/core";

/** The providers of a program; absent where a signal is off. */
export interface Providers {
  /** Makes spans. */
  readonly tracerProvider?: TracerProvider;
  /** Makes log records. */
  readonly loggerProvider?: LoggerProvider;
  /** Makes metrics. */
  readonly meterProvider?: MeterProvider;
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
