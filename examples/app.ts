/**
 * An application that exports to its own Postgres and to an OTLP destination at once.
 *
 *     deno run --allow-net --allow-env --allow-read=data --allow-write=data --allow-sys=statfs examples/app.ts
 *     curl http://127.0.0.1:8000/orders/7
 *
 * `DATABASE_URL` says where Postgres is, `OTEL_EXPORTER_OTLP_ENDPOINT` where the other destination is
 * (default: http://localhost:4318). Either may be down: it gets what it lacks when it is back, or as
 * much of that as OTLP exporters keep. What Postgres lacks waits in `./data`.
 *
 * @module
 */

import { logs, metrics, SeverityNumber, SpanStatusCode, trace } from "@opentelemetry/api";
import { setupTelemetry } from "@oneiric/otel-storage/exporters";

setupTelemetry({
  backend: "both",
  serviceName: "orders",
  storage: {
    connectionString: Deno.env.get("DATABASE_URL") ?? "postgres://postgres@127.0.0.1/postgres",
    dataDir: Deno.env.get("DATA_DIR") ?? "data",
  },
  flushOn: ["SIGINT", "SIGTERM"],
  onEvent: ({ level, message, fields }) => console.error(level, message, fields),
});

const tracer = trace.getTracer("orders");
const logger = logs.getLogger("orders");
const requests = metrics.getMeter("orders").createCounter("orders.requests");

Deno.serve({
  hostname: "127.0.0.1",
  port: Number(Deno.env.get("PORT") ?? 8000),
  onListen: ({ port }) => console.log(`listening on http://127.0.0.1:${port}`),
}, (request) => {
  const { pathname } = new URL(request.url);
  return tracer.startActiveSpan("GET /orders/:id", (span) => {
    const id = /^\/orders\/(\d+)$/.exec(pathname)?.[1];
    requests.add(1, { found: id !== undefined });
    span.setAttribute("url.path", pathname);
    if (id === undefined) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: "no such path" });
      logger.emit({ severityNumber: SeverityNumber.WARN, body: `nothing is at ${pathname}` });
    } else {
      span.setAttribute("order.id", id);
      logger.emit({ severityNumber: SeverityNumber.INFO, body: `order ${id} was read` });
    }
    span.end();
    return id === undefined
      ? Response.json({ error: "no such path" }, { status: 404 })
      : Response.json({ id });
  });
});
