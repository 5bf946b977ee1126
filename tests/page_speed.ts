/**
 * How long pages take to draw an answer of the API.
 *
 * @module
 */

import type { Page } from "playwright-core";

/** Tells, in ms of the page's clock, when something was first painted. */
const WATCH = (selector: string) =>
  `window.paintedMs = new Promise((resolve) => {
    const look = () => {
      if (document.querySelector(${JSON.stringify(selector)}) === null) return;
      observer.disconnect();
      // A task after a frame is behind its painting.
      requestAnimationFrame(() => setTimeout(() => resolve(performance.now())));
    };
    const observer = new MutationObserver(look);
    observer.observe(document, { childList: true, subtree: true });
    look();
  })`;

/**
 * Opens a page and tells how many ms after the last byte of an answer what it shows was painted.
 *
 * @param asks The path of the API.
 * @param selector What is there once the answer is drawn.
 */
export async function drawnAfterMs(
  page: Page,
  url: string,
  asks: string,
  selector: string,
): Promise<number> {
  await page.addInitScript(WATCH(selector));
  await page.goto(url);
  return await page.evaluate<number>(
    `window.paintedMs.then((painted) => painted - Math.min(
      ...performance.getEntriesByType("resource")
        .filter(({ name }) => new URL(name).pathname === ${JSON.stringify(asks)})
        .map(({ responseEnd }) => responseEnd),
    ))`,
  );
}
