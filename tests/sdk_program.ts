/**
 * A program that says what can be said with the OpenTelemetry JS SDK. Exemplars cannot: this SDK
 * collects none.
 *
 * @module
 */

import {
  type Attributes,
  createTraceState,
  type HrTime,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  ValueType,
} from "@opentelemetry/api";
import { type Resource, resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import {
  AggregationType,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import type { Exporters, Sending } from "./sdk_exporters.ts";

/** An attribute of every type, ordinary and not. */
export const EVERY_TYPE: Attributes = {
  "text": "Grüße, 世界 👋",
  "text.empty": "",
  "text.nul": "a\0b",
  "text.lone": "\ud83d!",
  "int": 42,
  "int.negative": -7,
  "int.safe": Number.MAX_SAFE_INTEGER,
  "int.large": -(2 ** 62),
  "int.beyond": 2 ** 64,
  "double": 0.1,
  "double.largest": Number.MAX_VALUE,
  "double.smallest": Number.MIN_VALUE,
  "double.nan": NaN,
  "double.infinite": -Infinity,
  "true": true,
  "false": false,
  "bytes": new Uint8Array([0, 128, 255]),
  "texts": ["a", "", "c"],
  "ints": [1, -2],
  "doubles": [0.5, 1e-7],
  "bools": [true, false],
  "array.empty": [],
  "array.mixed": ["a", 1, 0.5, null, [true], { "k": "v" }],
  "map": { "a": 1, "b": { "c": ["d"] } },
  "map.empty": {},
  "nothing": null,
};

/** What jsonb says of {@linkcode EVERY_TYPE}. */
export function everyTypeAsJson({ encoding }: Sending): Record<string, unknown> {
  return {
    ...EVERY_TYPE,
    "text.nul": "a\ufffdb",
    "text.lone": "\ufffd!",
    "bytes": "AID/",
    // This SDK's JSON says null where a double is not finite.
    "double.nan": encoding === "json" ? null : "NaN",
    "double.infinite": encoding === "json" ? null : "-Infinity",
  };
}

/** The span that called this program, elsewhere. */
export const CALLER: SpanContext = {
  traceId: "5b8efff798038103d269b633813fc60c",
  spanId: "eee19b7ec3c1b174",
  traceFlags: TraceFlags.SAMPLED,
  traceState: createTraceState("vendor=t61rcWkgMzE,rojo=00f067aa0ba902b7"),
  isRemote: true,
};

const SCHEMA = "https://opentelemetry.io/schemas/1.37.0";
/** No timer of the SDK fires on its own. */
const NEVER_MS = 2 ** 31 - 1;

/** What the program did, for those who look for it. */
export interface Run {
  /** Its first second: unix time. */
  readonly second: number;
  /** The spans of {@linkcode CALLER}'s trace and of the other one, by name. */
  readonly spans: ReadonlyMap<string, SpanContext>;
}

/** Runs the program to its end, when everything has been sent. */
export async function runProgram(service: string, exporters: Exporters): Promise<Run> {
  const resource = resourceFromAttributes({
    "service.name": service,
    "service.namespace": "shop",
    "host.cpus": 8,
    "host.load": 0.25,
    "host.virtual": true,
    "host.ip": ["10.0.0.1", "fe80::1"],
  }, { schemaUrl: SCHEMA });
  const second = Math.floor(Date.now() / 1000) - 60;
  const spans = await trade(resource, exporters, second);
  await log(resource, exporters, second, spans.get("GET /cart")!);
  await measure(resource, exporters);
  return { second, spans: new Map([...spans].map(([name, span]) => [name, span.spanContext()])) };
}

/** Spans of every kind and status, and one that says too much. */
async function trade(
  resource: Resource,
  { spans: exporter }: Exporters,
  second: number,
): Promise<ReadonlyMap<string, Span>> {
  const provider = new TracerProvider({
    resource,
    spanLimits: {
      attributeCountLimit: 30,
      eventCountLimit: 3,
      linkCountLimit: 3,
      attributePerEventCountLimit: 3,
      attributePerLinkCountLimit: 3,
    },
    spanProcessors: [new BatchSpanProcessor({ exporter, scheduledDelayMillis: NEVER_MS })],
  });
  const http = provider.getTracer("shop.http", "1.4.2", { schemaUrl: SCHEMA });
  const queue = provider.getTracer("shop.queue");
  const at = (seconds: number, nanos: number): HrTime => [second + seconds, nanos];
  const spans = new Map<string, Span>();
  const keep = (name: string, span: Span) => {
    spans.set(name, span);
    return span;
  };

  const root = keep(
    "GET /cart",
    http.startSpan("GET /cart", {
      kind: SpanKind.SERVER,
      startTime: at(0, 123_456_789),
      attributes: { "http.response.status_code": 200, "url.path": "/cart" },
    }, trace.setSpanContext(ROOT_CONTEXT, CALLER)),
  );
  const within = trace.setSpan(ROOT_CONTEXT, root);

  const price = http.startSpan("price", { startTime: at(0, 200_000_000) }, within);
  keep("price", price).setAttributes(EVERY_TYPE).end(at(0, 200_000_001));

  const select = keep(
    "SELECT carts",
    http.startSpan(
      "SELECT carts",
      { kind: SpanKind.CLIENT, startTime: at(0, 300_000_000) },
      within,
    ),
  );
  select.addEvent("retry", { attempt: 2, backoff: 0.5, hosts: ["a", "b"] }, at(0, 300_500_000));
  select.addEvent("", at(0, 300_500_001));
  const error = Object.assign(new RangeError("deadlock detected"), {
    stack: "RangeError: …\n at x",
  });
  select.recordException(error, at(0, 300_500_002));
  select.setStatus({ code: SpanStatusCode.ERROR, message: "deadlock detected" });
  select.end(at(0, 301_000_000));

  const publish = keep(
    "publish",
    queue.startSpan("publish", { kind: SpanKind.PRODUCER, startTime: at(0, 400_000_000) }, within),
  );
  publish.setStatus({ code: SpanStatusCode.ERROR });
  publish.end(at(0, 400_000_000));

  root.setStatus({ code: SpanStatusCode.OK });
  root.end(at(1, 987_654_321));

  const consume = queue.startSpan("consume", {
    kind: SpanKind.CONSUMER,
    startTime: at(2, 0),
    links: [
      { context: publish.spanContext(), attributes: { "messaging.batch": 1, "ok": true } },
      { context: CALLER },
    ],
  }, ROOT_CONTEXT);
  keep("consume", consume).end(at(2, 1_000));

  const talkative = keep("", http.startSpan("", { startTime: at(3, 0) }, ROOT_CONTEXT));
  for (let i = 0; i < 5; i++) {
    const attributes = Object.fromEntries([1, 2, 3, 4].map((n) => [`n${n}`, n]));
    talkative.addEvent(`event ${i}`, attributes, at(3, i));
    talkative.addLink({ context: CALLER, attributes });
  }
  for (let i = 0; i < 37; i++) talkative.setAttribute(`a${i}`, i);
  talkative.end(at(4, 0));

  await provider.shutdown();
  return spans;
}

/** Log records of every severity and with every body. */
async function log(
  resource: Resource,
  { logs: exporter }: Exporters,
  second: number,
  span: Span,
): Promise<void> {
  const provider = new LoggerProvider({
    resource,
    logRecordLimits: { attributeCountLimit: 30 },
    processors: [new BatchLogRecordProcessor({ exporter, scheduledDelayMillis: NEVER_MS })],
  });
  const shop = provider.getLogger("shop.log", "2.0.0", {
    schemaUrl: SCHEMA,
    attributes: { team: "core", tier: 1, tags: ["a", "b"] },
  });
  const plain = provider.getLogger("plain");
  const context = trace.setSpan(ROOT_CONTEXT, span);

  for (let severityNumber = 1; severityNumber <= 24; severityNumber++) {
    shop.emit({
      severityNumber,
      severityText: `level ${severityNumber}`,
      body: `severity ${severityNumber}`,
      timestamp: [second, severityNumber],
      observedTimestamp: [second + 1, 999_999_999],
      context,
    });
  }
  for (const [name, value] of Object.entries(EVERY_TYPE)) {
    plain.emit({ eventName: `body.${name}`, body: value, timestamp: [second, 0] });
  }
  plain.emit({ eventName: "without.body" });
  plain.emit({ body: "attributes", attributes: EVERY_TYPE });
  const error = Object.assign(new TypeError("no cart"), { stack: "TypeError: no cart\n at y" });
  plain.emit({ body: "exception", severityNumber: 17, exception: error, context });
  const many = Object.fromEntries(Array.from({ length: 37 }, (_, i) => [`a${i}`, i]));
  plain.emit({ body: "too much", attributes: many });

  await provider.shutdown();
}

/** Every instrument, as ints and as doubles, read twice, with both temporalities. */
async function measure(resource: Resource, { delta, cumulative }: Exporters): Promise<void> {
  const provider = new MeterProvider({
    resource,
    readers: [delta, cumulative].map((exporter) =>
      new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: NEVER_MS })
    ),
    views: [{
      instrumentName: "*.exponential",
      aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM, options: { maxSize: 8 } },
    }],
  });
  const shop = provider.getMeter("shop.meter", "3.1.0", { schemaUrl: SCHEMA });
  const plain = provider.getMeter("plain");
  const int = { valueType: ValueType.INT };

  const orders = shop.createCounter("orders", { ...int, unit: "{order}", description: "Bestellt" });
  const revenue = shop.createCounter("revenue", { unit: "EUR" });
  const carts = shop.createUpDownCounter("carts", int);
  const balance = shop.createUpDownCounter("balance");
  const stock = shop.createGauge("stock", int);
  const heat = shop.createGauge("heat", { unit: "Cel" });
  const size = shop.createHistogram("size", {
    ...int,
    unit: "By",
    advice: { explicitBucketBoundaries: [0, 10, 100] },
  });
  const duration = shop.createHistogram("duration", { unit: "s" });
  const spread = plain.createHistogram("spread.exponential");
  plain.createObservableCounter("seen", int).addCallback((to) => to.observe(9, { by: "eye" }));
  plain.createObservableUpDownCounter("depth").addCallback((to) => to.observe(-2.5));
  plain.createObservableGauge("odd").addCallback((to) => {
    to.observe(NaN, { is: "nan" });
    to.observe(Infinity, { is: "infinite" });
    to.observe(-0, { is: "minus zero" });
    to.observe(1e300, { is: "large" });
  });

  orders.add(2, { paid: true });
  orders.add(3, { paid: true });
  orders.add(2 ** 53, EVERY_TYPE as Record<string, string>);
  revenue.add(0.1);
  carts.add(5);
  balance.add(-0.5);
  stock.record(-3);
  heat.record(20.5);
  for (const value of [0, 5, 10, 11, 1000]) size.record(value, { kind: "image" });
  for (const value of [0.01, 2.5]) duration.record(value);
  for (const value of [0, 1, 1.5, 4, 1000]) spread.record(value);
  await provider.forceFlush();

  orders.add(7, { paid: true });
  carts.add(-6);
  stock.record(4);
  size.record(7, { kind: "image" });
  spread.record(0.001);
  await provider.shutdown();
}
