/**
 * Searches the rows of a signal: those that a filter chooses, in an order that cursors can follow.
 *
 * Newest first, a search goes back through its range in windows that grow while little is found, so
 * that what is frequent is found without a look at the rest. Where nothing is, it jumps to what is
 * there. Rows that share a time to the nanosecond are in order of their place in the table, as nothing
 * else tells them apart; what moves them (`ensure`, out of the default partition) moves all rows of a
 * time, and then those of one time are read twice rather than not at all.
 *
 * Where terms tell what rows need (`needs.ts`), only granules are looked at that may have it.
 *
 * @module
 */

import { Conditions } from "../conditions.ts";
import type { Filter } from "../filter.ts";
import { filterSql } from "../filter_sql.ts";
import type { Queryable, Row } from "../postgres/database.ts";
import { SELECT_LOGS, SELECT_POINTS, SELECT_SPANS } from "../postgres/stored.ts";
import type { Unit } from "../postgres/signature.ts";
import type { Signal } from "../record.ts";
import { Candidates, inUnits, rangeOfUnits } from "./candidates.ts";
import { needOf } from "./needs.ts";
import { type QuickLook, quickLooks } from "./own_values.ts";
import { storedSpanId } from "./limits.ts";
import type { TimeRange } from "./range.ts";

/** What to search. */
export interface Scan {
  /** Whose records. */
  readonly signal: Signal;
  /** Which of them. */
  readonly filter: Filter;
  /** When they were; of records without a time, when they arrived. */
  readonly range: TimeRange;
  /** Only of this trace. Of spans and log records. */
  readonly traceId?: string | undefined;
  /** Only of this span. Of spans and log records. */
  readonly spanId?: string | undefined;
  /** How many rows at most. */
  readonly limit: number;
  /** `slowest` orders spans by duration. @default {"newest"} */
  readonly order?: "newest" | "slowest" | undefined;
  /** Only what comes behind the row of this key; see {@linkcode scanKey}. */
  readonly before?: readonly bigint[] | undefined;
  /**
   * What is wanted of a row beside its key: `ids` are `trace_id`, `span_id` and `duration_ns`,
   * `attributes` is what those of it and of its resource are found by.
   *
   * @default {"all"}
   */
  readonly columns?: "all" | "ids" | "attributes";
}

/** A row of `SELECT_SPANS`, `SELECT_LOGS` or `SELECT_POINTS`, or ids, with what its key is made of. */
export interface ScannedRow extends Row {
  readonly time_micros: bigint;
  readonly time_frac: number;
  readonly place_table: bigint;
  readonly place: string;
}

const FIRST_WINDOW = 1_000_000_000n;
const WIDEN = 8n;
const MICROSECOND = 1000n;

/** Units of granules that are looked at first, how many times as many each time after, and at most. */
const FIRST_UNITS = 2;
const WIDEN_UNITS = 2;
const MAX_UNITS = 64;

interface Source {
  readonly table: string;
  readonly select: string;
  readonly ids: string;
  readonly attributes: string;
}

/** `given` are the keys of attributes that are in the row itself, as JSON. */
const ATTRIBUTES = `t.service_id, t.resource_id, t.attribute_set_id,
  case when t.attributes is not null
    then to_json(array(select jsonb_object_keys(t.attributes)))::text
  end as given`;

const SOURCES: Readonly<Record<Signal, Source>> = {
  traces: {
    table: "spans",
    select: SELECT_SPANS,
    ids: "t.trace_id, t.span_id, t.duration_ns",
    attributes: ATTRIBUTES,
  },
  logs: {
    table: "logs",
    select: SELECT_LOGS,
    ids: "t.trace_id, t.span_id",
    attributes: ATTRIBUTES,
  },
  metrics: {
    table: "metric_points",
    select: SELECT_POINTS,
    ids: "t.series_id",
    attributes: "t.series_id",
  },
};

/**
 * The rows, in order.
 *
 * @throws {FilterFieldError} The filter names a field that these records do not have.
 */
export async function scan(reader: Queryable, search: Scan): Promise<ScannedRow[]> {
  const { range, limit, before } = search;
  // Those of a trace are few, and an index has them.
  if (search.traceId !== undefined) return await rowsOf(reader, search, range, limit);
  let end = before === undefined || search.order === "slowest"
    ? range.until
    : min(range.until, (before[0]! + 1n) * MICROSECOND);
  const found = await granuleRows(reader, search, { since: range.since, until: end });
  if (found !== undefined) return found;
  if (search.order === "slowest") {
    return await rowsOf(reader, search, range, limit, await oneService(reader, search));
  }
  const rows: ScannedRow[] = [];
  let width = FIRST_WINDOW;
  let hasJumped = false;
  while (rows.length < limit && end > range.since) {
    const start = max(range.since, wholeMicros(end - width));
    const found = await rowsOf(
      reader,
      search,
      { since: start, until: end },
      limit - rows.length,
    );
    for (const row of found) rows.push(row);
    end = start;
    width *= WIDEN;
    if (rows.length === 0 && !hasJumped && end > range.since) {
      hasJumped = true;
      width = max(width, end - await newestOf(reader, search, { since: range.since, until: end }));
    }
  }
  return rows;
}

