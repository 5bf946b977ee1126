/**
 * Writes OTLP attribute values as JSON text for `jsonb` columns, straight from protobuf bytes.
 *
 * The text is for people (see the head of `sql/schema.sql`): strings, booleans, arrays and maps as
 * JSON, integers without and doubles with a fraction, bytes as base64, non-finite doubles as text,
 * an empty value as null. Where that loses something, `inexact` is raised and the record keeps the
 * original bytes too.
 *
 * @module
 */

import { type Cursor, decimal, IrregularError, knownFields } from "./cursor.ts";
import type { Instant } from "./instant.ts";
import type { Ranges } from "./ranges.ts";
import { cleanText, RowBuffer } from "./row_buffer.ts";

/** AnyValue may nest this deep; an attribute's own value is level 1. */
export const MAX_VALUE_DEPTH = 128;

const ANY_VALUE = knownFields(1, 2, 3, 4, 5, 6, 7);
const LIST = knownFields(1);
const KEY_VALUE = knownFields(1, 2);

const HEX = new TextEncoder().encode("0123456789abcdef");
const BASE64 = new TextEncoder().encode(
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
);
const QUOTE = 0x22, BACKSLASH = 0x5c, COMMA = 0x2c, COLON = 0x3a;

/** Bytes that stand for themselves in a JSON string: ASCII without controls, `"` and `\`. */
const PLAIN = new Uint8Array(256).fill(1, 0x20, 0x80);
PLAIN[QUOTE] = 0;
PLAIN[BACKSLASH] = 0;

/** A row buffer that can write JSON into jsonb fields. */
export class JsonBuffer extends RowBuffer {
  /** Raised when JSON could not say a value exactly. The caller lowers it. */
  inexact = false;
  /** Raised when a value nests deeper than {@linkcode MAX_VALUE_DEPTH}. The caller lowers it. */
  tooDeep = false;

  /** Begins a jsonb field: its length, then the version byte. */
  openJson(): number {
    this.reserve(16);
    const start = this.open();
    this.bytes[this.at++] = 1;
    return start;
  }

  /** One ASCII character. The caller has reserved room. */
  char(code: number): void {
    this.bytes[this.at++] = code;
  }

  /** ASCII text as it stands. */
  ascii(text: string): void {
    this.reserve(text.length);
    const { bytes } = this;
    let at = this.at;
    for (let i = 0; i < text.length; i++) bytes[at++] = text.charCodeAt(i);
    this.at = at;
  }

  /** A JSON string of UTF-8 bytes; NUL and invalid UTF-8 become U+FFFD. */
  string(source: Uint8Array, from: number, to: number): void {
    this.reserve((to - from) * 6 + 16);
    const { bytes } = this;
    let at = this.at;
    bytes[at++] = QUOTE;
    let i = from;
    let byte = 0;
    while (i < to && PLAIN[byte = source[i]!] === 1) {
      bytes[at++] = byte;
      i++;
    }
    this.at = at;
    if (i < to) this.#escaped(source, i, to);
    this.bytes[this.at++] = QUOTE;
  }

