/** Whether the address is all there is of a page's state, in Chromium over a collector. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { browserTest } from "./browser.ts";
import { openShop, SIX_PAGES, SPAN_ID, TRACE_ID } from "./six_pages.ts";

const shop = await openShop();
Deno.test.afterAll(async () => await shop[Symbol.asyncDispose]());

/** Both ends fixed, so that nothing on a page moves while it is looked at twice. */
const since = String(shop.beganNanos - 3_000_000_000_000n);
const until = String(shop.beganNanos + 60_000_000_000n);
const RANGE = `since=${since}&until=${until}`;

/** What can be chosen on a page, and how one knows that it is shown. */
interface State {
  readonly address: string;
  readonly shown: string;
  /** Chooses what addresses cannot be written for by hand. */
  readonly choose?: (page: Page) => Promise<void>;
}

const STATES: Readonly<Record<string, State>> = {
  "traces: service, query, duration, order, selection": {
    address: `/traces?${RANGE}&service=shop&query=cart.id+%3D+c-17&min=1ms&max=2s&sort=slowest` +
      `&selected=${TRACE_ID}`,
    shown: "a.trace-row[aria-current]",
  },
  "trace: find, folds, critical path, window, span": {
    address: `/traces/${TRACE_ID}?${RANGE}&find=cart.id&critical=1&window=10000000-150000000` +
      `&span=${SPAN_ID}`,
    shown: ".span-row[aria-selected=true]",
  },
  "logs: words, filter, severity, service, record and its context": {
    address: `/logs?${RANGE}&text=shipped&filter=order.id+%3D+17&minSeverity=9&service=shop`,
    shown: ".log-rows [role=row]",
    choose: async (page) => {
      await page.locator(".log-rows [role=row]").click();
      await page.getByRole("button", { name: "Show what was logged around it" }).click();
      await page.locator(".log-context [aria-selected=true]").waitFor();
    },
  },
  "metrics: list, metric, function, group, filter": {
    address: `/charts?${RANGE}&name=req&metric=requests&type=sum&unit=1&temporality=CUMULATIVE` +
      "&function=increase&group=http.route&filter=service+%3D+shop",
    shown: "[aria-label='Values of the series'] tbody tr",
  },
  "services: order, service, search, depth, calls": {
    address: `/services?${RANGE}&sort=-p99&service=cart&operations=name&find=red&depth=1&calls=2`,
    shown: ".graph .selected",
  },
  "pipeline: partitions, dead letter": {
    address: `/pipeline?${RANGE}&rows=all&ledgerBy=-accepted`,
    // Rates are known at the second look.
    shown: "[aria-label=Destinations] td:text('/s')",
    choose: async (page) => {
      await page.getByRole("button", { name: "Sample" }).first().click();
      await page.getByRole("complementary").getByText("no such tenant").waitFor();
    },
  },
};

/** All that a page shows and says; numbers that tell the present are left out. */
async function stateOf(page: Page): Promise<unknown> {
  // All but the dot that tells what arrives.
  const texts = await page.locator("nav, .menu-place, main").allInnerTexts();
  return {
    text: texts.join("\n").replace(/\S+( \S+s)? ago|in \S+s\b|[\d.,]+\S*\/s/g, "…"),
    fields: await page.evaluate(
      `[...document.querySelectorAll("input, select")].map(({ type, checked, value }) =>
        type === "checkbox" ? checked : value)`,
    ),
    chosen: await page.locator("[aria-current], [aria-selected=true], [aria-pressed=true]")
      .allInnerTexts(),
    order: await page.locator("[aria-sort=ascending], [aria-sort=descending]").allInnerTexts(),
  };
}

/** What a page shows once it does not change any more. */
async function settled(page: Page, shown: string): Promise<unknown> {
  await page.locator(shown).first().waitFor();
  let before: string | undefined;
  while (true) {
    const now = await stateOf(page);
    const isBusy = await page.locator("[aria-busy=true]").count() > 0;
    if (!isBusy && JSON.stringify(now) === before) return now;
    before = JSON.stringify(now);
    await page.waitForTimeout(300);
  }
}

for (const [name, { address, shown, choose }] of Object.entries(STATES)) {
  browserTest(`a reload and another browser show the same of ${name}`, async (open) => {
    const page = await open(shop.url + address);
    await page.locator(shown).first().waitFor();
    await choose?.(page);
    const before = await settled(page, shown);
    await page.reload();
    assert.deepEqual(await settled(page, shown), before);
    assert.deepEqual(await settled(await open(page.url()), shown), before);
  });
}

browserTest("an absolute link has two times for a range up to now, on every page", async (open) => {
  const permissions = ["clipboard-read", "clipboard-write"];
  const page = await open(shop.url, { permissions });
  for (const { path, shown } of SIX_PAGES) {
    const relative = new URL(path, shop.url);
    relative.searchParams.set("since", "3h");
    await page.goto(relative.href);
    await shown(page).waitFor();
    assert.equal(new URL(page.url()).searchParams.get("since"), "3h");
    await page.getByRole("button", { name: "Copy absolute link" }).click();
    await page.getByRole("button", { name: "Copied" }).waitFor();
    const copied = new URL(await page.evaluate<string>("navigator.clipboard.readText()"));
    const [since, until] = ["since", "until"].map((name) => {
      const nanos = BigInt(copied.searchParams.get(name)!);
      copied.searchParams.delete(name);
      return Number(nanos / 1_000_000n);
    });
    assert.equal(until! - since!, 3 * 3_600_000);
    assert.ok(Math.abs(Date.now() - until!) < 60_000);
    relative.searchParams.delete("since");
    assert.equal(copied.href, relative.href);
  }
});

browserTest("an absolute link keeps times that are fixed, to the nanosecond", async (open) => {
  const page = await open(`${shop.url}/traces?since=${since.slice(0, -3)}123&until=${until}`, {
    permissions: ["clipboard-read", "clipboard-write"],
  });
  await page.getByRole("button", { name: "Copy absolute link" }).click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  assert.equal(await page.evaluate("navigator.clipboard.readText()"), page.url());
});
