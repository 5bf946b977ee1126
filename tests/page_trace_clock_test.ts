/** Traces that are not as they should be, on their page: clocks that differ, parents that are missing. */

import assert from "node:assert/strict";
import { browserTest } from "./browser.ts";
import { sendTrace, spanId, TRACE_ID } from "./one_trace.ts";
import { withCollector } from "./page_collector.ts";
import { details, row } from "./trace_rows.ts";

const SERVER = 2;
const CLIENT = 3;
const CONSUMER = 5;

browserTest(
  "times are raw until adjusted ones are wanted; badges say how far clocks differ",
  async (open) => {
    await withCollector(async ({ url }) => {
      await sendTrace(url, [
        { id: 1, service: "web", name: "checkout", kind: CLIENT, from: 1_000, to: 1_100 },
        // A clock that is behind by 1 s: 20 ms are left for the ways there and back.
        { id: 2, parent: 1, service: "pay", name: "charge", kind: SERVER, from: 10, to: 90 },
        { id: 3, parent: 2, service: "pay", name: "sign", from: 20, to: 30 },
        // Asked for in between, and done later on: that is no fault of a clock.
        {
          id: 4,
          parent: 1,
          service: "mail",
          name: "receipt",
          kind: CONSUMER,
          from: 1_050,
          to: 1_500,
        },
      ]);
      const page = await open(`${url}/traces/${TRACE_ID}`);
      await row(page, "charge").getByText("clock −1.00s").waitFor();
      await page.getByText("Clocks differ by up to 1.00s").waitFor();
      assert.equal(
        await page.getByRole("button", { name: "Raw" }).getAttribute("aria-pressed"),
        "true",
      );
      const barOf = async (name: string) =>
        (await row(page, name).locator(".span-bar").boundingBox())!;
      assert.ok((await barOf("charge")).x < (await barOf("checkout")).x);
      for (const name of ["checkout", "sign", "receipt"]) {
        assert.equal(await row(page, name).getByText(/clock|moved/).count(), 0, name);
      }
      await row(page, "charge").click();
      await details(page).getByText("this clock seems to be 1.00s behind that of its parent")
        .waitFor();

      await page.getByRole("button", { name: "Adjusted" }).click();
      await row(page, "charge").getByText("moved +1.00s").waitFor();
      await details(page).getByText("Moved by +1.00s").waitFor();
      await page.locator(".trace-title").getByText("500ms").waitFor();
      const [outer, inner] = [await barOf("checkout"), await barOf("charge")];
      const left = inner.x - outer.x;
      const right = outer.x + outer.width - inner.x - inner.width;
      assert.ok(left > 0 && Math.abs(left - right) < 2, `${left} ${right}`);
      const sign = await barOf("sign");
      assert.ok(sign.x >= inner.x && sign.x + sign.width <= inner.x + inner.width);
      await row(page, "sign").click();
      await details(page).getByText("It is moved by 1.00s, with the span above it.").waitFor();
      await page.reload();
      await row(page, "charge").getByText("moved +1.00s").waitFor();
      await page.getByRole("button", { name: "Raw" }).click();
      await row(page, "charge").getByText("clock −1.00s").waitFor();
    });
  },
);

browserTest(
  "a span without its parent is an extra root; nothing promises that it comes",
  async (open) => {
    await withCollector(async ({ url }) => {
      await sendTrace(url, [
        { id: 1, name: "checkout", from: 0, to: 100 },
        { id: 2, parent: 77, name: "lost child", from: 10, to: 20 },
        { id: 3, parent: 2, name: "grandchild", from: 12, to: 15 },
      ]);
      const page = await open(`${url}/traces/${TRACE_ID}`);
      await page.getByText("1 extra root").waitFor();
      const badge = row(page, "lost child").getByText("extra root");
      assert.equal(await row(page, "lost child").getAttribute("aria-level"), "1");
      assert.equal(await row(page, "grandchild").getAttribute("aria-level"), "2");
      assert.equal(await page.getByText("extra root").count(), 2);
      const words = (await badge.getAttribute("title"))!;
      assert.match(
        words,
        new RegExp(`${spanId(77)} is not here: .*sampled away, be late, or be lost`),
      );
      await row(page, "lost child").click();
      await details(page).getByText(words).waitFor();
      assert.doesNotMatch(await page.locator("main").innerText(), /reload|refresh|try again/i);
    });
  },
);
