/**
 * `deno task screenshots FOLDER [URL]`: each page of a collector, light and dark, wide and narrow.
 *
 * @module
 */

import { chromiumPath, launchChromium } from "./chromium.ts";

const PAGES = ["traces", "trace", "logs", "charts", "services", "pipeline"] as const;
const THEMES = ["light", "dark"] as const;
const SIZES = [{ width: 1280, height: 800 }, { width: 400, height: 800 }] as const;

/** The path of a page; a trace is the slowest one. */
async function pathOf(page: typeof PAGES[number], url: string): Promise<string> {
  if (page !== "trace") return `/${page}`;
  const response = await fetch(`${url}/api/traces?order=slowest&limit=1`);
  const { traces: [trace] } = await response.json();
  if (trace === undefined) throw new Error(`Cannot show a trace: ${url} has none of the last hour`);
  return `/traces/${trace.traceId}`;
}

async function main([folder, url = "http://127.0.0.1:4318"]: readonly string[]): Promise<void> {
  if (folder === undefined) throw new Error("Usage: deno task screenshots FOLDER [URL]");
  const chromium = chromiumPath();
  if (chromium === undefined) throw new Error("Cannot find Chromium: name it in CHROMIUM");
  await Deno.mkdir(folder, { recursive: true });
  const browser = await launchChromium(chromium);
  try {
    for (const name of PAGES) {
      const path = await pathOf(name, url);
      for (const colorScheme of THEMES) {
        for (const viewport of SIZES) {
          const page = await browser.newPage({ colorScheme, viewport });
          await page.goto(url + path, { waitUntil: "load" });
          await page.waitForTimeout(1_500);
          await page.screenshot({ path: `${folder}/${name}-${colorScheme}-${viewport.width}.png` });
          await page.close();
        }
      }
    }
  } finally {
    await browser.close();
  }
}

await main(Deno.args);
