/** The live tail, in Chromium over a collector: how it is paused, and how it loses its connection. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { seriousFaults } from "./accessibility.ts";
import { browserTest } from "./browser.ts";
import { withCollector } from "./page_collector.ts";
import { allStored, type LogLine, sendLines } from "./page_log_lines.ts";
import { tcpProxy } from "./tcp_proxy.ts";

const tail = (page: Page) => page.getByRole("grid", { name: "Log records as they arrive" });
const live = (page: Page) => page.getByText("● Live").waitFor();
const texts = (page: Page) => tail(page).getByRole("row").allInnerTexts();
const numbered = (from: number, count: number): LogLine[] =>
  Array.from({ length: count }, (_, n) => ({ text: `arrived ${from + n}` }));
const SHOP = { service: "shop" };

browserTest(
  "a tail that is read stands still, counts what is new, and goes on at the newest",
  async (open) => {
    await withCollector(async ({ url }) => {
      const page = await open(`${url}/logs?live=1`);
      await live(page);
      await sendLines(url, SHOP, numbered(0, 200));
      await tail(page).getByText("arrived 199").waitFor();

      await tail(page).hover();
      await page.mouse.wheel(0, 600);
      await page.getByRole("button", { name: "Paused · 0 new · Resume" }).waitFor();
      // It is paused at the first step of the wheel. At the last one 25 rows are above what is in
      // sight, and of those the ten nearest are kept.
      await tail(page).getByText("arrived 185").waitFor({ state: "detached" });
      const before = await texts(page);
      await sendLines(url, SHOP, numbered(200, 214));
      const resume = page.getByRole("button", { name: "Paused · 214 new · Resume" });
      await resume.waitFor();
      // It is received, but nothing moves under the reader.
      await page.getByText("414 received").waitFor();
      assert.deepEqual(await texts(page), before);
      // However far one scrolls, it stays in sight.
      await page.mouse.wheel(0, 100_000);
      await tail(page).getByText("arrived 0", { exact: true }).waitFor();
      const { y, height } = (await resume.boundingBox())!;
      assert.ok(y >= 0 && y + height <= page.viewportSize()!.height);
      await resume.click();
      await tail(page).getByText("arrived 413").waitFor();
      assert.match((await texts(page))[0]!, /arrived 413$/);
      assert.equal(await tail(page).getAttribute("aria-rowcount"), "414");

      await tail(page).getByText("arrived 410").click();
      await page.getByRole("complementary", { name: "Details" }).getByText("arrived 410").first()
        .waitFor();
      await sendLines(url, SHOP, numbered(414, 3));
      await page.getByRole("button", { name: "Paused · 3 new · Resume" }).waitFor();
      // To close what is open is not to resume.
      await page.keyboard.press("Escape");
      await page.getByRole("complementary", { name: "Details" }).waitFor({ state: "detached" });
      assert.equal(await tail(page).getByText("arrived 416").count(), 0);
      await page.keyboard.press("p");
      await tail(page).getByText("arrived 416").waitFor();
    });
  },
);

browserTest("Clear hides what came until then, also what was not shown yet", async (open) => {
  await withCollector(async ({ url }) => {
    const page = await open(`${url}/logs?live=1`);
    await live(page);
    await sendLines(url, SHOP, numbered(0, 20));
    await tail(page).getByText("arrived 19").waitFor();
    await page.getByRole("button", { name: "Pause" }).click();
    await sendLines(url, SHOP, numbered(20, 20));
    await page.getByRole("button", { name: "Paused · 20 new · Resume" }).waitFor();
    await page.getByRole("button", { name: "Clear" }).click();
    await page.getByRole("button", { name: "Paused · 0 new · Resume" }).waitFor();
    await page.getByText("What arrives from now on is shown here.").waitFor();
    await sendLines(url, SHOP, numbered(40, 2));
    await page.getByRole("button", { name: "Paused · 2 new · Resume" }).click();
    await tail(page).getByText("arrived 41").waitFor();
    assert.equal(await tail(page).getAttribute("aria-rowcount"), "2");
    // Nothing of it was lost on the way.
    await page.getByText(/^0 dropped$/).waitFor();
  });
});

browserTest(
  "a tail that was cut off says so, comes back behind the last line, and marks where it was",
  async (open) => {
    await withCollector(async ({ url }) => {
      await using proxy = await tcpProxy(Number(new URL(url).port));
      let isOpen = true;
      const asked: URL[] = [];
      proxy.onSent = (bytes) => {
        const [, path] = /^GET (\/api\/logs\/tail\S*)/.exec(new TextDecoder().decode(bytes)) ?? [];
        if (path !== undefined) asked.push(new URL(path, url));
        return isOpen ? "pass" : "cut before";
      };
      const page = await open(`http://127.0.0.1:${proxy.port}/logs?live=1`);
      await live(page);
      await sendLines(url, SHOP, numbered(0, 3));
      await tail(page).getByText("arrived 2").waitFor();
      await page.getByText(/^[1-9]\d* rows\/s$/).waitFor();

      isOpen = false;
      proxy.cut();
      await page.getByText(/^○ Disconnected, next try in \d s$/).waitFor();
      await sendLines(url, SHOP, numbered(3, 3));
      // It fails at least once more.
      while (asked.length < 2) await page.waitForTimeout(20);
      isOpen = true;
      await live(page);
      await tail(page).getByText("arrived 5").waitFor();
      const rows = (await texts(page)).map((row) => row.replace(/^.*?(arrived|No)/s, "$1"));
      assert.match(rows[3]!, /^No connection for \d+(\.\d+)?s: lines may be missing here$/);
      assert.deepEqual(
        rows.toSpliced(3, 1),
        [5, 4, 3, 2, 1, 0].map((n) => `arrived ${n}`),
      );
      await page.getByRole("button", { name: "Pause" }).click();
      for (const theme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme: theme });
        assert.deepEqual(await seriousFaults(page), [], theme);
      }
      const afters = asked.map(({ searchParams }) => searchParams.get("after"));
      assert.equal(afters[0], null);
      assert.ok(afters.length >= 3 && afters.slice(1).every((after) => /^\d+-\d+$/.test(after!)));
    });
  },
);

browserTest(
  "the histogram grows with the tail, stands where it was, and pauses with it",
  (open) =>
    withCollector(async ({ url }) => {
      const page = await open(`${url}/logs?live=1`);
      await page.clock.install();
      await page.reload();
      await live(page);
      const histogram = page.getByRole("region", { name: "Log records over time" });
      await histogram.getByText("highest 0").waitFor();
      const before = await histogram.boundingBox();
      // All in one step, as they have one time.
      const at = BigInt(Date.now() - 60_000) * 1_000_000n;
      await sendLines(url, SHOP, numbered(0, 7).map((line) => ({ ...line, at })));
      await tail(page).getByText("arrived 6").waitFor();
      await allStored(url);
      // The longer it took to count, the longer it is not counted again.
      const highest = async (count: number) => {
        while (!await histogram.getByText(`highest ${count}`).isVisible()) {
          await page.clock.runFor(5_000);
        }
      };
      await highest(7);
      assert.deepEqual(await histogram.boundingBox(), before);

      await page.keyboard.press("p");
      await page.getByRole("button", { name: "Paused · 0 new · Resume" }).waitFor();
      await sendLines(url, SHOP, numbered(7, 2).map((line) => ({ ...line, at })));
      await page.getByRole("button", { name: "Paused · 2 new · Resume" }).waitFor();
      await allStored(url);
      let asked = 0;
      page.on("request", (request) => asked += request.url().includes("log-counts") ? 1 : 0);
      await page.clock.runFor(60_000);
      assert.equal(asked, 0);
      await page.keyboard.press("p");
      await highest(9);
    }),
);

browserTest("a tail waits longer each time it cannot connect, up to 30 s", async (open) => {
  await withCollector(async ({ url }) => {
    const page = await open(`${url}/logs`);
    let asked = 0;
    await page.clock.install();
    await page.clock.pauseAt(Date.now() + 60_000);
    const shown = async (text: string | RegExp) => {
      while (!await page.getByText(text).isVisible()) await page.clock.runFor(5);
    };
    await page.route(/\/api\/logs\/tail/, (route) => {
      asked++;
      return route.abort();
    });
    await page.getByRole("button", { name: "Live" }).click();
    let tries = 0;
    for (const seconds of [1, 2, 4, 8, 16, 30, 30]) {
      await shown(`next try in ${seconds} s`);
      assert.equal(asked, ++tries);
      await page.clock.runFor(seconds * 1_000);
    }
    await shown("next try in 30 s");
    await page.unroute(/\/api\/logs\/tail/);
    await page.clock.runFor(30_000);
    await shown("● Live");
    // 1 + 2 + 4 + 8 + 16 + 3 × 30 s
    await shown(/^No connection for 2m 0\ds: lines may be missing here$/);
  });
});

browserTest("a tail that is refused says why, and asks a wrong question once", async (open) => {
  await withCollector(async ({ url }) => {
    const page = await open(`${url}/logs?live=1&filter=severity+%3D`);
    const bar = page.locator(".tail-bar");
    await bar.getByText("○ Not followed").waitFor();
    await page.getByRole("alert").filter({ hasText: /^400: .*filter/ }).nth(1).waitFor();
    await page.getByLabel("Filter").fill("service = shop");
    await page.keyboard.press("Enter");
    await live(page);
    await sendLines(url, SHOP, numbered(0, 1));
    await tail(page).getByText("arrived 0").waitFor();
    // The histogram asks by itself, and may be answered later.
    await page.getByRole("alert").first().waitFor({ state: "detached" });
  });
});
