/**
 * Searches the rows of a signal: those that a filter chooses, in an order that cursors can follow.
 *
 * Newest first, a search goes back through its range in windows that grow while little is found, so
 * that what is frequent is found without a look at the rest. Where nothing is, it jumps to what is
 * there.
 *
 * Where it is known what rows need (`needs.ts`), only granules are looked at that may have it; the slowest
 * are looked for in those with the longest spans. Long spans of one service are in the index of sealed
 * partitions on service and duration, so that there the server finds them.
 *
 * @module
 */

import { Conditions } from "../conditions.ts";
import type { Filter } from "../filter.ts";
import { filterSql } from "../filter_sql.ts";
import type { Queryable } from "../postgres/database.ts";
import { SELECT_LOGS, SELECT_POINTS, SELECT_SPANS } from "../postgres/stored.ts";
import type { Signal } from "../record.ts";
import { newestRows, type RowReader, slowestRows } from "./granule_rows.ts";
import { storedSpanId } from "./limits.ts";
import { isEquality, isOfDurations, needOf, serviceOf } from "./needs.ts";
import type { QuickLook } from "./own_values.ts";
import type { TimeRange } from "./range.ts";
import { behind, merged, type ScannedRow, type ScanOrder } from "./scan_key.ts";
import { partsOf, type RangePart } from "./sealed.ts";

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
  readonly order?: ScanOrder | undefined;
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

const FIRST_WINDOW = 1_000_000_000n;
const WIDEN = 8n;
const MICROSECOND = 1000n;

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
 * The rows of `SELECT_SPANS`, `SELECT_LOGS` or `SELECT_POINTS`, or some columns of them, in order.
 *
 * @throws {FilterFieldError} The filter names a field that these records do not have.
 */
export async function scan(reader: Queryable, search: Scan): Promise<ScannedRow[]> {
  const { range, limit, before, signal, filter, order } = search;
  // Those of a trace are few, and an index has them.
  if (search.traceId !== undefined) return await rowsOf(reader, search, range, limit);
  const isSlowest = order === "slowest";
  const until = before === undefined || isSlowest
    ? range.until
    : min(range.until, (before[0]! + 1n) * MICROSECOND);
  const need = needOf(filter, signal);
  // Durations are what it is about, and nothing that is rarer.
  const isIndexed = need === undefined ? isSlowest : isOfDurations(need, isSlowest);
  const service = isSlowest || isIndexed ? await oneService(reader, search) : undefined;
  const parts: readonly RangePart[] = service === undefined
    ? [{ since: range.since, until, isSealed: false }]
    : await partsOf(reader, { since: range.since, until });
  let rows: readonly ScannedRow[] = [];
  // The slowest may be in any part: first where they are found at once.
  for (const part of isSlowest ? parts.toSorted(sealedFirst) : parts) {
    const read: RowReader = (range, narrow) =>
      rowsOf(reader, search, range, limit, (where) => {
        if (part.isSealed) service?.(where);
        narrow?.(where);
      });
    if (isSlowest && signal === "traces") {
      rows = part.isSealed && isIndexed
        ? merged(rows, await read(part), order).slice(0, limit)
        : await slowestRows(reader, search, part, need, rows, read);
    } else {
      rows =
        (part.isSealed ? undefined : await newestRows(reader, search, part, need, rows, read)) ??
          await windowRows(reader, search, part, rows);
      if (rows.length >= limit) break;
    }
  }
  return [...rows];
}

function sealedFirst(a: RangePart, b: RangePart): number {
  return Number(b.isSealed) - Number(a.isSealed);
}

/** With the rows that were found, those of an earlier part of the range. */
async function windowRows(
  reader: Queryable,
  search: Scan,
  { since, until }: TimeRange,
  found: readonly ScannedRow[],
): Promise<ScannedRow[]> {
  const { limit } = search;
  const rows = [...found];
  let end = until;
  let width = FIRST_WINDOW;
  let hasJumped = false;
  while (rows.length < limit && end > since) {
    const start = max(since, wholeMicros(end - width));
    const window = { since: start, until: end };
    rows.push(...await rowsOf(reader, search, window, limit - rows.length));
    end = start;
    width *= WIDEN;
    if (rows.length === found.length && !hasJumped && end > since) {
      hasJumped = true;
      width = max(width, end - await newestOf(reader, search, { since, until: end }));
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

/**
 * Of one service alone the index of sealed partitions on (service, duration) has the slowest spans in
 * order, which it cannot where services are several or the filter names them by a condition.
 */
async function oneService(
  reader: Queryable,
  { filter, signal }: Scan,
): Promise<QuickLook | undefined> {
  const name = serviceOf(filter);
  if (signal !== "traces" || !isEquality(name)) return undefined;
  const ids = await reader.query<{ id: bigint }>(
    "select id from otel_data.services where name = $1 limit 2",
    [name.value],
  );
  return ids.length === 1
    ? (where) => where.add("t.service_id = $::bigint", ids[0]!.id)
    : undefined;
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

/**
 * A time that no row of the range is behind: that of the newest granule which reaches into it, or of a row
 * in none.
 */
async function newestOf(reader: Queryable, { signal }: Scan, range: TimeRange): Promise<bigint> {
  if (signal === "metrics") return range.until;
  const where = new Conditions();
  const name = `${where.parameter(signal)}::text`;
  const since = where.timestamp(range.since);
  const until = where.timestamp(range.until);
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
