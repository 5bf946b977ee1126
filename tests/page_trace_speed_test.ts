/** Long traces on the page of a trace. Bounds are some times what a quiet machine takes. */

import assert from "node:assert/strict";
import { browserTest } from "./browser.ts";
import { withCollector } from "./page_collector.ts";
import { measureTrace, sendLongTrace } from "./page_trace_speed.ts";
import { details, row } from "./trace_rows.ts";

const TRACE = "5b8efff798038103d269b633813fc60c";

browserTest(
  "10,000 spans are there soon after the answer, and scroll without long tasks",
  async (open) => {
    await withCollector(async ({ url }) => {
      await sendLongTrace(url, TRACE, 10_000);
      for (const viewport of [{ width: 1280, height: 800 }, { width: 2560, height: 1440 }]) {
        const page = await open(`${url}/assets/none`, { viewport });
        const { loaded, scrolled } = await measureTrace(page, `${url}/traces/${TRACE}`);
        assert.ok(loaded.rowsMs < 7_500, `${loaded.rowsMs} ms`);
        assert.ok(loaded.elements <= 1_500 && scrolled.elements <= 1_500, `${scrolled.elements}`);
        assert.ok(scrolled.longestTaskMs < 1_000, `${scrolled.longestTaskMs} ms`);
        assert.equal(scrolled.frames, 240);
        assert.ok(scrolled.scrolledTo > 50_000, `${scrolled.scrolledTo}`);
      }
    });
  },
);

browserTest(
  "of a trace beyond 10,000 spans the page says what it shows, and loads more",
  async (open) => {
    await withCollector(async ({ url }) => {
      await sendLongTrace(url, TRACE, 10_050);
      const page = await open(`${url}/traces/${TRACE}`);
      await page.getByText("The first 10,000 of ≥10,001 spans").waitFor();
      await page.locator("body").press("End");
      await row(page, "GET /cart/items").first().waitFor();
      assert.equal(await page.locator("[role=treegrid]").getAttribute("aria-rowcount"), "10000");
      await page.getByRole("button", { name: "Load 10,000 more" }).click();
      await page.locator("[role=treegrid][aria-rowcount='10050']").waitFor();
      await page.getByText("10.1k spans").waitFor();
      assert.equal(await page.getByText("The first").count(), 0);
      assert.equal(new URL(page.url()).searchParams.get("spans"), "20000");
      // The last span, which was not among the first ones.
      await page.locator("body").press("/");
      await page.keyboard.type("item.number=10049");
      await page.keyboard.press("Enter");
      await details(page).getByText("item.number").waitFor();
      await page.getByRole("status").filter({ hasText: "1/1" }).waitFor();
    });
  },
);
