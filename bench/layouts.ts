/**
 * The two layouts of a database: ours, and the plain one of `plain.sql` beside it.
 *
 * @module
 */

import { join } from "node:path";
import type { Database } from "../src/postgres/database.ts";
import type { Signal } from "../src/record.ts";

/** Whose tables. */
export type Layout = "ours" | "plain";

/** What a record of each signal is called. */
export const RECORDS: Readonly<Record<Signal, string>> = {
  traces: "spans",
  logs: "logs",
  metrics: "points",
};

const TABLES: Readonly<Record<Signal, string>> = {
  traces: "spans",
  logs: "logs",
  metrics: "metric_points",
};

const SCHEMAS: Readonly<Record<Layout, string>> = { ours: "otel_data", plain: "plain" };

/** The name of that table in either schema, and in our functions. */
export function signalTable(signal: Signal): string {
  return TABLES[signal];
}

/** The table with the records of a signal. */
export function tableOf(layout: Layout, signal: Signal): string {
  return `${SCHEMAS[layout]}.${TABLES[signal]}`;
}

/** Makes the plain tables, with partitions for those days. */
export async function makePlain(database: Database, since: Date, until: Date): Promise<void> {
  await database.execute(await Deno.readTextFile(join(import.meta.dirname!, "plain.sql")));
  await database.query("call plain.make_days($1::timestamptz, $2::timestamptz)", [
    since.toISOString(),
    until.toISOString(),
  ]);
}

/** Fills a plain table with what our views show. */
export async function fillPlain(database: Database, signal: Signal): Promise<void> {
  await database.execute(`call plain.fill_${TABLES[signal]}()`);
}

/** Empties both tables of a signal, and leaves nothing for the server to write while one measures. */
export async function emptied(database: Database, signal: Signal): Promise<void> {
  await database.query(`truncate ${tableOf("ours", signal)}, ${tableOf("plain", signal)}`);
  await database.query("checkpoint");
}

/**
 * Counts the records of a table.
 *
 * @throws {Error} There are others than expected: what was measured is not what was meant.
 */
export async function expectRows(
  database: Database,
  layout: Layout,
  signal: Signal,
  expected: number,
): Promise<void> {
  const table = tableOf(layout, signal);
  const [row] = await database.query<{ n: bigint }>(`select count(*) as n from ${table}`);
  if (row!.n !== BigInt(expected)) {
    throw new Error(`Cannot measure: ${table} has ${row!.n} rows, not the ${expected} of this run`);
  }
}

/** Bytes of a signal's records in a layout. */
export interface Bytes {
  readonly heap: number;
  readonly indexes: number;
  /** Of what the records name: everything else in the schema. */
  readonly dictionaries: number;
}

/** Looks at how large the tables are; the other signals' have to be empty. */
export async function bytesOf(
  database: Database,
  layout: Layout,
  signal: Signal,
): Promise<Bytes> {
  const [row] = await database.query<Record<"heap" | "indexes" | "dictionaries", bigint>>(
    `with records as (
       select relid from pg_partition_tree($1::text::regclass) where isleaf
     ), others as (
       select c.oid as relid from pg_class c
       where c.relnamespace = $2::text::regnamespace and c.relkind = 'r' and not c.relispartition
         and c.relname not in ('migrations', 'journal_position', 'sealed')
     )
     select
       (select sum(pg_table_size(relid)) from records)::bigint as heap,
       (select sum(pg_indexes_size(relid)) from records)::bigint as indexes,
       (select sum(pg_total_relation_size(relid)) from others)::bigint as dictionaries`,
    [tableOf(layout, signal), SCHEMAS[layout]],
  );
  const { heap, indexes, dictionaries } = row!;
  return { heap: Number(heap), indexes: Number(indexes), dictionaries: Number(dictionaries) };
}
