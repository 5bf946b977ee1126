/**
 * Span messages to rows of `otel_data.spans`.
 *
 * Source: opentelemetry/proto/trace/v1/trace.proto
 *
 * @module
 */

import type { AttributeSets } from "./attribute_sets.ts";
import type { SignalRows } from "./batch.ts";
import { type Cursor, isId, knownFields } from "./cursor.ts";
import type { Dimensions } from "./dimensions.ts";
import { Duration, Instant } from "./instant.ts";
import type { JsonBuffer } from "./json_text.ts";
import { Ranges } from "./ranges.ts";
import { type RecordTranscoder, reject, type Surroundings } from "./surroundings.ts";
import { SPANS } from "./columns.ts";
import { idTerm, NAME } from "./terms.ts";

const FIELDS = SPANS.columns.length;
const SPAN = knownFields(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
const STATUS = knownFields(2, 3);
const EVENT = knownFields(1, 2, 3, 4);
const LINK = knownFields(1, 2, 3, 4, 5, 6);

/** Writes spans. Its fields hold what has been found of the span at hand. */
export class SpanTranscoder implements RecordTranscoder {
  readonly #cursor: Cursor;
  readonly #dimensions: Dimensions;
  readonly #sets: AttributeSets;
  readonly #attributes = new Ranges();
  readonly #events = new Ranges();
  readonly #links = new Ranges();
  /** Attributes of the event or link at hand. */
  readonly #inner = new Ranges();
  readonly #start = new Instant();
  readonly #time = new Instant();
  readonly #duration = new Duration();
  #hasStatus = false;
  #statusCode = 0;
  #messageFrom = 0;
  #messageTo = 0;

  constructor(cursor: Cursor, dimensions: Dimensions) {
    this.#cursor = cursor;
    this.#dimensions = dimensions;
    this.#sets = dimensions.attributeSets.spans;
  }

  /** @inheritdoc */
  record(end: number, surroundings: Surroundings, rows: SignalRows): void {
    const cursor = this.#cursor;
    const { bytes } = cursor;
    const attributes = this.#attributes;
    const events = this.#events;
    const links = this.#links;
    attributes.clear();
    events.clear();
    links.clear();
    this.#hasStatus = false;
    this.#statusCode = this.#messageFrom = this.#messageTo = 0;
    let traceFrom = 0, traceTo = 0, spanFrom = 0, spanTo = 0, parentFrom = 0, parentTo = 0;
    let stateFrom = 0, stateTo = 0, nameFrom = 0, nameTo = 0;
    let startLo = 0, startHi = 0, endLo = 0, endHi = 0;
    let kind = 0, flags = 0, droppedAttributes = 0, droppedEvents = 0, droppedLinks = 0;

    while (cursor.at < end) {
      // attributes = 9, repeated KeyValue: most of all fields, and most of them short
      let at = cursor.at;
      while (bytes[at] === 0x4a && bytes[at + 1]! < 0x80 && at + 2 + bytes[at + 1]! < end) {
        const from = at + 2;
        at = from + bytes[at + 1]!;
        attributes.push(from, at);
      }
      cursor.at = at;
      const tag = cursor.next(end);
      if (tag === 0x4a) {
        attributes.push(cursor.from, cursor.to);
        continue;
      }
      switch (tag) {
        case 0x0a: // trace_id = 1, bytes
          traceFrom = cursor.from;
          traceTo = cursor.to;
          break;
        case 0x12: // span_id = 2, bytes
          spanFrom = cursor.from;
          spanTo = cursor.to;
          break;
        case 0x1a: // trace_state = 3, string
          stateFrom = cursor.from;
          stateTo = cursor.to;
          break;
        case 0x22: // parent_span_id = 4, bytes
          parentFrom = cursor.from;
          parentTo = cursor.to;
          break;
        case 0x2a: // name = 5, string
          nameFrom = cursor.from;
          nameTo = cursor.to;
          break;
        case 0x30: // kind = 6, enum
          kind = cursor.lo | 0;
          break;
        case 0x39: // start_time_unix_nano = 7, fixed64
          startLo = cursor.lo;
          startHi = cursor.hi;
          break;
        case 0x41: // end_time_unix_nano = 8, fixed64
          endLo = cursor.lo;
          endHi = cursor.hi;
          break;
        case 0x50: // dropped_attributes_count = 10, uint32
          droppedAttributes = cursor.lo;
          break;
        case 0x5a: // events = 11, repeated Event
          events.push(cursor.from, cursor.to);
          break;
        case 0x60: // dropped_events_count = 12, uint32
          droppedEvents = cursor.lo;
          break;
        case 0x6a: // links = 13, repeated Link
          links.push(cursor.from, cursor.to);
          break;
        case 0x70: // dropped_links_count = 14, uint32
          droppedLinks = cursor.lo;
          break;
        case 0x7a: // status = 15, Status
          this.#status(cursor.from, cursor.to);
          break;
        case 0x85: // flags = 16, fixed32
          flags = cursor.lo;
          break;
        default:
          cursor.unknown(tag, SPAN);
      }
    }

    // Even a span that is not kept has to be one, so what it holds is written before it is judged.
    const { json } = rows;
    const { at, replaced } = json;
    json.tooDeep = false;
    json.tuple(FIELDS);
    const idsValid = isId(bytes, traceFrom, traceTo, 16) && isId(bytes, spanFrom, spanTo, 8);
    if (idsValid) {
      json.uuid(cursor.view, traceFrom);
      json.spanId(cursor.view, spanFrom);
    }
    if (isId(bytes, parentFrom, parentTo, 8)) json.spanId(cursor.view, parentFrom);
    else json.null();
    const hasStart = startLo !== 0 || startHi !== 0;
    const start = hasStart ? this.#start : surroundings.arrival;
    if (hasStart) start.set(startLo, startHi);
    json.timestamptz(start);
    const duration = this.#duration;
    duration.set(startLo, startHi, endLo, endHi);
    json.int8(duration.lo, duration.hi);
    const { resource, scope } = surroundings;
    const name = this.#dimensions.name(cursor, nameFrom, nameTo);
    json.int8(resource.lo, resource.hi);
    json.int8(scope.lo, scope.hi);
    json.int8(name.lo, name.hi);
    if (resource.service === undefined) json.null();
    else json.int8(resource.service.lo, resource.service.hi);
    if (duration.saturated) json.int8(endLo, endHi);
    else json.null();
    json.int4(flags);
    json.int4(rows.granules.granule);
    json.int2(hasStart ? start.frac : -1);
    const kindFits = kind >= 0 && kind < 0x8000;
    json.int2(kindFits ? kind : 0);
    const status = this.#statusCode;
    const statusFits = status >= 0 && status < 0x8000;
    if (this.#hasStatus) json.int2(statusFits ? status : 0);
    else json.null();
    json.text(bytes, stateFrom, stateTo);
    json.text(bytes, this.#messageFrom, this.#messageTo);

    json.inexact = false;
    const { granules } = rows;
    granules.addResource(resource);
    granules.add(idTerm(NAME, name.lo, name.hi));
    granules.addDuration(resource.service, duration);
    this.#sets.write(json, cursor, attributes, resource.service, name, granules);
    const attributesInexact = json.inexact;
    json.inexact = false;
    json.list(cursor, events, this.#event);
    const eventsInexact = json.inexact;
    json.inexact = false;
    json.list(cursor, links, this.#link);
    const linksInexact = json.inexact;

    if (
      attributesInexact || eventsInexact || linksInexact || !kindFits || !statusFits ||
      (droppedAttributes | droppedEvents | droppedLinks) !== 0
    ) {
      json.reserve(64);
      const field = json.open();
      if (!kindFits) json.int32Field(0x30, kind);
      if (attributesInexact) json.fields(0x4a, bytes, attributes);
      if (droppedAttributes !== 0) json.uint32Field(0x50, droppedAttributes);
      if (eventsInexact) json.fields(0x5a, bytes, events);
      if (droppedEvents !== 0) json.uint32Field(0x60, droppedEvents);
      if (linksInexact) json.fields(0x6a, bytes, links);
      if (droppedLinks !== 0) json.uint32Field(0x70, droppedLinks);
      if (!statusFits) json.enumInMessage(0x7a, 0x18, status);
      json.close(field);
    } else {
      json.reserve(4);
      json.null();
    }

    cursor.at = end;
    if (idsValid && !json.tooDeep) {
      surroundings.accepted++;
      rows.finish(start.micros);
      granules.finish(start.micros);
      return;
    }
    json.at = at;
    json.replaced = replaced;
    reject(
      surroundings,
      1,
      idsValid
        ? "an attribute nests deeper than 128 levels"
        : "its trace_id is not 16 or its span_id not 8 bytes that are not all zero",
    );
  }

  /** Status, merged into what came before, as protobuf asks of a message given twice. */
  #status(from: number, end: number): void {
    const cursor = this.#cursor;
    cursor.at = from;
    this.#hasStatus = true;
    while (cursor.at < end) {
      const tag = cursor.next(end);
      if (tag === 0x12) { // message = 2, string
        this.#messageFrom = cursor.from;
        this.#messageTo = cursor.to;
      } else if (tag === 0x18) { // code = 3, enum
        this.#statusCode = cursor.lo | 0;
      } else {
        cursor.unknown(tag, STATUS);
      }
    }
  }

  readonly #event = (end: number, json: JsonBuffer): void => {
    const cursor = this.#cursor;
    const attributes = this.#inner;
    attributes.clear();
    let lo = 0, hi = 0, nameFrom = 0, nameTo = 0, dropped = 0;
    while (cursor.at < end) {
      const tag = cursor.next(end);
      switch (tag) {
        case 0x09: // time_unix_nano = 1, fixed64
          lo = cursor.lo;
          hi = cursor.hi;
          break;
        case 0x12: // name = 2, string
          nameFrom = cursor.from;
          nameTo = cursor.to;
          break;
        case 0x1a: // attributes = 3, repeated KeyValue
          attributes.push(cursor.from, cursor.to);
          break;
        case 0x20: // dropped_attributes_count = 4, uint32
          dropped = cursor.lo;
          break;
        default:
          cursor.unknown(tag, EVENT);
      }
    }
    json.ascii('{"timeUnixNano":');
    this.#time.set(lo, hi);
    json.unixNano(this.#time);
    json.ascii(',"name":');
    json.string(cursor, nameFrom, nameTo);
    json.innerAttributes("attributes", cursor, attributes, dropped);
    json.ascii("}");
  };

  readonly #link = (end: number, json: JsonBuffer): void => {
    const cursor = this.#cursor;
    const attributes = this.#inner;
    attributes.clear();
    let traceFrom = 0, traceTo = 0, spanFrom = 0, spanTo = 0, stateFrom = 0, stateTo = 0;
    let dropped = 0, flags = 0;
    while (cursor.at < end) {
      const tag = cursor.next(end);
      switch (tag) {
        case 0x0a: // trace_id = 1, bytes
          traceFrom = cursor.from;
          traceTo = cursor.to;
          break;
        case 0x12: // span_id = 2, bytes
          spanFrom = cursor.from;
          spanTo = cursor.to;
          break;
        case 0x1a: // trace_state = 3, string
          stateFrom = cursor.from;
          stateTo = cursor.to;
          break;
        case 0x22: // attributes = 4, repeated KeyValue
          attributes.push(cursor.from, cursor.to);
          break;
        case 0x28: // dropped_attributes_count = 5, uint32
          dropped = cursor.lo;
          break;
        case 0x35: // flags = 6, fixed32
          flags = cursor.lo;
          break;
        default:
          cursor.unknown(tag, LINK);
      }
    }
    const { bytes } = cursor;
    json.ascii('{"traceId":');
    if (isId(bytes, traceFrom, traceTo, 16)) json.hex(bytes, traceFrom, traceTo);
    else json.ascii('""');
    json.ascii(',"spanId":');
    if (isId(bytes, spanFrom, spanTo, 8)) json.hex(bytes, spanFrom, spanTo);
    else json.ascii('""');
    if (stateFrom !== stateTo) {
      json.ascii(',"traceState":');
      json.string(cursor, stateFrom, stateTo);
    }
    json.innerAttributes("attributes", cursor, attributes, dropped);
    if (flags !== 0) json.ascii(`,"flags":${flags}`);
    json.ascii("}");
  };
}
