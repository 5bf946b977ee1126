/**
 * All stored rows of a signal in order of time, page by page, for reads that may take hours.
 *
 * No transaction lasts longer than the reading of one page, so that a reader who takes his time holds
 * nothing back. Where the next page begins is said by the last row: its time, its nanoseconds and, as
 * many rows may share those, its place in the table (`ctid`), which nothing else makes unique. Rows
 * are never updated and `seal` rebuilds indexes alone, so a place is good for as long as its table.
 * What does move rows is `ensure`, out of the default partition: all rows of one time together. Then
 * the table of the last row is no longer theirs, and the rows of that one time are read once more
 * rather than not at all. (So they may be after a VACUUM FULL or CLUSTER by hand, in which case some
 * of them may also be left out.) Rows that are stored meanwhile are read if their time lies ahead of the
 * window of the last page.
 *
 * The only index on time is a BRIN, which finds a range and gives no order. So each page sorts a window
 * of time that is about as wide as the page: it narrows where a page did not take all of it, and
 * widens where it did. Windows end where partitions do, so that none is ever wider than one.
 *
 * @module
 */

import { Conditions } from "./conditions.ts";
import type { Filter } from "./filter.ts";
import { filterSql } from "./filter_sql.ts";
import type { Database, Row, SqlValue } from "./postgres/database.ts";
import { SELECT_LOGS, SELECT_POINTS, SELECT_SPANS } from "./postgres/stored.ts";
import type { Signal } from "./record.ts";
import { withRetry } from "./retry.ts";

/** Which rows, and how much of them at a time. */
export interface HistoryRange {
  /** Nanoseconds since 1970, inclusive. Default: from the oldest. */
  readonly since?: bigint | undefined;
  /** Nanoseconds since 1970, exclusive. Default: to the newest, also of those stored meanwhile. */
  readonly until?: bigint | undefined;
  /** Default: all. */
  readonly filter?: Filter | undefined;
  /** Ends the read. */
  readonly abort?: AbortSignal | undefined;
}

/** Rows of a page at most. */
export const PAGE_ROWS = 2_000;
/** Rows that are asked for first, and later at a time; what a page can be too large by. */
const FIRST_ROWS = 100;
const FETCH_ROWS = 400;

/** By how much a window grows where there was little or nothing in it. */
const WIDEN = 8n;
/** A first window is this part of its partition. */
const FIRST_PART = 1024n;
const MICROSECOND = 1000n;
const END_OF_TIME = 2n ** 64n;

const TABLES: Readonly<Record<Signal, string>> = {
  traces: "spans",
  logs: "logs",
  metrics: "metric_points",
};

/** What a page needs besides the record: where it is, and which containers it shares. */
const SELECTS: Readonly<Record<Signal, string>> = {
  traces: withColumns(SELECT_SPANS, "t.resource_id, t.scope_id"),
  logs: withColumns(SELECT_LOGS, "t.resource_id, t.scope_id"),
  metrics: withColumns(SELECT_POINTS, "e.resource_id, e.scope_id, e.metric_id"),
};

function withColumns(select: string, columns: string): string {
  const place = "t.tableoid::bigint as place_table, t.ctid::text as place";
  return select.replace("select", () => `select ${columns}, ${place},`);
}

/** A part of time that lies in one partition, or in none. */
interface Stretch {
  readonly from: bigint;
  readonly to: bigint;
  readonly isPartition: boolean;
}

interface Page {
  readonly rows: Row[];
  /** Whether there is nothing more in its window. */
  readonly isWhole: boolean;
}

/**
 * Pages of rows of `SELECT_SPANS`, `SELECT_LOGS` or `SELECT_POINTS` with the ids of their dimensions
 * (`resource_id`, `scope_id`, `metric_id`). A page has at least one row and at most
 * {@linkcode PAGE_ROWS}; it ends once it has `maxBytes` bytes.
 *
 * A connection that breaks is tried again as `withRetry` does.
 *
 * @throws {FilterFieldError} The filter names a field that these records do not have.
 * @throws {RangeError} A bound of the range is no time.
 */
export async function* historyPages(
  database: Database,
  signal: Signal,
  range: HistoryRange,
  maxBytes: number,
): AsyncGenerator<Row[]> {
  const abort = range.abort ? { signal: range.abort } : {};
  // Refuses a range or a filter before anything is asked.
  selection(signal, range, { from: range.since, to: range.until });
  let usual: bigint | undefined;
  for (const stretch of await stretches(database, signal, range)) {
    // Outside of the partitions is next to nothing.
    let width = stretch.isPartition
      ? usual ?? (stretch.to - stretch.from) / FIRST_PART
      : stretch.to - stretch.from;
    let at = stretch.from;
    let last: Row | undefined;
    while (at < stretch.to) {
      const to = at + width < stretch.to ? wholeMicros(at + width) : stretch.to;
      const window = { from: at, to: to === END_OF_TIME ? undefined : to };
      const { sql, parameters } = selection(signal, range, window, last);
      const { rows, isWhole } = await withRetry(
        () => readPage(database, sql, parameters, maxBytes, abort),
        abort,
      );
      if (rows.length > 0) yield rows;
      if (isWhole) {
        at = to;
        last = undefined;
        if (rows.length < PAGE_ROWS / 2) width *= rows.length < PAGE_ROWS / 16 ? WIDEN : 2n;
      } else {
        last = rows.at(-1)!;
        const next = (last.time_micros as bigint) * MICROSECOND;
        width = max(next - at, width / 4n, MICROSECOND);
        // Never behind where the range begins within its first microsecond.
        at = max(at, next);
      }
    }
    if (stretch.isPartition) usual = width;
  }
}

