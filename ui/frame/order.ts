/** In which order the rows of a table stand: one that the viewer chose, and that refreshes do not change. */

/** What a row is sorted by: texts from A, numbers from the largest. */
export type SortedBy = string | number | bigint;

/** A column and its direction. */
export interface Order {
  /** The name of the column; empty for the order in which the rows come. */
  readonly column: string;
  /** Against the natural direction. */
  readonly isReversed: boolean;
}

/** Reads `p99`, or `-p99` for the reverse. */
export function orderOf(text: string): Order {
  return { column: text.replace(/^-/, ""), isReversed: text.startsWith("-") };
}

/** The order after a click on a column: its natural one, or the reverse of what it has. */
export function clicked(now: Order, column: string): string {
  return now.column === column && !now.isReversed ? `-${column}` : column;
}

/**
 * Sorts rows. Those that are the same stay as they came.
 *
 * @example The largest first, then the reverse
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const rows = [{ n: 2, name: "b" }, { n: 3, name: "a" }, { n: 2, name: "a" }];
 * const texts = (reversed: boolean) =>
 *   inOrder(rows, ({ n }) => n, reversed).map(({ n, name }) => n + name);
 * assert.deepEqual(texts(false), ["3a", "2b", "2a"]);
 * assert.deepEqual(texts(true), ["2b", "2a", "3a"]);
 * assert.deepEqual(inOrder(rows, ({ name }) => name, false).map(({ name }) => name).join(""), "aab");
 * ```
 */
export function inOrder<R>(
  rows: readonly R[],
  by: (row: R) => SortedBy,
  isReversed: boolean,
): R[] {
  const sign = isReversed ? -1 : 1;
  return rows.toSorted((one, other) => {
    const [a, b] = [by(one), by(other)];
    if (a === b) return 0;
    if (typeof a === "string" || typeof b === "string") {
      return sign * String(a).localeCompare(String(b));
    }
    return a > b ? -sign : sign;
  });
}

/** Rows as they stood before, new ones behind. */
export function asBefore<R>(
  rows: readonly R[],
  keyOf: (row: R) => string,
  before: readonly string[],
): R[] {
  const places = new Map(before.map((key, at) => [key, at]));
  const place = (row: R) => places.get(keyOf(row)) ?? before.length;
  return rows.toSorted((a, b) => place(a) - place(b));
}
