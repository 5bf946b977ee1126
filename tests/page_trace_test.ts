/** The page of one trace, in Chromium, over a collector. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { seriousFaults } from "./accessibility.ts";
import { browserTest } from "./browser.ts";
import { withCollector } from "./page_collector.ts";

const TRACE = "5b8efff798038103d269b633813fc60c";
const START = BigInt(Date.now() - 60_000) * 1_000_000n;
const id = (n: number) => n.toString(16).padStart(16, "0");
const text = (stringValue: string) => ({ stringValue });

/** A span of one millisecond, so many milliseconds in. */
function span(n: number, parent: number, more: Record<string, unknown> = {}): unknown {
  const start = START + BigInt(n % 1000) * 1_000_000n;
  return {
    traceId: TRACE,
    spanId: id(n),
    parentSpanId: parent === 0 ? "" : id(parent),
    name: `span ${n}`,
    kind: 2,
    startTimeUnixNano: String(start),
    endTimeUnixNano: String(start + (n === 1 ? 1_000_000_000n : 1_000_000n)),
    ...more,
  };
}

/** @param all How many spans there are once they are stored. */
async function send(
  url: string,
  spans: readonly unknown[],
  logs: readonly unknown[] = [],
  all = spans.length,
) {
  const resource = { attributes: [{ key: "service.name", value: text("shop") }] };
  const post = async (path: string, body: unknown) => {
    const response = await fetch(url + path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    assert.equal(response.status, 200, await response.text());
  };
  await post("/v1/logs", { resourceLogs: [{ resource, scopeLogs: [{ logRecords: logs }] }] });
  await post("/v1/traces", { resourceSpans: [{ resource, scopeSpans: [{ spans }] }] });
  while (true) {
    const tree = await (await fetch(`${url}/api/traces/${TRACE}?maxSpans=100000`)).json();
    if (tree.spans?.length === all && tree.logs.length === logs.length) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const row = (page: Page, name: string) =>
  page.locator(".span-rows [role=row]").filter({ hasText: name });

browserTest("a trace of 10,000 spans has few elements and shows its last span", async (open) => {
  await withCollector(async ({ url }) => {
    await send(url, [
      ...Array.from({ length: 9_999 }, (_, at) => span(at + 1, at === 0 ? 0 : 1)),
      span(20_999, 1, { name: "the last" }),
    ]);
    const page = await open(`${url}/traces/${TRACE}`);
    await row(page, "span 1").first().waitFor();
    assert.ok(await page.locator("*").count() <= 1_500);
    await page.keyboard.press("End");
    const last = page.locator(".span-rows [role=row][aria-rowindex='10000']");
    await last.waitFor();
    assert.equal(await last.getAttribute("aria-selected"), "true");
    await page.locator(".span-rows").evaluate((rows) => rows.scrollTop = 0);
    await page.locator(".span-rows [aria-rowindex='1']").waitFor();
    await page.locator(".span-rows").evaluate((rows) => rows.scrollTop = rows.scrollHeight);
    await page.locator(".span-rows [aria-rowindex='9999']").waitFor();
    assert.ok(await page.locator("*").count() <= 1_500);
  });
});

browserTest(
  "of a longer trace what follows is read, and what came before it is told",
  async (open) => {
    await withCollector(async ({ url }) => {
      await send(url, Array.from({ length: 10_002 }, (_, at) => span(at + 1, at === 0 ? 0 : 1)));
      const page = await open(`${url}/traces/${TRACE}`);
      await page.getByText("The first 10,000 of ≥10,001 spans").waitFor();
      const asked: URLSearchParams[] = [];
      page.on("request", (request) => {
        const { pathname, searchParams } = new URL(request.url());
        if (pathname === `/api/traces/${TRACE}`) asked.push(searchParams);
      });
      await send(url, [span(30_000, 1, { name: "late" })], [], 10_003);
      await page.getByRole("button", { name: "Load 10,000 more" }).click();
      await page.locator("[role=treegrid][aria-rowcount='10002']").waitFor();
      assert.equal(asked.length, 1);
      assert.ok(asked[0]!.get("cursor"));
      assert.equal(await row(page, "extra root").count(), 0);
      await page.getByRole("button", { name: "1 new span" }).click();
      await page.locator("[role=treegrid][aria-rowcount='10003']").waitFor();
      await page.getByRole("button", { name: "1 new span" }).waitFor({ state: "detached" });
    });
  },
);

browserTest(
  "find, errors, folds and the chosen span stand in the address; what was sent is text",
  async (open) => {
    await withCollector(async ({ url }) => {
      const script = "<script>throw 1</script><img src=x onerror=throw>";
      await send(url, [
        span(1, 0, { name: script, attributes: [{ key: script, value: text(script) }] }),
        span(2, 1),
        span(3, 2, {
          attributes: [{ key: "cart.id", value: text("c-17") }],
          events: [{ timeUnixNano: String(START + 3_500_000n), name: script }],
          links: [{ traceId: "f".repeat(32), spanId: id(9) }],
        }),
        span(4, 2, { status: { code: 2, message: "it failed" } }),
        span(5, 77, { name: "without parent" }),
      ], [{
        timeUnixNano: String(START + 3_200_000n),
        severityText: "WARN",
        body: text(`said in place ${script}`),
        traceId: TRACE,
        spanId: id(3),
      }]);
      const page = await open(`${url}/traces/${TRACE}`);
      await row(page, "without parent").getByText("extra root").waitFor();

      await page.keyboard.press("[");
      await row(page, "3 hidden, 1 error").waitFor();
      assert.equal(await row(page, "span 3").count(), 0);
      await page.keyboard.press("/");
      await page.getByLabel("Find in the trace").fill("cart.id=C-17");
      await page.locator(".trace-tools [role=status]", { hasText: "0/1" }).waitFor();
      await page.keyboard.press("Enter");
      await row(page, "span 3").waitFor();
      await page.locator(".trace-tools [role=status]", { hasText: "1/1" }).waitFor();
      const details = page.getByRole("complementary", { name: "Details" });
      await details.getByText("said in place <script>").waitFor();
      await details.getByText(`Event ${script}`).waitFor();
      await details.getByRole("link", { name: `Linked trace ${"f".repeat(32)}` }).waitFor();
      await page.reload();
      await details.getByText("said in place <script>").waitFor();
      assert.equal(await row(page, "span 3").getAttribute("aria-selected"), "true");

      await row(page, "span 2").locator("button").click();
      await row(page, "2 hidden, 1 error").waitFor();
      await row(page, "without parent").click();
      await page.keyboard.press("e");
      await details.getByText("it failed").waitFor();
      assert.equal(await row(page, "span 4").getAttribute("aria-selected"), "true");
      await row(page, "span 4").getByText("Error", { exact: true }).waitFor();
      await page.keyboard.press("ArrowLeft");
      assert.equal(await row(page, "span 2").getAttribute("aria-selected"), "true");
      await page.keyboard.press("x");
      await page.locator(".span-critical").first().waitFor();
      const { x, y, width } = (await page.locator(".minimap").boundingBox())!;
      await page.mouse.move(x + width / 4, y + 10);
      await page.mouse.down();
      await page.mouse.move(x + width / 2, y + 10, { steps: 3 });
      await page.mouse.up();
      await page.getByRole("button", { name: "Show all of the time" }).waitFor();
      const [from, to] = new URL(page.url()).searchParams.get("window")!.split("-").map(Number);
      assert.ok(Math.abs(from! - 250e6) < 5e6 && Math.abs(to! - 500e6) < 5e6, `${from} ${to}`);
      await page.keyboard.press("z");
      await page.waitForURL((now) => !now.searchParams.has("window"));
      assert.equal(await page.locator("main img, main script").count(), 0);
      assert.deepEqual(await seriousFaults(page), []);
      const picture = Deno.env.get("PAGE_PICTURE");
      if (picture) await page.screenshot({ path: picture });
    });
  },
);
