/**
 * A program that had a plain OTLP exporter, and got a second one: two lines are new, marked below. What
 * it had goes on as before.
 *
 *     deno run --allow-net --allow-env examples/migrated.ts
 *
 * `DATABASE_URL` says where Postgres is, `OTEL_EXPORTER_OTLP_ENDPOINT` where the other destination is.
 *
 * @module
 */

import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { OTelStorageAdapter } from "@oneiric/otel-storage";
import { StorageSpanExporter } from "@oneiric/otel-storage/exporters";

await using storage = new OTelStorageAdapter({ // new
  connectionString: Deno.env.get("DATABASE_URL") ?? "postgres://postgres@127.0.0.1/postgres",
});
await storage.init();

const provider = new TracerProvider({
  resource: resourceFromAttributes({ "service.name": "billing" }),
  spanProcessors: [
    new BatchSpanProcessor({ exporter: new OTLPTraceExporter() }),
    new BatchSpanProcessor({ exporter: new StorageSpanExporter(storage) }), // new
  ],
});

const span = provider.getTracer("billing").startSpan("send invoices");
span.setAttribute("invoices", 3);
span.end();

await provider.shutdown();
