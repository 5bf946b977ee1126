/** Finding spans on the page of a trace. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { browserTest } from "./browser.ts";
import { nanos, sendTrace, spanId, text, TRACE_ID } from "./one_trace.ts";
import { withCollector } from "./page_collector.ts";
import { chosen, row, shows } from "./trace_rows.ts";

const SPANS = [
  { id: 1, name: "checkout", kind: 2, from: 0, to: 1_000 },
  { id: 2, parent: 1, name: "read cart", kind: 3, from: 10, to: 200 },
  {
    id: 3,
    parent: 2,
    name: "hgetall",
    from: 20,
    to: 30,
    more: { attributes: [text("cart.id", "c-1")], status: { code: 2, message: "no such key" } },
  },
  {
    id: 4,
    parent: 2,
    name: "select",
    from: 40,
    to: 190,
    more: {
      attributes: [text("cart.id", "c-17")],
      events: [{ timeUnixNano: nanos(50), name: "Plan cached", attributes: [] }],
    },
  },
  { id: 5, parent: 1, name: "charge", kind: 3, from: 300, to: 900 },
  { id: 6, parent: 5, name: "issuer", from: 310, to: 890, more: { status: { code: 2 } } },
];

const count = (page: Page, text: string) =>
  page.locator(".trace-tools [role=status]").filter({ hasText: new RegExp(`^${text}$`) }).waitFor();
const errors = (page: Page, text: string) =>
  page.locator(".trace-errors", { hasText: text }).waitFor();

browserTest("next match and next error open what hides them, and count on", async (open) => {
  await withCollector(async ({ url }) => {
    await sendTrace(url, SPANS);
    const page = await open(`${url}/traces/${TRACE_ID}?fold=all&find=cart.id`);
    await shows(page, ["checkout"]);
    await row(page, "(5 hidden, 2 errors)").getByText("○").waitFor();
    await count(page, "0/2");
    await page.locator("body").press("n");
    await chosen(page, "hgetall");
    await count(page, "1/2");
    // The other branch stays folded.
    await shows(page, ["checkout", "read cart", "hgetall", "select", "charge"]);
    await page.keyboard.press("n");
    await chosen(page, "select");
    await count(page, "2/2");
    await page.keyboard.press("N");
    await count(page, "1/2");
    await errors(page, "1/2 errors");

    await page.keyboard.press("e");
    await chosen(page, "issuer");
    await errors(page, "2/2 errors");
    await page.keyboard.press("[");
    await shows(page, ["checkout"]);
    await page.keyboard.press("E");
    await chosen(page, "hgetall");
    await errors(page, "1/2 errors");
    await page.reload();
    await chosen(page, "hgetall");
  });
});

browserTest(
  "a text is found in names, ids, keys, values and events; key=value is exact",
  async (open) => {
    await withCollector(async ({ url }) => {
      await sendTrace(url, SPANS);
      const page = await open(`${url}/traces/${TRACE_ID}`);
      const box = page.getByLabel("Find in the trace");
      for (
        const [wanted, found] of [
          ["HGETALL", 1],
          [spanId(6), 1],
          // Itself, and the two that name it as their parent.
          [spanId(2), 3],
          ["cart.id", 2],
          ["c-1", 2],
          ["cart.id=c-1", 1],
          ["cart.id = C-17", 1],
          ["plan cached", 1],
          ["such key", 1],
          ["shop", 6],
          // Nothing is found across two values, or by letters in their order alone.
          ["c-1c-17", 0],
          ["hgtall", 0],
        ] as const
      ) {
        await box.fill(wanted);
        await count(page, `0/${found}`);
      }
    });
  },
);

browserTest("only matches and what is above them are shown when that is wanted", async (open) => {
  await withCollector(async ({ url }) => {
    await sendTrace(url, SPANS);
    const page = await open(`${url}/traces/${TRACE_ID}`);
    await row(page, "issuer").waitFor();
    await page.getByLabel("Find in the trace").fill("hgetall");
    await page.getByLabel("Only matches").check();
    await shows(page, ["checkout", "read cart", "hgetall"]);
    await page.getByText("3 other spans hidden").waitFor();
    // An error that is hidden is shown with all others again.
    await page.getByRole("button", { name: "Next error" }).click();
    await page.getByRole("button", { name: "Next error" }).click();
    await chosen(page, "issuer");
    assert.equal(await page.getByLabel("Only matches").isChecked(), false);

    await page.getByLabel("Find in the trace").fill("");
    await page.getByLabel("Kind").selectOption("client");
    await page.getByLabel("Shortest duration").fill("0.5s");
    await count(page, "0/1");
    await page.getByLabel("Only matches").check();
    await shows(page, ["checkout", "charge"]);
    await page.reload();
    await shows(page, ["checkout", "charge"]);
    await page.getByLabel("Shortest duration").fill("often");
    await page.getByText("No duration: 250us, 10ms, 1.5s").waitFor();
    await page.getByLabel("Shortest duration").fill("1h");
    await page.getByText("No span matches what is looked for.").waitFor();
  });
});
