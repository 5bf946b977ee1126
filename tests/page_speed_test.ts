/** How fast pages draw a full answer, in Chromium over a collector. */

import assert from "node:assert/strict";
import { browserTest } from "./browser.ts";
import { sendTraces, withCollector } from "./page_collector.ts";
import { drawnAfterMs } from "./page_speed.ts";

/** Ten times what is meant: tests run beside others. */
const LEAST_MS = 1_000;

browserTest("a search that finds 200 traces is drawn soon after the API's answer", async (open) => {
  await withCollector(async ({ url }) => {
    await sendTraces(
      url,
      Array.from({ length: 200 }, (_, n) => ({
        service: `service ${n % 15}`,
        operation: `request ${n}`,
        durationMs: n + 1,
        agoMs: 60_000 + n * 1_000,
        calls: "database",
      })),
    );
    const page = await open(`${url}/traces?service=service+3`);
    await page.locator("a.trace-row").first().waitFor();
    const took = await drawnAfterMs(
      page,
      "/api/traces",
      `document.querySelectorAll("a.trace-row").length > 20`,
      async () => {
        await page.getByLabel("Service").fill("");
        await page.getByLabel("Service").press("Enter");
      },
    );
    assert.ok(took < LEAST_MS, `${took} ms`);
  });
});