/**
 * The rows between two times, behind the row `last` if it is given.
 *
 * @throws {FilterFieldError} The filter names a field that these records do not have.
 * @throws {RangeError} A bound of the range is no time.
 */
export function selection(
  signal: Signal,
  { filter }: HistoryRange,
  { from, to }: { readonly from?: bigint | undefined; readonly to?: bigint | undefined },
  last?: Row,
): { sql: string; parameters: readonly SqlValue[] } {
  const where = new Conditions();
  where.time({
    ...(from !== undefined && { since: from }),
    ...(to !== undefined && { until: to }),
  });
  if (filter !== undefined) {
    where.addSql(filterSql(filter, signal, (value) => where.parameter(value)));
  }
  if (last !== undefined) where.addSql(behind(last, where));
  return { sql: `${SELECTS[signal]} ${where.sql}`, parameters: where.parameters };
}

/** Rows of the same microsecond or later are behind a row of it, or are not. */
function behind({ time_micros, time_frac, place_table, place }: Row, where: Conditions): string {
  const micros = BigInt.asIntN(64, (time_micros as bigint) * MICROSECOND);
  const time = `otel_data.to_timestamptz(${where.parameter(micros)}::bigint)`;
  const frac = `${where.parameter(time_frac as number)}::smallint`;
  const table = `${where.parameter(place_table as bigint)}::bigint`;
  return `(t.time > ${time} or t.time_frac > ${frac} or t.time_frac = ${frac} and (
    t.tableoid::bigint <> ${table} or t.ctid > ${where.parameter(place as string)}::tid))`;
}

/** By a cursor, because only what has arrived says how large rows are. */
async function readPage(
  database: Database,
  sql: string,
  parameters: readonly SqlValue[],
  maxBytes: number,
  abort: { readonly signal?: AbortSignal },
): Promise<Page> {
  return await database.transaction(async (transaction) => {
    await transaction.query(
      `declare page no scroll cursor for ${sql}
       order by t.time, t.time_frac, t.ctid limit ${PAGE_ROWS}`,
      parameters,
      abort,
    );
    const rows: Row[] = [];
    let bytes = 0;
    let count = FIRST_ROWS;
    while (true) {
      const more = await transaction.query(`fetch ${count} from page`, [], abort);
      for (const row of more) {
        rows.push(row);
        bytes += sizeOf(row);
      }
      if (more.length < count) return { rows, isWhole: rows.length < PAGE_ROWS };
      if (rows.length >= PAGE_ROWS || bytes >= maxBytes) return { rows, isWhole: false };
      // As many as there is room for if they are like those before.
      const room = Math.ceil((maxBytes - bytes) * rows.length / Math.max(bytes, 1));
      count = Math.min(room, FETCH_ROWS);
    }
  }, abort);
}

/** What makes a row large. */
function sizeOf(row: Row): number {
  let size = 0;
  for (const value of Object.values(row)) {
    if (typeof value === "string" || value instanceof Uint8Array) size += value.length;
    else if (Array.isArray(value)) size += 8 * value.length;
  }
  return size;
}

/** The time of the range, cut where partitions begin and end. */
async function stretches(
  database: Database,
  signal: Signal,
  { since = 0n, until = END_OF_TIME, abort }: HistoryRange,
): Promise<Stretch[]> {
  const partitions = await database.query<{ start: bigint; end: bigint }>(
    `select (extract(epoch from range_start) * 1000000)::bigint as start,
       (extract(epoch from range_end) * 1000000)::bigint as end
     from otel_data.list($1) order by range_start`,
    [TABLES[signal]],
    abort ? { signal: abort } : {},
  );
  const all: Stretch[] = [];
  let at = since;
  const add = (to: bigint, isPartition: boolean) => {
    const end = to < until ? to : until;
    if (end > at) all.push({ from: at, to: end, isPartition });
    at = max(at, end);
  };
  for (const { start, end } of partitions) {
    add(start * MICROSECOND, false);
    add(end * MICROSECOND, true);
  }
  add(until, false);
  return all;
}

function wholeMicros(nanos: bigint): bigint {
  return nanos - nanos % MICROSECOND + MICROSECOND;
}

function max(...values: readonly bigint[]): bigint {
  return values.reduce((a, b) => a > b ? a : b);
}
