/**
 * Texts as wide as a terminal shows them: Chinese characters and emoji take two columns, combining
 * ones none.
 *
 * @module
 */

import stringWidth from "string-width";

const ASCII = /^[\x20-\x7e]*$/;
const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** How many columns a text takes. */
export function widthOf(text: string): number {
  return ASCII.test(text) ? text.length : stringWidth(text);
}

/** A text that fits into `width` columns: one that is too wide ends in `…`. */
export function cutTo(text: string, width: number): string {
  // No character takes more columns than this, so that what is long is measured in part.
  if (text.length <= width && widthOf(text) <= width) return text;
  if (width < 1) return "";
  let cut = "";
  let columns = 0;
  for (const { segment } of graphemes.segment(text)) {
    const own = widthOf(segment);
    // One column is left for the mark, if anything follows.
    if (columns + own > width - 1) return fits(text, cut.length, width - columns) ?? `${cut}…`;
    cut += segment;
    columns += own;
  }
  return cut;
}

/** The whole text, if what comes from `at` on fits. */
function fits(text: string, at: number, columns: number): string | undefined {
  const rest = text.slice(at, at + columns * 8 + 1);
  return at + rest.length === text.length && widthOf(rest) <= columns ? text : undefined;
}

/**
 * A text that takes exactly `width` columns, cut or padded with spaces.
 *
 * @example Two columns a character
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.equal(fitted("日本", 5), "日本 ");
 * assert.equal(fitted("日本語", 5), "日本…");
 * ```
 */
export function fitted(text: string, width: number): string {
  return padded(cutTo(text, width), width);
}

/** A text with spaces behind it, up to `width` columns. */
export function padded(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - widthOf(text)));
}
