/**
 * Rows that are looked for in the granules that may have them, a few units at a time.
 *
 * @module
 */

import type { Filter } from "../filter.ts";
import type { Queryable } from "../postgres/database.ts";
import type { Unit } from "../postgres/signature.ts";
import type { Signal } from "../record.ts";
import { Candidates } from "./candidates.ts";
import { type Need, serviceOf } from "./needs.ts";
import { type QuickLook, quickLooks } from "./own_values.ts";
import type { TimeRange } from "./range.ts";
import { merged, scanKey, type ScannedRow } from "./scan_key.ts";
import type { RangePart } from "./sealed.ts";
import { inUnits, rangeOfUnits } from "./units.ts";

/** Units that are looked at first, how many times as many each time after, and at most. */
const FIRST_UNITS = 2;
const WIDEN_UNITS = 2;
const MAX_UNITS = 64;
/**
 * Units that are looked at together for the slowest. The server compares each row with each of the units,
 * so that twice as many of them take four times as long.
 */
const SLOWEST_UNITS = 8;
/** A look at a unit takes as long as to read the rows of so many. */
const LOOK = 10;

/** What is looked for. */
export interface GranuleSearch {
  readonly signal: Signal;
  readonly filter: Filter;
  readonly limit: number;
  /** Only what comes behind the row of this key. */
  readonly before?: readonly bigint[] | undefined;
}

/** Reads the first rows of a range that meet one more condition. */
export type RowReader = (range: TimeRange, narrow?: QuickLook) => Promise<ScannedRow[]>;

/**
 * With the rows that were found, the newest ones of an earlier range; undefined when granules do not say
 * where they are.
 *
 * @throws {FilterFieldError} The filter names a field that these records do not have.
 */
export async function newestRows(
  reader: Queryable,
  search: GranuleSearch,
  range: TimeRange,
  need: Need | undefined,
  found: readonly ScannedRow[],
  read: RowReader,
): Promise<readonly ScannedRow[] | undefined> {
  const { signal, limit } = search;
  const candidates = need && await Candidates.of(reader, signal, range, need);
  if (candidates === undefined) return undefined;
  const look = lookIn(reader, search, range, read);
  let rows = found;
  let count = candidates.areSparse
    ? Math.min(Math.max(FIRST_UNITS, limit), MAX_UNITS)
    : FIRST_UNITS;
  for (let looked = 0;;) {
    const { units, beyond } = await candidates.take(count);
    if (units.length > 0) rows = merged(rows, await look(units)).slice(0, limit);
    const last = rows[limit - 1];
    if (beyond === undefined || last !== undefined && last.time_micros > beyond) return rows;
    looked += units.length;
    // As many as those that are missing need, if they are as frequent as those that were found.
    const own = rows.length - found.length;
    const needed = own === 0 ? 0 : (limit - rows.length) * looked / own;
    count = Math.min(Math.max(count * WIDEN_UNITS, Math.ceil(needed)), MAX_UNITS);
  }
}

/**
 * With the rows that were found, the slowest ones of a range. The units with the longest spans are looked
 * at until those that are left have none as long. Where that would be as much as to read everything, or
 * an index has them in order, everything is read that is as slow as what was found.
 *
 * @throws {FilterFieldError} The filter names a field that spans do not have.
 */
export async function slowestRows(
  reader: Queryable,
  search: GranuleSearch,
  range: RangePart,
  need: Need | undefined,
  found: readonly ScannedRow[],
  read: RowReader,
): Promise<readonly ScannedRow[]> {
  const { signal, filter, limit, before } = search;
  const slowest = { ofService: serviceOf(filter), atMost: before?.[0] };
  const candidates = (await Candidates.of(reader, signal, range, need, slowest))!;
  const look = lookIn(reader, search, range, read);
  let rows = found;
  for (let looked = 0;;) {
    const last = rows[limit - 1];
    const least = last && scanKey(last, "slowest");
    const asSlow: QuickLook = (where) => {
      if (least !== undefined) where.add("t.duration_ns >= $::bigint", least[0]!);
    };
    const left = candidates.countUpTo(least);
    if (left === 0) return rows;
    // Only by then it is known about how slow the slowest are.
    const isKnown = looked >= Math.min(limit, MAX_UNITS);
    const isMuch = range.isSealed
      ? looked + left > MAX_UNITS
      : isKnown && (least === undefined ? looked : left) * LOOK > candidates.asked;
    if (isMuch) return merged(rows, await read(range, asSlow), "slowest").slice(0, limit);
    const { units } = await candidates.take(Math.min(SLOWEST_UNITS, limit, left));
    rows = merged(rows, await look(units, asSlow), "slowest").slice(0, limit);
    looked += units.length;
  }
}

/** Looks at units, quickly where that can be. */
function lookIn(
  reader: Queryable,
  { signal, filter }: GranuleSearch,
  range: TimeRange,
  read: RowReader,
): (units: readonly Unit[], narrow?: QuickLook) => Promise<ScannedRow[]> {
  let looks: readonly QuickLook[] | undefined;
  return async (units, narrow) => {
    looks ??= await quickLooks(reader, filter, signal);
    return await read(rangeOfUnits(units, range), (where) => {
      narrow?.(where);
      inUnits(units, where);
      for (const look of looks!) look(where);
    });
  };
}
