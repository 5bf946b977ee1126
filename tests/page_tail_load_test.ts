/**
 * The live tail under load, in Chromium over a collector: how much it holds, how fast it answers, and
 * whether it tells the truth about what it does not show.
 *
 * `TAIL_SECONDS=30` sends for so long, and says what was measured.
 */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { browserTest } from "./browser.ts";
import { withCollector } from "./page_collector.ts";
import { sendLines } from "./page_log_lines.ts";

const SECONDS = Number(Deno.env.get("TAIL_SECONDS") ?? 4);
const LINES_PER_SECOND = 2_000;
const LINES = SECONDS * LINES_PER_SECOND;
/** What the page keeps. */
const MAX_ROWS = 5_000;
/** A machine that does much else may take so long; by itself it is less than 100 ms. */
const MAX_LATENCY_MS = 1_000;

/** Counts what the page gets and does, apart from the page. */
const OBSERVER = `(() => {
  const seen = globalThis.seen = { 
    heard: 0, told: 0, excess: 0, frames: 0, paints: 0, most: 0, latencies: [],
  };
  const Native = EventSource;
  globalThis.EventSource = class extends Native {
    constructor(...from) {
      super(...from);
      this.addEventListener("message", () => seen.heard++);
      this.addEventListener("dropped", ({ data }) => seen.told += JSON.parse(data).count);
    }
  };
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (entry.name === "keydown") seen.latencies.push(entry.duration);
    }
  }).observe({ type: "event", durationThreshold: 16 });
  let paintsBefore = 0;
  let heardBefore = 0;
  const frame = () => {
    seen.frames++;
    seen.excess += Math.max(0, seen.heard - heardBefore - 5_000);
    heardBefore = seen.heard;
    seen.most = Math.max(seen.most, seen.paints - paintsBefore);
    paintsBefore = seen.paints;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  // Called once for all changes that are made in one go.
  new MutationObserver((changes) => {
    if (changes.some(({ target }) => target.closest?.(".rows-all"))) seen.paints++;
  }).observe(document, { subtree: true, childList: true });
})()`;

interface Seen {
  /** Records that came to the page, and how many it was told that did not. */
  readonly heard: number;
  readonly told: number;
  /** Records that came within a frame and are more than can be shown. */
  readonly excess: number;
  readonly frames: number;
  /** How often rows were changed, and how often at most within a frame. */
  readonly paints: number;
  readonly most: number;
  /** Of keys that took 16 ms or longer: until what they did was painted. */
  readonly latencies: readonly number[];
}

const seenBy = (page: Page) => page.evaluate<Seen>("globalThis.seen");
const tail = (page: Page) => page.getByRole("grid", { name: "Log records as they arrive" });
const dropped = async (page: Page) =>
  Number((await page.locator(".tail-bar").getByText(/ dropped$/).innerText()).replace(/\D/g, ""));

async function openTail(
  open: (url: string) => Promise<Page>,
  url: string,
): Promise<Page> {
  const page = await open(`${url}/logs?live=1`);
  await page.addInitScript(OBSERVER);
  await page.reload();
  await page.getByText("● Live").waitFor();
  return page;
}

/** Sends numbered lines at once. */
async function burst(url: string, from: number, count: number): Promise<void> {
  for (let n = 0; n < count; n += 500) {
    const lines = Array.from({ length: Math.min(500, count - n) }, (_, m) => ({
      text: `line ${from + n + m}`,
    }));
    await sendLines(url, { service: "busy" }, lines);
  }
}

