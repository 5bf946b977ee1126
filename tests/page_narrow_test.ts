/** The pages in a narrow window: what is said can be read, and what can be done is in reach. */

import assert from "node:assert/strict";
import type { Locator, Page } from "playwright-core";
import { browserTest } from "./browser.ts";
import { type GivenSpan, sendTrace, TRACE_ID } from "./one_trace.ts";
import { withCollector } from "./page_collector.ts";

const DEPTH = 24;
const LONG = "shipping-and-fulfilment-orchestrator-europe-west-4";

/** More services than there are colours, each called by the one before. */
const SPANS: readonly GivenSpan[] = Array.from({ length: DEPTH }, (_, n) => ({
  id: n + 1,
  ...n === 0 ? {} : { parent: n },
  service: n === 0 ? LONG : `service ${String(n).padStart(2, "0")}`,
  name: `operation ${n}`,
  kind: 2,
  from: n * 10,
  to: 1_234.5 - n * 10,
}));

async function boxes(page: Page, selector: string) {
  return await page.locator(selector).evaluateAll((all) =>
    all.map((one) => one.getBoundingClientRect()).filter(({ width }) => width > 0)
      .map(({ left, right, top, bottom }) => ({ left, right, top, bottom }))
  );
}

/** How much of an element can be seen in what cuts it, in pixels. */
async function seenWidth(of: Locator, within: string): Promise<number> {
  return await of.evaluate((element, within) => {
    const own = element.getBoundingClientRect();
    const frame = element.closest(within)!.getBoundingClientRect();
    return Math.min(own.right, frame.right) - Math.max(own.left, frame.left);
  }, within);
}

browserTest("times of a trace stand apart, and deep spans have their names", async (open) => {
  await withCollector(async ({ url }) => {
    await sendTrace(url, SPANS);
    const page = await open(`${url}/traces/${TRACE_ID}`);
    for (const width of [320, 400, 560, 720, 1280]) {
      await page.setViewportSize({ width, height: 2_000 });
      for (const part of ["", "?window=100000000-130000000", "?window=100000000-100000450"]) {
        await page.goto(`${url}/traces/${TRACE_ID}${part}`);
        await page.locator(".span-rows [role=row]").nth(DEPTH - 1).waitFor();
        const ticks = await boxes(page, ".span-tick");
        // One alone says no more than where it begins.
        assert.ok(ticks.length >= (part === "" ? 2 : 1), `${width} ${part}`);
        for (const [at, { left }] of ticks.slice(1).entries()) {
          // Each begins with 4 px of its own.
          const { right } = ticks[at]!;
          assert.ok(left - right >= 2, `${width} ${part}: ${JSON.stringify(ticks)}`);
        }
      }
      for (const name of await page.locator(".span-name strong").all()) {
        const seen = await seenWidth(name, ".span-name");
        assert.ok(seen >= 20, `${width}: ${await name.textContent()} has ${seen} px`);
      }
    }
    await page.goto(`${url}/traces/${TRACE_ID}`);
    await page.locator(".span-bar").nth(DEPTH - 1).waitFor();
    // Services beyond the tenth are striped, and not without a bar.
    const colors = await page.evaluate<string[]>(
      `[...document.querySelectorAll(".span-bar")].map((bar) => getComputedStyle(bar))
        .map((style) => style.backgroundImage + style.backgroundColor)`,
    );
    assert.equal(new Set(colors).size, DEPTH);
    assert.ok(!colors.includes("nonergba(0, 0, 0, 0)"));
  });
});

browserTest(
  "the ranges are within the window, and figures beside a long name are in sight",
  async (open) => {
    await withCollector(async ({ url }) => {
      await sendTrace(url, SPANS);
      for (const width of [320, 400]) {
        const page = await open(`${url}/services`, { viewport: { width, height: 640 } });
        const row = page.getByRole("group", { name: "Requests by Service" }).getByRole("row")
          .filter({ hasText: LONG });
        await row.waitFor();
        const { right } = (await boxes(page, ".table tbody td:nth-child(2)"))[0]!;
        assert.ok(right <= width, `${right}`);
        await row.getByRole("cell").last().scrollIntoViewIfNeeded();
        assert.ok((await row.getByRole("rowheader").boundingBox())!.x >= 0);

        await page.getByRole("button", { name: "Last hour" }).click();
        for (const name of ["Last 5 minutes", "Show"]) {
          const choice = page.getByRole(name === "Show" ? "button" : "radio", { name });
          const { x, width: wide } = (await choice.boundingBox())!;
          assert.ok(x >= 0 && x + wide <= width, `${name}: ${x} ${wide}`);
        }
        await page.getByRole("radio", { name: "Last 30 days" }).click();
        await page.getByRole("button", { name: "Last 30 days" }).waitFor();
      }
    });
  },
);

browserTest("a value alone is a dot, however narrow the chart is", async (open) => {
  await withCollector(async ({ url }) => {
    const point = {
      timeUnixNano: String(BigInt(Date.now() - 600_000) * 1_000_000n),
      asDouble: 5e8,
    };
    const metrics = [{ name: "memory", unit: "By", gauge: { dataPoints: [point] } }];
    const sent = await fetch(`${url}/v1/metrics`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ resourceMetrics: [{ scopeMetrics: [{ metrics }] }] }),
    });
    assert.equal(sent.status, 200, await sent.text());
    while ((await (await fetch(`${url}/api/metrics`)).json()).metrics.length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    for (const width of [320, 1280]) {
      const path = "/charts?metric=memory&type=gauge&unit=By";
      const page = await open(url + path, { viewport: { width, height: 800 } });
      await page.getByRole("group", { name: "Values of the series" }).waitFor();
      // Within its axes all else is of one grey or another.
      const coloured = await page.evaluate<number>(`(() => {
        const canvas = document.querySelector(".chart canvas");
        const over = document.querySelector(".chart .u-over");
        const { data } = canvas.getContext("2d").getImageData(
          over.offsetLeft, over.offsetTop, over.offsetWidth, over.offsetHeight);
        let coloured = 0;
        for (let at = 0; at < data.length; at += 4) {
          const [red, green, blue, opacity] = data.slice(at, at + 4);
          const spread = Math.max(red, green, blue) - Math.min(red, green, blue);
          if (opacity > 0 && spread > 25) coloured++;
        }
        return coloured;
      })()`);
      assert.ok(coloured >= 4, `${width}: ${coloured}`);
    }
  });
});
