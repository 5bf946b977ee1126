/** Whether pages show what was sent as text, whatever it is, in Chromium over a collector. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { browserTest } from "./browser.ts";
import { MARKUP, openShop, SIX_PAGES, SPAN_ID, TRACE_ID } from "./six_pages.ts";

const shop = await openShop();
Deno.test.afterAll(async () => await shop[Symbol.asyncDispose]());

interface Shown {
  readonly address: string;
  /** Before all of it is there. */
  readonly open?: (page: Page) => Promise<void>;
  /** What has to be read there, each followed by the markup. */
  readonly texts: readonly string[];
}

const SERVICE = encodeURIComponent(`service ${MARKUP}`);
const METRIC = encodeURIComponent(`metric ${MARKUP}`);

const SHOWN: Readonly<Record<string, Shown>> = {
  Traces: {
    address: `/traces?service=${SERVICE}`,
    texts: ["service ", "operation "],
  },
  Trace: {
    address: `/traces/${TRACE_ID}?span=${SPAN_ID}`,
    texts: [
      "service ",
      "operation ",
      "failed ",
      "key ",
      "value ",
      "event ",
      "of the event ",
      "of the link ",
      "resource ",
      "scope ",
      "body ",
    ],
  },
  Logs: {
    address: "/logs?minSeverity=17",
    open: async (page) => {
      await page.locator(".log-rows [role=row]").first().click();
      await page.getByRole("button", { name: "Show what was logged around it" }).click();
      await page.locator(".log-context [role=row]").first().waitFor();
    },
    texts: ["body ", "severe ", "event ", "key ", "value ", "resource ", "scope "],
  },
  Metrics: {
    address: `/charts?metric=${METRIC}&type=sum&unit=${encodeURIComponent(`unit ${MARKUP}`)}` +
      "&temporality=CUMULATIVE&group=each",
    texts: ["metric ", "unit ", "value "],
  },
  Services: {
    address: `/services?service=${SERVICE}`,
    texts: ["service ", "operation "],
  },
  Pipeline: {
    address: "/pipeline",
    open: (page) => page.getByRole("button", { name: "Sample" }).first().click(),
    texts: ["no such tenant "],
  },
};

for (const { name } of SIX_PAGES) {
  browserTest(`${name}: markup in what was sent is text`, async (open) => {
    const { address, open: openMore, texts } = SHOWN[name]!;
    const page = await open(shop.url + address);
    await openMore?.(page);
    for (const text of texts) {
      await page.locator("main").getByText(text + MARKUP).first().waitFor();
    }
    const made = await page.locator("main script, main img, main [onerror]").count();
    assert.deepEqual([made, (await page.title()).includes("hurt")], [0, false]);
  });
}

browserTest("markup in an address and in what the API says is text", async (open) => {
  const page = await open(`${shop.url}/traces?query=${encodeURIComponent(`${MARKUP} = `)}`);
  await page.getByRole("alert").getByText("400: ").waitFor();
  await page.goto(`${shop.url}/traces?service=${encodeURIComponent(MARKUP)}`);
  await page.getByRole("heading", { name: "No trace matches" }).waitFor();
  await page.locator("main code", { hasText: MARKUP }).waitFor();
  await page.route("**/api/traces?*", (route) => route.fulfill({ status: 500, body: MARKUP }));
  await page.keyboard.press("r");
  await page.getByRole("alert").getByText(MARKUP).waitFor();
  assert.equal(await page.locator("main script, main img").count(), 0);
  assert.ok(!(await page.title()).includes("hurt"));
});