/**
 * Which of these traces have a row up to that of the key `before`: a search that goes on behind it has
 * given them already.
 */
export async function tracesGiven(
  reader: Queryable,
  { filter, range, order, before }: Scan & { readonly before: readonly bigint[] },
  traceIds: readonly string[],
): Promise<Set<string>> {
  const where = rowsWhere({ signal: "traces", filter, order }, range);
  where.add("t.trace_id = any ($::uuid[])", traceIds);
  where.addSql(`not (${behind(before, where)})`);
  const rows = await reader.query<{ trace_id: string }>(
    `select distinct t.trace_id ${fromOf("traces")} ${where.sql}`,
    where.parameters,
  );
  return new Set(rows.map(({ trace_id }) => trace_id));
}

/** What {@linkcode Scan.before} wants, to go on behind this row. */
export function scanKey(row: ScannedRow, order: Scan["order"] = "newest"): bigint[] {
  const [, block, offset] = /^\((\d+),(\d+)\)$/.exec(row.place)!;
  const place = [row.time_micros, BigInt(row.time_frac), row.place_table, block!, offset!];
  return (order === "slowest" ? [row.duration_ns as bigint, ...place] : place).map(BigInt);
}

/** Which of two rows comes later in ascending order of their keys. */
function compareKeys(a: ScannedRow, b: ScannedRow, order: Scan["order"]): number {
  const other = scanKey(b, order);
  for (const [n, number] of scanKey(a, order).entries()) {
    if (number !== other[n]) return number < other[n]! ? -1 : 1;
  }
  return 0;
}

/** How many numbers a key has. */
export function scanKeyLength(order: Scan["order"] = "newest"): number {
  return order === "slowest" ? 6 : 5;
}

/**
 * The rows, looked for in the granules that may have them; undefined when those do not say.
 *
 * @throws {FilterFieldError} The filter names a field that these records do not have.
 */
async function granuleRows(
  reader: Queryable,
  search: Scan,
  range: TimeRange,
): Promise<ScannedRow[] | undefined> {
  const { signal, filter, order, limit } = search;
  const need = needOf(filter, signal);
  const candidates = need && await Candidates.of(reader, signal, range, need);
  if (candidates === undefined) return undefined;
  const isSlowest = order === "slowest";
  let looks: readonly QuickLook[] | undefined;
  const among = (units: readonly Unit[]) =>
    rowsOf(reader, search, rangeOfUnits(units, range), limit, (where) => {
      inUnits(units, where);
      for (const look of looks ?? []) look(where);
    });
  let rows: ScannedRow[] = [];
  let count = isSlowest ? MAX_UNITS : FIRST_UNITS;
  if (candidates.areSparse) count = Math.min(Math.max(count, limit), MAX_UNITS);
  for (let looked = 0;;) {
    const { units, beyond } = await candidates.take(count);
    // The slowest may be anywhere.
    if (isSlowest && beyond !== undefined) return undefined;
    if (units.length > 0) looks ??= await quickLooks(reader, filter, signal);
    if (units.length > 0) rows = merged(rows, await among(units), order).slice(0, limit);
    const last = rows[limit - 1];
    if (beyond === undefined || last !== undefined && last.time_micros * MICROSECOND > beyond) {
      return rows;
    }
    looked += units.length;
    // As many as those that are missing need, if they are as frequent as those that were found.
    const needed = rows.length === 0 ? 0 : (limit - rows.length) * looked / rows.length;
    count = Math.min(Math.max(count * WIDEN_UNITS, Math.ceil(needed)), MAX_UNITS);
  }
}

/**
 * Of one service alone the index of sealed partitions on (service, duration) has the slowest spans in
 * order, which it cannot where services are several or the filter names them by a condition.
 */
async function oneService(
  reader: Queryable,
  { filter }: Scan,
): Promise<QuickLook | undefined> {
  const parts = filter.kind === "and" ? filter.parts : [filter];
  const name = parts.find((part) =>
    part.kind === "compare" && part.operator === "=" && part.target.kind === "field" &&
    part.target.name === "service"
  );
  if (name?.kind !== "compare") return undefined;
  const ids = await reader.query<{ id: bigint }>(
    "select id from otel_data.services where name = $1 limit 2",
    [name.value],
  );
  return ids.length === 1
    ? (where) => where.add("t.service_id = $::bigint", ids[0]!.id)
    : undefined;
}

