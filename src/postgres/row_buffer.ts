/**
 * A growing buffer of tuples in Postgres' binary COPY format.
 *
 * A tuple is the number of its fields (int16), then for each field its length in bytes (int32, -1
 * for null) and its value in the type's binary form, all big-endian. The file header and trailer
 * are the driver's.
 *
 * Source: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"
 *
 * @module
 */

import { OtlpTooLargeError } from "../otlp_error.ts";
import type { Instant } from "./instant.ts";
import type { Ranges } from "./ranges.ts";

/** Room that is there without asking, after every method that asked. */
const SPARE = 32;
const INT8_OID = 20;
const TEXT_OID = 25;
const FLOAT8_OID = 701;

const encoder = new TextEncoder();

/** Which bytes of a text stand for themselves: ASCII but NUL. */
const PLAIN = new Uint8Array(256).fill(1, 0x01, 0x80);

/** Writes tuples. `bytes` up to `at` is what has been written. */
export class RowBuffer {
  bytes: Uint8Array;
  view: DataView;
  at = 0;
  /** The size beyond which it does not grow. */
  ceiling = Infinity;
  /** Up to where methods may write without asking for more. */
  #limit: number;
  /** Texts in which NUL or invalid UTF-8 became U+FFFD. */
  replaced = 0;

  constructor(size = 1 << 16) {
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
    this.#limit = size - SPARE;
  }

