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

import { AttributePlaces, MAX_ATTRIBUTES, ownWay, textFrom } from "./attribute_places.ts";
import { AttributeShape, ShapeNumbers, SHARED, TEXT } from "./attribute_shape.ts";
import { type AttributeKey, AttributeSplit, type ServiceSplit } from "./attribute_split.ts";
import { ByteMap, hashBytes } from "./byte_map.ts";
import type { Cursor } from "./cursor.ts";
import { contentId, type DimensionRow, DimensionRows } from "./dimension_rows.ts";
import { attributeTerms, type Granules } from "./granules.ts";
import { JsonBuffer } from "./json_text.ts";
import type { Ranges } from "./ranges.ts";
import { cleanText } from "./row_buffer.ts";
import { keyTerm } from "./terms.ts";
import { arrayText } from "./values.ts";

/** What stands for the place in a program that a record comes from. */
export interface ShapeHint {
  /** Which shape was seen there last, as {@linkcode AttributeSets} has numbered it; at first any. */
  shape: number;
}

/** A set, as records name it. */
interface AttributeSet {
  readonly lo: number;
  readonly hi: number;
  readonly row: DimensionRow;
  /** Whether JSON could not say one of its values exactly. */
  readonly isInexact: boolean;
  /** Its keys and shared values. */
  readonly terms: Int32Array;
  /** Where those were told last: a part of a granule needs them once. */
  part: object | undefined;
}

/** Records with more bytes of keys have no set. */
const MAX_KEY_BYTES = 8_192;

const SHAPES = 8_192;
const SHAPE_BYTES = 4 << 20;
const SETS = 32_768;
const SET_BYTES = 8 << 20;

const OPEN = 0x7b, CLOSE = 0x7d, COMMA = 0x2c, COLON = 0x3a;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Finds the sets of the records of one signal, and writes the fields that name them. */
export class AttributeSets {
  /** Where rows of new sets go. */
  rows: DimensionRows = new DimensionRows();
  readonly #split = new AttributeSplit();
  readonly #numbers = new ShapeNumbers();
  #shapes: AttributeShape[] = [];
  /** Which of the shapes it is, by service, keys and types. */
  readonly #shapeOf = new ByteMap<number>(SHAPES, SHAPE_BYTES);
  /** By the number of the shape and the shared values. */
  readonly #sets = new ByteMap<AttributeSet>(SETS, SET_BYTES);
  readonly #places = new AttributePlaces();
  /** What the set of the record at hand is found by. */
  readonly #key = new JsonBuffer();
  readonly #scratch = new JsonBuffer();

  /** How often a cache was full and forgot everything. */
  get forgotten(): number {
    return this.#shapeOf.forgotten + this.#sets.forgotten;
  }

  /** Forgets what the database has, and what was learned. */
  forget(): void {
    this.#shapeOf.clear();
    this.#shapes = [];
    this.#sets.clear();
    this.#split.forget();
  }

  /**
   * Writes the fields `attribute_set_id`, `attribute_values` and `attributes` of a row.
   *
   * @param ranges The KeyValue messages in the bytes of `cursor`.
   * @param service What stands for the service.
   * @param granules Where the row's terms go.
   */
  write(
    json: JsonBuffer,
    cursor: Cursor,
    ranges: Ranges,
    service: object | undefined,
    hint: ShapeHint,
    granules: Granules,
  ): void {
    json.reserve(64);
    if (ranges.count === 0) {
      json.null();
      json.null();
      return json.null();
    }
    const split = this.#split.of(service);
    split.records++;
    let shape: AttributeShape | undefined = this.#shapes[hint.shape];
    if (shape?.split !== split || !this.#follow(shape, cursor, ranges)) {
      shape = this.#find(split, cursor, ranges, hint);
    }
    let set = shape && this.#known(shape, cursor);
    if (shape !== undefined && set === undefined) {
      // A shape that was only followed may have other types where values are shared so far.
      shape = this.#find(split, cursor, ranges, hint)!;
      set = this.#newSet(shape, cursor);
    }
    if (shape === undefined || set === undefined) {
      json.null();
      json.null();
      const field = json.openJson();
      json.attributes(cursor, ranges.offsets, ranges.count);
      json.close(field);
      const text = decoder.decode(json.bytes.subarray(field + 1, json.at));
      granules.addAll(attributeTerms(text));
      return json.reserve(64);
    }
    if (set.row.values !== undefined) this.rows.add(set.row);
    if (set.isInexact) json.inexact = true;
    if (set.part !== granules.part) {
      set.part = granules.part;
      granules.addAll(set.terms);
    }
    json.int8(set.lo, set.hi);
    if (shape.own === 0) json.null();
    else this.#values(json, shape, cursor, granules);
    json.reserve(64);
    json.null();
    if (shape.isLearning) this.#learn(shape, cursor);
  }

