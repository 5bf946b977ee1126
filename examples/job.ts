/**
 * A job that ends right after its last span, as one that cron starts does. Nothing of it is lost.
 *
 *     deno run --allow-net --allow-env examples/job.ts
 *
 * `DATABASE_URL` says where Postgres is, `OTEL_EXPORTER_OTLP_ENDPOINT` where the other destination is.
 *
 * @module
 */

import { metrics, SpanStatusCode, trace } from "@opentelemetry/api";
import { setupTelemetry } from "@oneiric/otel-storage/exporters";

// Disposed at the end, also when the job fails: what was made is exported, for 10 s at most.
await using _telemetry = setupTelemetry({
  backend: "both",
  serviceName: "nightly",
  storage: {
    connectionString: Deno.env.get("DATABASE_URL") ?? "postgres://postgres@127.0.0.1/postgres",
  },
  onEvent: ({ level, message, fields }) => console.error(level, message, fields),
});

const tracer = trace.getTracer("nightly");
const cleaned = metrics.getMeter("nightly").createCounter("nightly.cleaned");

tracer.startActiveSpan("clean up", (job) => {
  for (const folder of ["inbox", "outbox", "missing"]) {
    tracer.startActiveSpan(`clean ${folder}`, (span) => {
      if (folder === "missing") {
        span.recordException(new Error(`there is no ${folder}`));
        span.setStatus({ code: SpanStatusCode.ERROR });
      } else cleaned.add(1, { folder });
      span.end();
    });
  }
  job.end();
});
