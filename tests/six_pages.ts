/**
 * The six pages of the page, over one collector that has something for each of them: the traffic of a
 * shop, a trace, logs and metrics whose every text is markup, and a destination that refuses.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Locator, Page } from "playwright-core";
import { type RunningCollector, startCollector } from "./collector_process.ts";
import { trafficRequest } from "./page_traffic.ts";
import { drivers, testDatabase } from "./postgres.ts";
import { temporaryFolder } from "./temporary_folder.ts";

/** Markup that changes the title where it is not shown as text. */
export const MARKUP =
  `<script>document.title="hurt"</script><img src=x onerror="document.title='hurt'">`;

/** A trace with a tree of three services, an error, and log records. */
export const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
/** Its failing span, in which something was logged. */
export const SPAN_ID = "b7ad6b7169203332";
const SECOND = 1_000_000_000n;

/** A running collector with all of it. */
export interface Shop extends AsyncDisposable {
  readonly url: string;
  readonly collector: RunningCollector;
  /** When its trace began, in nanoseconds since 1970. */
  readonly beganNanos: bigint;
}

/** A page and how one knows that it is there. */
export interface PageOfSix {
  readonly name: string;
  /** Shows what the shop has. */
  readonly path: string;
  /** The path of the API that it mainly asks. */
  readonly asks: string;
  /** What is there once it shows data. */
  readonly shown: (page: Page) => Locator;
}

/** All six. */
export const SIX_PAGES: readonly PageOfSix[] = [
  {
    name: "Traces",
    path: "/traces?service=web",
    asks: "/api/traces",
    shown: (page) => page.locator("a.trace-row").first(),
  },
  {
    name: "Trace",
    path: `/traces/${TRACE_ID}`,
    asks: `/api/traces/${TRACE_ID}`,
    shown: (page) => page.locator(".span-rows [role=row][aria-selected]").first(),
  },
  {
    name: "Logs",
    path: "/logs?service=shop",
    asks: "/api/logs",
    shown: (page) => page.locator(".log-rows [role=row]").first(),
  },
  {
    name: "Metrics",
    path: "/charts?metric=requests&type=sum&unit=1&temporality=CUMULATIVE",
    asks: "/api/metrics/requests",
    shown: (page) => page.getByRole("group", { name: "Values of the series" }),
  },
  {
    name: "Services",
    path: "/services",
    asks: "/api/requests",
    shown: (page) =>
      page.getByRole("group", { name: "Requests by Service" }).getByRole("row").nth(1),
  },
  {
    name: "Pipeline",
    path: "/pipeline",
    asks: "/api/stats",
    shown: (page) => page.getByRole("region", { name: "Accounting", exact: true }),
  },
];

/**
 * Starts it and sends everything; resolves once all of it is stored or refused.
 *
 * @param token What the collector is started with and asked with.
 */
export async function openShop({ token }: { readonly token?: string } = {}): Promise<Shop> {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder());
  const database = drivers.includes("postgres")
    ? stack.use(await testDatabase("postgres"))
    : undefined;
  const vendor = stack.adopt(refusing(), (server) => server.shutdown());
  const collector = stack.use(
    await startCollector({
      dataDir: folder.path,
      env: {
        OTEL_STORAGE_FORWARD: `vendor=http://127.0.0.1:${vendor.addr.port}`,
        ...token === undefined ? {} : { OTEL_STORAGE_TOKEN: token },
        ...database === undefined ? {} : { DATABASE_URL: database.url },
      },
    }),
  );
  const authorization: Record<string, string> = token === undefined
    ? {}
    : { authorization: `Bearer ${token}` };
  const { url } = collector;
  const post = async (path: string, body: unknown) => {
    const response = await fetch(url + path, {
      method: "POST",
      headers: { "content-type": "application/json", ...authorization },
      body: JSON.stringify(body),
    });
    assert.equal(response.status, 200, await response.text());
  };
  const beganNanos = BigInt(Date.now() - 120_000) * 1_000_000n;
  await post("/v1/traces", trafficRequest(20));
  await post("/v1/traces", { resourceSpans: spansAt(beganNanos) });
  await post("/v1/logs", { resourceLogs: logsAt(beganNanos) });
  await post("/v1/metrics", { resourceMetrics: metricsAt(beganNanos) });
  while (true) {
    const response = await fetch(`${url}/api/stats`, { headers: authorization });
    const { destinations } = await response.json() as {
      destinations: { pending: Record<string, number> }[];
    };
    if (destinations.every(({ pending }) => Object.values(pending).every((one) => one === 0))) {
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    url,
    collector,
    beganNanos,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function refusing(): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    await request.body?.cancel();
    return new Response(`no such tenant ${MARKUP}`, { status: 400 });
  });
}