browserTest(
  "two thousand lines a second leave the page quick, hold 5,000 rows, and none is lost unsaid",
  async (open) => {
    await withCollector(async ({ url }) => {
      const page = await openTail(open, url);
      const words = page.getByLabel("Words in the message");
      await words.focus();
      let keys = 0;
      let typing = true;
      const typed = (async () => {
        while (typing) {
          await page.keyboard.press("abcdefghij"[keys++ % 10]!);
          await page.waitForTimeout(100);
        }
      })();
      const begin = performance.now();
      for (let n = 0; n < LINES; n += 100) {
        const early = n / LINES_PER_SECOND * 1000 - (performance.now() - begin);
        if (early > 0) await page.waitForTimeout(early);
        await burst(url, n, 100);
        if (n % 5_000 === 0 && n > 0) {
          assert.ok(Number(await tail(page).getAttribute("aria-rowcount")) <= MAX_ROWS);
        }
      }
      const seconds = (performance.now() - begin) / 1000;
      typing = false;
      await typed;
      await tail(page).getByText(`line ${LINES - 1}`, { exact: true }).waitFor();

      assert.equal(
        await tail(page).getAttribute("aria-rowcount"),
        String(Math.min(MAX_ROWS, LINES - await dropped(page))),
      );
      assert.ok(await page.locator("*").count() < 1_500);
      assert.equal((await words.inputValue()).length, keys);
      const seen = await seenBy(page);
      const latencies = seen.latencies.toSorted((a, b) => a - b);
      const slowest = latencies.at(-1) ?? 0;
      if (Deno.env.has("TAIL_SECONDS")) {
        const rate = Math.round(LINES / seconds);
        const middle = latencies[latencies.length >> 1];
        console.log({ ...seen, latencies: { middle, slowest }, keys, rate });
      }
      assert.ok(slowest < MAX_LATENCY_MS, `a key took ${slowest} ms`);
      assert.ok(seen.paints > 0 && seen.most <= 1, `${seen.most} paints in a frame`);
      // All that was sent was shown, or is counted.
      assert.equal(await dropped(page), LINES - seen.heard + seen.excess);
      await page.getByText(`${seen.heard.toLocaleString("en")} received`).waitFor();
    });
  },
);

browserTest(
  "what came while the page could not follow is counted as dropped, to the line",
  async (open) => {
    await withCollector(async ({ url }) => {
      const page = await openTail(open, url);
      // Nothing else runs in the page while it asks so.
      const stop = page.evaluate(`(() => {
        const question = new XMLHttpRequest();
        do {
          question.open("GET", "/api/stats", false);
          question.send();
        } while (JSON.parse(question.responseText).tail.dropped === 0);
      })()`);
      let sent = 0;
      const droppedByCollector = async () =>
        (await (await fetch(`${url}/api/stats`)).json()).tail.dropped;
      while (sent < 100_000 && await droppedByCollector() === 0) {
        await burst(url, sent, 5_000);
        sent += 5_000;
      }
      await stop;
      await tail(page).getByText(`line ${sent - 1}`, { exact: true }).waitFor();
      const seen = await seenBy(page);
      const missing = sent - seen.heard;
      assert.ok(missing > 0 && seen.told === missing, `${seen.told} of ${missing}`);
      assert.equal(await dropped(page), missing + seen.excess);
    });
  },
);

browserTest(
  "what is too much for a pause is counted, and Resume shows the newest",
  async (open) => {
    await withCollector(async ({ url }) => {
      const page = await openTail(open, url);
      await burst(url, 0, 10);
      await tail(page).getByText("line 9", { exact: true }).waitFor();
      await page.getByRole("button", { name: "Pause" }).click();
      await burst(url, 10, 3_000);
      await page.getByRole("button", { name: "Paused · 3,000 new · Resume" }).waitFor();
      assert.equal(await dropped(page), 0);
      await burst(url, 3_010, 4_500);
      await page.getByText("7,510 received").waitFor();
      const resume = page.getByRole("button", { name: "Paused · 5,000 new · Resume" });
      await resume.waitFor();
      // Those that were shown before count as shown.
      assert.equal(await dropped(page), 2_500);
      assert.equal(await tail(page).getAttribute("aria-rowcount"), "10");
      await resume.click();
      await tail(page).getByText("line 7509", { exact: true }).waitFor();
      assert.equal(await tail(page).getAttribute("aria-rowcount"), "5000");
      await page.getByRole("button", { name: "Pause" }).click();
      await page.locator("body").press("End");
      await tail(page).getByText("line 2510", { exact: true }).waitFor();
      assert.equal(await dropped(page), 2_500);
    });
  },
);
