/** In which order requests are listed: one that the viewer chose, and that refreshes do not change. */

import type { RequestCounts } from "../../frame/answers.ts";

/** A row of the table. */
export type RequestGroup = RequestCounts["groups"][number];

/** What rows can be sorted by, and what stands above the column. */
export const COLUMNS = {
  name: "name",
  requests: "requests",
  rate: "rate",
  errors: "errors",
  p50: "p50",
  p90: "p90",
  p99: "p99",
} as const;

/** One of them. */
export type Column = keyof typeof COLUMNS;

/** A column and its direction. */
export interface Order {
  readonly column: Column;
  /** Against the natural direction: names from A, numbers from the largest. */
  readonly isReversed: boolean;
}

/** Reads `p99`, or `-p99` for the reverse; most requests first when it is neither. */
export function orderOf(text: string): Order {
  const column = text.replace(/^-/, "");
  if (!Object.hasOwn(COLUMNS, column)) return { column: "requests", isReversed: false };
  return { column: column as Column, isReversed: text.startsWith("-") };
}

/** The order after a click on a column: its natural one, or the reverse of what it has. */
export function clicked(now: Order, column: Column): string {
  return now.column === column && !now.isReversed ? `-${column}` : column;
}

/** What tells a row from others. */
export function nameOf({ service, operation }: RequestGroup): string {
  return operation ?? service;
}

const VALUES: Readonly<Record<Exclude<Column, "name">, (group: RequestGroup) => number>> = {
  requests: ({ requests }) => requests,
  rate: ({ rate }) => Number(rate),
  errors: ({ errors, requests }) => errors / requests,
  p50: ({ p50Ns }) => Number(p50Ns),
  p90: ({ p90Ns }) => Number(p90Ns),
  p99: ({ p99Ns }) => Number(p99Ns),
};

/**
 * Sorts rows. What is the same is sorted by name.
 *
 * @example The most errors of a hundred requests first
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const group = (service: string, requests: number, errors: number) => ({
 *   service,
 *   requests,
 *   errors,
 *   rate: 1,
 *   p50Ns: "1",
 *   p90Ns: "1",
 *   p99Ns: "1",
 *   totalNs: "1",
 * });
 * const groups = [group("a", 100, 1), group("b", 10, 1), group("c", 10, 1)];
 * assert.deepEqual(sorted(groups, orderOf("errors")).map(nameOf), ["b", "c", "a"]);
 * ```
 */
export function sorted(groups: readonly RequestGroup[], order: Order): RequestGroup[] {
  const { column, isReversed } = order;
  const sign = isReversed ? -1 : 1;
  const byName = (a: RequestGroup, b: RequestGroup) => nameOf(a).localeCompare(nameOf(b));
  if (column === "name") return groups.toSorted((a, b) => sign * byName(a, b));
  const value = VALUES[column];
  return groups.toSorted((a, b) => sign * (value(b) - value(a)) || byName(a, b));
}

/** Rows as they stood before, new ones behind. */
export function asBefore(
  groups: readonly RequestGroup[],
  before: readonly string[],
): RequestGroup[] {
  const places = new Map(before.map((name, at) => [name, at]));
  const place = (group: RequestGroup) => places.get(nameOf(group)) ?? before.length;
  return groups.toSorted((a, b) => place(a) - place(b));
}
