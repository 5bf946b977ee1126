/**
 * Postgres' binary COPY format: the frame round the tuples, and the way back from tuples to text for
 * clients that cannot COPY. https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { CopyTable, CopyType } from "./database.ts";
import { arrayText } from "./values.ts";

/** Signature, flags and an empty header extension. */
export const COPY_HEADER: Uint8Array<ArrayBuffer> = Uint8Array.of(
  ...[0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00],
  ...[0, 0, 0, 0],
  ...[0, 0, 0, 0],
);

/** The field count -1 that ends the tuples. */
export const COPY_TRAILER: Uint8Array<ArrayBuffer> = Uint8Array.of(0xff, 0xff);

/** A whole file of `rows`, which are whole tuples, in memory of its own. */
export function copyFile(rows: readonly Uint8Array[]): ArrayBuffer {
  const chunks = [COPY_HEADER, ...rows, COPY_TRAILER];
  const file = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    file.set(chunk, at);
    at += chunk.length;
  }
  return file.buffer;
}

/** The statement that copies rows of `table` from `source` (`stdin` or a quoted file name). */
export function copyStatement(table: CopyTable, source: string): string {
  return `copy ${table.name} (${columnList(table)}) from ${source} with (format binary)`;
}

/** The quoted names of the table's columns. */
export function columnList(table: CopyTable): string {
  return table.columns.map((column) => `"${column.name}"`).join(", ");
}

/**
 * Reads tuples back: the text form of every value, an array a column.
 *
 * @param chunk Whole tuples, back to back.
 * @throws {RangeError} When they are not tuples of `table`. The message says at which byte.
 */
export function copiedColumns(table: CopyTable, chunk: Uint8Array): (string | null)[][] {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  const columns = table.columns.map((): (string | null)[] => []);
  let at = 0;
  try {
    while (at < chunk.length) {
      const fields = view.getInt16(at);
      if (fields !== columns.length) {
        throw new RangeError(`${fields} fields for ${columns.length} columns`);
      }
      at += 2;
      for (const [index, { name, type }] of table.columns.entries()) {
        const length = view.getInt32(at);
        at += 4;
        if (length < 0) {
          columns[index]!.push(null);
          continue;
        }
        if (at + length > chunk.length) throw new RangeError(`"${name}" is ${length} bytes long`);
        const field = new DataView(chunk.buffer, chunk.byteOffset + at, length);
        columns[index]!.push(FIELD_TEXT[type](field));
        at += length;
      }
    }
  } catch (error) {
    throw new RangeError(
      `Cannot read a COPY tuple of ${table.name} at byte ${at}: ${(error as Error).message}`,
      { cause: error },
    );
  }
  return columns;
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text form of a field, by the type of its column. */
const FIELD_TEXT: Readonly<Record<CopyType, (field: DataView) => string>> = {
  uuid: (field) => hex(sized(field, 16)),
  int8: int8Text,
  int4: (field) => String(sized(field, 4).getInt32(0)),
  int2: (field) => String(sized(field, 2).getInt16(0)),
  bool: (field) => sized(field, 1).getUint8(0) ? "true" : "false",
  float8: float8Text,
  timestamptz: (field) => timestampText(sized(field, 8).getBigInt64(0)),
  text: utf8Text,
  jsonb: jsonbText,
  bytea: (field) => "\\x" + hex(field),
  "int8[]": (field) => elementsText(field, int8Text),
  "float8[]": (field) => elementsText(field, float8Text),
  "text[]": (field) => elementsText(field, utf8Text),
};

function sized(field: DataView, length: number): DataView {
  if (field.byteLength === length) return field;
  throw new RangeError(`${field.byteLength} bytes where ${length} belong`);
}

function hex(field: DataView): string {
  return Buffer.from(field.buffer, field.byteOffset, field.byteLength).toString("hex");
}

function int8Text(field: DataView): string {
  return String(sized(field, 8).getBigInt64(0));
}

function utf8Text(field: DataView): string {
  return UTF8.decode(field);
}

function float8Text(field: DataView): string {
  const value = sized(field, 8).getFloat64(0);
  return Object.is(value, -0) ? "-0" : String(value);
}

const INFINITY = 0x7fff_ffff_ffff_ffffn;
const EPOCH_2000_MS = Date.UTC(2000, 0, 1);
/** After 400 years the calendar repeats; `Date` covers fewer years than Postgres. */
const CYCLE_MICROS = 146_097n * 86_400_000_000n;

/** Microseconds since 2000 as text in UTC, years before 1 as BC. */
function timestampText(micros: bigint): string {
  if (micros === INFINITY) return "infinity";
  if (micros === -INFINITY - 1n) return "-infinity";
  const inCycle = ((micros % CYCLE_MICROS) + CYCLE_MICROS) % CYCLE_MICROS;
  const cycles = Number((micros - inCycle) / CYCLE_MICROS);
  const iso = new Date(Number(inCycle / 1_000n) + EPOCH_2000_MS).toISOString();
  const year = Number(iso.slice(0, 4)) + 400 * cycles;
  const digits = String(year > 0 ? year : 1 - year).padStart(4, "0");
  const fraction = String(inCycle % 1_000_000n).padStart(6, "0");
  return `${digits}${iso.slice(4, 19)}.${fraction}Z${year > 0 ? "" : " BC"}`;
}

function jsonbText(field: DataView): string {
  if (field.byteLength < 1 || field.getUint8(0) !== 1) {
    throw new RangeError("jsonb that is not of version 1");
  }
  return UTF8.decode(new DataView(field.buffer, field.byteOffset + 1, field.byteLength - 1));
}

/** An array of at most one dimension. */
function elementsText(field: DataView, text: (element: DataView) => string): string {
  const dimensions = field.getInt32(0);
  if (dimensions === 0) return "{}";
  if (dimensions !== 1) throw new RangeError(`an array of ${dimensions} dimensions`);
  const count = field.getInt32(12);
  const elements: (string | null)[] = [];
  let at = 20;
  for (let index = 0; index < count; index++) {
    const length = field.getInt32(at);
    at += 4;
    if (length < 0) {
      elements.push(null);
      continue;
    }
    elements.push(text(new DataView(field.buffer, field.byteOffset + at, length)));
    at += length;
  }
  if (at !== field.byteLength) throw new RangeError(`${field.byteLength - at} bytes left over`);
  return arrayText(elements);
}
