/** Whether the pages can be used without a mouse and by who sees little, in Chromium over a collector. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { seriousFaults } from "./accessibility.ts";
import { browserTest } from "./browser.ts";
import { openShop, SIX_PAGES, TRACE_ID } from "./six_pages.ts";

const shop = await openShop();
Deno.test.afterAll(async () => await shop[Symbol.asyncDispose]());

for (const colorScheme of ["light", "dark"] as const) {
  for (const { name, path, shown } of SIX_PAGES) {
    browserTest(`${name} has no serious fault of accessibility, ${colorScheme}`, async (open) => {
      const page = await open(shop.url + path, { colorScheme });
      await shown(page).waitFor();
      await page.locator("[aria-busy=true]").first().waitFor({ state: "detached" });
      assert.deepEqual(await seriousFaults(page), []);
      // What stands in a narrow window has room: nothing but tables and pictures scrolls sideways.
      await page.setViewportSize({ width: 400, height: 800 });
      await shown(page).waitFor();
      assert.deepEqual(await seriousFaults(page), []);
      const width = await page.evaluate("document.documentElement.scrollWidth");
      assert.equal(width, 400);
    });
  }
}

browserTest("the help and the ranges have no serious fault of accessibility", async (open) => {
  for (const colorScheme of ["light", "dark"] as const) {
    const page = await open(`${shop.url}/traces`, { colorScheme });
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
    assert.deepEqual(await seriousFaults(page), []);
    await page.keyboard.press("Escape");
    await page.keyboard.press("t");
    await page.getByRole("radiogroup").waitFor();
    assert.deepEqual(await seriousFaults(page), []);
  }
});

browserTest(
  "from a search to a trace, to a span and to its log record by keyboard alone",
  async (open) => {
    const page = await open(shop.url);
    await page.locator("a.trace-row").first().waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("cart.id = c-17 and status = ERROR");
    await page.keyboard.press("Enter");
    await page.getByText("1 trace", { exact: true }).waitFor();
    // Keys are for the field until it is left.
    await page.keyboard.press("Escape");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.waitForURL(`${shop.url}/traces/${TRACE_ID}*`);
    await page.locator(".span-rows [role=row]").first().waitFor();
    await page.keyboard.press("e");
    const details = page.getByRole("complementary", { name: "Details" });
    await details.getByText("failed").first().waitFor();
    await tabTo(page, ".span-logs a");
    await page.keyboard.press("Enter");
    await page.waitForURL(`${shop.url}/logs*`);
    await details.locator("pre", { hasText: "body <script>" }).waitFor();
    await tabTo(page, `a[href^="/traces/${TRACE_ID}"]`);
    await page.keyboard.press("Enter");
    await page.waitForURL(`${shop.url}/traces/${TRACE_ID}*`);
  },
);

/** Goes on to what matches, as one does who sees where the focus is. */
async function tabTo(page: Page, selector: string): Promise<void> {
  for (let step = 0; step < 150; step++) {
    await page.keyboard.press("Tab");
    const isThere = await page.evaluate(
      `document.activeElement.matches(${JSON.stringify(selector)})`,
    );
    if (isThere) return;
  }
  assert.fail(`${selector} has not had the focus`);
}
