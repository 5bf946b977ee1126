/** How fast pages draw a full answer, in Chromium over a collector. */

import assert from "node:assert/strict";
import { browserTest } from "./browser.ts";
import { sendTraces, withCollector } from "./page_collector.ts";
import { drawnAfterMs } from "./page_speed.ts";

/** Ten times what is meant: tests run beside others. */
const LEAST_MS = 1_000;

browserTest("a page of two hundred traces is drawn soon after the API's answer", async (open) => {
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
    const page = await open(`${url}/pipeline`);
    for (
      const [path, asks, selector] of [
        ["/traces", "/api/traces", "a.trace-row"],
        ["/services", "/api/requests", ".table .sparkline"],
      ] as const
    ) {
      const took = await drawnAfterMs(await page.context().newPage(), url + path, asks, selector);
      assert.ok(took < LEAST_MS, `${path}: ${took} ms`);
    }
  });
});
