/**
 * COPY tuples that Postgres has written itself, to hold our own reading and sending of them against.
 *
 * @module
 */

import { PGlite } from "@electric-sql/pglite";
import type { CopyTable } from "../src/postgres/database.ts";
import { emptySnapshot } from "./postgres.ts";

/** A table with a column of each {@linkcode CopyType}, to be made by {@linkcode SAMPLE_SQL}. */
export const SAMPLE: CopyTable = {
  name: "sample",
  columns: [
    { name: "id", type: "int4" },
    { name: "u", type: "uuid" },
    { name: "i8", type: "int8" },
    { name: "i2", type: "int2" },
    { name: "b", type: "bool" },
    { name: "f8", type: "float8" },
    { name: "time", type: "timestamptz" },
    { name: "s", type: "text" },
    { name: "j", type: "jsonb" },
    { name: "y", type: "bytea" },
    { name: "a8", type: "int8[]" },
    { name: "af", type: "float8[]" },
    { name: "at", type: "text[]" },
  ],
};

/** Makes the table of {@linkcode SAMPLE}. */
export const SAMPLE_SQL = "create table sample (id int4 unique, u uuid, i8 int8, i2 int2, " +
  'b bool, f8 float8, "time" timestamptz, s text, j jsonb, y bytea, a8 int8[], af float8[], at text[])';

/** Extremes, nulls, empty things, far times, unicode. */
const ROWS = String.raw`
  (1, '00000000-0000-0000-0000-000000000001', 9223372036854775807, 32767, true,
   'NaN', '1970-01-01Z', 'plain', '{"a": 1.0, "b": [null, "\u00e9"]}',
   '\x0001ff', '{1,NULL,-9223372036854775808,9223372036854775807}',
   '{NaN,-0,Infinity,NULL,1e-320}', E'{"","a b",NULL,"NULL","\\"{,}\\\\","\ufeff\u4e2d"}'),
  (2147483647, 'ffffffff-ffff-ffff-ffff-ffffffffffff', -9223372036854775808,
   -32768, false, '-0', '2554-07-21 23:34:33.709551Z', E'\u00fc \u4e2d \U0001f600 \ufeff {"\\,}',
   '"text"', '', '{}', '{}', '{}'),
  (-2147483648, null, null, null, null, null, null, null, null, null, null, null, null),
  (3, null, 0, 0, null, 'Infinity', 'infinity', '', 'null', null, '{NULL}', '{NULL}', '{NULL}'),
  (4, null, -1, -1, null, '-Infinity', '-infinity', 'NULL', '{}', null, '{-1}', '{0.1}', '{a}'),
  (5, null, 1, 1, null, 5e-324, '1999-12-31 23:59:59.999999Z', E'tab\tnew\nline\\', '[]', null, null, null, null),
  (6, null, 1, 1, null, 1.7976931348623157e308, '0044-03-15 12:00:00.000001Z BC', ' ', '-0.5', null, null, null, null),
  (7, null, 1, 1, null, 0.1, '294276-12-31 23:59:59.999999Z', '"', '1', null, null, null, null),
  (8, null, 1, 1, null, 0.1, '4714-11-24 00:00:00Z BC', '''', 'true', null, null, null, null)`;

/** Selects rows of {@linkcode SAMPLE} whose values are hard. */
export const SAMPLE_SELECT: string = "select " +
  SAMPLE.columns.map(({ name, type }, index) => `column${index + 1}::${type} as "${name}"`) +
  ` from (values ${ROWS}) as rows`;

const HEADER_LENGTH = 19;
const TRAILER_LENGTH = 2;

/** A Postgres of our own: the oracle. */
const oracle = await PGlite.create({ loadDataDir: await emptySnapshot() });
await oracle.exec("set timezone = 'UTC'");

/** The rows of a query as COPY tuples. */
export async function tuplesOf(select: string): Promise<Uint8Array> {
  const { blob } = await oracle.query(`copy (${select}) to '/dev/blob' with (format binary)`);
  const file = new Uint8Array(await blob!.arrayBuffer());
  return file.subarray(HEADER_LENGTH, file.length - TRAILER_LENGTH);
}

/** What the oracle answers. */
export async function oracleRows(select: string): Promise<Record<string, unknown>[]> {
  return (await oracle.query<Record<string, unknown>>(select)).rows;
}
