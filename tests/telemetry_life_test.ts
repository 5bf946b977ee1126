/**
 * `setupTelemetry` from its beginning to its end: what is registered and taken back, what is untraced,
 * and that nothing is lost when a program ends.
 */

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { context, logs, metrics, trace } from "@opentelemetry/api";
import { isTracingSuppressed } from "@opentelemetry/core";
import { type AdapterEvent, OTelStorageAdapter } from "../src/adapter.ts";
import { setupTelemetry } from "../src/exporters.ts";
import { pg } from "../src/postgres/pg.ts";
import { type MisbehavingServer, misbehavingServer } from "./misbehaving_server.ts";
import { asAdmin, drivers, testDatabase } from "./postgres.ts";

const onServer = { ignore: !drivers.includes("postgres") };
const SPANS = 700;

/** Spans in more than one batch, log records, a metric. */
function work(): void {
  const tracer = trace.getTracer("shop");
  for (let i = 0; i < SPANS / 2; i++) {
    tracer.startActiveSpan(`order ${i}`, (order) => {
      tracer.startSpan(`payment ${i}`).end();
      logs.getLogger("shop").emit({ body: `sold ${i}` });
      order.end();
    });
  }
  metrics.getMeter("shop").createCounter("orders").add(SPANS / 2);
}

const ALL = { spans: SPANS, children: SPANS / 2, logs: SPANS / 2, orders: SPANS / 2 };

/** What the destination was sent. */
function sentTo({ requests }: MisbehavingServer): typeof ALL {
  const found = { spans: 0, children: 0, logs: 0, orders: 0 };
  for (const { signal, body } of requests) {
    const request = JSON.parse(new TextDecoder().decode(body));
    for (const { scopeSpans } of request.resourceSpans ?? []) {
      for (const { spans } of scopeSpans) {
        found.spans += spans.length;
        found.children += spans.filter((span: { parentSpanId?: string }) => span.parentSpanId)
          .length;
      }
    }
    for (const { scopeLogs } of request.resourceLogs ?? []) {
      for (const { logRecords } of scopeLogs) found.logs += logRecords.length;
    }
    if (signal === "metrics") {
      found.orders =
        request.resourceMetrics[0].scopeMetrics[0].metrics[0].sum.dataPoints[0].asInt ??
          request.resourceMetrics[0].scopeMetrics[0].metrics[0].sum.dataPoints[0].asDouble;
    }
  }
  return found;
}

/** What the database has. */
async function storedIn(url: string): Promise<typeof ALL> {
  await using database = pg(url, { maxConnections: 1 });
  const [row] = await database.query<typeof ALL>(
    `select (select count(*)::int from otel.spans) as spans,
       (select count(*)::int from otel.spans s join otel.spans p
         on p.trace_id = s.trace_id and p.span_id = s.parent_span_id) as children,
       (select count(*)::int from otel.logs join otel.spans using (trace_id, span_id)) as logs,
       (select max(value)::int from otel.metric_points) as orders`,
  );
  return { ...row! };
}

/** The official exporters keep their connections and timers for a while: nothing that this could end. */
const test = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name, fn, ...onServer, sanitizeOps: false, sanitizeResources: false });

test("a database that comes later gets what waited in memory before it came", async () => {
  await using server = await testDatabase("postgres");
  await using destination = await misbehavingServer();
  const name = `late_${randomUUID().replaceAll("-", "")}`;
  const url = new URL(server.url);
  url.pathname = `/${name}`;
  const failed = Promise.withResolvers<void>();
  const telemetry = setupTelemetry({
    backend: "both",
    otlp: { url: destination.url },
    storage: { connectionString: url.href },
    onEvent: () => failed.resolve(),
  });
  work();
  await failed.promise;
  await asAdmin(`create database ${name} template template0 encoding 'UTF8'`);
  await telemetry.ready;
  await telemetry.shutdown();
  assert.deepEqual(await storedIn(url.href), ALL);
  assert.deepEqual(sentTo(destination), ALL);
  await asAdmin(`drop database ${name} with (force)`);
});

test("an adapter that was handed in stays open", async () => {
  await using database = await testDatabase("postgres");
  await using adapter = new OTelStorageAdapter({ connectionString: database.url });
  const telemetry = setupTelemetry({ backend: "postgresql", storage: adapter });
  assert.equal(telemetry.storage, adapter);
  work();
  await telemetry.shutdown();
  assert.equal((await adapter.health()).ok, true);
  assert.deepEqual(await storedIn(database.url), ALL);
});

