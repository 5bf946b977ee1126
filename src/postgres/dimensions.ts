/**
 * What many records share: services, resources, scopes, span names, metrics, series and (in
 * `attribute_sets.ts`) attributes.
 *
 * A dimension's id is the first 8 bytes of the SHA-256 of its content, so every writer computes the
 * same one and ingest never asks the database. The rows are committed before the records that name
 * them, in a transaction of their own and sorted by id: two writers that insert the same ids in
 * opposite order would deadlock, and rows that nothing names yet are harmless.
 *
 * Each row says when it was last used, so that unused ones can expire: the caches are forgotten
 * every day, and a service in use is written again every minute.
 *
 * @module
 */

import { message as messageOf } from "../otlp_fields.ts";
import { fromProtobuf } from "../otlp_protobuf.ts";
import { ByteMap } from "./byte_map.ts";
import { AttributeSets } from "./attribute_sets.ts";
import { Cursor, knownFields } from "./cursor.ts";
import {
  contentId,
  type DimensionRow,
  DimensionRows,
  type DimensionTable,
  type DimensionValues,
} from "./dimension_rows.ts";
import { JsonBuffer } from "./json_text.ts";
import { Ranges } from "./ranges.ts";
import { cleanText } from "./row_buffer.ts";

/** The id of a dimension row, in halves. */
export interface Dimension {
  readonly lo: number;
  readonly hi: number;
  /** An attribute nests too deeply, so that no record may name this and it has no row. */
  readonly tooDeep: boolean;
  /** What has to be committed before a record names this. */
  readonly row: DimensionRow | undefined;
  /** Which shape the attributes of a record had that named it last; 0 before. */
  shape: number;
}

/** A resource and the service it belongs to, if it names one. */
export interface ResourceDimension extends Dimension {
  readonly service: ServiceDimension | undefined;
}

interface ServiceName {
  readonly id: string;
  readonly name: string;
  readonly namespace: string | null;
}

interface ServiceDimension extends Dimension {
  readonly row: DimensionRow;
  readonly name: ServiceName;
  writtenMinute: number;
}

const CACHE_ENTRIES = 1 << 16;
const CACHE_BYTES = 16 << 20;

/** The tags of the two messages' fields, each with its right wire type; attributes are one of them. */
const RESOURCE = { attributes: 0x0a, entity: 0x1a, tags: [0x10], fields: knownFields(1, 2, 3) };
const SCOPE = {
  attributes: 0x1a,
  entity: -1,
  tags: [0x0a, 0x12, 0x20],
  fields: knownFields(1, 2, 3, 4),
};
const ENTITY = messageOf("EntityRef");
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Resolves dimensions to ids, and gives each batch those rows that are still to be written. */
export class Dimensions {
  readonly #resources = new ByteMap<ResourceDimension>(CACHE_ENTRIES, CACHE_BYTES);
  readonly #scopes = new ByteMap<Dimension>(CACHE_ENTRIES, CACHE_BYTES);
  readonly #names = new ByteMap<Dimension>(CACHE_ENTRIES, CACHE_BYTES);
  readonly #metrics = new ByteMap<Dimension>(CACHE_ENTRIES, CACHE_BYTES);
  readonly #series = new ByteMap<Dimension>(CACHE_ENTRIES, CACHE_BYTES);
  #services = new Map<string, ServiceDimension>();
  /** What spans have in common in their attributes, and what log records have. */
  readonly attributeSets = { spans: new AttributeSets(), logs: new AttributeSets() };
  /** Those of the batch at hand. */
  #rows = new DimensionRows();

  readonly #key = new JsonBuffer();
  readonly #json = new JsonBuffer();
  readonly #cursor = new Cursor();
  readonly #ranges = new Ranges();
  readonly #clock: () => number;
  #nowMs = 0;

  /** @param clock Milliseconds since 1970. */
  constructor(clock: () => number = Date.now) {
    this.#clock = clock;
  }

