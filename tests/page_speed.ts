/**
 * How long pages take to draw an answer of the API.
 *
 * @module
 */

import type { Page } from "playwright-core";

/**
 * Does something to a page that is there, and tells how many ms after the last byte of the answer to it
 * what it shows was painted.
 *
 * @param asks The path of the API.
 * @param isDrawn What is true of the document once the answer is drawn, and not before: JavaScript.
 */
export async function drawnAfterMs(
  page: Page,
  asks: string,
  isDrawn: string,
  act: () => Promise<void>,
): Promise<number> {
  await page.evaluate(`{
    performance.clearResourceTimings();
    window.paintedMs = new Promise((resolve) => {
      const observer = new MutationObserver(() => {
        if (!(${isDrawn})) return;
        observer.disconnect();
        // A task after a frame is behind its painting.
        requestAnimationFrame(() => setTimeout(() => resolve(performance.now())));
      });
      observer.observe(document, { childList: true, subtree: true });
    });
    // The promise is not what is waited for here.
    undefined;
  }`);
  await act();
  return await page.evaluate<number>(
    `window.paintedMs.then((painted) => painted - Math.min(
      ...performance.getEntriesByType("resource")
        .filter(({ name }) => new URL(name).pathname === ${JSON.stringify(asks)})
        .map(({ responseEnd }) => responseEnd),
    ))`,
  );
}
