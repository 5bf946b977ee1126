/** Which part of a trace its page shows: subtrees, parts of the time, what is folded, what is new. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { browserTest } from "./browser.ts";
import { sendTrace, spanId, TRACE_ID } from "./one_trace.ts";
import { withCollector } from "./page_collector.ts";
import { chosen, details, row, rows, shows } from "./trace_rows.ts";

const SPANS = [
  { id: 1, name: "checkout", from: 0, to: 1_000 },
  { id: 2, parent: 1, name: "read cart", from: 0, to: 400 },
  { id: 3, parent: 2, name: "hgetall", from: 100, to: 200 },
  { id: 4, parent: 2, name: "select", from: 200, to: 300 },
  { id: 5, parent: 1, name: "charge", from: 500, to: 900 },
];
const ALL = SPANS.map(({ name }) => name);

const parameter = (page: Page, name: string) => new URL(page.url()).searchParams.get(name);
const axis = (page: Page) => page.locator(".span-head .span-tick").allInnerTexts();
const windowOf = (page: Page) => (parameter(page, "window") ?? "").split("-").map(Number);

browserTest("f shows a subtree alone, z all again, and a span outside leaves it", async (open) => {
  await withCollector(async ({ url }) => {
    await sendTrace(url, SPANS);
    const page = await open(`${url}/traces/${TRACE_ID}?span=${spanId(2)}`);
    await shows(page, ALL);
    await page.locator("body").press("f");
    await shows(page, ["read cart", "hgetall", "select"]);
    assert.equal(await row(page, "read cart").getAttribute("aria-level"), "1");
    assert.deepEqual(await axis(page), ["0", "100ms", "200ms", "300ms", "400ms"]);
    await page.reload();
    await shows(page, ["read cart", "hgetall", "select"]);
    await page.locator("body").press("z");
    await shows(page, ALL);
    await page.locator("body").press("f");
    await shows(page, ["read cart", "hgetall", "select"]);
    await row(page, "select").click();
    // The path leads to spans outside.
    const path = page.getByRole("navigation", { name: "Spans above" });
    assert.deepEqual(await path.getByRole("button").allInnerTexts(), ["checkout ›", "read cart ›"]);
    await path.getByRole("button", { name: "checkout" }).click();
    await chosen(page, "checkout");
    await shows(page, ALL);
    await page.goBack();
    await shows(page, ALL);
  });
});

browserTest("keys, buttons and the picture of all choose the part of the time", async (open) => {
  await withCollector(async ({ url }) => {
    await sendTrace(url, SPANS);
    const page = await open(`${url}/traces/${TRACE_ID}`);
    await shows(page, ALL);
    assert.deepEqual(await axis(page), ["0", "0.2s", "0.4s", "0.6s", "0.8s", "1.0s"]);
    await page.locator("body").press("+");
    await page.waitForURL(/window=250000000-750000000/);
    await row(page, "hgetall").getByText("‹ 100ms").waitFor();
    await row(page, "hgetall").click();
    await page.keyboard.press("-");
    await page.waitForURL((now) => !now.searchParams.has("window"));
    await page.getByRole("button", { name: "Zoom in" }).click();
    // Around the chosen span, as far as there is room.
    await page.waitForURL(/window=0-500000000/);
    const { x, y, width } = (await page.locator(".minimap").boundingBox())!;
    await page.mouse.click(x + width * 0.75, y + 20);
    await page.waitForURL((now) => {
      const [from, to] = (now.searchParams.get("window") ?? "").split("-").map(Number);
      return Math.abs(from! - 500e6) < 10e6 && to === 1e9;
    });
    await page.mouse.move(x + width * 0.1, y + 10);
    await page.mouse.down();
    await page.mouse.move(x + width * 0.3, y + 10, { steps: 3 });
    await page.mouse.up();
    await page.waitForURL((now) => /window=(99|100)/.test(now.search));
    assert.ok(Math.abs(windowOf(page)[1]! - 300e6) < 10e6);
    await page.goBack();
    await page.waitForURL((now) => !/window=(99|100)/.test(now.search));
    await page.keyboard.press("z");
    await page.waitForURL((now) => !now.searchParams.has("window"));
  });
});

browserTest(
  "keys alone go through the tree, fold and open it; one row is the stop of Tab",
  async (open) => {
    await withCollector(async ({ url }) => {
      await sendTrace(url, SPANS);
      const page = await open(`${url}/traces/${TRACE_ID}`);
      await shows(page, ALL);
      const tree = page.getByRole("treegrid", { name: "Spans" });
      assert.equal(await tree.getAttribute("aria-rowcount"), "5");
      assert.equal(await rows(page).and(page.locator("[tabindex='0']")).count(), 1);
      await page.keyboard.press("j");
      await chosen(page, "checkout");
      await page.keyboard.press("j");
      await chosen(page, "read cart");
      assert.equal(await row(page, "read cart").getAttribute("aria-expanded"), "true");
      await page.keyboard.press("ArrowLeft");
      await shows(page, ["checkout", "read cart", "charge"]);
      assert.equal(await row(page, "read cart").getAttribute("aria-expanded"), "false");
      assert.equal(await tree.getAttribute("aria-rowcount"), "3");
      await page.keyboard.press("ArrowRight");
      await page.keyboard.press("ArrowRight");
      await chosen(page, "hgetall");
      assert.equal(await row(page, "hgetall").getAttribute("aria-expanded"), null);
      assert.deepEqual(
        await Promise.all(
          ["aria-level", "aria-rowindex"].map((name) => row(page, "hgetall").getAttribute(name)),
        ),
        ["3", "3"],
      );
      await page.keyboard.press("ArrowLeft");
      await chosen(page, "read cart");
      await page.keyboard.press("End");
      await chosen(page, "charge");
      await page.keyboard.press("k");
      await chosen(page, "select");
      // What is folded away is gone on from.
      await page.keyboard.press("[");
      await shows(page, ["checkout"]);
      await page.keyboard.press("]");
      await shows(page, ALL);
      await chosen(page, "select");
      const focused = page.locator(".span-rows [role=row]:focus", { hasText: "select" });
      await focused.waitFor();
      await page.keyboard.press("Escape");
      await details(page).waitFor({ state: "detached" });
      await focused.waitFor();
      await page.keyboard.press("k");
      await chosen(page, "hgetall");
      assert.equal(await rows(page).and(page.locator("[tabindex='0']")).count(), 1);
    });
  },
);

browserTest("the critical path is a line on the bars, and is kept in the address", async (open) => {
  await withCollector(async ({ url }) => {
    await sendTrace(url, SPANS);
    for (const colorScheme of ["light", "dark"] as const) {
      const page = await open(`${url}/traces/${TRACE_ID}?span=${spanId(1)}`, { colorScheme });
      await shows(page, ALL);
      assert.equal(await page.locator(".span-critical").count(), 0);
      await page.locator("body").press("x");
      const line = row(page, "charge").locator(".span-critical");
      await line.waitFor();
      assert.equal((await line.boundingBox())!.height, 3);
      // As far apart in light as the theme goes, so that one of both is seen on any bar.
      const [fill, stroke, text, background] = await page.evaluate<string[]>(`(() => {
        const line = getComputedStyle(document.querySelector(".span-critical"));
        const root = getComputedStyle(document.documentElement);
        return [line.fill, line.stroke, root.color, root.backgroundColor];
      })()`);
      assert.deepEqual([fill, stroke], [text, background]);
      // Waits of the root itself: 0–0 is none, 400–500 and 900–1000 are.
      const d = await row(page, "checkout").locator(".span-critical path").getAttribute("d");
      assert.equal(d, "M400 0H500V1H400ZM900 0H1000V1H900Z");
      await page.reload();
      await line.waitFor();
      await page.getByLabel("Critical path").uncheck();
      await line.waitFor({ state: "detached" });
    }
  });
});

browserTest("spans that come later wait for a click, and nothing moves before", async (open) => {
  await withCollector(async ({ url }) => {
    await sendTrace(url, SPANS);
    const page = await open(`${url}/traces/${TRACE_ID}?span=${spanId(4)}`);
    await shows(page, ALL);
    await sendTrace(
      url,
      [{ id: 6, parent: 2, name: "late", from: 50, to: 60 }, {
        id: 7,
        parent: 1,
        name: "later",
        from: 950,
        to: 990,
      }],
      [{ at: 55, text: "late as well", span: 6 }],
      7,
    );
    const button = page.getByRole("button", { name: "2 new spans, 1 new log record" });
    await button.waitFor();
    await shows(page, ALL);
    await button.click();
    await shows(page, ["checkout", "read cart", "late", "hgetall", "select", "charge", "later"]);
    await button.waitFor({ state: "detached" });
    await chosen(page, "select");
  });
});
