/** The frame of the page, in Chromium. */

import assert from "node:assert/strict";
import { page } from "../src/page_assets.ts";
import { handler } from "../src/server.ts";
import { browserTest } from "./browser.ts";
import { sendTraces, withCollector } from "./page_collector.ts";
import { fakeStore } from "./asked_handler.ts";

/** The page over a collector that knows nothing but its page. */
function serving(): AsyncDisposable & { readonly url: string } {
  const answer = handler({
    store: fakeStore(),
    page,
  });
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request, info) => answer(request, info as Parameters<typeof answer>[1]),
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

browserTest("the tabs lead to their pages and the range goes along", async (open) => {
  await using server = serving();
  const page = await open(`${server.url}/?since=3h`);
  for (const [name, path] of [["Logs", "/logs"], ["Metrics", "/charts"], ["Traces", "/traces"]]) {
    await page.getByRole("navigation").getByRole("link", { name: name! }).click();
    assert.equal(page.url(), `${server.url}${path}?since=3h`);
    await page.locator("nav a[aria-current=page]", { hasText: name! }).waitFor();
  }
});

browserTest("the page is as dark as the system, until another theme is chosen", async (open) => {
  await using server = serving();
  const page = await open(server.url, { colorScheme: "dark" });
  const theme = () => page.locator("html").getAttribute("data-theme");
  assert.equal(await theme(), "dark");
  await page.getByRole("button", { name: "Light colours" }).click();
  assert.equal(await theme(), "light");
  await page.reload();
  assert.equal(await theme(), "light");
});

browserTest("a dot tells whether something arrives, and who does not answer", async (open) => {
  await withCollector(async (collector) => {
    const page = await open(`${collector.url}/traces`);
    const bar = page.getByRole("banner");
    await bar.getByText("Nothing arrives").waitFor();
    let sends = true;
    const sending = (async () => {
      while (sends) {
        await sendTraces(collector.url, [{ service: "shop", operation: "GET /", durationMs: 1 }]);
      }
    })();
    await bar.getByText(/^\d+\/s$/).waitFor();
    await bar.locator(".live-dot.is-live").waitFor();
    sends = false;
    await sending;
    await page.route("**/api/stats", (route) => route.abort());
    await bar.getByText("No answer").waitFor();
    await page.unroute("**/api/stats");
    await bar.getByText("Nothing arrives").waitFor();
  });
});

browserTest(
  "a range between two times leaves the bar of a narrow window in its place",
  async (open) => {
    await using server = serving();
    const query = "since=2026-11-26T20:51:44Z&until=2026-11-27T21:20:57Z";
    for (const width of [320, 400]) {
      const page = await open(`${server.url}/logs?${query}`, { viewport: { width, height: 700 } });
      const bar = (await page.locator(".top-bar").boundingBox())!;
      const buttons = page.locator(".top-bar button:visible");
      assert.equal(await buttons.count(), 4);
      for (const button of await buttons.all()) {
        const box = (await button.boundingBox())!;
        assert.ok(box.x >= 0 && box.x + box.width <= width, await button.innerText());
        assert.ok(box.y >= bar.y && box.y + box.height <= bar.y + bar.height);
      }
      assert.equal(await page.evaluate("document.documentElement.scrollWidth"), width);
    }
    const page = await open(
      `${server.url}/logs?since=2026-11-26T20:51:44Z&until=2026-11-26T21:20:57Z`,
    );
    await page.getByRole("button", { name: "2026-11-26 20:51:44 – 21:20:57" }).waitFor();
  },
);
