/**
 * The shape of a record's attributes: their keys in order, and how the value of each travels.
 *
 * Records of one place in a program have one shape. So a record is first held against the shape that
 * was seen last at its place, which takes a comparison of bytes and no lookup.
 *
 * @module
 */

import type { AttributeKey, ServiceSplit } from "./attribute_split.ts";
import { RowBuffer } from "./row_buffer.ts";

/** Its value is in the set. */
export const SHARED = 0;
/** Its value is a record's own, and a text. */
export const TEXT = 1;
/** Its value is a record's own, and something else: it travels as JSON. */
export const JSON_TEXT = 2;

/** The tag of a value within its KeyValue message: what follows the key. */
const VALUE_TAG = 0x12;

let shapes = 0;

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
  /** A number that no other combination of keys and ways has had. */
  id = 0;
  /** How many values are a record's own. */
  own = 0;
  /** Whether a key is still learning. */
  isLearning = false;
  readonly #ownWays: Uint8Array;
  #version = -1;

  /**
   * @param names The keys as they came, one behind the other.
   * @param nameEnds Where each of them ends.
   * @param ownWays How each value travels when it is not shared.
   */
  constructor(
    split: ServiceSplit,
    keys: readonly AttributeKey[],
    names: Uint8Array,
    nameEnds: Int32Array,
    ownWays: Uint8Array,
  ) {
    this.split = split;
    this.keys = keys;
    this.#ownWays = ownWays;
    this.ways = ownWays.slice();
    this.ends = new Int32Array(keys.length);
    const heads = new RowBuffer(64 + names.length + keys.length * 8);
    let from = 0;
    for (let n = 0; n < keys.length; n++) {
      const to = nameEnds[n]!;
      heads.bytesField(0x0a, names, from, to);
      heads.bytes[heads.at++] = VALUE_TAG;
      this.ends[n] = heads.at;
      from = to;
    }
    this.heads = new DataView(heads.bytes.slice(0, heads.at).buffer);
  }

  /** Looks again which keys are shared, if that may have changed. */
  renew(): void {
    if (this.#version === this.split.version) return;
    this.#version = this.split.version;
    let isAnother = this.id === 0;
    this.own = 0;
    this.isLearning = false;
    for (const [n, key] of this.keys.entries()) {
      const way = key.isShared ? SHARED : this.#ownWays[n]!;
      if (way !== this.ways[n]) isAnother = true;
      this.ways[n] = way;
      if (way !== SHARED) this.own++;
      if (key.isLearning) this.isLearning = true;
    }
    // What is known of the sets of a shape is known by its number.
    if (isAnother) this.id = ++shapes;
  }
}
