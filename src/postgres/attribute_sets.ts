/**
 * Writes the attributes of records: those that take few values once in a set, the others with the
 * record.
 *
 * A set is a dimension like any other. It holds the shared attributes as `jsonb`, and the keys of the
 * other ones with how to read them, so that a record needs but the id of its set and an array of
 * texts. What is the same but for the order of its attributes may have two sets. Where a set would
 * not pay, the attributes are one `jsonb` in the row: a key given twice, very many keys, and a service
 * that always has new ones.
 *
 * @module
 */

import { AttributeShape, JSON_TEXT, SHARED, TEXT } from "./attribute_shape.ts";
import { type AttributeKey, AttributeSplit, type ServiceSplit } from "./attribute_split.ts";
import { ByteMap, hashBytes } from "./byte_map.ts";
import { type Cursor, IrregularError, knownFields } from "./cursor.ts";
import { contentId, type DimensionRow, DimensionRows } from "./dimension_rows.ts";
import { JsonBuffer } from "./json_text.ts";
import type { Ranges } from "./ranges.ts";
import { cleanText } from "./row_buffer.ts";
import { arrayText } from "./values.ts";

/** What stands for the place in a program that a record comes from: it remembers the last shape. */
export interface ShapeHint {
  shape: AttributeShape | undefined;
}

/** A set, as records name it. */
interface AttributeSet {
  readonly lo: number;
  readonly hi: number;
  readonly row: DimensionRow;
  /** Whether JSON could not say one of its values exactly. */
  readonly isInexact: boolean;
}

/** Records of more attributes, or with more bytes of keys, have no set. */
const MAX_ATTRIBUTES = 128;
const MAX_KEY_BYTES = 8_192;

const SHAPES = 8_192;
const SHAPE_BYTES = 4 << 20;
const SETS = 32_768;
const SET_BYTES = 8 << 20;

const KEY_VALUE = knownFields(1, 2);
const STRING = 0x0a;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Finds the sets of the records of one signal, and writes the fields that name them. */
export class AttributeSets {
  /** Where rows of new sets go. */
  rows: DimensionRows = new DimensionRows();
  readonly #split = new AttributeSplit();
  /** By service, keys and types. */
  readonly #shapes = new ByteMap<AttributeShape>(SHAPES, SHAPE_BYTES);
  /** By the number of the shape and the shared values. */
  readonly #sets = new ByteMap<AttributeSet>(SETS, SET_BYTES);

  /** Where keys and values of the attributes at hand lie. */
  readonly #keyFrom = new Int32Array(MAX_ATTRIBUTES);
  readonly #keyTo = new Int32Array(MAX_ATTRIBUTES);
  readonly #valueFrom = new Int32Array(MAX_ATTRIBUTES);
  readonly #valueTo = new Int32Array(MAX_ATTRIBUTES);
  /** The shared values of the record at hand, as a key of the sets. */
  readonly #key = new JsonBuffer();
  readonly #scratch = new JsonBuffer();

  /** How often a cache was full and forgot everything. */
  get forgotten(): number {
    return this.#shapes.forgotten + this.#sets.forgotten;
  }

  /** Forgets what the database has, and what was learned. */
  forget(): void {
    this.#shapes.clear();
    this.#sets.clear();
    this.#split.forget();
  }

  /**
   * Writes the fields `attribute_set_id`, `attribute_values` and `attributes` of a row.
   *
   * @param ranges The KeyValue messages in the bytes of `cursor`.
   * @param service What stands for the service.
   */
  write(
    json: JsonBuffer,
    cursor: Cursor,
    ranges: Ranges,
    service: object | undefined,
    hint: ShapeHint,
  ): void {
    json.reserve(64);
    const { count } = ranges;
    if (count === 0) {
      json.null();
      json.null();
      return json.null();
    }
    const split = this.#split.of(service);
    split.records++;
    let shape = hint.shape;
    shape?.renew();
    if (
      shape === undefined || shape.split !== split || shape.ways.length !== count ||
      !this.#follow(shape, cursor, ranges)
    ) {
      hint.shape = shape = this.#shapeOf(split, cursor, ranges);
    }
    let set: AttributeSet | undefined;
    while (shape !== undefined) {
      set = this.#sets.get(this.#key.view, 0, this.#key.at);
      if (set !== undefined) break;
      const { version } = split;
      shape = this.#shapeOf(split, cursor, ranges)!;
      if (this.#admits(shape, cursor)) {
        set = this.#newSet(shape, cursor);
        break;
      }
      if (split.version === version) break;
      shape = this.#shapeOf(split, cursor, ranges);
    }
    if (shape === undefined || set === undefined) {
      json.null();
      json.null();
      const field = json.openJson();
      json.attributes(cursor, ranges.offsets, count);
      json.close(field);
      return json.reserve(64);
    }
    if (set.row.values !== undefined) this.rows.add(set.row);
    if (set.isInexact) json.inexact = true;
    json.int8(set.lo, set.hi);
    if (shape.own === 0) json.null();
    else this.#values(json, shape, cursor);
    json.reserve(64);
    json.null();
    if (shape.isLearning) this.#learn(shape, cursor);
  }

