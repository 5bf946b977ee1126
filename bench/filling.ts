/**
 * Tables as they are after months: filled by the server itself with copies of rows that a collector
 * has stored. Copies have ids of their own, spans keep their parents and traces their spans, and what
 * they name is in the dictionaries. They come in the order of their time, in transactions of the size
 * of a delivery, so that indexes are as uneven as those of a table that has grown.
 *
 * @module
 */

import { pg } from "../src/postgres/pg.ts";
import type { Signal } from "../src/record.ts";
import { emptied, signalTable, tableOf } from "./layouts.ts";
import type { Road } from "./road.ts";

/** From the first of these times until the other. */
export interface Period {
  readonly since: Date;
  readonly until: Date;
}

/** Rows to copy, in the table `models` of their database. */
export interface Models {
  readonly road: Road;
  readonly signal: Signal;
  readonly columns: readonly string[];
  readonly rows: number;
  /** The time of the first, as Postgres writes it. */
  readonly first: string;
}

/** A day in milliseconds. */
export const DAY_MS = 86_400_000;

/** About as many as come in one transaction. */
const MODELS = 20_000;

/** As many as the collector has. */
const STREAMS = 2;

/** What is another value in each copy. */
const VARIED: Readonly<Record<string, string>> = {
  trace_id: "md5(trace_id::text || copy)::uuid",
  span_id: "hashint8extended(span_id, copy)",
  parent_span_id: "hashint8extended(parent_span_id, copy)",
  time: "time - first + start",
};

/** The beginning of the day of that time, in UTC, and so many days later. */
export function dayOf(time: number, later = 0): Date {
  return new Date((Math.floor(time / DAY_MS) + later) * DAY_MS);
}

/** Makes the partitions of a period, by day, and returns how many the table has then. */
export async function makeDays(
  { database }: Road,
  signal: Signal,
  { since, until }: Period,
): Promise<number> {
  const name = signalTable(signal);
  await database.query(
    "select otel_data.ensure($1, $2::timestamptz, $3::timestamptz, 'day')",
    [name, since.toISOString(), until.toISOString()],
  );
  return (await database.query("select name from otel_data.list($1)", [name])).length;
}

/** Sends records and takes their rows as models; the tables are empty then. */
export async function takeModels(road: Road, signal: Signal): Promise<Models> {
  const { database } = road;
  const table = tableOf("ours", signal);
  await road.run({ signal, records: MODELS });
  await database.query(`create table models as select * from ${table}`);
  await emptied(database, signal);
  const columns = await database.query<{ name: string }>(
    `select attname as name from pg_attribute
     where attrelid = 'models'::regclass and attnum > 0 order by attnum`,
  );
  const [counted] = await database.query<{ rows: bigint; first: string }>(
    "select count(*) as rows, min(time)::text as first from models",
  );
  return {
    road,
    signal,
    columns: columns.map(({ name }) => name),
    rows: Number(counted!.rows),
    first: counted!.first,
  };
}

/** Adds so many rows to a table, evenly over a period. */
export async function fill(
  { road, signal, columns, rows: each, first }: Models,
  rows: number,
  { since, until }: Period,
  abort: AbortSignal,
): Promise<void> {
  await using database = pg(road.url!, { maxConnections: STREAMS });
  const insert = `insert into ${tableOf("ours", signal)} (${columns})
     select ${columns.map((name) => VARIED[name] ?? name)}
     from models, (values ($1::bigint, $2::timestamptz, $3::timestamptz)) copies (copy, start, first)
     limit $4`;
  const copies = Math.ceil(rows / each);
  const step = (until.getTime() - since.getTime()) / copies;
  let next = 0;
  const stream = async () => {
    while (next < copies) {
      const copy = next++;
      const start = new Date(since.getTime() + copy * step).toISOString();
      const limit = Math.min(each, rows - copy * each);
      await database.query(insert, [copy, start, first, limit], { signal: abort });
    }
  };
  await Promise.all(Array.from({ length: STREAMS }, stream));
}
