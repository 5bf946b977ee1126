/**
 * Keys of rows: where they stand in the order of a search.
 *
 * Rows that share a time to the nanosecond are in order of their place in the table, as nothing else tells
 * them apart; what moves them (`ensure`, out of the default partition) moves all rows of a time, and then
 * those of one time are read twice rather than not at all.
 *
 * @module
 */

import type { Conditions } from "../conditions.ts";
import type { Row } from "../postgres/database.ts";

/** By time, or by duration and then by time. */
export type ScanOrder = "newest" | "slowest";

/** A row with what its key is made of. */
export interface ScannedRow extends Row {
  readonly time_micros: bigint;
  readonly time_frac: number;
  readonly place_table: bigint;
  readonly place: string;
}

const MICROSECOND = 1000n;

/** Numbers that are the greater the earlier a row comes. */
export function scanKey(row: ScannedRow, order: ScanOrder = "newest"): bigint[] {
  const [, block, offset] = /^\((\d+),(\d+)\)$/.exec(row.place)!;
  const place = [row.time_micros, BigInt(row.time_frac), row.place_table, block!, offset!];
  return (order === "slowest" ? [row.duration_ns as bigint, ...place] : place).map(BigInt);
}

/** How many numbers a key has. */
export function scanKeyLength(order: ScanOrder = "newest"): number {
  return order === "slowest" ? 6 : 5;
}

/** Rows of both, in order, each once. */
export function merged(
  a: readonly ScannedRow[],
  b: readonly ScannedRow[],
  order: ScanOrder = "newest",
): ScannedRow[] {
  return [...a, ...b]
    .map((row) => ({ row, key: scanKey(row, order) }))
    .sort((one, other) => compareKeys(other.key, one.key))
    .filter(({ key }, n, all) => n === 0 || compareKeys(key, all[n - 1]!.key) !== 0)
    .map(({ row }) => row);
}

/** Compares keys, or the beginning of one with another, number by number. */
export function compareKeys(a: readonly bigint[], b: readonly bigint[]): number {
  for (const [n, number] of a.entries()) {
    if (number !== b[n]) return number < b[n]! ? -1 : 1;
  }
  return 0;
}

/** Rows behind that of a key. Its first number bounds them alone, for indexes and partitions. */
export function behind(key: readonly bigint[], where: Conditions): string {
  const [micros, frac, table, block, offset] = key.slice(-5);
  const time = where.timestamp(micros! * MICROSECOND);
  const fraction = `${where.parameter(frac!)}::smallint`;
  const place = `(t.tableoid::bigint <> ${where.parameter(table!)}::bigint
    or t.ctid < ${where.parameter(`(${block},${offset})`)}::tid)`;
  const later = `(t.time < ${time} or t.time = ${time} and (t.time_frac < ${fraction}
    or t.time_frac = ${fraction} and ${place}))`;
  if (key.length === 5) return `t.time <= ${time} and ${later}`;
  const duration = `${where.parameter(key[0]!)}::bigint`;
  return `t.duration_ns <= ${duration} and (t.duration_ns < ${duration} or ${later})`;
}
