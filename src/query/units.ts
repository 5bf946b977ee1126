/**
 * Units of granules as conditions on rows.
 *
 * @module
 */

import type { Conditions } from "../conditions.ts";
import type { Unit } from "../postgres/signature.ts";
import type { TimeRange } from "./range.ts";

const MICROSECOND = 1000n;

/** The part of a range that rows of the units may be in. */
export function rangeOfUnits(units: readonly Unit[], { since, until }: TimeRange): TimeRange {
  const first = units.map((unit) => unit.first).reduce((a, b) => a < b ? a : b) * MICROSECOND;
  const last = (units.map((unit) => unit.last).reduce((a, b) => a > b ? a : b) + 1n) * MICROSECOND;
  return { since: first > since ? first : since, until: last < until ? last : until };
}

/** Adds the condition that rows `t` are in one of the units. */
export function inUnits(units: readonly Unit[], where: Conditions): void {
  const ranges: { from: number; to: number }[] = [];
  for (const { from, to } of units.toSorted((a, b) => a.from - b.from)) {
    const last = ranges.at(-1);
    // Whatever lies between is worth less than another look into the index.
    if (last !== undefined && from <= last.to + 2) last.to = Math.max(last.to, to);
    else ranges.push({ from, to });
  }
  const terms = ranges.map(({ from, to }) =>
    `t.granule between ${where.parameter(from)}::int and ${where.parameter(to)}::int`
  );
  where.addSql(`(${terms.join(" or ")})`);
}