const text = (key: string, stringValue: string) => ({ key, value: { stringValue } });

function resource(service: string) {
  return { attributes: [text("service.name", service), text(`resource ${MARKUP}`, MARKUP)] };
}

function spansAt(beganNanos: bigint): unknown[] {
  const span = (at: number, parent: number, more: Record<string, unknown>) => ({
    traceId: TRACE_ID,
    spanId: `b7ad6b716920333${at}`,
    parentSpanId: parent === 0 ? "" : `b7ad6b716920333${parent}`,
    kind: 2,
    startTimeUnixNano: String(beganNanos + BigInt(at) * 5_000_000n),
    endTimeUnixNano: String(beganNanos + BigInt(200 - at * 20) * 1_000_000n),
    attributes: [text(`key ${MARKUP}`, `value ${MARKUP}`), text("cart.id", "c-17")],
    ...more,
  });
  const of = (service: string, spans: unknown[]) => ({
    resource: resource(service),
    scopeSpans: [{ scope: { name: `scope ${MARKUP}`, version: MARKUP }, spans }],
  });
  return [
    of("shop", [span(1, 0, { name: "GET /cart" })]),
    of(`service ${MARKUP}`, [
      span(2, 1, {
        name: `operation ${MARKUP}`,
        status: { code: 2, message: `failed ${MARKUP}` },
        events: [{
          timeUnixNano: String(beganNanos + 20_000_000n),
          name: `event ${MARKUP}`,
          attributes: [text(`of the event ${MARKUP}`, MARKUP)],
        }],
        links: [{
          traceId: "f".repeat(32),
          spanId: "e".repeat(16),
          attributes: [text(`of the link ${MARKUP}`, MARKUP)],
        }],
      }),
    ]),
    of("db", [span(3, 2, { name: "select" })]),
    of(`service ${MARKUP}`, [span(4, 0, { traceId: "1".repeat(32), name: `operation ${MARKUP}` })]),
  ];
}

function logsAt(beganNanos: bigint): unknown[] {
  const line = (n: number, body: string, more: Record<string, unknown> = {}) => ({
    timeUnixNano: String(beganNanos + BigInt(n) * SECOND / 20n),
    severityNumber: 9,
    body: { stringValue: body },
    attributes: [text("order.id", String(n)), text(`key ${MARKUP}`, `value ${MARKUP}`)],
    ...more,
  });
  const inTrace = { traceId: TRACE_ID, spanId: SPAN_ID };
  return [{
    resource: resource("shop"),
    scopeLogs: [{
      scope: { name: `scope ${MARKUP}` },
      logRecords: [
        ...Array.from({ length: 120 }, (_, n) => line(n - 60, `order shipped ${n}`)),
        line(1, `body ${MARKUP}`, {
          ...inTrace,
          severityNumber: 17,
          severityText: `severe ${MARKUP}`,
          eventName: `event ${MARKUP}`,
        }),
      ],
    }],
  }];
}

function metricsAt(beganNanos: bigint): unknown[] {
  const minutes = Array.from({ length: 20 }, (_, n) => n);
  const point = (n: number) => ({
    startTimeUnixNano: String(beganNanos - 1_800n * SECOND),
    timeUnixNano: String(beganNanos - BigInt(20 - n) * 60n * SECOND),
    attributes: [text("http.route", "/cart"), text(`key ${MARKUP}`, `value ${MARKUP}`)],
  });
  const sum = (name: string, more: Record<string, unknown>) => ({
    name,
    ...more,
    sum: {
      aggregationTemporality: 2,
      isMonotonic: true,
      dataPoints: minutes.map((n) => ({ ...point(n), asInt: String((n + 1) * 600) })),
    },
  });
  return [{
    resource: resource("shop"),
    scopeMetrics: [{
      metrics: [
        sum("requests", { unit: "1" }),
        sum(`metric ${MARKUP}`, { unit: `unit ${MARKUP}`, description: `described ${MARKUP}` }),
        {
          name: "duration",
          unit: "s",
          histogram: {
            aggregationTemporality: 1,
            dataPoints: minutes.map((n) => ({
              ...point(n),
              startTimeUnixNano: String(BigInt(point(n).timeUnixNano) - 60n * SECOND),
              count: "100",
              sum: 20,
              explicitBounds: [0.01, 0.1, 1],
              bucketCounts: ["10", "60", "25", "5"],
            })),
          },
        },
      ],
    }],
  }];
}
