/**
 * Tests of the page in Chromium. Where there is none they are skipped; in CI that is a failure.
 *
 * Whatever a test is about, its pages must not ask another origin for anything, break their content
 * security policy, or throw.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { chromiumPath, launchChromium } from "../tools/chromium.ts";

/** Opens a page in a browser that knows nothing yet: 1280 × 800, light, unless options say otherwise. */
export type OpenPage = (url: string, options?: BrowserContextOptions) => Promise<Page>;

/** How long a test waits for what a page has to show; it is there sooner unless something is wrong. */
const WAIT_MS = 30_000;

const path = chromiumPath();
if (path === undefined) {
  const missing = "No Chromium: install it, or name it in CHROMIUM, to test the page";
  if (Deno.env.get("CI")) throw new Error(missing);
  console.log(missing);
}

/** A test that may open pages; they are closed at its end. */
export function browserTest(name: string, body: (open: OpenPage) => Promise<void>): void {
  Deno.test({
    name,
    ignore: path === undefined,
    async fn() {
      const browser = await launchChromium(path!);
      const faults: string[] = [];
      try {
        await body((url, options) => openPage(browser, url, options, faults));
      } finally {
        await browser.close();
      }
      assert.deepEqual(faults, []);
    },
  });
}

async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
  faults: string[],
): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    colorScheme: "light",
    reducedMotion: "reduce",
    timezoneId: "UTC",
    ...options,
  });
  context.setDefaultTimeout(WAIT_MS);
  const { origin } = new URL(url);
  context.on("request", (request) => {
    const asked = new URL(request.url());
    if (asked.protocol.startsWith("http") && asked.origin !== origin) {
      faults.push(`asks another origin: ${asked}`);
    }
  });
  context.on("weberror", (error) => faults.push(`throws: ${error.error().stack}`));
  context.on("console", (message) => {
    if (message.text().includes("Content Security Policy")) faults.push(message.text());
  });
  const page = await context.newPage();
  await page.goto(url);
  return page;
}
