/** How wide the columns of tables are, where a viewer has made them wider or narrower. */

import { preference } from "./preferences.ts";

/** Widths in pixels by the name of the column. */
export type Widths = Readonly<Record<string, number>>;

/** None gets narrower. */
const LEAST_PIXELS = 40;

const kept = preference<Record<string, Widths>>("columnWidths", {});

/** Those of a table; undefined as long as they are as they come. */
export function widthsOf(table: string): Widths | undefined {
  return kept.value[table];
}

/** Makes a column so wide; the others keep the widths that they have now. */
export function setWidth(table: string, now: Widths, column: string, pixels: number): void {
  const width = Math.max(LEAST_PIXELS, Math.round(pixels));
  kept.value = { ...kept.peek(), [table]: { ...now, [column]: width } };
}

/** Lets them be as they come. */
export function resetWidths(table: string): void {
  const { [table]: _, ...others } = kept.peek();
  kept.value = others;
}
