/**
 * LogRecord messages to rows of `otel_data.logs`.
 *
 * Source: opentelemetry/proto/logs/v1/logs.proto
 *
 * @module
 */

import type { SignalRows } from "./batch.ts";
import { LOGS } from "./columns.ts";
import { type Cursor, IrregularError, isId, knownFields } from "./cursor.ts";
import { Instant } from "./instant.ts";
import { Ranges } from "./ranges.ts";
import { type RecordTranscoder, reject, type Surroundings } from "./surroundings.ts";

const FIELDS = LOGS.columns.length;
const LOG_RECORD = knownFields(1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12);

/** Writes log records. */
export class LogTranscoder implements RecordTranscoder {
  readonly #cursor: Cursor;
  readonly #attributes = new Ranges();
  readonly #time = new Instant();

  constructor(cursor: Cursor) {
    this.#cursor = cursor;
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

    const { at } = rows;
    rows.tooDeep = false;
    rows.tuple(FIELDS);
    const hasTime = timeLo !== 0 || timeHi !== 0;
    const hasObserved = observedLo !== 0 || observedHi !== 0;
    const time = hasTime || hasObserved ? this.#time : surroundings.arrival;
    if (hasTime) time.set(timeLo, timeHi);
    else if (hasObserved) time.set(observedLo, observedHi);
    rows.timestamptz(time);
    if (hasObserved) rows.int8(observedLo, observedHi);
    else rows.null();
    const { resource, scope } = surroundings;
    rows.int8(resource.lo, resource.hi);
    rows.int8(scope.lo, scope.hi);
    if (resource.service === undefined) rows.null();
    else rows.int8(resource.service.lo, resource.service.hi);
    if (isId(bytes, traceFrom, traceTo, 16)) rows.raw(bytes, traceFrom, 16);
    else rows.null();
    if (isId(bytes, spanFrom, spanTo, 8)) rows.raw(bytes, spanFrom, 8);
    else rows.null();
    rows.int4(flags);
    rows.int2(hasTime ? time.frac : -1);
    const severityFits = severity >= 0 && severity < 0x8000;
    rows.int2(severityFits ? severity : 0);
    rows.text(bytes, severityFrom, severityTo);
    rows.text(bytes, eventFrom, eventTo);

    rows.inexact = false;
    if (bodyFrom < 0) rows.null();
    else {
      const field = rows.openJson();
      cursor.at = bodyFrom;
      rows.anyValue(cursor, bodyTo, 1);
      rows.close(field);
    }
    const bodyInexact = rows.inexact;
    rows.inexact = false;
    rows.reserve(16);
    if (attributes.count === 0) rows.null();
    else {
      const field = rows.openJson();
      rows.attributes(cursor, attributes.offsets, attributes.count);
      rows.close(field);
    }
    const attributesInexact = rows.inexact;

    rows.reserve(64);
    if (bodyInexact || attributesInexact || !severityFits || dropped !== 0) {
      const field = rows.open();
      if (!severityFits) rows.int32Field(0x10, severity);
      if (bodyInexact) rows.bytesField(0x2a, bytes, bodyFrom, bodyTo);
      if (attributesInexact) rows.fields(0x32, bytes, attributes);
      if (dropped !== 0) rows.uint32Field(0x38, dropped);
      rows.close(field);
    } else {
      rows.null();
    }

    cursor.at = end;
    if (rows.tooDeep) {
      rows.at = at;
      reject(surroundings, 1, "a value nests deeper than 128 levels");
    } else {
      surroundings.accepted++;
      rows.finish(time.micros);
    }
  }
}