  /**
   * Whether the attributes have that shape and are encoded in the usual way; if so, where their values
   * lie is known, and the key of the set.
   */
  #follow(shape: AttributeShape, { bytes, view }: Cursor, { offsets }: Ranges): boolean {
    const { heads, ends, ways } = shape;
    const key = this.#key;
    const valueFrom = this.#valueFrom;
    const valueTo = this.#valueTo;
    key.at = 0;
    key.int4(shape.id);
    let at = 0;
    for (let n = 0; n < ways.length; n++) {
      const to = offsets[n * 2 + 1]!;
      const end = ends[n]!;
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
      if (way === SHARED) {
        this.#share(bytes, from, to);
      } else if (way !== (textFrom(bytes, from, to) < 0 ? JSON_TEXT : TEXT)) return false;
    }
    return true;
  }

  /** The shape of the attributes, undefined when they are to have no set; the rest as {@linkcode #follow}. */
  #shapeOf(split: ServiceSplit, cursor: Cursor, ranges: Ranges): AttributeShape | undefined {
    const { count } = ranges;
    if (count > MAX_ATTRIBUTES) return undefined;
    const { bytes } = cursor;
    const scratch = this.#scratch;
    scratch.at = 0;
    scratch.int4(split.number);
    for (let n = 0; n < count; n++) {
      this.#read(n, cursor, ranges.offsets[n * 2]!, ranges.offsets[n * 2 + 1]!);
      const from = this.#keyFrom[n]!;
      const to = this.#keyTo[n]!;
      if (scratch.at + to - from > MAX_KEY_BYTES) return undefined;
      scratch.reserve(to - from + 8);
      scratch.int4(to - from);
      scratch.append(bytes, from, to);
      scratch.bytes[scratch.at++] = this.#ownWay(bytes, n);
    }
    let shape = this.#shapes.get(scratch.view, 0, scratch.at);
    if (shape === undefined) {
      shape = this.#newShape(split, cursor, count);
      if (shape === undefined) return undefined;
      this.#shapes.add(scratch.view, 0, scratch.at, shape);
    }
    shape.renew();
    const key = this.#key;
    key.at = 0;
    key.int4(shape.id);
    for (let n = 0; n < count; n++) {
      if (shape.ways[n] !== SHARED) continue;
      this.#share(bytes, this.#valueFrom[n]!, this.#valueTo[n]!);
    }
    return shape;
  }

  /** Adds a shared value to the key of the set. */
  #share(bytes: Uint8Array, from: number, to: number): void {
    const key = this.#key;
    key.reserve(to - from + 4);
    key.view.setInt32(key.at, to - from);
    key.at += 4;
    key.append(bytes, from, to);
  }

  /** How the n-th value travels when it is not shared. */
  #ownWay(bytes: Uint8Array, n: number): number {
    return textFrom(bytes, this.#valueFrom[n]!, this.#valueTo[n]!) < 0 ? JSON_TEXT : TEXT;
  }

  /** Finds key and value of the n-th attribute; a value that is absent is as good as an empty one. */
  #read(n: number, cursor: Cursor, from: number, to: number): void {
    let keyFrom = 0, keyTo = 0, valueFrom = -1, valueTo = 0;
    cursor.at = from;
    while (cursor.at < to) {
      const tag = cursor.next(to);
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
    this.#keyFrom[n] = keyFrom;
    this.#keyTo[n] = keyTo;
    this.#valueFrom[n] = valueFrom < 0 ? to : valueFrom;
    this.#valueTo[n] = valueFrom < 0 ? to : valueTo;
  }

  /** A shape of the attributes at hand, undefined when a key stands there twice. */
  #newShape(split: ServiceSplit, { bytes }: Cursor, count: number): AttributeShape | undefined {
    const names: string[] = [];
    const raw = new JsonBuffer(1024);
    const ends = new Int32Array(count);
    const ownWays = new Uint8Array(count);
    for (let n = 0; n < count; n++) {
      const from = this.#keyFrom[n]!;
      const to = this.#keyTo[n]!;
      raw.reserve(to - from);
      raw.append(bytes, from, to);
      ends[n] = raw.at;
      names.push(decoder.decode(cleanText(bytes, from, to) ?? bytes.subarray(from, to)));
      ownWays[n] = this.#ownWay(bytes, n);
    }
    if (new Set(names).size < count) return undefined;
    const keys = names.map((name) => split.key(name));
    return new AttributeShape(split, keys, raw.bytes.subarray(0, raw.at), ends, ownWays);
  }

  /** Whether a new set of that shape may be made with the values at hand. */
  #admits({ split, keys, ways }: AttributeShape, { view }: Cursor): boolean {
    const shared: AttributeKey[] = [];
    const { version } = split;
    for (const [n, key] of keys.entries()) {
      if (ways[n] !== SHARED) continue;
      const from = this.#valueFrom[n]!;
      const to = this.#valueTo[n]!;
      if (!key.accepts(hashBytes(view, from, to), to - from)) split.version++;
      shared.push(key);
    }
    return split.version === version && split.allows(shared);
  }

  #newSet(shape: AttributeShape, cursor: Cursor): AttributeSet {
    const { bytes } = cursor;
    const { keys, ways } = shape;
    const json = this.#scratch;
    json.at = json.replaced = 0;
    json.inexact = false;
    json.char(0x7b);
    const ownNames: string[] = [];
    let types = "";
    let replaced = 0;
    for (let n = 0; n < ways.length; n++) {
      const from = this.#keyFrom[n]!;
      const to = this.#keyTo[n]!;
      if (ways[n] !== SHARED) {
        ownNames.push(keys[n]!.name);
        types += ways[n] === TEXT ? "s" : "j";
        if (cleanText(bytes, from, to) !== undefined) replaced++;
        continue;
      }
      if (json.at > 1) json.char(0x2c);
      json.string(cursor, from, to);
      json.char(0x3a);
      cursor.at = this.#valueFrom[n]!;
      json.anyValue(cursor, this.#valueTo[n]!, 1);
      json.reserve(0);
    }
    json.char(0x7d);
    replaced += json.replaced;
    const attributes = decoder.decode(json.bytes.subarray(0, json.at));
    const isInexact = json.inexact;
    const { lo, hi, text: id } = contentId("attribute set", this.#content(shape, cursor));
    const row: DimensionRow = {
      table: "attribute_sets",
      values: {
        id,
        attributes,
        own_keys: arrayText(ownNames),
        own_types: types.includes("j") ? types : null,
      },
      replaced,
      gathering: undefined,
    };
    const set = { lo, hi, row, isInexact };
    this.#sets.add(this.#key.view, 0, this.#key.at, set);
    return set;
  }

  /** What a set is the hash of: all of its keys, with the values of the shared ones in their OTLP form. */
  #content({ ways }: AttributeShape, { bytes }: Cursor): Uint8Array {
    const content = this.#scratch;
    content.at = 0;
    for (let n = 0; n < ways.length; n++) {
      content.bytes[content.at++] = ways[n]!;
      this.#part(content, bytes, this.#keyFrom[n]!, this.#keyTo[n]!);
      if (ways[n] === SHARED) {
        this.#part(content, bytes, this.#valueFrom[n]!, this.#valueTo[n]!);
      }
    }
    return content.bytes.subarray(0, content.at);
  }

  #part(content: JsonBuffer, bytes: Uint8Array, from: number, to: number): void {
    content.reserve(to - from + 16);
    content.int4(to - from);
    content.append(bytes, from, to);
  }

  /** The values that are the record's own, as an array of texts. */
  #values(json: JsonBuffer, shape: AttributeShape, cursor: Cursor): void {
    const { ways } = shape;
    const { bytes } = cursor;
    const field = json.openTexts(shape.own);
    for (let n = 0; n < ways.length; n++) {
      const way = ways[n]!;
      if (way === SHARED) continue;
      const from = this.#valueFrom[n]!;
      const to = this.#valueTo[n]!;
      if (way === TEXT) json.element(bytes, textFrom(bytes, from, to), to);
      else {
        json.reserve(0);
        const element = json.open();
        cursor.at = from;
        json.anyValue(cursor, to, 1);
        json.close(element);
      }
    }
    json.close(field);
  }

  #learn({ split, keys }: AttributeShape, { view }: Cursor): void {
    for (let n = 0; n < keys.length; n++) {
      const key = keys[n]!;
      if (!key.isLearning) continue;
      const from = this.#valueFrom[n]!;
      const to = this.#valueTo[n]!;
      if (key.learn(hashBytes(view, from, to), to - from)) split.version++;
    }
  }
}

/** Where the text begins in an AnyValue `bytes[from, to)` that is nothing but a text; -1 in others. */
function textFrom(bytes: Uint8Array, from: number, to: number): number {
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
