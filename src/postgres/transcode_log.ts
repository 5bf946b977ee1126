/**
 * LogRecord messages to rows of `otel_data.logs`.
 *
 * Source: opentelemetry/proto/logs/v1/logs.proto
 *
 * @module
 */

import type { AttributeSets } from "./attribute_sets.ts";
import type { SignalRows } from "./batch.ts";
import { LOGS } from "./columns.ts";
import { type Cursor, IrregularError, isId, knownFields } from "./cursor.ts";
import type { Dimensions } from "./dimensions.ts";
import { Instant } from "./instant.ts";
import { Ranges } from "./ranges.ts";
import { type RecordTranscoder, reject, type Surroundings } from "./surroundings.ts";

const FIELDS = LOGS.columns.length;
const LOG_RECORD = knownFields(1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12);

/** Writes log records. */
export class LogTranscoder implements RecordTranscoder {
  readonly #cursor: Cursor;
  readonly #sets: AttributeSets;
  readonly #attributes = new Ranges();
  readonly #time = new Instant();

  constructor(cursor: Cursor, dimensions: Dimensions) {
    this.#cursor = cursor;
    this.#sets = dimensions.attributeSets.logs;
  }

  /** @inheritdoc */
  record(end: number, surroundings: Surroundings, rows: SignalRows): void {
    const cursor = this.#cursor;
    const { bytes } = cursor;
    const attributes = this.#attributes;
    attributes.clear();
    let timeLo = 0, timeHi = 0, observedLo = 0, observedHi = 0;
    let severity = 0, flags = 0, dropped = 0;
    let severityFrom = 0, severityTo = 0, bodyFrom = -1, bodyTo = 0, eventFrom = 0, eventTo = 0;
    let traceFrom = 0, traceTo = 0, spanFrom = 0, spanTo = 0;

    while (cursor.at < end) {
      const tag = cursor.next(end);
      switch (tag) {
        case 0x09: // time_unix_nano = 1, fixed64
          timeLo = cursor.lo;
          timeHi = cursor.hi;
          break;
        case 0x10: // severity_number = 2, enum
          severity = cursor.lo | 0;
          break;
        case 0x1a: // severity_text = 3, string
          severityFrom = cursor.from;
          severityTo = cursor.to;
          break;
        case 0x2a: // body = 5, AnyValue
          if (bodyFrom >= 0) throw new IrregularError("the body of a log record twice");
          bodyFrom = cursor.from;
          bodyTo = cursor.to;
          break;
        case 0x32: // attributes = 6, repeated KeyValue
          attributes.push(cursor.from, cursor.to);
          break;
        case 0x38: // dropped_attributes_count = 7, uint32
          dropped = cursor.lo;
          break;
        case 0x45: // flags = 8, fixed32
          flags = cursor.lo;
          break;
        case 0x4a: // trace_id = 9, bytes
          traceFrom = cursor.from;
          traceTo = cursor.to;
          break;
        case 0x52: // span_id = 10, bytes
          spanFrom = cursor.from;
          spanTo = cursor.to;
          break;
        case 0x59: // observed_time_unix_nano = 11, fixed64
          observedLo = cursor.lo;
          observedHi = cursor.hi;
          break;
        case 0x62: // event_name = 12, string
          eventFrom = cursor.from;
          eventTo = cursor.to;
          break;
        default:
          cursor.unknown(tag, LOG_RECORD);
      }
    }

    const { json } = rows;
    const { at, replaced } = json;
    json.tooDeep = false;
    json.tuple(FIELDS);
    const hasTime = timeLo !== 0 || timeHi !== 0;
    const hasObserved = observedLo !== 0 || observedHi !== 0;
    const time = hasTime || hasObserved ? this.#time : surroundings.arrival;
    if (hasTime) time.set(timeLo, timeHi);
    else if (hasObserved) time.set(observedLo, observedHi);
    json.timestamptz(time);
    if (hasObserved) json.int8(observedLo, observedHi);
    else json.null();
    const { resource, scope } = surroundings;
    json.int8(resource.lo, resource.hi);
    json.int8(scope.lo, scope.hi);
    if (resource.service === undefined) json.null();
    else json.int8(resource.service.lo, resource.service.hi);
    if (isId(bytes, traceFrom, traceTo, 16)) json.uuid(cursor.view, traceFrom);
    else json.null();
    if (isId(bytes, spanFrom, spanTo, 8)) json.spanId(cursor.view, spanFrom);
    else json.null();
    json.int4(flags);
    json.int4(rows.granules.granule);
    json.int2(hasTime ? time.frac : -1);
    const severityFits = severity >= 0 && severity < 0x8000;
    json.int2(severityFits ? severity : 0);
    json.text(bytes, severityFrom, severityTo);
    json.text(bytes, eventFrom, eventTo);

    json.inexact = false;
    if (bodyFrom < 0) json.null();
    else {
      const field = json.openJson();
      cursor.at = bodyFrom;
      json.anyValue(cursor, bodyTo, 1);
      json.close(field);
      rows.granules.addBody(json.bytes, field + 1, json.at);
    }
    const bodyInexact = json.inexact;
    json.inexact = false;
    const { granules } = rows;
    granules.addResource(resource);
    this.#sets.write(json, cursor, attributes, resource.service, scope, granules);
    const attributesInexact = json.inexact;

    json.reserve(64);
    if (bodyInexact || attributesInexact || !severityFits || dropped !== 0) {
      const field = json.open();
      if (!severityFits) json.int32Field(0x10, severity);
      if (bodyInexact) json.bytesField(0x2a, bytes, bodyFrom, bodyTo);
      if (attributesInexact) json.fields(0x32, bytes, attributes);
      if (dropped !== 0) json.uint32Field(0x38, dropped);
      json.close(field);
    } else {
      json.null();
    }

    cursor.at = end;
    if (json.tooDeep) {
      json.at = at;
      json.replaced = replaced;
      reject(surroundings, 1, "a value nests deeper than 128 levels");
    } else {
      surroundings.accepted++;
      rows.finish(time.micros);
      granules.finish(time.micros);
    }
  }
}
