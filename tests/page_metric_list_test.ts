/** The small pictures in the list of metrics, in Chromium over a collector. */

import assert from "node:assert/strict";
import type { Page, Route } from "playwright-core";
import { browserTest } from "./browser.ts";
import { withCollector } from "./page_collector.ts";

const METRICS = 120;
const MINUTE = 60_000_000_000n;
/** One value a minute: 10, 20, 30 and 40 KiB. */
const VALUES = [10, 20, 30, 40];
const ASKED = /\/api\/metrics\/many/;
const ROW_PIXELS = 44;

const nameOf = (n: number) => `many.${String(n).padStart(3, "0")}`;

async function sendMetrics(url: string): Promise<void> {
  const now = BigInt(Date.now()) * 1_000_000n;
  const metrics = Array.from({ length: METRICS }, (_, n) => ({
    name: nameOf(n),
    unit: "By",
    gauge: {
      dataPoints: VALUES.map((value, at) => ({
        timeUnixNano: String(now - BigInt(20 - at * 5) * MINUTE),
        asInt: String(value * 1024),
      })),
    },
  }));
  const response = await fetch(`${url}/v1/metrics`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ resourceMetrics: [{ scopeMetrics: [{ metrics }] }] }),
  });
  assert.equal(response.status, 200, await response.text());
  while (true) {
    const { destinations: [storage] } = await (await fetch(`${url}/api/stats`)).json();
    if (storage.pending.metrics === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const picture = (page: Page, n: number) =>
  page.getByRole("link", { name: nameOf(n) }).getByRole("img");

/** What is asked of single metrics, by number. */
function asked(page: Page): number[] {
  const numbers: number[] = [];
  page.on("request", (request) => {
    if (ASKED.test(request.url())) numbers.push(Number(/many\.(\d+)/.exec(request.url())![1]));
  });
  return numbers;
}

const scrollTo = (page: Page, row: number) =>
  page.locator(".metric-list .rows").evaluate(
    (rows, top) => rows.scrollTop = top,
    row * ROW_PIXELS,
  );

browserTest(
  "the list shows how each metric in sight went, and asks of no other",
  (open) =>
    withCollector(async ({ url }) => {
      await sendMetrics(url);
      const page = await open(`${url}/logs`);
      const numbers = asked(page);
      let running = 0;
      let most = 0;
      await page.route(ASKED, async (route) => {
        most = Math.max(most, ++running);
        const response = await route.fetch();
        running--;
        await route.fulfill({ response });
      });
      await page.getByRole("link", { name: "Metrics" }).click();
      await picture(page, 0).waitFor();
      assert.equal(
        await picture(page, 0).getAttribute("aria-label"),
        "avg, latest 40.0 KiB, highest 40.0 KiB",
      );
      await picture(page, 10).waitFor();
      // Four values that are not next to each other: four strokes, each higher than the one before.
      const path = (await picture(page, 10).locator("path").getAttribute("d"))!;
      const heights = [...path.matchAll(/M\S+ (\S+)H/g)].map(([, y]) => Number(y));
      assert.equal(heights.length, VALUES.length);
      assert.deepEqual(heights, heights.toSorted((a, b) => b - a));
      const inSight = Math.ceil(800 / ROW_PIXELS);
      assert.ok(Math.max(...numbers) < inSight, `asked of ${numbers}`);
      assert.ok(most <= 2, `${most} at a time`);

      await scrollTo(page, 80);
      await picture(page, 82).waitFor();
      assert.ok(!numbers.some((n) => n > inSight && n < 80), `asked of ${numbers}`);
      assert.equal(new Set(numbers).size, numbers.length);
      await page.unrouteAll({ behavior: "ignoreErrors" });
    }),
);

browserTest("what is scrolled away is asked no longer", (open) =>
  withCollector(async ({ url }) => {
    await sendMetrics(url);
    const page = await open(`${url}/logs`);
    const held: Route[] = [];
    const bothAsked = Promise.withResolvers<void>();
    await page.route(ASKED, (route) => {
      if (/many\.0[01]/.test(route.request().url())) {
        if (held.push(route) === 2) bothAsked.resolve();
        return;
      }
      return route.continue();
    });
    const failed: string[] = [];
    page.on("requestfailed", (request) => {
      // Others end as well when their page is left.
      const [, number] = /many\.(\d+)/.exec(request.url()) ?? [];
      if (number !== undefined) failed.push(number);
    });
    await page.getByRole("link", { name: "Metrics" }).click();
    await bothAsked.promise;
    await scrollTo(page, 80);
    // Those that hang would have kept the two places.
    await picture(page, 82).waitFor();
    const hung = held.map((route) => /many\.(\d+)/.exec(route.request().url())![1]!);
    assert.deepEqual(failed.toSorted(), hung.toSorted());
    assert.equal(hung.length, 2);
    // What fails has no picture and stops nothing.
    await page.unroute(ASKED);
    await page.route(ASKED, (route) => route.fulfill({ status: 500, body: "no" }));
    await scrollTo(page, 40);
    await page.getByRole("img", { name: "not known" }).first().waitFor();
    assert.equal(await page.getByRole("alert").count(), 0);
  }));