/** Rows of both, in order, each once: a granule may be in two units. */
function merged(
  a: readonly ScannedRow[],
  b: readonly ScannedRow[],
  order: Scan["order"],
): ScannedRow[] {
  return [...a, ...b]
    .sort((one, other) => compareKeys(other, one, order))
    .filter((row, n, rows) => n === 0 || compareKeys(row, rows[n - 1]!, order) !== 0);
}

/** FROM, with all that conditions may ask for. What is joined and not asked for costs nothing. */
export function fromOf(signal: Signal): string {
  const { table, select } = SOURCES[signal];
  return select.slice(select.indexOf(`from otel_data.${table} t`));
}

/** The conditions of a search, without its position. */
export function rowsWhere(
  { signal, filter, traceId, spanId, order }: Pick<
    Scan,
    "signal" | "filter" | "traceId" | "spanId" | "order"
  >,
  range: TimeRange,
): Conditions {
  const where = new Conditions();
  where.time(range);
  if (traceId !== undefined) where.add("t.trace_id = $::uuid", traceId);
  if (spanId !== undefined) where.add("t.span_id = $::bigint", storedSpanId(spanId));
  // What came without a start has no duration.
  if (order === "slowest") where.addSql("t.time_frac >= 0");
  where.addSql(filterSql(filter, signal, (value) => where.parameter(value)));
  return where;
}

async function rowsOf(
  reader: Queryable,
  search: Scan,
  range: TimeRange,
  limit: number,
  narrow?: QuickLook,
): Promise<ScannedRow[]> {
  const { signal, order, before, columns = "all" } = search;
  const { table, select, ...some } = SOURCES[signal];
  const where = rowsWhere(search, range);
  if (before !== undefined) where.addSql(behind(before, where));
  narrow?.(where);
  const duration = order === "slowest" ? "t.duration_ns desc, " : "";
  // What is not needed to choose rows is joined to the few that were chosen.
  const chosen = `(select t.*, t.tableoid::bigint as place_table, t.ctid as place ${fromOf(signal)}
    ${where.sql} order by ${duration}t.time desc, t.time_frac desc, t.ctid desc
    limit ${where.parameter(limit)}::int) t`;
  const sql = (columns === "all" ? select : `select ${some[columns]},
      (extract(epoch from t.time) * 1000000)::bigint as time_micros, t.time_frac
    from otel_data.${table} t`)
    .replace("select", "select t.place_table, t.place::text as place,")
    .replace(`otel_data.${table} t`, () => chosen);
  return await reader.query<ScannedRow>(
    `${sql} order by ${duration}t.time desc, t.time_frac desc, t.place desc`,
    where.parameters,
  );
}

/** Rows behind that of a key. Its first number bounds them alone, for indexes and partitions. */
function behind(key: readonly bigint[], where: Conditions): string {
  const [micros, frac, table, block, offset] = key.slice(-5);
  const time = `otel_data.to_timestamptz(${
    where.parameter(BigInt.asIntN(64, micros! * MICROSECOND))
  }::bigint)`;
  const fraction = `${where.parameter(frac!)}::smallint`;
  const place = `(t.tableoid::bigint <> ${where.parameter(table!)}::bigint
    or t.ctid < ${where.parameter(`(${block},${offset})`)}::tid)`;
  const later = `(t.time < ${time} or t.time = ${time} and (t.time_frac < ${fraction}
    or t.time_frac = ${fraction} and ${place}))`;
  if (key.length === 5) return `t.time <= ${time} and ${later}`;
  const duration = `${where.parameter(key[0]!)}::bigint`;
  return `t.duration_ns <= ${duration} and (t.duration_ns < ${duration} or ${later})`;
}

/**
 * A time that no row of the range is behind: that of the newest granule which reaches into it, or of a row
 * in none.
 */
async function newestOf(reader: Queryable, { signal }: Scan, range: TimeRange): Promise<bigint> {
  if (signal === "metrics") return range.until;
  const where = new Conditions();
  const name = `${where.parameter(signal)}::text`;
  const time = (nanos: bigint) =>
    `otel_data.to_timestamptz(${where.parameter(BigInt.asIntN(64, nanos))}::bigint)`;
  const since = time(range.since);
  const until = time(range.until);
  const last = (table: string) =>
    `select max(x.last) as at from otel_data.${table} x
     where x.signal = ${name} and x.last >= ${since} and x.first <= ${until}`;
  const [row] = await reader.query<{ micros: bigint | null }>(
    `select (extract(epoch from max(n.at)) * 1000000)::bigint as micros from (
       ${last("signatures")} union all ${last("granule_terms")}
       union all select u.last from otel_data.unsigned(${name}, ${since}, ${until}) u
     ) n`,
    where.parameters,
  );
  const micros = row!.micros;
  return micros === null ? range.since : min(micros * MICROSECOND, range.until);
}

function wholeMicros(nanos: bigint): bigint {
  return nanos - nanos % MICROSECOND;
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
