/**
 * What many records share: services, resources, scopes, span names, metrics and series.
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

import { createHash } from "node:crypto";
import { ByteMap } from "./byte_map.ts";
import { Cursor, knownFields } from "./cursor.ts";
import type { Database } from "./database.ts";
import { type DimensionRow, DimensionRows } from "./dimension_rows.ts";
import { JsonBuffer } from "./json_text.ts";
import { Ranges } from "./ranges.ts";

/** The id of a dimension row, in halves. */
export interface Dimension {
  readonly lo: number;
  readonly hi: number;
  /** An attribute nests too deeply, so that no record may name this and it has no row. */
  readonly tooDeep: boolean;
}

/** A resource and the service it belongs to, if it names one. */
export interface ResourceDimension extends Dimension {
  readonly service: ServiceDimension | undefined;
}

interface ServiceDimension extends Dimension {
  readonly row: DimensionRow;
  writtenMinute: number;
}

const CACHE_ENTRIES = 1 << 16;
const CACHE_BYTES = 16 << 20;

/** The tags of the two messages' fields, each with its right wire type; attributes are one of them. */
const RESOURCE = { attributes: 0x0a, tags: [0x0a, 0x10, 0x1a], fields: knownFields(1, 2, 3) };
const SCOPE = { attributes: 0x1a, tags: [0x0a, 0x12, 0x1a, 0x20], fields: knownFields(1, 2, 3, 4) };
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Resolves dimensions to ids and remembers which rows are still to be written. */
export class Dimensions {
  readonly #resources = new ByteMap<ResourceDimension>(CACHE_ENTRIES, CACHE_BYTES);
  readonly #scopes = new ByteMap<Dimension>(CACHE_ENTRIES, CACHE_BYTES);
  readonly #names = new ByteMap<Dimension>(CACHE_ENTRIES, CACHE_BYTES);
  readonly #metrics = new ByteMap<Dimension>(CACHE_ENTRIES, CACHE_BYTES);
  readonly #series = new ByteMap<Dimension>(CACHE_ENTRIES, CACHE_BYTES);
  #services = new Map<string, ServiceDimension>();
  readonly #rows = new DimensionRows();

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
      this.#metrics.forgotten + this.#series.forgotten;
  }

  /** To be called before the lookups of a request. */
  begin(): void {
    const nowMs = this.#clock();
    if (Math.floor(nowMs / DAY_MS) !== Math.floor(this.#nowMs / DAY_MS)) this.#forget();
    this.#nowMs = nowMs;
  }

  #forget(): void {
    for (const cache of [this.#resources, this.#scopes, this.#names, this.#metrics, this.#series]) {
      cache.clear();
    }
    this.#services.clear();
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
      found = this.#newResource(source.slice(from, to), textOf(source, urlFrom, urlTo));
      this.#resources.add(key.view, 0, key.at, found);
    }
    const { service } = found;
    if (service !== undefined && service.writtenMinute !== Math.floor(this.#nowMs / MINUTE_MS)) {
      this.#writeService(service);
    }
    return found;
  }

  #newResource(message: Uint8Array, schemaUrl: string): ResourceDimension {
    const attributes = this.#attributesJson(message, RESOURCE);
    const { lo, hi, text: id } = contentId("resource", this.#key.bytes.subarray(0, this.#key.at));
    if (attributes === undefined) return { lo, hi, tooDeep: true, service: undefined };
    const values = JSON.parse(attributes) as Record<string, unknown>;
    const service = this.#service(values["service.name"], values["service.namespace"]);
    this.#rows.add("resources", {
      id,
      service_id: service?.row.id ?? null,
      attributes,
      schema_url: schemaUrl || null,
      otlp: hexOf(message),
    });
    return { lo, hi, tooDeep: false, service };
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
      const row = { id, name: nameText, namespace: namespaceText };
      service = { lo, hi, tooDeep: false, row, writtenMinute: -1 };
      // As many as there are resources in their cache; cleared with it.
      if (this.#services.size >= CACHE_ENTRIES) this.#services.clear();
      this.#services.set(id, service);
    }
    return service;
  }

  #writeService(service: ServiceDimension): void {
    service.writtenMinute = Math.floor(this.#nowMs / MINUTE_MS);
    const seen = new Date(this.#nowMs).toISOString();
    this.#rows.add("services", {
      ...service.row,
      first_seen: seen,
      last_seen: seen,
    });
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
      found = this.#newScope(source.slice(from, to), textOf(source, urlFrom, urlTo));
      this.#scopes.add(key.view, 0, key.at, found);
    }
    return found;
  }

  #newScope(message: Uint8Array, schemaUrl: string): Dimension {
    const attributes = this.#attributesJson(message, SCOPE);
    const { lo, hi, text: id } = contentId("scope", this.#key.bytes.subarray(0, this.#key.at));
    if (attributes === undefined) return { lo, hi, tooDeep: true };
    const cursor = this.#cursor;
    cursor.reset(message);
    let name = "";
    let version = "";
    while (cursor.at < message.length) {
      const tag = cursor.next(message.length);
      if (tag === 0x0a || tag === 0x12) {
        const text = textOf(message, cursor.from, cursor.to);
        if (tag === 0x0a) name = text;
        else version = text;
      }
    }
    this.#rows.add("scopes", {
      id,
      name: name || null,
      version: version || null,
      attributes,
      schema_url: schemaUrl || null,
      otlp: hexOf(message),
    });
    return { lo, hi, tooDeep: false };
  }

  /** The span name that lies in the bytes of `cursor`. */
  name(cursor: Cursor, from: number, to: number): Dimension {
    let found = this.#names.get(cursor.view, from, to);
    if (found === undefined) {
      const { lo, hi, text: id } = contentId("name", cursor.bytes.subarray(from, to));
      this.#rows.add("names", { id, name: textOf(cursor.bytes, from, to) });
      found = { lo, hi, tooDeep: false };
      this.#names.add(cursor.view, from, to, found);
    }
    return found;
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
      const bytes = message.bytes.subarray(0, message.at);
      const { lo, hi, text: id } = contentId("metric", bytes);
      const description = describe();
      if (description !== undefined) {
        this.#rows.add("metrics", {
          id,
          name: description.name,
          type: description.type,
          unit: description.unit || null,
          description: description.description || null,
          temporality: description.temporality,
          is_monotonic: description.isMonotonic,
          otlp: hexOf(bytes),
        });
      }
      found = { lo, hi, tooDeep: description === undefined };
      this.#metrics.add(message.view, 0, message.at, found);
    }
    return found;
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
      const { lo, hi, text: id } = contentId("series", key.bytes.subarray(0, key.at));
      const json = this.#json;
      json.at = 0;
      json.tooDeep = false;
      json.attributes(cursor, attributes.offsets, attributes.count);
      if (!json.tooDeep) {
        this.#rows.add("series", {
          id,
          metric_id: idText(metric),
          resource_id: idText(resource),
          scope_id: idText(scope),
          service_id: resource.service?.row.id ?? null,
          attributes: attributes.count === 0
            ? null
            : decoder.decode(json.bytes.subarray(0, json.at)),
          otlp: hexOf(key.bytes.subarray(start, key.at)),
        });
      }
      found = { lo, hi, tooDeep: json.tooDeep };
      this.#series.add(key.view, 0, key.at, found);
    }
    return found;
  }

  /**
   * Commits the rows that wait. To be awaited before the records that name them are written; when it
   * fails they go on waiting.
   */
  async flush(database: Database, signal?: AbortSignal): Promise<void> {
    await this.#rows.flush(database, new Date(this.#nowMs), signal);
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

/** UTF-8 as Postgres can hold it: NUL and invalid sequences become U+FFFD. */
export function textOf(source: Uint8Array, from: number, to: number): string {
  return decoder.decode(source.subarray(from, to)).replaceAll("\0", "\ufffd");
}

function contentId(kind: string, content: Uint8Array): { lo: number; hi: number; text: string } {
  const digest = createHash("sha256").update(`${kind}\0`).update(content).digest();
  const hi = digest.readInt32BE(0);
  const lo = digest.readInt32BE(4);
  return { lo, hi, text: digest.readBigInt64BE(0).toString() };
}

function idText({ lo, hi }: Dimension): string {
  return BigInt.asIntN(64, (BigInt(hi) << 32n) | BigInt(lo >>> 0)).toString();
}

function hexOf(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += (byte < 16 ? "0" : "") + byte.toString(16);
  return text;
}
