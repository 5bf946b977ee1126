/** `setupTelemetry`: two ways out, each of which fails alone. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { metrics, trace } from "@opentelemetry/api";
import type { AdapterEvent } from "../src/adapter.ts";
import { setupTelemetry, type Telemetry, type TelemetryOptions } from "../src/exporters.ts";
import type { Signal } from "../src/record.ts";
import { canonicalise } from "./canonical.ts";
import { drivers, type TestDatabase, testDatabase } from "./postgres.ts";
import { type RecordingServer, requestOf, startServer } from "./recording_server.ts";
import { tcpProxy } from "./tcp_proxy.ts";
import { temporaryFolder } from "./temporary_folder.ts";

const SPANS = 700;
const hasServer = drivers.includes("postgres");

/** Makes spans, log records and a counter with the providers of the handle. */
function work({ tracerProvider, loggerProvider, meterProvider }: Telemetry): void {
  const tracer = tracerProvider!.getTracer("test");
  const logger = loggerProvider!.getLogger("test");
  for (let n = 0; n < SPANS; n++) {
    tracer.startSpan(`span ${n}`).end();
    logger.emit({ body: `log ${n}` });
  }
  meterProvider!.getMeter("test").createCounter("made").add(SPANS);
}

const EXPECTED: Readonly<Record<Signal, number>> = { traces: SPANS, logs: SPANS, metrics: 1 };

/** Distinct records that came by OTLP: what is sent again after an error counts once. */
function sentTo(other: RecordingServer): Record<Signal, number> {
  const count = (signal: Signal) =>
    new Set(
      other.exchanges.filter((exchange) => exchange.signal === signal)
        .flatMap((exchange) => canonicalise(signal, requestOf(signal, exchange))),
    ).size;
  return { traces: count("traces"), logs: count("logs"), metrics: count("metrics") };
}

async function storedIn({ database }: TestDatabase): Promise<Record<Signal, number>> {
  const [row] = await database.query<Record<Signal, number>>(`select
    (select count(*)::int from otel.spans) as traces, (select count(*)::int from otel.logs) as logs,
    (select count(*)::int from otel.metric_points) as metrics`);
  return row!;
}

/** How a destination behaves that does not take anything. */
const BROKEN: Readonly<Record<string, () => { url: string; close: () => Promise<void> | void }>> = {
  refuses: () => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    listener.close();
    return { url: `127.0.0.1:${port}`, close: () => {} };
  },
  hangs: () => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const held: Deno.Conn[] = [];
    const accepting = (async () => {
      for await (const connection of listener) held.push(connection);
    })();
    return {
      url: `127.0.0.1:${listener.addr.port}`,
      async close() {
        listener.close();
        await accepting;
        for (const connection of held) connection.close();
      },
    };
  },
  rejects: () => {
    const server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      () => new Response("no", { status: 400 }),
    );
    return { url: `127.0.0.1:${server.addr.port}`, close: () => server.shutdown() };
  },
};

/** What hangs is given up soon, and what does not has time. */
const SHORT: TelemetryOptions = {
  batchDelayMs: 20,
  exportTimeoutMs: 2_000,
  shutdownTimeoutMs: 12_000,
};

for (const [how, broken] of Object.entries(BROKEN)) {
  Deno.test({
    name: `Postgres gets everything while the OTLP destination ${how}`,
    ignore: !hasServer,
    async fn() {
      await using test = await testDatabase("postgres");
      const { url, close } = broken();
      const telemetry = setupTelemetry({
        ...SHORT,
        exportTimeoutMs: 30_000,
        backend: "both",
        serviceName: "shop",
        storage: { connectionString: test.url },
        otlp: { url: `http://${url}`, timeoutMs: 500 },
      });
      await telemetry.ready;
      work(telemetry);
      await telemetry.shutdown();
      assert.deepEqual(await storedIn(test), EXPECTED);
      assert.equal(telemetry.stats.postgresql!.failed, 0);
      assert.ok(telemetry.stats.otlp!.failed > 0);
      assert.equal(telemetry.stats.otlp!.exported, 0);
      await close();
    },
  });
}

