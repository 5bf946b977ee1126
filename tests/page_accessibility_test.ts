/** Whether the pages can be used without a mouse and by who sees little, in Chromium over a collector. */

import assert from "node:assert/strict";
import { seriousFaults } from "./accessibility.ts";
import { browserTest } from "./browser.ts";
import { openShop, SIX_PAGES } from "./six_pages.ts";

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
