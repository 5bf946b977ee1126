/**
 * What a data point holds that is more than a number: buckets, quantiles and exemplars, as JSON with
 * the names of OTLP JSON.
 *
 * Source: opentelemetry/proto/metrics/v1/metrics.proto
 *
 * @module
 */

import { type Cursor, decimal, isId, knownFields, zigzag } from "./cursor.ts";
import { Instant } from "./instant.ts";
import type { JsonBuffer } from "./json_text.ts";
import { Ranges } from "./ranges.ts";

const BUCKETS = knownFields(1, 2);
const QUANTILE = knownFields(1, 2);
const EXEMPLAR = knownFields(2, 3, 4, 5, 6, 7);

/** Writes them. */
export class PointParts {
  readonly #cursor: Cursor;
  /** Counts of the buckets or attributes of the exemplar at hand. */
  readonly #inner = new Ranges();
  readonly #time = new Instant();

  constructor(cursor: Cursor) {
    this.#cursor = cursor;
  }

  /** Buckets as `{offset, bucketCounts}`, null when absent. */
  buckets(json: JsonBuffer, from: number, to: number): void {
    json.reserve(16);
    if (from < 0) return json.null();
    const cursor = this.#cursor;
    const counts = this.#inner;
    counts.clear();
    cursor.at = from;
    let offset = 0;
    while (cursor.at < to) {
      const tag = cursor.next(to);
      if (tag === 0x08) { // offset = 1, sint32
        offset = zigzag(cursor.lo);
      } else if (tag === 0x12) { // bucket_counts = 2, repeated uint64, packed
        const stop = cursor.to;
        cursor.at = cursor.from;
        while (cursor.at < stop) {
          counts.pushOffset(cursor.at);
          cursor.varint(stop);
        }
      } else if (tag === 0x10) { // the same unpacked
        counts.pushOffset(cursor.from);
      } else {
        cursor.unknown(tag, BUCKETS);
      }
    }
    const field = json.openJson();
    json.ascii(`{"offset":${offset},"bucketCounts":[`);
    for (let n = 0; n < counts.count; n++) {
      cursor.at = counts.offsets[n]!;
      cursor.varint(to);
      json.ascii(n > 0 ? ',"' : '"');
      json.ascii(decimal(cursor.lo, cursor.hi));
      json.ascii('"');
    }
    json.ascii("]}");
    json.close(field);
    json.reserve(16);
  }

  /** A ValueAtQuantile as `{quantile, value}`. */
  readonly quantile = (end: number, json: JsonBuffer): void => {
    const cursor = this.#cursor;
    let quantile = -1, value = -1;
    while (cursor.at < end) {
      const tag = cursor.next(end);
      if (tag === 0x09) { // quantile = 1, double
        quantile = cursor.from;
      } else if (tag === 0x11) { // value = 2, double
        value = cursor.from;
      } else {
        cursor.unknown(tag, QUANTILE);
      }
    }
    json.ascii('{"quantile":');
    json.double(quantile < 0 ? 0 : cursor.doubleAt(quantile));
    json.ascii(',"value":');
    json.double(value < 0 ? 0 : cursor.doubleAt(value));
    json.ascii("}");
  };

  /** An Exemplar; ids that are none are left out. */
  readonly exemplar = (end: number, json: JsonBuffer): void => {
    const cursor = this.#cursor;
    const { bytes } = cursor;
    const attributes = this.#inner;
    attributes.clear();
    let timeLo = 0, timeHi = 0, intLo = 0, intHi = 0, value = -1;
    let spanFrom = 0, spanTo = 0, traceFrom = 0, traceTo = 0;
    let isInt = false;
    while (cursor.at < end) {
      const tag = cursor.next(end);
      switch (tag) {
        case 0x11: // time_unix_nano = 2, fixed64
          timeLo = cursor.lo;
          timeHi = cursor.hi;
          break;
        case 0x19: // as_double = 3, double
          value = cursor.from;
          isInt = false;
          break;
        case 0x22: // span_id = 4, bytes
          spanFrom = cursor.from;
          spanTo = cursor.to;
          break;
        case 0x2a: // trace_id = 5, bytes
          traceFrom = cursor.from;
          traceTo = cursor.to;
          break;
        case 0x31: // as_int = 6, sfixed64
          intLo = cursor.lo;
          intHi = cursor.hi;
          isInt = true;
          break;
        case 0x3a: // filtered_attributes = 7, repeated KeyValue
          attributes.push(cursor.from, cursor.to);
          break;
        default:
          cursor.unknown(tag, EXEMPLAR);
      }
    }
    json.ascii('{"timeUnixNano":');
    this.#time.set(timeLo, timeHi);
    json.unixNano(this.#time);
    if (isInt) {
      json.ascii(`,"asInt":"${signed(intLo, intHi)}"`);
    } else if (value >= 0) {
      json.ascii(',"asDouble":');
      json.double(cursor.doubleAt(value));
    }
    if (isId(bytes, traceFrom, traceTo, 16)) {
      json.ascii(',"traceId":');
      json.hex(bytes, traceFrom, traceTo);
    }
    if (isId(bytes, spanFrom, spanTo, 8)) {
      json.ascii(',"spanId":');
      json.hex(bytes, spanFrom, spanTo);
    }
    json.innerAttributes("filteredAttributes", cursor, attributes, 0);
    json.ascii("}");
  };
}

function signed(lo: number, hi: number): bigint {
  return BigInt.asIntN(64, (BigInt(hi) << 32n) | BigInt(lo));
}
