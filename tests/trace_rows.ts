/**
 * The rows of a trace as its page shows them.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Locator, Page } from "playwright-core";

const WAIT_MS = 30_000;

/** All rows that are there. */
export function rows(page: Page): Locator {
  return page.getByRole("treegrid", { name: "Spans" }).getByRole("row");
}

/** The row with a text in it. */
export function row(page: Page, text: string): Locator {
  return rows(page).filter({ hasText: text });
}

/** Waits until a row is the chosen one. */
export async function chosen(page: Page, text: string): Promise<void> {
  await page.locator(".span-rows [aria-selected=true]", { hasText: text }).waitFor();
}

/** Waits until there are these rows, by their operations, in this order. */
export async function shows(page: Page, operations: readonly string[]): Promise<void> {
  const untilMs = Date.now() + WAIT_MS;
  while (true) {
    const shown = await page.locator(".span-operation").allInnerTexts();
    if (Date.now() > untilMs) assert.deepEqual(shown, operations);
    if (JSON.stringify(shown) === JSON.stringify(operations)) return;
    await page.waitForTimeout(20);
  }
}

/** The panel at the right. */
export function details(page: Page): Locator {
  return page.getByRole("complementary", { name: "Details" });
}