  /**
   * Makes room for `size` more bytes, and for 32 beyond them: punctuation need not ask.
   *
   * @throws {OtlpTooLargeError} The buffer would become too large.
   */
  reserve(size: number): void {
    if (this.at + size <= this.#limit) return;
    const needed = this.at + size + SPARE;
    if (needed > this.ceiling) {
      throw new OtlpTooLargeError("its records take too much room as rows; send fewer at a time");
    }
    const bytes = new Uint8Array(Math.min(this.ceiling, Math.max(this.bytes.length * 2, needed)));
    bytes.set(this.bytes.subarray(0, this.at));
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
    this.#limit = bytes.length - SPARE;
  }

  /** Starts over, and keeps the memory up to `keep` bytes. */
  clear(keep: number): void {
    this.at = 0;
    this.replaced = 0;
    if (this.bytes.length <= keep) return;
    this.bytes = new Uint8Array(keep);
    this.view = new DataView(this.bytes.buffer);
    this.#limit = keep - SPARE;
  }

  /** Begins a tuple. The fixed-width fields that follow have room; texts reserve their own. */
  tuple(fields: number): void {
    this.reserve(512);
    this.view.setInt16(this.at, fields);
    this.at += 2;
  }

  /** A null field. */
  null(): void {
    this.view.setInt32(this.at, -1);
    this.at += 4;
  }

  /** An int2. */
  int2(value: number): void {
    this.view.setInt32(this.at, 2);
    this.view.setInt16(this.at + 4, value);
    this.at += 6;
  }

  /** An int4; unsigned values wrap. */
  int4(value: number): void {
    this.view.setInt32(this.at, 4);
    this.view.setInt32(this.at + 4, value);
    this.at += 8;
  }

  /** An int8 from its two halves. */
  int8(lo: number, hi: number): void {
    const { view, at } = this;
    view.setInt32(at, 8);
    view.setInt32(at + 4, hi);
    view.setInt32(at + 8, lo);
    this.at = at + 12;
  }

  /** A double. */
  float8(value: number): void {
    this.view.setInt32(this.at, 8);
    this.view.setFloat64(this.at + 4, value);
    this.at += 12;
  }

  /** A timestamptz. */
  timestamptz(instant: Instant): void {
    this.int8(instant.postgresLo, instant.postgresHi);
  }

  /** The 16 bytes of a trace id as a uuid. */
  uuid(source: DataView, from: number): void {
    const { view, at } = this;
    view.setInt32(at, 16);
    view.setInt32(at + 4, source.getInt32(from));
    view.setInt32(at + 8, source.getInt32(from + 4));
    view.setInt32(at + 12, source.getInt32(from + 8));
    view.setInt32(at + 16, source.getInt32(from + 12));
    this.at = at + 20;
  }

  /** The 8 bytes of a span id as an int8. */
  spanId(source: DataView, from: number): void {
    this.int8(source.getInt32(from + 4), source.getInt32(from));
  }

  /** Bytes without a length before them. The caller has reserved room. */
  append(source: Uint8Array, from: number, to: number): void {
    const { bytes } = this;
    let at = this.at;
    if (to - from > 64) {
      bytes.set(source.subarray(from, to), at);
      at += to - from;
    } else {
      for (let i = from; i < to; i++) bytes[at++] = source[i]!;
    }
    this.at = at;
  }

  /** A length-delimited protobuf field, inside a bytea. */
  bytesField(tag: number, source: Uint8Array, from: number, to: number): void {
    this.reserve(to - from + 16);
    this.#varint(tag);
    this.#varint(to - from);
    this.append(source, from, to);
  }

  /** A varint protobuf field of an unsigned 32-bit value, inside a bytea. */
  uint32Field(tag: number, value: number): void {
    this.reserve(16);
    this.#varint(tag);
    this.#varint(value);
  }

  /** A varint protobuf field of a signed 32-bit value, inside a bytea. */
  int32Field(tag: number, value: number): void {
    if (value >= 0) return this.uint32Field(tag, value);
    this.reserve(16);
    this.#varint(tag);
    // Negative ones are sign-extended to ten bytes.
    for (let n = 0; n < 4; n++) this.bytes[this.at++] = (value >> (7 * n)) & 0x7f | 0x80;
    this.bytes[this.at++] = (value >> 28) & 0x0f | 0xf0;
    for (let n = 0; n < 4; n++) this.bytes[this.at++] = 0xff;
    this.bytes[this.at++] = 0x01;
  }

  /** A message field whose message holds one enum field only, inside a bytea. */
  enumInMessage(tag: number, enumTag: number, value: number): void {
    this.reserve(32);
    this.#varint(tag);
    const length = this.at++;
    this.int32Field(enumTag, value);
    this.bytes[length] = this.at - length - 1;
  }

  /** Length-delimited protobuf fields that lie at `ranges` of `source`, inside a bytea. */
  fields(tag: number, source: Uint8Array, ranges: Ranges): void {
    for (let n = 0; n < ranges.count; n++) {
      this.bytesField(tag, source, ranges.offsets[n * 2]!, ranges.offsets[n * 2 + 1]!);
    }
  }

  #varint(value: number): void {
    while (value > 0x7f) {
      this.bytes[this.at++] = value & 0x7f | 0x80;
      value = value >>> 7;
    }
    this.bytes[this.at++] = value;
  }

  /** A text, null when empty. NUL and invalid UTF-8 become U+FFFD. */
  text(source: Uint8Array, from: number, to: number): void {
    if (from === to) return this.null();
    this.reserve(to - from + 4);
    const start = this.open();
    this.#characters(source, from, to);
    this.close(start);
  }

  /** A text within an array, empty or not. NUL and invalid UTF-8 become U+FFFD. */
  element(source: DataView, from: number, to: number): void {
    this.reserve(to - from + 4);
    const start = this.open();
    const { view } = this;
    const last = to - 4;
    if (from <= last) {
      // Four bytes at a time, the last four again if need be; most texts need no second look.
      const shift = start - from;
      let special = 0;
      for (let i = from; i < last; i += 4) {
        const four = source.getInt32(i, true);
        special |= four | (four - 0x01010101);
        view.setInt32(i + shift, four, true);
      }
      const four = source.getInt32(last, true);
      special |= four | (four - 0x01010101);
      view.setInt32(last + shift, four, true);
      if ((special & 0x80808080) === 0) {
        this.at = to + shift;
        return this.close(start);
      }
    }
    const bytes = new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
    this.#characters(bytes, from, to);
    this.close(start);
  }