Deno.test("what stores is not traced, whoever traces databases and requests", async () => {
  const seen: boolean[] = [];
  const adapter = new OTelStorageAdapter({ pgliteDir: "memory://" });
  adapter.init = () => {
    seen.push(isTracingSuppressed(context.active()));
    return Promise.resolve();
  };
  adapter.write = async () => {
    await Promise.resolve();
    seen.push(isTracingSuppressed(context.active()));
    return { accepted: 1, rejected: 0, message: "" };
  };
  const telemetry = setupTelemetry({ backend: "postgresql", storage: adapter, batchDelayMs: 1 });
  trace.getTracer("shop").startActiveSpan("order", (span) => {
    assert.equal(isTracingSuppressed(context.active()), false);
    span.end();
  });
  logs.getLogger("shop").emit({ body: "sold" });
  metrics.getMeter("shop").createCounter("orders").add(1);
  await telemetry.shutdown();
  assert.deepEqual(seen, [true, true, true, true]);
});

Deno.test("a flush waits for the batches that were sent before it", async () => {
  const adapter = new OTelStorageAdapter({ pgliteDir: "memory://" });
  adapter.init = () => Promise.resolve();
  const allSent = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  let sent = 0;
  let durable = 0;
  adapter.write = async () => {
    if (++sent === 2) allSent.resolve();
    await held.promise;
    durable++;
    return { accepted: 1, rejected: 0, message: "" };
  };
  await using telemetry = setupTelemetry({
    backend: "postgresql",
    storage: adapter,
    metrics: false,
    batchDelayMs: 1,
  });
  trace.getTracer("shop").startSpan("order").end();
  logs.getLogger("shop").emit({ body: "sold" });
  // The timers of the processors do not keep a program alive.
  const alive = setInterval(() => {}, 1_000);
  await allSent.promise;
  clearInterval(alive);
  const flushed = telemetry.flush().then(() => durable);
  setTimeout(held.resolve, 50);
  assert.equal(await flushed, 2);
});

Deno.test("signals can be off, and what was registered is taken back at the end", async () => {
  const adapter = new OTelStorageAdapter({ pgliteDir: "memory://" });
  adapter.init = () => Promise.resolve();
  const options = { backend: "postgresql", storage: adapter } as const;
  const spansOnly = setupTelemetry({ ...options, logs: false, metrics: false });
  assert.deepEqual([spansOnly.loggerProvider, spansOnly.meterProvider], [undefined, undefined]);
  assert.ok(trace.getTracer("a").startSpan("b").isRecording());

  const events: AdapterEvent[] = [];
  const second = setupTelemetry({ ...options, onEvent: (event) => events.push(event) });
  assert.deepEqual(events.map(({ fields }) => fields), [{ signals: ["traces"] }]);
  await second.shutdown();
  assert.ok(trace.getTracer("a").startSpan("b").isRecording());
  await spansOnly.shutdown();
  assert.ok(!trace.getTracer("c").startSpan("d").isRecording());
});

const PROGRAM = fileURLToPath(new URL("./fixtures/exporting_program.ts", import.meta.url));
/** Less than an idle connection to the database is kept, in milliseconds. */
const IDLE_CONNECTION_MS = 28_000;
const WHOLE = { spans: 2_000, children: 1_000, logs: 1, orders: 1 };

for (const [how, code] of [["shutdown", 0], ["SIGTERM", 143], ["SIGINT", 130]] as const) {
  test(`a program that ends by ${how} right after its last span loses nothing`, async () => {
    await using database = await testDatabase("postgres");
    await using destination = await misbehavingServer();
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-prompt", "--allow-net", "--allow-env", PROGRAM]
        .concat(how, database.url),
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: destination.url },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const stderr = new Response(child.stderr).text();
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      if (text.includes("ready")) child.kill(how as Deno.Signal);
    }
    const status = await child.status;
    assert.deepEqual([status.code, status.signal], [code, null], await stderr);
    assert.deepEqual(sentTo(destination), WHOLE);
    // The one log record is of no span.
    assert.deepEqual(await storedIn(database.url), { ...WHOLE, logs: 0 });
  });
}

test("idle connections keep no program alive that has nothing left to do, and it loses nothing", async () => {
  await using database = await testDatabase("postgres");
  await using destination = await misbehavingServer();
  const late = AbortSignal.timeout(IDLE_CONNECTION_MS);
  const { code, signal, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--allow-net", "--allow-env", PROGRAM]
      .concat("unload", database.url),
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: destination.url },
    stdin: "null",
    signal: late,
  }).output();
  assert.deepEqual([code, signal], [0, null], new TextDecoder().decode(stderr));
  assert.equal(late.aborted, false);
  assert.deepEqual(sentTo(destination), WHOLE);
  assert.deepEqual(await storedIn(database.url), { ...WHOLE, logs: 0 });
});
