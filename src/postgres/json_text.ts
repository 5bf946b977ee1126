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
    this.reserve(0);
    const start = this.open();
    this.bytes[this.at++] = 1;
    return start;
  }

  /** One ASCII character, for which the spare room is enough. */
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

  /** The UTF-8 bytes from one place of the cursor's to another as a JSON string; NUL and invalid UTF-8 become U+FFFD. */
  string(cursor: Cursor, from: number, to: number): void {
    this.reserve(to - from);
    const { bytes, view } = this;
    let at = this.at;
    bytes[at++] = QUOTE;
    const last = to - 4;
    if (from <= last) {
      // Four bytes at a time, the last four again if need be; most strings need no second look.
      let special = 0;
      for (let i = from; i < last; i += 4) {
        const four = cursor.view.getInt32(i, true);
        special |= specialBytes(four);
        view.setInt32(at + i - from, four, true);
      }
      const four = cursor.view.getInt32(last, true);
      special |= specialBytes(four);
      view.setInt32(at + last - from, four, true);
      if ((special & 0x80808080) === 0) {
        at += to - from;
        bytes[at] = QUOTE;
        this.at = at + 1;
        return;
      }
    }
    this.at = at;
    this.#escaped(cursor.bytes, from, to);
    this.bytes[this.at++] = QUOTE;
  }

  #escaped(source: Uint8Array, from: number, to: number): void {
    const clean = cleanText(source, from, to);
    if (clean !== undefined) {
      this.replaced++;
      source = clean;
      from = 0;
      to = clean.length;
    }
    let escapes = 0;
    for (let i = from; i < to; i++) if (PLAIN[source[i]!] === 0 && source[i]! < 0x80) escapes++;
    this.reserve(to - from + escapes * 5);
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
    const hundredths = Math.round(value * 100);
    if (Math.abs(hundredths) < 0x40000000 && hundredths / 100 === value && value !== 0) {
      // The nearest double to a short decimal reads back as itself; printing integers is far cheaper.
      this.#hundredths(hundredths);
    } else if (Number.isInteger(value)) {
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

  #hundredths(value: number): void {
    this.reserve(16);
    const { bytes } = this;
    if (value < 0) {
      bytes[this.at++] = 0x2d; // -
      value = -value;
    }
    const whole = (value / 100) | 0;
    const rest = value - whole * 100;
    this.ascii(String(whole));
    bytes[this.at++] = 0x2e; // .
    const tenth = (rest / 10) | 0;
    bytes[this.at++] = 0x30 + tenth;
    if (rest !== tenth * 10) bytes[this.at++] = 0x30 + rest - tenth * 10;
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
    const { bytes, at } = cursor;
    if (bytes[at] === 0x0a && bytes[at + 1]! < 0x80 && at + 2 + bytes[at + 1]! === end) {
      // Nothing but a short string, as most values are.
      cursor.at = end;
      return this.string(cursor, at + 2, end);
    }
    let kind = 0, from = 0, to = 0, lo = 0, hi = 0;
    while (cursor.at < end) {
      const tag = cursor.next(end);
      // All tags below 0x40 are members of the oneof. What no longer counts has to be looked into, too.
      if (kind !== 0 && tag < 0x40) throw new IrregularError("a value twice");
      switch (tag) {
        case 0x0a:
        case 0x2a:
        case 0x32:
        case 0x3a:
          from = cursor.from;
          to = cursor.to;
          kind = tag;
          break;
        case 0x10:
        case 0x18:
          lo = cursor.lo;
          hi = cursor.hi;
          kind = tag;
          break;
        case 0x21:
          from = cursor.from;
          kind = tag;
          break;
        default:
          cursor.unknown(tag, ANY_VALUE);
      }
    }
    switch (kind) {
      case 0x0a:
        return this.string(cursor, from, to);
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
    this.reserve(0);
    this.char(open);
    let first = true;
    while (cursor.at < to) {
      const tag = cursor.next(to);
      if (tag !== 0x0a) {
        cursor.unknown(tag, LIST);
        continue;
      }
      const stop = cursor.to;
      cursor.at = cursor.from;
      if (!first) this.char(COMMA);
      first = false;
      if (open === 0x7b) this.keyValue(cursor, stop, depth + 1);
      else this.anyValue(cursor, stop, depth + 1);
    }
    this.reserve(0);
    this.char(close);
  }

  /**
   * The KeyValue message between the cursor and `end` as `"key":value`. Of a key given twice jsonb
   * itself keeps the last.
   *
   * @param depth The level of the value, 1 for an attribute.
   */
  keyValue(cursor: Cursor, end: number, depth: number): void {
    const { bytes, at } = cursor;
    const value = at + 2 + bytes[at + 1]!;
    if (
      bytes[at] === 0x0a && bytes[at + 1]! < 0x80 && bytes[value] === 0x12 &&
      bytes[value + 1]! < 0x80 && value + 2 + bytes[value + 1]! === end
    ) {
      // Nothing but a short key and a short value, as most attributes are.
      this.string(cursor, at + 2, value);
      this.char(COLON);
      cursor.at = value + 2;
      return this.anyValue(cursor, end, depth);
    }
    let keyFrom = 0, keyTo = 0, valueFrom = -1, valueTo = 0;
    while (cursor.at < end) {
      const tag = cursor.next(end);
      if (tag === 0x0a) {
        keyFrom = cursor.from;
        keyTo = cursor.to;
      } else if (tag === 0x12) {
        if (valueFrom >= 0) throw new IrregularError("the value of an attribute twice");
        valueFrom = cursor.from;
        valueTo = cursor.to;
      } else {
        cursor.unknown(tag, KEY_VALUE);
      }
    }
    this.string(cursor, keyFrom, keyTo);
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
    this.reserve(0);
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
    this.reserve(0);
  }

  /** The attributes within an object, and how many its sender dropped: `,"<name>":{…}`. */
  innerAttributes(name: string, cursor: Cursor, attributes: Ranges, dropped: number): void {
    this.ascii(`,"${name}":`);
    this.attributes(cursor, attributes.offsets, attributes.count);
    if (dropped !== 0) this.ascii(`,"droppedAttributesCount":${dropped}`);
  }

  /** KeyValue messages at `ranges` (start and end by turns) as one JSON object. */
  attributes(cursor: Cursor, ranges: Int32Array, count: number): void {
    this.reserve(0);
    this.char(0x7b);
    for (let n = 0; n < count; n++) {
      if (n > 0) this.char(COMMA);
      cursor.at = ranges[n * 2]!;
      this.keyValue(cursor, ranges[n * 2 + 1]!, 1);
    }
    this.char(0x7d);
  }
}

function int64Text(lo: number, hi: number): string {
  if (hi < 0x80000000) return decimal(lo, hi);
  return BigInt.asIntN(64, (BigInt(hi) << 32n) | BigInt(lo)).toString();
}

/** Raises the top bit of each of four bytes that may not stand for itself in a JSON string, or of a neighbour. */
function specialBytes(four: number): number {
  return four | (four - 0x20202020) | ((four ^ 0x22222222) - 0x01010101) |
    ((four ^ 0x5c5c5c5c) - 0x01010101);
}