  /** How often a cache was full and forgot everything. */
  get forgotten(): number {
    return this.#resources.forgotten + this.#scopes.forgotten + this.#names.forgotten +
      this.#metrics.forgotten + this.#series.forgotten + this.attributeSets.spans.forgotten +
      this.attributeSets.logs.forgotten;
  }

  /** To be called before the lookups of a request, with where the rows are to go. */
  begin(rows: DimensionRows): void {
    const nowMs = this.#clock();
    if (Math.floor(nowMs / DAY_MS) !== Math.floor(this.#nowMs / DAY_MS)) this.forget();
    this.#nowMs = nowMs;
    this.#rows = this.attributeSets.spans.rows = this.attributeSets.logs.rows = rows;
  }

  /** Forgets what the database has, so that all of it is written again. */
  forget(): void {
    for (const cache of [this.#resources, this.#scopes, this.#names, this.#metrics, this.#series]) {
      cache.clear();
    }
    this.#services.clear();
    this.attributeSets.spans.forget();
    this.attributeSets.logs.forget();
  }

  /** The Resource message `source[from, to)` under a schema url. */
  resource(
    source: Uint8Array,
    from: number,
    to: number,
    urlFrom: number,
    urlTo: number,
  ): ResourceDimension {
    const key = this.#keyOf(source, from, to, urlFrom, urlTo);
    let found = this.#resources.get(key.view, 0, key.at);
    if (found === undefined) {
      this.#json.replaced = 0;
      found = this.#newResource(source.slice(from, to), this.text(source, urlFrom, urlTo));
      this.#resources.add(key.view, 0, key.at, found);
    }
    if (found.service !== undefined) this.#renew(found.service);
    return this.#named(found);
  }

  #newResource(message: Uint8Array, schemaUrl: string): ResourceDimension {
    const attributes = this.#attributesJson(message, RESOURCE);
    const { lo, hi, text: id } = contentId("resource", this.#key.bytes.subarray(0, this.#key.at));
    if (attributes === undefined) {
      return { lo, hi, tooDeep: true, row: undefined, shape: 0, service: undefined };
    }
    const values = JSON.parse(attributes) as Record<string, unknown>;
    const service = this.#service(values["service.name"], values["service.namespace"]);
    const row = this.#waiting("resources", {
      id,
      service_id: service?.name.id ?? null,
      attributes,
      schema_url: schemaUrl || null,
      otlp: message.toHex(),
    });
    return { lo, hi, tooDeep: false, row, shape: 0, service };
  }

  #service(name: unknown, namespace: unknown): ServiceDimension | undefined {
    if (name === undefined || name === null) return undefined;
    const nameText = typeof name === "string" ? name : JSON.stringify(name);
    const namespaceText = namespace === undefined || namespace === null
      ? null
      : typeof namespace === "string"
      ? namespace
      : JSON.stringify(namespace);
    const { lo, hi, text: id } = contentId(
      "service",
      new TextEncoder().encode(JSON.stringify([nameText, namespaceText])),
    );
    let service = this.#services.get(id);
    if (service === undefined) {
      service = {
        lo,
        hi,
        tooDeep: false,
        row: { table: "services", values: undefined, gathering: undefined, replaced: 0 },
        shape: 0,
        name: { id, name: nameText, namespace: namespaceText },
        writtenMinute: -1,
      };
      // As many as there are resources in their cache; cleared with it.
      if (this.#services.size >= CACHE_ENTRIES) this.#services.clear();
      this.#services.set(id, service);
    }
    return service;
  }

  /** Says once a minute that the service is in use. */
  #renew(service: ServiceDimension): void {
    const minute = Math.floor(this.#nowMs / MINUTE_MS);
    if (service.writtenMinute !== minute) {
      service.writtenMinute = minute;
      const seen = new Date(this.#nowMs).toISOString();
      service.row.values = { ...service.name, first_seen: seen, last_seen: seen };
    }
    this.#rows.add(service.row);
  }

  /** Has the batch at hand carry the row until it is committed. */
  #named<D extends Dimension>(found: D): D {
    if (found.row !== undefined) this.#rows.add(found.row);
    return found;
  }

  /** The InstrumentationScope message `source[from, to)` under a schema url. */
  scope(
    source: Uint8Array,
    from: number,
    to: number,
    urlFrom: number,
    urlTo: number,
  ): Dimension {
    const key = this.#keyOf(source, from, to, urlFrom, urlTo);
    let found = this.#scopes.get(key.view, 0, key.at);
    if (found === undefined) {
      this.#json.replaced = 0;
      found = this.#newScope(source.slice(from, to), this.text(source, urlFrom, urlTo));
      this.#scopes.add(key.view, 0, key.at, found);
    }
    return this.#named(found);
  }

  #newScope(message: Uint8Array, schemaUrl: string): Dimension {
    const attributes = this.#attributesJson(message, SCOPE);
    const { lo, hi, text: id } = contentId("scope", this.#key.bytes.subarray(0, this.#key.at));
    if (attributes === undefined) {
      return { lo, hi, tooDeep: true, row: undefined, shape: 0 };
    }
    const cursor = this.#cursor;
    cursor.reset(message);
    let name = "";
    let version = "";
    while (cursor.at < message.length) {
      const tag = cursor.next(message.length);
      if (tag === 0x0a || tag === 0x12) {
        const text = this.text(message, cursor.from, cursor.to);
        if (tag === 0x0a) name = text;
        else version = text;
      }
    }
    const row = this.#waiting("scopes", {
      id,
      name: name || null,
      version: version || null,
      attributes,
      schema_url: schemaUrl || null,
      otlp: message.toHex(),
    });
    return { lo, hi, tooDeep: false, row, shape: 0 };
  }

  /** The span name that lies in the bytes of `cursor`. */
  name(cursor: Cursor, from: number, to: number): Dimension {
    let found = this.#names.get(cursor.view, from, to);
    if (found === undefined) {
      this.#json.replaced = 0;
      const { lo, hi, text: id } = contentId("name", cursor.bytes.subarray(from, to));
      const row = this.#waiting("names", { id, name: this.text(cursor.bytes, from, to) });
      found = { lo, hi, tooDeep: false, row, shape: 0 };
      this.#names.add(cursor.view, from, to, found);
    }
    return this.#named(found);
  }

  /**
   * A metric, by its Metric message without points.
   *
   * @param message The message.
   * @param describe What its columns hold, called when it is new; `undefined` when its metadata
   * nests too deeply.
   */
  metric(
    message: JsonBuffer,
    describe: () => MetricDescription | undefined,
  ): Dimension {
    let found = this.#metrics.get(message.view, 0, message.at);
    if (found === undefined) {
      this.#json.replaced = 0;
      const bytes = message.bytes.subarray(0, message.at);
      const { lo, hi, text: id } = contentId("metric", bytes);
      const description = describe();
      const row = description && this.#waiting("metrics", {
        id,
        name: description.name,
        type: description.type,
        unit: description.unit || null,
        description: description.description || null,
        temporality: description.temporality,
        is_monotonic: description.isMonotonic,
        otlp: bytes.toHex(),
      });
      found = { lo, hi, tooDeep: description === undefined, row, shape: 0 };
      this.#metrics.add(message.view, 0, message.at, found);
    }
    return this.#named(found);
  }

  /** The series of a metric whose points have the KeyValue messages at `attributes` of `cursor`. */
  series(
    metric: Dimension,
    resource: ResourceDimension,
    scope: Dimension,
    cursor: Cursor,
    attributes: Ranges,
  ): Dimension {
    const key = this.#key;
    key.at = 0;
    key.reserve(64);
    key.int8(metric.lo, metric.hi);
    key.int8(resource.lo, resource.hi);
    key.int8(scope.lo, scope.hi);
    const start = key.at;
    for (let n = 0; n < attributes.count; n++) {
      key.bytesField(
        0x0a,
        cursor.bytes,
        attributes.offsets[n * 2]!,
        attributes.offsets[n * 2 + 1]!,
      );
    }
    let found = this.#series.get(key.view, 0, key.at);
    if (found === undefined) {
      this.#json.replaced = 0;
      const { lo, hi, text: id } = contentId("series", key.bytes.subarray(0, key.at));
      const json = this.#json;
      json.at = 0;
      json.tooDeep = false;
      json.attributes(cursor, attributes.offsets, attributes.count);
      const row = json.tooDeep ? undefined : this.#waiting("series", {
        id,
        metric_id: idText(metric),
        resource_id: idText(resource),
        scope_id: idText(scope),
        service_id: resource.service?.name.id ?? null,
        attributes: attributes.count === 0 ? null : decoder.decode(json.bytes.subarray(0, json.at)),
        otlp: key.bytes.subarray(start, key.at).toHex(),
      });
      found = { lo, hi, tooDeep: json.tooDeep, row, shape: 0 };
      this.#series.add(key.view, 0, key.at, found);
    }
    return this.#named(found);
  }

  /** UTF-8 as Postgres can hold it: NUL and invalid sequences become U+FFFD, which is counted. */
  text(source: Uint8Array, from: number, to: number): string {
    const clean = cleanText(source, from, to);
    if (clean !== undefined) this.#json.replaced++;
    return decoder.decode(clean ?? source.subarray(from, to));
  }

  /** A row that is still to be written, and how many of the texts just read for it were replaced. */
  #waiting(table: DimensionTable, values: DimensionValues): DimensionRow {
    return { table, values, gathering: undefined, replaced: this.#json.replaced };
  }

  #keyOf(
    source: Uint8Array,
    from: number,
    to: number,
    urlFrom: number,
    urlTo: number,
  ): JsonBuffer {
    const key = this.#key;
    key.at = 0;
    key.reserve(urlTo - urlFrom + to - from + 8);
    key.int4(urlTo - urlFrom);
    key.append(source, urlFrom, urlTo);
    key.append(source, from, to);
    return key;
  }

  /** The attributes of a message as JSON text, or `undefined` when one nests too deeply. */
  #attributesJson(message: Uint8Array, shape: typeof RESOURCE): string | undefined {
    const { length } = message;
    const cursor = this.#cursor;
    const ranges = this.#ranges;
    cursor.reset(message);
    ranges.clear();
    while (cursor.at < length) {
      const tag = cursor.next(length);
      if (tag === shape.attributes) {
        ranges.push(cursor.from, cursor.to);
      } else if (tag === shape.entity) {
        // Only kept as it is, but it has to be readable.
        fromProtobuf(ENTITY, message.subarray(cursor.from, cursor.to));
      } else if (!shape.tags.includes(tag)) {
        cursor.unknown(tag, shape.fields);
      }
    }
    const json = this.#json;
    json.at = 0;
    json.tooDeep = false;
    json.attributes(cursor, ranges.offsets, ranges.count);
    return json.tooDeep ? undefined : decoder.decode(json.bytes.subarray(0, json.at));
  }
}

/** The columns of a metric. */
export interface MetricDescription {
  readonly name: string;
  /** The field of the Metric message its points came in: 5, 7, 9, 10 or 11. */
  readonly type: number;
  readonly unit: string;
  readonly description: string;
  readonly temporality: number | null;
  readonly isMonotonic: boolean | null;
}

function idText({ lo, hi }: Dimension): string {
  return BigInt.asIntN(64, (BigInt(hi) << 32n) | BigInt(lo >>> 0)).toString();
}