  #characters(source: Uint8Array, from: number, to: number): void {
    const { bytes } = this;
    let at = this.at;
    let i = from;
    while (i < to && PLAIN[source[i]!] === 1) bytes[at++] = source[i++]!;
    if (i < to) {
      const clean = cleanText(source, i, to);
      if (clean !== undefined) {
        this.replaced++;
        source = clean;
        i = 0;
        to = clean.length;
        this.at = at; // growing keeps what lies before it
        this.reserve(to);
      }
      this.bytes.set(source.subarray(i, to), at);
      at += to - i;
    }
    this.at = at;
  }

  /** An `int8[]` of the little-endian 64-bit values at single offsets of `source`; null when empty. */
  int8Array(source: Uint8Array, values: Ranges): void {
    this.#array64(source, values, INT8_OID);
  }

  /** A `float8[]` of the little-endian doubles at single offsets of `source`; null when empty. */
  float8Array(source: Uint8Array, values: Ranges): void {
    this.#array64(source, values, FLOAT8_OID);
  }

  #array64(source: Uint8Array, { offsets, count }: Ranges, oid: number): void {
    this.reserve(512 + count * 12);
    if (count === 0) return this.null();
    const { view, bytes } = this;
    let at = this.at;
    view.setInt32(at, 20 + count * 12);
    view.setInt32(at + 4, 1); // dimensions
    view.setInt32(at + 8, 0); // no nulls
    view.setInt32(at + 12, oid);
    view.setInt32(at + 16, count);
    view.setInt32(at + 20, 1); // lower bound
    at += 24;
    for (let n = 0; n < count; n++) {
      const from = offsets[n]!;
      view.setInt32(at, 8);
      for (let i = 0; i < 8; i++) bytes[at + 4 + i] = source[from + 7 - i]!;
      at += 12;
    }
    this.at = at;
  }

  /**
   * Begins a `text[]` of as many texts as follow, none of them null; returns what {@linkcode close}
   * takes.
   */
  openTexts(count: number): number {
    this.reserve(32);
    const start = this.open();
    const { view } = this;
    view.setInt32(start, 1); // dimensions
    view.setInt32(start + 4, 0); // no nulls
    view.setInt32(start + 8, TEXT_OID);
    view.setInt32(start + 12, count);
    view.setInt32(start + 16, 1); // lower bound
    this.at = start + 20;
    return start;
  }

  /** Leaves room for a field's length; returns what {@linkcode close} takes. */
  open(): number {
    this.at += 4;
    return this.at;
  }

  /** Fills in the length of the field that was opened. */
  close(start: number): void {
    this.view.setInt32(start - 4, this.at - start);
  }
}

/**
 * The text from `from` on with NUL and invalid UTF-8 replaced by U+FFFD, or `undefined` when it
 * needs no replacing.
 *
 * @param source UTF-8, perhaps broken; `from` must not stand inside a character.
 */
export function cleanText(source: Uint8Array, from: number, to: number): Uint8Array | undefined {
  let i = from;
  while (i < to) {
    const length = characterLength(source, i, to);
    if (length === 0) {
      const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(source.subarray(from, to));
      return encoder.encode(text.replaceAll("\0", "\ufffd"));
    }
    i += length;
  }
  return undefined;
}

/** The bytes of the character at `i`: 1 to 4, or 0 when it is NUL or no valid UTF-8 (RFC 3629). */
function characterLength(source: Uint8Array, i: number, to: number): number {
  const first = source[i]!;
  if (first < 0x80) return first === 0 ? 0 : 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  const length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (i + length > to) return 0;
  const second = source[i + 1]!;
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  for (let n = 2; n < length; n++) {
    if ((source[i + n]! & 0xc0) !== 0x80) return 0;
  }
  return length;
}
