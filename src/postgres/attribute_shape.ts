/**
 * The shape of a record's attributes: their keys in order, and how the value of each travels.
 *
 * Records of one place in a program have one shape. So a record is first held against the shape that
 * was seen last at its place, which takes a comparison of bytes and no lookup.
 *
 * @module
 */

import type { AttributeKey, ServiceSplit } from "./attribute_split.ts";
import { ByteMap } from "./byte_map.ts";
import { RowBuffer } from "./row_buffer.ts";

/** Its value is in the set. */
export const SHARED = 0;
/** Its value is a record's own, and a text. */
export const TEXT = 1;
/** Its value is a record's own, and something else: it travels as JSON. */
export const JSON_TEXT = 2;

/** The tag of a value within its KeyValue message: what follows the key. */
const VALUE_TAG = 0x12;

/** Combinations of keys and ways whose numbers are remembered. */
const NUMBERS = 8_192;
const NUMBERS_BYTES = 4 << 20;

/** Numbers the combinations of keys and ways, whichever service they are of. */
export class ShapeNumbers {
  readonly #numbers = new ByteMap<number>(NUMBERS, NUMBERS_BYTES);
  readonly #key = new RowBuffer(1024);
  #last = 0;

  /** The same number for the same, until it is forgotten; never that of another one. */
  of({ heads, ways }: AttributeShape): number {
    const key = this.#key;
    key.at = 0;
    key.reserve(ways.length + heads.byteLength);
    key.append(ways, 0, ways.length);
    key.append(new Uint8Array(heads.buffer), 0, heads.byteLength);
    let number = this.#numbers.get(key.view, 0, key.at);
    if (number === undefined) {
      number = ++this.#last;
      this.#numbers.add(key.view, 0, key.at, number);
    }
    return number;
  }
}

/** Keys and ways of attributes. */
export class AttributeShape {
  readonly split: ServiceSplit;
  readonly keys: readonly AttributeKey[];
  /** What the KeyValue messages begin with, up to the length of the value, one behind the other. */
  readonly heads: DataView;
  /** Where each head ends. */
  readonly ends: Int32Array;
  /** {@linkcode SHARED}, {@linkcode TEXT} or {@linkcode JSON_TEXT}, for each key. */
  readonly ways: Uint8Array;
  /** The number of its keys and ways. */
  number = 0;
  /** How many values are a record's own. */
  own = 0;
  /** Whether a key is still learning. */
  isLearning = false;
  readonly #ownWays: Uint8Array;
  readonly #numbers: ShapeNumbers;
  #version = -1;

  /**
   * @param names The keys as they came.
   * @param ownWays How each value travels when it is not shared.
   * @param numbers What gives it its number.
   */
  constructor(
    split: ServiceSplit,
    keys: readonly AttributeKey[],
    names: readonly Uint8Array[],
    ownWays: Uint8Array,
    numbers: ShapeNumbers,
  ) {
    this.split = split;
    this.keys = keys;
    this.ways = ownWays.slice();
    this.#ownWays = ownWays;
    this.#numbers = numbers;
    this.ends = new Int32Array(names.length);
    const heads = new RowBuffer(1024);
    for (const [n, name] of names.entries()) {
      heads.bytesField(0x0a, name, 0, name.length);
      heads.bytes[heads.at++] = VALUE_TAG;
      this.ends[n] = heads.at;
    }
    this.heads = new DataView(heads.bytes.slice(0, heads.at).buffer);
  }

  /** Looks again which keys are shared, if that may have changed. */
  renew(): void {
    if (this.#version === this.split.version) return;
    this.#version = this.split.version;
    let isAnother = this.number === 0;
    this.own = 0;
    this.isLearning = false;
    for (const [n, key] of this.keys.entries()) {
      const way = key.isShared ? SHARED : this.#ownWays[n]!;
      if (way !== this.ways[n]) isAnother = true;
      this.ways[n] = way;
      if (way !== SHARED) this.own++;
      if (key.isLearning) this.isLearning = true;
    }
    if (isAnother) this.number = this.#numbers.of(this);
  }
}
