/**
 * Rows as a table for a terminal.
 *
 * @module
 */

import { cutTo, padded, widthOf } from "./text_width.ts";

/** How a table is drawn. */
export interface TableOptions {
  /** Say at the end how many rows there are. @default {true} */
  readonly counted?: boolean;
  /** Longer cells are cut. @default {80} */
  readonly cellWidth?: number;
}

/**
 * Draws rows as a table: numbers to the right, nothing for null, JSON for lists and objects. What
 * would move the cursor or colour the terminal is escaped: the cells come from outside.
 *
 * @param lines Each row as a JSON object, all with the same names.
 * @param options See {@linkcode TableOptions}.
 * @returns Lines that end with a line break each.
 */
export function drawTable(lines: readonly string[], options: TableOptions = {}): string {
  const { counted = true, cellWidth = 80 } = options;
  const rows = lines.map(parseRow);
  const names = Object.keys(rows[0] ?? {});
  const columns = names.map((name) => {
    const cells = rows.map((row) => cell(row[name], cellWidth));
    const shown = printable(name);
    const width = cells.reduce((most, text) => Math.max(most, widthOf(text)), widthOf(shown));
    const numeric = rows.some((row) => isRaw(row[name])) &&
      rows.every((row) => row[name] === null || isRaw(row[name]));
    const pad = (text: string) => numeric ? text.padStart(width) : padded(text, width);
    return { head: padded(shown, width), rule: "─".repeat(width), cells: cells.map(pad) };
  });
  const draw = (parts: readonly string[], gap: string) => parts.join(gap).trimEnd() + "\n";
  const count = counted ? `(${rows.length} ${rows.length === 1 ? "row" : "rows"})\n` : "";
  if (columns.length === 0) return count;
  return draw(columns.map(({ head }) => head), " │ ") +
    draw(columns.map(({ rule }) => rule), "─┼─") +
    rows.map((_, at) => draw(columns.map(({ cells }) => cells[at]!), " │ ")).join("") +
    count;
}

// What TypeScript does not know yet: https://tc39.es/proposal-json-parse-with-source/
const { rawJSON, isRawJSON } = JSON as unknown as {
  rawJSON(text: string): object;
  isRawJSON(value: unknown): boolean;
};

/** Numbers stay as they are written: a double could not hold all of them. */
function parseRow(line: string): Record<string, unknown> {
  const keep = (_name: string, value: unknown, context?: { readonly source?: string }) =>
    typeof value === "number" && context?.source !== undefined ? rawJSON(context.source) : value;
  return JSON.parse(line, keep);
}

function isRaw(value: unknown): boolean {
  return isRawJSON(value);
}

function cell(value: unknown, width: number): string {
  if (value === null) return "";
  return cutTo(printable(typeof value === "string" ? value : JSON.stringify(value)), width);
}

/** A text with what would move the cursor or colour the terminal escaped. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, escaped);
}

function escaped(character: string): string {
  return character === "\n" ? "\\n" : `\\u{${character.codePointAt(0)!.toString(16)}}`;
}
