/** What the page of a trace tells of one span. */

import { context, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { seriousFaults } from "./accessibility.ts";
import { browserTest } from "./browser.ts";
import { nanos, sendTrace, spanId, text, TRACE_ID } from "./one_trace.ts";
import { sendTraces, withCollector } from "./page_collector.ts";
import { exportersTo } from "./sdk_exporters.ts";
import { chosen, details, row } from "./trace_rows.ts";

const OTHER_TRACE = "f".repeat(32);
const SPANS = [
  { id: 1, name: "checkout", kind: 2, from: 0, to: 1_000 },
  {
    id: 2,
    parent: 1,
    name: "charge",
    kind: 3,
    from: 250,
    to: 900,
    more: {
      attributes: [text("card", "visa"), { key: "amount", value: { intValue: "42" } }],
      droppedAttributesCount: 3,
      events: [{ timeUnixNano: nanos(300), name: "retry", attributes: [text("why", "timeout")] }],
      links: [
        { traceId: OTHER_TRACE, spanId: spanId(9) },
        { traceId: TRACE_ID, spanId: spanId(1) },
      ],
      status: { code: 2, message: "declined" },
    },
  },
];
const LOGS = [
  { at: 310, text: "said in the span", span: 2 },
  { at: 50, text: "said in the root", span: 1 },
  { at: 60, text: "said in no span" },
];
const CLIPBOARD = { permissions: ["clipboard-read", "clipboard-write"] };

async function copied(page: Page, button: string): Promise<string> {
  await page.evaluate("navigator.clipboard.writeText('')");
  await details(page).getByRole("button", { name: button, exact: true }).first().click();
  while (true) {
    const text = await page.evaluate<string>("navigator.clipboard.readText()");
    if (text !== "") return text;
  }
}

browserTest(
  "a span tells all of itself, its log records in place, and each can be copied",
  async (open) => {
    await withCollector(async ({ url }) => {
      await sendTrace(url, SPANS, LOGS);
      const page = await open(`${url}/traces/${TRACE_ID}?span=${spanId(2)}`, CLIPBOARD);
      await chosen(page, "charge");
      const panel = details(page);
      for (const said of ["● Error declined", "650,000,000 ns", "250ms after the start"]) {
        await panel.getByText(said).waitFor();
      }
      await panel.getByText("3 more were dropped by the sender.").waitFor();
      await panel.getByText("Event retry, 50.0ms in:").waitFor();
      await panel.getByText("said in the span").waitFor();
      assert.equal(await panel.getByText("said in the root").count(), 0);
      assert.equal(await copied(page, "Copy ID"), spanId(2));
      assert.equal(await copied(page, "Copy"), "42");
      assert.equal(await copied(page, "Copy link"), `${url}/traces/${TRACE_ID}?span=${spanId(2)}`);
      assert.match(
        await copied(page, "Copy summary"),
        new RegExp(`UTC shop charge 650ms Error declined trace=${TRACE_ID} span=${spanId(2)}$`),
      );
      const json = JSON.parse(await copied(page, "Copy JSON"));
      assert.equal(json.spanId, spanId(2));
      assert.deepEqual(json.attributes, { card: "visa", amount: 42 });
      assert.equal(json.resource["service.name"], "shop");
      await page.evaluate("document.activeElement.blur()");
      await page.keyboard.press("c");
      await page.keyboard.press("y");
      while (await page.evaluate("navigator.clipboard.readText()") !== page.url()) {
        await page.waitForTimeout(20);
      }

      await panel.getByRole("link", { name: `Linked trace ${OTHER_TRACE}` }).waitFor();
      await panel.getByRole("link", { name: `Linked span ${spanId(1)}` }).click();
      await chosen(page, "checkout");
      await panel.getByText("said in the root").waitFor();
      await page.getByRole("button", { name: "3 log records" }).click();
      await panel.getByText("said in no span").waitFor();
      await panel.getByRole("link", { name: "Span" }).last().click();
      await chosen(page, "charge");
    });
  },
);

browserTest(
  "similar spans are those of its service, operation and status, and it has a rank",
  async (open) => {
    await withCollector(async ({ url }) => {
      const sent = (durationMs: number, isError = false) => ({
        service: "shop",
        operation: "GET /",
        durationMs,
        isError,
      });
      const [id] = await sendTraces(url, [
        sent(50),
        sent(10),
        sent(60),
        sent(70),
        sent(500, true),
        { ...sent(800), operation: "POST /" },
      ]);
      const page = await open(`${url}/traces/${id}`);
      await row(page, "GET /").click();
      await details(page).getByRole("button", { name: "Rank its duration" }).click();
      await details(page).getByText(
        "4 traces within an hour have such a span; in 2 of them one took longer than 50.0ms.",
      ).waitFor();
      await details(page).getByRole("link", { name: "Find similar" }).click();
      const list = page.locator(".trace-list a.trace-row");
      await list.nth(3).waitFor();
      assert.equal(await list.filter({ hasText: "GET /" }).count(), 4);
      assert.match(await list.filter({ hasText: "GET /" }).first().innerText(), /70\.0ms/);
    });
  },
);

browserTest(
  "the panel is as wide as one makes it, at least 320 px, and full in a narrow window",
  async (open) => {
    await withCollector(async ({ url }) => {
      await sendTrace(url, SPANS, LOGS);
      const page = await open(`${url}/traces/${TRACE_ID}?span=${spanId(2)}`);
      await chosen(page, "charge");
      const isWide = async (width: number, atX = 1280 - 12 - width) => {
        const untilMs = Date.now() + 30_000;
        while (true) {
          const box = (await details(page).boundingBox())!;
          if (box.width === width && box.x === atX) return;
          assert.ok(Date.now() < untilMs, `${box.width} at ${box.x}`);
          await page.waitForTimeout(20);
        }
      };
      const { x, y } = (await details(page).boundingBox())!;
      await page.mouse.move(x, y + 200);
      await page.mouse.down();
      await page.mouse.move(x - 100, y + 200, { steps: 3 });
      await page.mouse.up();
      await isWide(1280 - 12 - x + 100);
      const tree = page.getByRole("separator", { name: "Width of the tree" });
      const before = (await tree.boundingBox())!;
      await page.mouse.move(before.x + 2, before.y + 10);
      await page.mouse.down();
      await page.mouse.move(before.x - 58, before.y + 10, { steps: 3 });
      await page.mouse.up();
      assert.ok(Math.abs((await tree.boundingBox())!.x - before.x + 60) < 6);
      const edge = details(page).getByRole("separator");
      await edge.focus();
      for (let step = 0; step < 20; step++) await edge.press("ArrowRight");
      await isWide(320);
      await page.setViewportSize({ width: 320, height: 700 });
      await isWide(320, 0);
      assert.equal(await page.evaluate("document.documentElement.scrollWidth"), 320);
      await page.keyboard.press("Escape");
      await row(page, "charge").waitFor();
      assert.equal(await page.evaluate("document.documentElement.scrollWidth"), 320);
    });
  },
);

browserTest(
  "a stack trace has the width of the panel, a short value stands beside its name",
  async (open) => {
    await withCollector(async ({ url }) => {
      const stack = "PoolTimeoutError\n    at Pool.acquire (file:///app/pool.ts:118:13)";
      const name = "shop.v1.CheckoutService/PlaceOrderWithIdempotencyKeyAndRetries";
      const attributes = [text("card", "visa"), text("exception.stacktrace", stack)];
      await sendTrace(url, [{ id: 1, name, from: 0, to: 10, more: { attributes } }]);
      const page = await open(`${url}/traces/${TRACE_ID}?span=${spanId(1)}`);
      const place = async (key: string) => {
        const line = details(page).getByRole("row").filter({
          has: page.getByRole("rowheader", { name: key, exact: true }),
        });
        const [head, value] = [line.getByRole("rowheader"), line.getByRole("cell").first()];
        return [(await head.boundingBox())!, (await value.boundingBox())!] as const;
      };
      const [head, value] = await place("exception.stacktrace");
      const { width } = (await details(page).boundingBox())!;
      assert.ok(value.x === head.x && value.y >= head.y + head.height, "below its name");
      assert.ok(value.width > width - 40, `${value.width} of ${width}`);
      // Each line of it is one line there: 12 px each, and what is between.
      assert.ok(value.height < 3 * 20, `${value.height}`);
      const [short, besides] = await place("card");
      assert.ok(besides.x > short.x && besides.y === short.y, "beside its name");
      // Its name is cut in the row, not here.
      const heading = details(page).getByRole("heading", { name });
      assert.ok(await heading.evaluate((one) => one.scrollWidth <= one.clientWidth));
    });
  },
);

browserTest(
  "the page of a trace has no serious fault of accessibility, light or dark",
  async (open) => {
    await withCollector(async ({ url }) => {
      await sendTrace(url, [
        ...SPANS,
        { id: 3, parent: 2, service: "issuer", name: "skewed", kind: 2, from: -500, to: -400 },
        { id: 4, parent: 77, name: "lost child", from: 10, to: 20 },
      ], LOGS);
      for (const colorScheme of ["light", "dark"] as const) {
        for (
          const query of [
            `?span=${spanId(2)}&critical=1&find=charge`,
            `?fold=all&times=adjusted`,
            `?panel=logs&focus=${spanId(2)}`,
          ]
        ) {
          const page = await open(`${url}/traces/${TRACE_ID}${query}`, { colorScheme });
          await row(page, "charge").or(row(page, "checkout")).first().waitFor();
          assert.deepEqual(await seriousFaults(page), [], `${colorScheme} ${query}`);
        }
      }
    });
  },
);

browserTest("a trace of the OpenTelemetry SDK is found and read with keys alone", async (open) => {
  await withCollector(async ({ url }) => {
    const { spans: exporter } = exportersTo(url, { encoding: "protobuf", compression: "gzip" });
    const provider = new TracerProvider({
      resource: resourceFromAttributes({ "service.name": "sdk-shop" }),
      spanProcessors: [new BatchSpanProcessor({ exporter })],
    });
    const tracer = provider.getTracer("sdk.tests", "2.0.0");
    const root = tracer.startSpan("GET /cart", { kind: SpanKind.SERVER }, ROOT_CONTEXT);
    const within = trace.setSpan(context.active(), root);
    const query = tracer.startSpan("SELECT carts", {
      kind: SpanKind.CLIENT,
      attributes: { "db.system.name": "postgresql", "db.rows": 3 },
    }, within);
    query.recordException(new RangeError("deadlock detected"));
    query.setStatus({ code: SpanStatusCode.ERROR, message: "deadlock detected" });
    query.end();
    root.end();
    await provider.shutdown();
    const { traceId, spanId: querySpanId } = query.spanContext();
    const list = await open(`${url}/traces`);
    await list.getByText("sdk-shop").first().waitFor();
    await list.keyboard.press("j");
    await list.keyboard.press("Enter");
    await list.waitForURL(`**/traces/${traceId}**`);
    await row(list, "GET /cart").waitFor();
    await list.keyboard.press("e");
    await chosen(list, "SELECT carts");
    const panel = details(list);
    await panel.getByText("Error deadlock detected").waitFor();
    await panel.getByText("Event exception").waitFor();
    await panel.getByText("postgresql").waitFor();
    await panel.getByText("Scope sdk.tests 2.0.0").waitFor();
    assert.equal(new URL(list.url()).searchParams.get("span"), querySpanId);
    assert.equal(await row(list, "SELECT carts").getAttribute("aria-level"), "2");
    await list.keyboard.press("ArrowLeft");
    await chosen(list, "GET /cart");
  });
});
