/** What pages show while the API is slow or fails, in Chromium over a collector behind a proxy. */

import assert from "node:assert/strict";
import { browserTest } from "./browser.ts";
import { openShop, SIX_PAGES } from "./six_pages.ts";

const shop = await openShop();

/** What the proxy does with questions to the API. */
const api = {
  mode: "answers" as "answers" | "hangs" | "fails",
  aborted: new Set<string>(),
  asked: 0,
};
const proxy = Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen: () => {} },
  async (request) => {
    const { pathname, search } = new URL(request.url);
    const target = shop.url + pathname + search;
    if (pathname.startsWith("/api/")) {
      api.asked++;
      if (api.mode === "fails") {
        return Response.json({ detail: "the disk is gone" }, {
          status: 500,
        });
      }
      if (api.mode === "hangs") {
        await new Promise((resolve) => request.signal.addEventListener("abort", resolve));
        api.aborted.add(pathname);
        return new Response();
      }
    }
    const body = request.method === "GET" ? null : await request.arrayBuffer();
    const type = request.headers.get("content-type");
    return await fetch(target, {
      method: request.method,
      body,
      headers: type === null ? {} : { "content-type": type },
    });
  },
);
const url = `http://127.0.0.1:${proxy.addr.port}`;

Deno.test.afterAll(async () => {
  await proxy.shutdown();
  await shop[Symbol.asyncDispose]();
});

for (const { name, path, asks, shown } of SIX_PAGES) {
  browserTest(
    `${name}: an answer that is slow can be cancelled, a failure keeps what was there`,
    async (open) => {
      api.mode = "answers";
      const page = await open(url + path);
      await shown(page).waitFor();

      api.mode = "hangs";
      api.aborted.clear();
      await page.keyboard.press("r");
      // Each part of the page that waits says so.
      const cancel = page.getByRole("button", { name: "Cancel", exact: true });
      await cancel.first().waitFor();
      await page.getByText("Waiting for 3 s.").first().waitFor();
      await shown(page).waitFor();
      // The one that is meant may have begun to wait later than the others.
      await until(async () => {
        if (await cancel.count() > 0) await cancel.first().click({ timeout: 500 }).catch(() => {});
        return api.aborted.has(asks);
      });
      await page.getByRole("alert").getByText("Cancelled").first().waitFor();
      await page.getByText("What is shown is from before.").first().waitFor();
      await shown(page).waitFor();

      api.mode = "fails";
      await page.keyboard.press("r");
      await page.getByRole("alert").getByText("500: the disk is gone").first().waitFor();
      await page.getByText("What is shown is from before.").first().waitFor();
      await shown(page).waitFor();

      api.mode = "answers";
      const retry = page.getByRole("button", { name: "Retry" });
      await until(async () => {
        // It may be gone by itself: some pages ask again without being told to.
        if (await retry.count() > 0) await retry.first().click({ timeout: 500 }).catch(() => {});
        // What was asked again has time to be answered.
        await page.waitForTimeout(1_000);
        return await page.getByRole("alert").count() === 0;
      });
      await shown(page).waitFor();
    },
  );
}

browserTest("what was cancelled is not asked again by itself", async (open) => {
  api.mode = "answers";
  const page = await open(`${url}/pipeline`);
  await page.getByRole("region", { name: "Partitions", exact: true }).getByRole("table").waitFor();
  api.mode = "hangs";
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  await page.getByRole("alert").getByText("Cancelled").waitFor();
  const before = await page.evaluate<number>(ASKED);
  // The numbers are asked for every two seconds otherwise.
  await page.waitForTimeout(5_000);
  assert.equal(await page.evaluate(ASKED), before);
});

/** Waits until it is so; no longer than tests wait for anything. */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = Date.now() + 30_000;
  while (!await isSo()) {
    assert.ok(Date.now() < endMs, `It has not come to: ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** How many questions to the pipeline's numbers have ended. */
const ASKED = `performance.getEntriesByName(location.origin + "/api/stats").length`;