  #escaped(source: Uint8Array, from: number, to: number): void {
    const clean = cleanText(source, from, to);
    if (clean !== undefined) {
      this.replaced++;
      source = clean;
      from = 0;
      to = clean.length;
      this.reserve(to * 6 + 16);
    }
    const { bytes } = this;
    let at = this.at;
    for (let i = from; i < to; i++) {
      const byte = source[i]!;
      if (PLAIN[byte] === 1 || byte >= 0x80) bytes[at++] = byte;
      else if (byte === QUOTE || byte === BACKSLASH) {
        bytes[at++] = BACKSLASH;
        bytes[at++] = byte;
      } else {
        bytes[at++] = BACKSLASH;
        bytes[at++] = 0x75; // u
        bytes[at++] = 0x30;
        bytes[at++] = 0x30;
        bytes[at++] = HEX[byte >> 4]!;
        bytes[at++] = HEX[byte & 15]!;
      }
    }
    this.at = at;
  }

  /** A double as a JSON number that keeps a fraction once jsonb has normalised it. */
  double(value: number): void {
    if (Number.isInteger(value)) {
      if (value === 0 && 1 / value < 0) this.inexact = true;
      // An exponent would come out of jsonb as an integer.
      this.ascii(Math.abs(value) < 1e21 ? String(value) : BigInt(value).toString());
      this.ascii(".0");
    } else if (Number.isFinite(value)) {
      this.ascii(String(value));
    } else {
      this.ascii(`"${value}"`);
    }
  }

  /** A time in nanoseconds as a decimal string: 64-bit numbers are strings in OTLP JSON. */
  unixNano(instant: Instant): void {
    this.reserve(24);
    const { bytes } = this;
    bytes[this.at++] = QUOTE;
    const { micros, frac } = instant;
    if (micros === 0) this.ascii(String(frac));
    else if (!instant.isExact) this.ascii(decimal(instant.lo, instant.hi));
    else {
      // Halves of eight digits are small integers, which print several times as fast as doubles.
      const high = Math.floor(micros / 1e8);
      if (high > 0) {
        this.ascii(String(high));
        this.#digits(micros - high * 1e8, 10_000_000);
      } else this.ascii(String(micros));
      this.#digits(frac, 100);
    }
    bytes[this.at++] = QUOTE;
  }

  /** A non-negative number with as many digits as `unit`. */
  #digits(value: number, unit: number): void {
    const { bytes } = this;
    for (; unit >= 1; unit = (unit / 10) | 0) {
      const digit = (value / unit) | 0;
      bytes[this.at++] = 0x30 + digit;
      value -= digit * unit;
    }
  }

  /** Ids and other bytes as hexadecimal text. */
  hex(source: Uint8Array, from: number, to: number): void {
    this.reserve((to - from) * 2 + 2);
    const { bytes } = this;
    bytes[this.at++] = QUOTE;
    for (let i = from; i < to; i++) {
      const byte = source[i]!;
      bytes[this.at++] = HEX[byte >> 4]!;
      bytes[this.at++] = HEX[byte & 15]!;
    }
    bytes[this.at++] = QUOTE;
  }

  #base64(source: Uint8Array, from: number, to: number): void {
    this.reserve((to - from) * 2 + 8);
    const { bytes } = this;
    bytes[this.at++] = QUOTE;
    for (let i = from; i < to; i += 3) {
      const left = to - i;
      const bits = source[i]! << 16 | (left > 1 ? source[i + 1]! << 8 : 0) |
        (left > 2 ? source[i + 2]! : 0);
      bytes[this.at++] = BASE64[bits >> 18]!;
      bytes[this.at++] = BASE64[bits >> 12 & 63]!;
      bytes[this.at++] = left > 1 ? BASE64[bits >> 6 & 63]! : 0x3d;
      bytes[this.at++] = left > 2 ? BASE64[bits & 63]! : 0x3d;
    }
    bytes[this.at++] = QUOTE;
  }

  /**
   * The AnyValue message between the cursor and `end`; the cursor is left at `end`.
   *
   * @param depth The level of this value, from 1.
   */
  anyValue(cursor: Cursor, end: number, depth: number): void {
    if (depth > MAX_VALUE_DEPTH) {
      this.tooDeep = true;
      cursor.at = end;
      this.ascii("null");
      return;
    }
    let kind = 0;
    let from = 0;
    let to = 0;
    let lo = 0;
    let hi = 0;
    while (cursor.at < end) {
      const tag = cursor.varint(end);
      switch (tag) {
        case 0x0a:
        case 0x2a:
        case 0x32:
        case 0x3a:
          if (kind === tag && (tag === 0x2a || tag === 0x32)) {
            throw new IrregularError("a list or map of a value twice");
          }
          to = cursor.stop(end);
          from = cursor.at;
          cursor.at = to;
          kind = tag;
          break;
        case 0x10:
        case 0x18:
          cursor.varint64(end);
          lo = cursor.lo;
          hi = cursor.hi;
          kind = tag;
          break;
        case 0x21:
          from = cursor.at;
          cursor.fixed64(end);
          kind = tag;
          break;
        default:
          cursor.skip(tag, end, ANY_VALUE);
      }
    }
    switch (kind) {
      case 0x0a:
        return this.string(cursor.bytes, from, to);
      case 0x10:
        return this.ascii((lo | hi) !== 0 ? "true" : "false");
      case 0x18:
        return this.ascii(int64Text(lo, hi));
      case 0x21: {
        const value = cursor.doubleAt(from);
        if (!Number.isFinite(value)) this.inexact = true;
        return this.double(value);
      }
      case 0x2a:
        this.#list(cursor, from, to, depth, 0x5b, 0x5d);
        break;
      case 0x32:
        this.#list(cursor, from, to, depth, 0x7b, 0x7d);
        break;
      case 0x3a:
        this.inexact = true;
        this.#base64(cursor.bytes, from, to);
        break;
      default:
        this.inexact = true;
        this.ascii("null");
    }
    cursor.at = end;
  }

  /** An ArrayValue (`[`) or a KeyValueList (`{`): both repeat their field 1. */
  #list(
    cursor: Cursor,
    from: number,
    to: number,
    depth: number,
    open: number,
    close: number,
  ): void {
    cursor.at = from;
    this.reserve(16);
    this.char(open);
    let first = true;
    while (cursor.at < to) {
      const tag = cursor.varint(to);
      if (tag !== 0x0a) {
        cursor.skip(tag, to, LIST);
        continue;
      }
      const stop = cursor.stop(to);
      this.reserve(16);
      if (!first) this.char(COMMA);
      first = false;
      if (open === 0x7b) this.keyValue(cursor, stop, depth + 1);
      else this.anyValue(cursor, stop, depth + 1);
    }
    this.reserve(16);
    this.char(close);
  }

  /**
   * The KeyValue message between the cursor and `end` as `"key":value`. Of a key given twice jsonb
   * itself keeps the last.
   *
   * @param depth The level of the value, 1 for an attribute.
   */
  keyValue(cursor: Cursor, end: number, depth: number): void {
    let keyFrom = 0;
    let keyTo = 0;
    let valueFrom = -1;
    let valueTo = 0;
    while (cursor.at < end) {
      const tag = cursor.varint(end);
      if (tag === 0x0a) {
        keyTo = cursor.stop(end);
        keyFrom = cursor.at;
        cursor.at = keyTo;
      } else if (tag === 0x12) {
        if (valueFrom >= 0) throw new IrregularError("the value of an attribute twice");
        valueTo = cursor.stop(end);
        valueFrom = cursor.at;
        cursor.at = valueTo;
      } else {
        cursor.skip(tag, end, KEY_VALUE);
      }
    }
    this.string(cursor.bytes, keyFrom, keyTo);
    this.reserve(16);
    this.char(COLON);
    if (valueFrom < 0) {
      this.inexact = true;
      this.ascii("null");
    } else {
      cursor.at = valueFrom;
      this.anyValue(cursor, valueTo, depth);
    }
    cursor.at = end;
  }

  /**
   * A jsonb field that is an array of the messages at `ranges`, or null when there are none.
   *
   * @param write Writes the message between the cursor and `end`.
   */
  list(cursor: Cursor, ranges: Ranges, write: (end: number, json: JsonBuffer) => void): void {
    this.reserve(16);
    if (ranges.count === 0) return this.null();
    const field = this.openJson();
    this.ascii("[");
    for (let n = 0; n < ranges.count; n++) {
      if (n > 0) this.ascii(",");
      cursor.at = ranges.offsets[n * 2]!;
      write(ranges.offsets[n * 2 + 1]!, this);
    }
    this.ascii("]");
    this.close(field);
    this.reserve(16);
  }

  /** The attributes within an object, and how many its sender dropped: `,"<name>":{…}`. */
  innerAttributes(name: string, cursor: Cursor, attributes: Ranges, dropped: number): void {
    this.ascii(`,"${name}":`);
    this.attributes(cursor, attributes.offsets, attributes.count);
    if (dropped !== 0) this.ascii(`,"droppedAttributesCount":${dropped}`);
  }

  /** KeyValue messages at `ranges` (start and end by turns) as one JSON object. */
  attributes(cursor: Cursor, ranges: Int32Array, count: number): void {
    this.reserve(16);
    this.char(0x7b);
    for (let n = 0; n < count; n++) {
      this.reserve(16);
      if (n > 0) this.char(COMMA);
      cursor.at = ranges[n * 2]!;
      this.keyValue(cursor, ranges[n * 2 + 1]!, 1);
    }
    this.reserve(16);
    this.char(0x7d);
  }
}

function int64Text(lo: number, hi: number): string {
  if (hi < 0x80000000) return decimal(lo, hi);
  return BigInt.asIntN(64, (BigInt(hi) << 32n) | BigInt(lo)).toString();
}
