/**
 * A program that exports spans by one exporter, a process of its own: prints how many microseconds of
 * CPU it took for each, as a line of JSON.
 *
 *     deno run … bench/exporter_program.ts KIND URL FOLDER
 *
 * @module
 */

import process from "node:process";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtobufTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  type ReadableSpan,
  type SpanExporter,
  type SpanProcessor,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { OTelStorageAdapter } from "../src/adapter.ts";
import { StorageSpanExporter } from "../src/exporters.ts";

/** How the spans go. */
export const KINDS = {
  otlp: "official OTLP exporter (JSON), to a sink on this machine",
  protobuf: "the official one that sends protobuf, to the same",
  disk: "ours, through a journal on disk, to Postgres",
  memory: "ours, through a journal in memory, to Postgres",
  journal: "ours, as far as the journal on disk",
} as const;

/** One of {@linkcode KINDS}. */
export type Kind = keyof typeof KINDS;

const SPANS = 102_400;
/** Until the engine has compiled what is hot: a program that exports runs for hours. */
const WARM_UP = 102_400;
const BATCH = 512;
const ROUTES = ["/", "/orders", "/orders/:id", "/cart", "/checkout", "/login", "/search"];

/** Spans as a web server makes them. */
export function spansOf(count: number): ReadableSpan[] {
  const ended: ReadableSpan[] = [];
  const collecting: SpanProcessor = {
    onStart() {},
    onEnd: (span) => void ended.push(span),
    forceFlush: () => Promise.resolve(),
    shutdown: () => Promise.resolve(),
  };
  const resource = resourceFromAttributes({ "service.name": "shop", "host.name": "web-1" });
  const tracer = new TracerProvider({ resource, spanProcessors: [collecting] }).getTracer("http");
  for (let n = 0; n < count; n++) {
    tracer.startSpan(`GET ${ROUTES[n % ROUTES.length]}`, {
      kind: 1,
      attributes: {
        "http.request.method": "GET",
        "http.route": ROUTES[n % ROUTES.length]!,
        "http.response.status_code": n % 50 === 0 ? 500 : 200,
        "url.path": `/orders/${n}`,
        "server.address": "shop.example.org",
        "network.protocol.version": "1.1",
        "user.id": `user-${n % 1_000}`,
        "client.port": 40_000 + n % 20_000,
      },
    }).end();
  }
  return ended;
}

/** Exports all, a batch at a time, and waits for the last one. */
async function exportAll(exporter: SpanExporter, spans: readonly ReadableSpan[]): Promise<void> {
  for (let n = 0; n < spans.length; n += BATCH) {
    await new Promise<void>((resolve, reject) => {
      exporter.export(spans.slice(n, n + BATCH), ({ error }) => error ? reject(error) : resolve());
    });
  }
}

if (import.meta.main) {
  const [kind, url, folder] = Deno.args as [Kind, string, string];
  const isOurs = kind !== "otlp" && kind !== "protobuf";
  const adapter = !isOurs ? undefined : new OTelStorageAdapter({
    connectionString: url,
    ...kind === "memory" ? {} : { dataDir: folder },
    closeGraceMs: 100,
  });
  await adapter?.init();
  const Official = kind === "protobuf" ? ProtobufTraceExporter : OTLPTraceExporter;
  const exporter: SpanExporter = adapter === undefined
    ? new Official({ url: `${url}/v1/traces` })
    : new StorageSpanExporter(adapter);
  const run = async (spans: readonly ReadableSpan[]) => {
    await exportAll(exporter, spans);
    if (kind !== "journal") await adapter?.flush();
  };
  await run(spansOf(WARM_UP));
  const spans = spansOf(SPANS);
  // What was left behind by the making of spans is nobody's.
  (globalThis as { readonly gc?: () => void }).gc?.();
  const before = process.cpuUsage();
  await run(spans);
  const { user, system } = process.cpuUsage(before);
  console.log(JSON.stringify({ micros: (user + system) / SPANS }));
  await adapter?.close();
  Deno.exit(0);
}
