/**
 * A program with Deno's own OpenTelemetry on, which sets up ours as well: prints what it was warned of
 * and which spans are stored, as a line of JSON.
 *
 * @module
 */

import { trace } from "@opentelemetry/api";
import { setupTelemetry } from "../src/exporters.ts";

if (import.meta.main) {
  const warnings: unknown[] = [];
  const telemetry = setupTelemetry({
    backend: "postgresql",
    storage: { pgliteDir: "memory://" },
    onEvent: ({ level, fields }) => warnings.push({ level, ...fields }),
  });
  trace.getTracer("test").startActiveSpan("of Deno", (outer) => {
    telemetry.tracerProvider!.getTracer("test").startSpan("of the handle").end();
    outer.end();
  });
  // The first start of an embedded database may take longer than a flush waits.
  await telemetry.ready;
  await telemetry.flush();
  const { resourceSpans } = await telemetry.storage!.exportStored("traces");
  const spans = resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));
  await telemetry.shutdown();
  const stored = spans.map(({ name, parentSpanId }) => ({ name, hasParent: parentSpanId !== "" }));
  console.log(JSON.stringify({ warnings, stored }));
}
