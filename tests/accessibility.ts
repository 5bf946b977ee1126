/**
 * What axe finds wrong with a page.
 *
 * @module
 */

import axe, { type AxeResults } from "axe-core";
import type { Page } from "playwright-core";

/** Faults of the impact `serious` or `critical`, each with where it is; the page stays as it is. */
export async function seriousFaults(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const results = await page.evaluate<AxeResults>(
    "axe.run(document, { resultTypes: ['violations'] })",
  );
  return results.violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}
