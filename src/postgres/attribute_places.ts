/**
 * Where the keys and values of a record's attributes lie in its bytes.
 *
 * @module
 */

import { type AttributeShape, JSON_TEXT, SHARED, TEXT } from "./attribute_shape.ts";
import { type Cursor, IrregularError, knownFields } from "./cursor.ts";
import type { Ranges } from "./ranges.ts";

/** How many attributes it has room for. */
export const MAX_ATTRIBUTES = 128;

const KEY_VALUE = knownFields(1, 2);
const KEY = 0x0a, VALUE = 0x12;
/** The tag of a text in an AnyValue. */
const STRING = 0x0a;

/** Offsets of the attributes at hand, by their place among them. */
export class AttributePlaces {
  /** How many there are. */
  count = 0;
  readonly keyFrom = new Int32Array(MAX_ATTRIBUTES);
  readonly keyTo = new Int32Array(MAX_ATTRIBUTES);
  /** The AnyValue messages; of one that is absent, an empty one. */
  readonly valueFrom = new Int32Array(MAX_ATTRIBUTES);
  readonly valueTo = new Int32Array(MAX_ATTRIBUTES);

  /** Finds keys and values, of at most {@linkcode MAX_ATTRIBUTES}. */
  read(cursor: Cursor, { offsets, count }: Ranges): void {
    this.count = count;
    for (let n = 0; n < count; n++) {
      const end = offsets[n * 2 + 1]!;
      let keyFrom = 0, keyTo = 0, valueFrom = -1, valueTo = 0;
      cursor.at = offsets[n * 2]!;
      while (cursor.at < end) {
        const tag = cursor.next(end);
        if (tag === KEY) {
          keyFrom = cursor.from;
          keyTo = cursor.to;
        } else if (tag === VALUE) {
          if (valueFrom >= 0) throw new IrregularError("the value of an attribute twice");
          valueFrom = cursor.from;
          valueTo = cursor.to;
        } else {
          cursor.unknown(tag, KEY_VALUE);
        }
      }
      this.keyFrom[n] = keyFrom;
      this.keyTo[n] = keyTo;
      this.valueFrom[n] = valueFrom < 0 ? end : valueFrom;
      this.valueTo[n] = valueFrom < 0 ? end : valueTo;
    }
  }

  /**
   * Whether the attributes have that shape and are encoded in the usual way. If so, where their values
   * lie is known; keys are those of the shape.
   */
  follow(shape: AttributeShape, { bytes, view }: Cursor, { offsets, count }: Ranges): boolean {
    const { heads, ends, ways } = shape;
    const { valueFrom, valueTo } = this;
    if (ways.length !== count) return false;
    this.count = count;
    let at = 0;
    for (let n = 0; n < count; n++) {
      const to = offsets[n * 2 + 1]!;
      const end = ends[n]!;
      // The last four bytes once more if need be; an empty key, whose head is shorter, is not usual.
      const last = end - 4;
      const shift = offsets[n * 2]! - at;
      if (last < at || end + shift >= to) return false;
      for (; at < last; at += 4) {
        if (heads.getInt32(at, true) !== view.getInt32(at + shift, true)) return false;
      }
      if (heads.getInt32(last, true) !== view.getInt32(last + shift, true)) return false;
      at = end;
      let from = end + shift + 1;
      let length = bytes[from - 1]!;
      if (length >= 0x80) {
        const high = bytes[from]!;
        if (from === to || high >= 0x80) return false;
        length += (high - 1) << 7;
        from++;
      }
      if (from + length !== to) return false;
      valueFrom[n] = from;
      valueTo[n] = to;
      const way = ways[n]!;
      if (way !== SHARED && way !== ownWay(bytes, from, to)) return false;
    }
    return true;
  }
}

/** How the AnyValue `bytes[from, to)` travels when it is not shared. */
export function ownWay(bytes: Uint8Array, from: number, to: number): number {
  return textFrom(bytes, from, to) < 0 ? JSON_TEXT : TEXT;
}

/** Where the text begins in an AnyValue `bytes[from, to)` that is nothing but a text; -1 in others. */
export function textFrom(bytes: Uint8Array, from: number, to: number): number {
  let at = from + 1;
  if (at >= to || bytes[from] !== STRING) return -1;
  let length = bytes[at++]!;
  if (length >= 0x80) {
    length &= 0x7f;
    for (let shift = 7;; shift += 7) {
      if (at >= to || shift > 21) return -1;
      const byte = bytes[at++]!;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
  }
  return at + length === to ? at : -1;
}