for (const how of ["refuses", "hangs"] as const) {
  Deno.test(`the OTLP destination gets everything while Postgres ${how}`, async () => {
    await using other = await startServer("pglite");
    const { url, close } = BROKEN[how]!();
    const events: AdapterEvent[] = [];
    const telemetry = setupTelemetry({
      ...SHORT,
      backend: "both",
      storage: { connectionString: `postgres://app:s3cret@${url}/app`, closeGraceMs: 100 },
      otlp: { url: other.url },
      onEvent: (event) => events.push(event),
    });
    work(telemetry);
    await telemetry.shutdown();
    await assert.rejects(telemetry.ready);
    assert.deepEqual(sentTo(other), EXPECTED);
    assert.equal(telemetry.stats.otlp!.failed, 0);
    assert.equal(telemetry.stats.postgresql!.exported, 0);
    assert.ok(events.length > 0);
    assert.ok(!JSON.stringify(events).includes("s3cret"));
    await close();
  });
}

Deno.test({
  name:
    "a Postgres that comes later gets what was exported before, and the OTLP destination did not wait",
  ignore: !hasServer,
  async fn() {
    await using test = await testDatabase("postgres");
    await using other = await startServer("pglite");
    await using data = await temporaryFolder();
    await using proxy = await tcpProxy(Number(new URL(test.url).port));
    proxy.onSent = () => "cut before";
    const address = Object.assign(new URL(test.url), { port: String(proxy.port) });
    const telemetry = setupTelemetry({
      ...SHORT,
      backend: "both",
      storage: { connectionString: address.href, dataDir: data.path, circuitBreakerCooldownMs: 50 },
      otlp: { url: other.url },
    });
    work(telemetry);
    await telemetry.flush();
    assert.deepEqual(sentTo(other), EXPECTED);
    proxy.onSent = () => "pass";
    await telemetry.storage!.flush({ signal: AbortSignal.timeout(60_000) });
    await telemetry.shutdown();
    const { traces, logs } = await storedIn(test);
    assert.deepEqual({ traces, logs }, { traces: SPANS, logs: SPANS });
    assert.equal(telemetry.stats.postgresql!.failed, 0);
  },
});

Deno.test("providers are registered for @opentelemetry/api until the handle is disposed", async () => {
  {
    await using telemetry = setupTelemetry({
      backend: "postgresql",
      metrics: false,
      storage: { pgliteDir: "memory://" },
    });
    assert.equal(telemetry.meterProvider, undefined);
    const parent = trace.getTracer("test").startActiveSpan("parent", (span) => {
      trace.getTracer("test").startSpan("child").end();
      span.end();
      return span.spanContext();
    });
    metrics.getMeter("test").createCounter("nobody's").add(1);
    await telemetry.ready;
    await telemetry.flush();
    const stored = await telemetry.storage!.getTrace(parent.traceId);
    const child = stored.find(({ record }) => record.name === "child")!.record;
    assert.equal(child.parentSpanId, parent.spanId);
    // The statements of the storing are no spans.
    assert.equal((await telemetry.storage!.exportStored("traces")).resourceSpans.length, 2);
    assert.equal(telemetry.shutdown(), telemetry.shutdown());
  }
  assert.equal(trace.getTracer("test").startSpan("nobody's").isRecording(), false);
});

Deno.test("a setting of telemetry that is wrong is refused by name, without what may be secret", () => {
  const refused = (options: unknown, message: RegExp) =>
    assert.throws(() => setupTelemetry(options as TelemetryOptions), (error) => {
      assert.ok(error instanceof RangeError);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /s3cret/);
      return true;
    });
  refused({ backend: "both" }, /'backend': 'both'/);
  refused({ backend: "postgres" }, /'backend'/);
  refused({ otlp: { url: "ftp://user:s3cret@example.org" } }, /'otlp\.url'/);
  refused({ batchDelayMs: 0 }, /'batchDelayMs': 0/);
  refused({ flushOn: ["SIGHUP"] }, /'flushOn/);
  refused(
    { backend: "postgresql", storage: { connectionString: "mysql://a:s3cret@b/c" } },
    /connectionString/,
  );
});

Deno.test("beside Deno's own OpenTelemetry it warns, and what its own providers make is stored", async () => {
  await using other = await startServer("pglite");
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--allow-all",
      fileURLToPath(new URL("builtin_program.ts", import.meta.url)),
    ],
    env: {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_ENDPOINT: other.url,
      OTEL_METRICS_EXPORTER: "none",
    },
    stdin: "null",
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  assert.deepEqual(JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1)!), {
    warnings: [{ level: "warn", signals: ["traces", "logs", "metrics"] }],
    // Its parent is Deno's span: the context is shared.
    stored: [{ name: "of the handle", hasParent: true }],
  });
  const names = other.exchanges.filter(({ signal }) => signal === "traces")
    .flatMap((exchange) => requestOf("traces", exchange).resourceSpans)
    .flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans.map(({ name }) => name)));
  assert.ok(names.includes("of Deno"));
  assert.ok(!names.includes("of the handle"));
});
