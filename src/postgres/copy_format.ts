/**
 * The frame of Postgres' binary COPY format: what stands before and after the tuples.
 * https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
 *
 * @module
 */

import type { CopyTable } from "./database.ts";

/** Signature, flags and an empty header extension. */
export const COPY_HEADER: Uint8Array<ArrayBuffer> = Uint8Array.of(
  ...[0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00],
  ...[0, 0, 0, 0],
  ...[0, 0, 0, 0],
);

/** The field count -1 that ends the tuples. */
export const COPY_TRAILER: Uint8Array<ArrayBuffer> = Uint8Array.of(0xff, 0xff);

/** The statement that copies rows of `table` from `source` (`stdin` or a quoted file name). */
export function copyStatement(table: CopyTable, source: string): string {
  return `copy ${table.name} (${columnList(table)}) from ${source} with (format binary)`;
}

/** The quoted names of the table's columns. */
export function columnList(table: CopyTable): string {
  return table.columns.map((column) => `"${column.name}"`).join(", ");
}
