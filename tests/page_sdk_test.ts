/** What the OpenTelemetry JS SDK sends, as the pages show it, in Chromium over a collector. */

import assert from "node:assert/strict";
import { browserTest } from "./browser.ts";
import { withCollector } from "./page_collector.ts";
import { exportersTo } from "./sdk_exporters.ts";
import { CALLER, runProgram } from "./sdk_program.ts";

/** Runs a program with the SDK; resolves once all that it sent is stored. */
async function runSdk(url: string): Promise<void> {
  await runProgram("shop-api", exportersTo(url, { encoding: "protobuf", compression: "gzip" }));
  while (true) {
    const { received, destinations: [storage] } = await (await fetch(`${url}/api/stats`)).json();
    if (received.traces === 6 && storage.pending.traces === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

browserTest("a program with the SDK has its traces, their spans and errors", async (open) => {
  await withCollector(async ({ url }) => {
    await runSdk(url);
    const page = await open(`${url}/traces?query=http.response.status_code+%3D+200`);
    const row = page.locator("a.trace-row");
    await row.waitFor();
    assert.match(
      (await row.innerText()).replace(/\s+/g, " "),
      /shop-api: GET \/cart 1\.86s 4 2 errors shop-api$/,
    );
    await row.click();
    await page.waitForURL(`${url}/traces/${CALLER.traceId}`);
    const spans = page.locator(".span-rows [role=row][aria-selected]");
    for (const name of ["GET /cart", "price", "SELECT carts", "publish"]) {
      await spans.filter({ hasText: name }).waitFor();
    }
    await spans.filter({ hasText: "SELECT carts" }).click();
    const details = page.getByRole("complementary", { name: "Details" });
    for (const text of ["deadlock detected", "exception.type", "RangeError", "shop.http"]) {
      await details.getByText(text).first().waitFor();
    }
  });
});

browserTest("a program with the SDK has its requests by operation", async (open) => {
  await withCollector(async ({ url }) => {
    await runSdk(url);
    const page = await open(`${url}/services?service=shop-api&operations=name`);
    const cells = async (label: string) => {
      const rows = page.getByRole("group", { name: label }).locator("tbody tr");
      await rows.first().waitFor();
      return await rows.evaluateAll((all) =>
        all.map((one) => [...one.children].map((cell) => cell.textContent!.trim()))
      );
    };
    // The request that was made of it, the message it took, and what nobody asked for.
    const [service] = await cells("Requests by Service");
    assert.deepEqual(service!.slice(0, 2), ["shop-api", "3"]);
    assert.deepEqual(service!.slice(3, 7), ["0.0%", "1.00s", "1.86s", "1.86s"]);
    const operations = await cells("Requests by Operation");
    assert.deepEqual(
      operations.map(([name, requests, , errors, p50]) => [name, requests, errors, p50]),
      [
        ["(no name)", "1", "0.0%", "1.00s"],
        ["consume", "1", "0.0%", "1.00µs"],
        ["GET /cart", "1", "0.0%", "1.86s"],
      ],
    );
  });
});
