/**
 * Which parts of a time range are sealed: there spans have an index on service and duration.
 *
 * Nothing but speed depends on it.
 *
 * @module
 */

import type { Queryable } from "../postgres/database.ts";
import type { TimeRange } from "./range.ts";

const MICROSECOND = 1000n;

/** A part of a range. */
export interface RangePart extends TimeRange {
  /** Whether all of its partitions of spans are sealed. */
  readonly isSealed: boolean;
}

/** The parts of a range, the latest first: those that are sealed, and what is between them. */
export async function partsOf(
  reader: Queryable,
  { since, until }: TimeRange,
): Promise<RangePart[]> {
  const micros = (column: string) => `(extract(epoch from s.${column}) * 1000000)::bigint`;
  const sealed = await reader.query<{ first: bigint; end: bigint }>(
    `select ${micros("range_start")} as first, ${micros("range_end")} as end
     from otel_data.sealed s where s.partition like 'spans\\_%' order by s.range_start desc`,
  );
  const parts: RangePart[] = [];
  let at = until;
  const add = (from: bigint, isSealed: boolean) => {
    const last = parts.at(-1);
    if (from >= at) return;
    if (last?.isSealed === isSealed) parts[parts.length - 1] = { ...last, since: from };
    else parts.push({ since: from, until: at, isSealed });
    at = from;
  };
  for (const partition of sealed) {
    const first = partition.first * MICROSECOND, end = partition.end * MICROSECOND;
    if (end <= since || first >= at) continue;
    add(end, false);
    add(first > since ? first : since, true);
  }
  add(since, false);
  return parts;
}