  #follow(shape: AttributeShape, cursor: Cursor, ranges: Ranges): boolean {
    shape.renew();
    return this.#places.follow(shape, cursor, ranges);
  }

  /** The shape of the attributes, undefined when they are to have no set. Finds the places of keys, too. */
  #find(
    split: ServiceSplit,
    cursor: Cursor,
    ranges: Ranges,
    hint: ShapeHint,
  ): AttributeShape | undefined {
    if (ranges.count > MAX_ATTRIBUTES) return undefined;
    const { bytes } = cursor;
    const places = this.#places;
    places.read(cursor, ranges);
    const key = this.#scratch;
    key.at = 0;
    key.int4(split.number);
    for (let n = 0; n < places.count; n++) {
      const from = places.keyFrom[n]!;
      const to = places.keyTo[n]!;
      if (key.at + to - from > MAX_KEY_BYTES) return undefined;
      put(key, cursor.view, from, to);
      key.char(ownWay(bytes, places.valueFrom[n]!, places.valueTo[n]!));
    }
    let index = this.#shapeOf.get(key.view, 0, key.at);
    if (index === undefined) {
      const shape = this.#newShape(split, bytes);
      if (shape === undefined) return undefined;
      const { forgotten } = this.#shapeOf;
      this.#shapeOf.add(key.view, 0, key.at, this.#shapes.length);
      if (this.#shapeOf.forgotten !== forgotten) {
        this.#shapeOf.clear();
        this.#shapes = [];
        this.#shapeOf.add(key.view, 0, key.at, 0);
      }
      index = this.#shapes.push(shape) - 1;
    }
    hint.shape = index;
    const shape = this.#shapes[index]!;
    shape.renew();
    return shape;
  }

  /** A shape of the attributes at hand, undefined when a key stands there twice. */
  #newShape(split: ServiceSplit, bytes: Uint8Array): AttributeShape | undefined {
    const { count, keyFrom, keyTo, valueFrom, valueTo } = this.#places;
    const raw = Array.from({ length: count }, (_, n) => bytes.subarray(keyFrom[n], keyTo[n]));
    const names = raw.map((key) => decoder.decode(cleanText(key, 0, key.length) ?? key));
    if (new Set(names).size < count) return undefined;
    const keys = names.map((name) => split.key(name));
    const ways = Uint8Array.from(raw, (_, n) => ownWay(bytes, valueFrom[n]!, valueTo[n]!));
    return new AttributeShape(split, keys, raw, ways, this.#numbers);
  }

  /** The set of the attributes at hand, if it was named before. */
  #known({ number, ways }: AttributeShape, { view }: Cursor): AttributeSet | undefined {
    const { valueFrom, valueTo } = this.#places;
    const key = this.#key;
    key.at = 0;
    key.int4(number);
    for (let n = 0; n < ways.length; n++) {
      if (ways[n] === SHARED) put(key, view, valueFrom[n]!, valueTo[n]!);
    }
    return this.#sets.get(key.view, 0, key.at);
  }

  /** A set for the attributes at hand, undefined when none may be made. */
  #newSet(shape: AttributeShape, cursor: Cursor): AttributeSet | undefined {
    const { split } = shape;
    for (;;) {
      const known = this.#known(shape, cursor);
      if (known !== undefined) return known;
      const { version } = split;
      if (this.#isAllowed(shape, cursor)) break;
      if (split.version === version) return undefined;
      shape.renew();
    }
    const set = this.#make(shape, cursor);
    this.#sets.add(this.#key.view, 0, this.#key.at, set);
    return set;
  }

  #isAllowed({ split, keys, ways }: AttributeShape, { view }: Cursor): boolean {
    const { valueFrom, valueTo } = this.#places;
    const { version } = split;
    const shared: AttributeKey[] = [];
    for (const [n, key] of keys.entries()) {
      if (ways[n] !== SHARED) continue;
      const from = valueFrom[n]!;
      const to = valueTo[n]!;
      if (!key.accepts(hashBytes(view, from, to), to - from)) split.version++;
      shared.push(key);
    }
    return split.version === version && split.allows(shared);
  }

  #make({ keys, ways }: AttributeShape, cursor: Cursor): AttributeSet {
    const { keyFrom, keyTo, valueFrom, valueTo } = this.#places;
    const content = new JsonBuffer(1024);
    const json = this.#scratch;
    json.at = json.replaced = 0;
    json.inexact = false;
    json.char(OPEN);
    const ownKeys: string[] = [];
    const jsonMembers: string[] = [];
    let types = "";
    for (let n = 0; n < ways.length; n++) {
      const from = keyFrom[n]!;
      const to = keyTo[n]!;
      content.char(ways[n]!);
      put(content, cursor.view, from, to);
      if (ways[n] !== SHARED) {
        ownKeys.push(keys[n]!.name);
        types += ways[n] === TEXT ? "s" : "j";
        if (ways[n] !== TEXT) jsonMembers.push(member(keys[n]!.name, ownKeys.length));
        if (cleanText(cursor.bytes, from, to) !== undefined) json.replaced++;
        continue;
      }
      put(content, cursor.view, valueFrom[n]!, valueTo[n]!);
      if (json.at > 1) json.char(COMMA);
      json.string(cursor, from, to);
      json.char(COLON);
      cursor.at = valueFrom[n]!;
      json.anyValue(cursor, valueTo[n]!, 1);
      json.reserve(0);
    }
    json.char(CLOSE);
    const { lo, hi, text: id } = contentId(
      "attribute set",
      content.bytes.subarray(0, content.at),
    );
    const attributes = decoder.decode(json.bytes.subarray(0, json.at));
    const row: DimensionRow = {
      table: "attribute_sets",
      values: {
        id,
        attributes,
        own_keys: arrayText(ownKeys),
        own_types: jsonMembers.length > 0 ? types : null,
        own_json: jsonMembers.length > 0 ? `{${jsonMembers.join()}}` : null,
      },
      replaced: json.replaced,
      gathering: undefined,
    };
    const terms = Int32Array.of(...attributeTerms(attributes), ...ownKeys.map(keyTerm));
    return { lo, hi, row, isInexact: json.inexact, terms, part: undefined };
  }

  /** The values that are the record's own, as an array of texts. */
  #values(
    json: JsonBuffer,
    { own, ways, keys }: AttributeShape,
    cursor: Cursor,
    granules: Granules,
  ): void {
    const { valueFrom, valueTo } = this.#places;
    const { bytes, view } = cursor;
    const field = json.openTexts(own);
    for (let n = 0; n < ways.length; n++) {
      const way = ways[n]!;
      if (way === SHARED) continue;
      const from = valueFrom[n]!;
      const to = valueTo[n]!;
      const start = json.at + 4;
      if (way === TEXT) {
        json.element(view, textFrom(bytes, from, to), to);
        granules.addText(json.view, start, json.at, keys[n]!.term);
      } else {
        json.reserve(0);
        const element = json.open();
        cursor.at = from;
        json.anyValue(cursor, to, 1);
        json.close(element);
        granules.addJson(json.bytes, json.view, start, json.at, keys[n]!.term);
      }
    }
    json.close(field);
  }

  #learn({ split, keys }: AttributeShape, { view }: Cursor): void {
    const { valueFrom, valueTo } = this.#places;
    for (let n = 0; n < keys.length; n++) {
      const key = keys[n]!;
      if (!key.isLearning) continue;
      const from = valueFrom[n]!;
      const to = valueTo[n]!;
      if (key.learn(hashBytes(view, from, to), to - from)) split.version++;
    }
  }
}

/** A member of a JSON object whose value is the n-th argument of the `format` of Postgres. */
function member(name: string, n: number): string {
  return `${JSON.stringify(name).replaceAll("%", "%%")}:%${n}$s`;
}

/** Bytes with their length before them. */
function put(to: JsonBuffer, source: DataView, start: number, end: number): void {
  to.reserve(end - start + 4);
  const { view } = to;
  let at = to.at;
  view.setInt32(at, end - start);
  at += 4;
  let i = start;
  for (; i <= end - 4; i += 4, at += 4) view.setInt32(at, source.getInt32(i, true), true);
  for (; i < end; i++) view.setUint8(at++, source.getUint8(i));
  to.at = at;
}
