/**
 * Data point messages to rows of `otel_data.metric_points`.
 *
 * The four kinds of point differ in their field numbers and in which of the columns they fill. A
 * shape maps the tags of a kind to slots; one loop reads all of them and one writer writes them.
 *
 * Source: opentelemetry/proto/metrics/v1/metrics.proto
 *
 * @module
 */

import type { SignalRows } from "./batch.ts";
import { METRIC_POINTS } from "./columns.ts";
import { type Cursor, IrregularError, knownFields, MalformedError, zigzag } from "./cursor.ts";
import type { Dimension, Dimensions } from "./dimensions.ts";
import { Instant } from "./instant.ts";
import { Ranges } from "./ranges.ts";
import type { JsonBuffer } from "./json_text.ts";
import { PointParts } from "./point_parts.ts";
import type { Surroundings } from "./surroundings.ts";

const FIELDS = METRIC_POINTS.columns.length;

/** What a field of a point means. */
const enum Slot {
  None,
  Attributes,
  Start,
  Time,
  AsDouble,
  AsInt,
  Count,
  Sum,
  Min,
  Max,
  BucketCount,
  BucketCounts,
  Bound,
  Bounds,
  Scale,
  ZeroCount,
  ZeroThreshold,
  Positive,
  Negative,
  Quantile,
  Exemplar,
  Flags,
}

/** The fields of one kind of point. */
export interface PointShape {
  /** Slot by tag; every tag of these messages is below 128. */
  readonly slots: Uint8Array;
  /** The bits of its field numbers. */
  readonly fields: number;
  /** The tags of exemplars and quantiles, for the bytes that keep them exactly. */
  readonly exemplarTag: number;
  readonly quantileTag: number;
  /** Whether a point has to have a value. */
  readonly hasValue: boolean;
  /** Whether a sum that is absent is 0, as it is where the field has no presence. */
  readonly hasSum: boolean;
  /** Whether zero_threshold, scale and zero_count exist. */
  readonly isExponential: boolean;
  /** Whether count exists. */
  readonly hasCount: boolean;
}

function shape(
  tags: Readonly<Record<number, Slot>>,
  options: Partial<PointShape> = {},
): PointShape {
  const slots = new Uint8Array(128);
  const byNumber = Object.entries(tags).map(([tag, slot]) => [Number(tag), slot] as const);
  for (const [tag, slot] of byNumber) slots[tag] = slot;
  const tagOf = (wanted: Slot) => byNumber.find(([, slot]) => slot === wanted)?.[0] ?? 0;
  return {
    slots,
    fields: knownFields(...byNumber.map(([tag]) => tag >>> 3)),
    exemplarTag: tagOf(Slot.Exemplar),
    quantileTag: tagOf(Slot.Quantile),
    hasValue: false,
    hasSum: false,
    isExponential: false,
    hasCount: true,
    ...options,
  };
}

/** NumberDataPoint. */
export const NUMBER_POINT: PointShape = shape({
  0x11: Slot.Start, // start_time_unix_nano = 2, fixed64
  0x19: Slot.Time, // time_unix_nano = 3, fixed64
  0x21: Slot.AsDouble, // as_double = 4, double
  0x2a: Slot.Exemplar, // exemplars = 5, repeated Exemplar
  0x31: Slot.AsInt, // as_int = 6, sfixed64
  0x3a: Slot.Attributes, // attributes = 7, repeated KeyValue
  0x40: Slot.Flags, // flags = 8, uint32
}, { hasValue: true, hasCount: false });

/** HistogramDataPoint. */
export const HISTOGRAM_POINT: PointShape = shape({
  0x11: Slot.Start,
  0x19: Slot.Time,
  0x21: Slot.Count, // count = 4, fixed64
  0x29: Slot.Sum, // sum = 5, optional double
  0x31: Slot.BucketCount, // bucket_counts = 6, repeated fixed64
  0x32: Slot.BucketCounts, // the same packed
  0x39: Slot.Bound, // explicit_bounds = 7, repeated double
  0x3a: Slot.Bounds, // the same packed
  0x42: Slot.Exemplar, // exemplars = 8
  0x4a: Slot.Attributes, // attributes = 9
  0x50: Slot.Flags, // flags = 10, uint32
  0x59: Slot.Min, // min = 11, optional double
  0x61: Slot.Max, // max = 12, optional double
});

/** ExponentialHistogramDataPoint. */
export const EXPONENTIAL_POINT: PointShape = shape({
  0x0a: Slot.Attributes, // attributes = 1
  0x11: Slot.Start,
  0x19: Slot.Time,
  0x21: Slot.Count, // count = 4, fixed64
  0x29: Slot.Sum, // sum = 5, optional double
  0x30: Slot.Scale, // scale = 6, sint32
  0x39: Slot.ZeroCount, // zero_count = 7, fixed64
  0x42: Slot.Positive, // positive = 8, Buckets
  0x4a: Slot.Negative, // negative = 9, Buckets
  0x50: Slot.Flags, // flags = 10, uint32
  0x5a: Slot.Exemplar, // exemplars = 11
  0x61: Slot.Min, // min = 12, optional double
  0x69: Slot.Max, // max = 13, optional double
  0x71: Slot.ZeroThreshold, // zero_threshold = 14, double
}, { isExponential: true });

/** SummaryDataPoint. */
export const SUMMARY_POINT: PointShape = shape({
  0x11: Slot.Start,
  0x19: Slot.Time,
  0x21: Slot.Count, // count = 4, fixed64
  0x29: Slot.Sum, // sum = 5, double
  0x32: Slot.Quantile, // quantile_values = 6, repeated ValueAtQuantile
  0x3a: Slot.Attributes, // attributes = 7
  0x40: Slot.Flags, // flags = 8, uint32
}, { hasSum: true });

const NO_RECORDED_VALUE = 1;

/** Writes points. */
export class PointTranscoder {
  readonly #cursor: Cursor;
  readonly #dimensions: Dimensions;
  readonly #attributes = new Ranges();
  readonly #counts = new Ranges();
  readonly #bounds = new Ranges();
  readonly #quantiles = new Ranges();
  readonly #exemplars = new Ranges();
  readonly #parts: PointParts;
  readonly #time = new Instant();

  constructor(cursor: Cursor, dimensions: Dimensions) {
    this.#cursor = cursor;
    this.#dimensions = dimensions;
    this.#parts = new PointParts(cursor);
  }

  /**
   * Writes the point between the cursor and `end` and finishes its row.
   *
   * @returns Why it is not kept, in which case the caller takes back what was written.
   */
  write(
    end: number,
    shape: PointShape,
    metric: Dimension,
    surroundings: Surroundings,
    rows: SignalRows,
  ): string | undefined {
    const cursor = this.#cursor;
    const { bytes } = cursor;
    const parts = this.#parts;
    const attributes = this.#attributes;
    const counts = this.#counts;
    const bounds = this.#bounds;
    const quantiles = this.#quantiles;
    const exemplars = this.#exemplars;
    attributes.clear();
    counts.clear();
    bounds.clear();
    quantiles.clear();
    exemplars.clear();
    let startLo = 0, startHi = 0, timeLo = 0, timeHi = 0, intLo = 0, intHi = 0;
    let countLo = 0, countHi = 0, zeroLo = 0, zeroHi = 0, flags = 0, scale = 0;
    // Where doubles lie; -1 is absent.
    let value = -1, sum = -1, min = -1, max = -1, threshold = -1;
    let isInt = false;
    let positiveFrom = -1, positiveTo = 0, negativeFrom = -1, negativeTo = 0;

    while (cursor.at < end) {
      const tag = cursor.next(end);
      switch (tag < 128 ? shape.slots[tag] as Slot : Slot.None) {
        case Slot.Start:
          startLo = cursor.lo;
          startHi = cursor.hi;
          break;
        case Slot.Time:
          timeLo = cursor.lo;
          timeHi = cursor.hi;
          break;
        case Slot.AsDouble:
          value = cursor.from;
          isInt = false;
          break;
        case Slot.AsInt:
          intLo = cursor.lo;
          intHi = cursor.hi;
          isInt = true;
          break;
        case Slot.Count:
          countLo = cursor.lo;
          countHi = cursor.hi;
          break;
        case Slot.Sum:
          sum = cursor.from;
          break;
        case Slot.Min:
          min = cursor.from;
          break;
        case Slot.Max:
          max = cursor.from;
          break;
        case Slot.ZeroThreshold:
          threshold = cursor.from;
          break;
        case Slot.ZeroCount:
          zeroLo = cursor.lo;
          zeroHi = cursor.hi;
          break;
        case Slot.Scale:
          scale = zigzag(cursor.lo);
          break;
        case Slot.Flags:
          flags = cursor.lo;
          break;
        case Slot.BucketCount:
          counts.pushOffset(cursor.from);
          break;
        case Slot.BucketCounts:
          this.#packed(counts);
          break;
        case Slot.Bound:
          bounds.pushOffset(cursor.from);
          break;
        case Slot.Bounds:
          this.#packed(bounds);
          break;
        case Slot.Positive:
          if (positiveFrom >= 0) throw new IrregularError("the positive buckets twice");
          positiveFrom = cursor.from;
          positiveTo = cursor.to;
          break;
        case Slot.Negative:
          if (negativeFrom >= 0) throw new IrregularError("the negative buckets twice");
          negativeFrom = cursor.from;
          negativeTo = cursor.to;
          break;
        case Slot.Attributes:
          attributes.push(cursor.from, cursor.to);
          break;
        case Slot.Quantile:
          quantiles.push(cursor.from, cursor.to);
          break;
        case Slot.Exemplar:
          exemplars.push(cursor.from, cursor.to);
          break;
        default:
          cursor.unknown(tag, shape.fields);
      }
    }

    const { resource, scope } = surroundings;
    const series = this.#dimensions.series(metric, resource, scope, cursor, attributes);
    const { json } = rows;
    json.tooDeep = false;
    json.tuple(FIELDS);
    const hasTime = timeLo !== 0 || timeHi !== 0;
    const time = hasTime ? this.#time : surroundings.arrival;
    if (hasTime) time.set(timeLo, timeHi);
    json.timestamptz(time);
    const { micros, frac } = time; // exemplars set it again
    json.int8(series.lo, series.hi);
    if (startLo !== 0 || startHi !== 0) json.int8(startLo, startHi);
    else json.null();
    this.#double(json, isInt ? -1 : value);
    if (isInt) json.int8(intLo, intHi);
    else json.null();
    if (shape.hasCount) json.int8(countLo, countHi);
    else json.null();
    if (sum < 0 && shape.hasSum) json.float8(0);
    else this.#double(json, sum);
    this.#double(json, min);
    this.#double(json, max);
    if (shape.isExponential) {
      json.int8(zeroLo, zeroHi);
      if (threshold < 0) json.float8(0);
      else this.#double(json, threshold);
      json.int4(scale);
    } else {
      json.null();
      json.null();
      json.null();
    }
    json.int4(flags);
    json.int2(hasTime ? frac : -1);
    json.int8Array(bytes, counts);
    json.float8Array(bytes, bounds);
    parts.buckets(json, positiveFrom, positiveTo);
    parts.buckets(json, negativeFrom, negativeTo);
    json.inexact = false;
    json.list(cursor, quantiles, parts.quantile);
    const quantilesInexact = json.inexact;
    json.inexact = false;
    json.list(cursor, exemplars, parts.exemplar);
    const exemplarsInexact = json.inexact;

    json.reserve(64);
    if (quantilesInexact || exemplarsInexact) {
      const field = json.open();
      if (quantilesInexact) json.fields(shape.quantileTag, bytes, quantiles);
      if (exemplarsInexact) json.fields(shape.exemplarTag, bytes, exemplars);
      json.close(field);
    } else {
      json.null();
    }

    cursor.at = end;
    if (metric.tooDeep || series.tooDeep || json.tooDeep) {
      return "an attribute nests deeper than 128 levels";
    }
    if (shape.hasValue && value < 0 && !isInt && (flags & NO_RECORDED_VALUE) === 0) {
      return "it has no value";
    }
    rows.finish(micros);
    return undefined;
  }

  #double(json: JsonBuffer, at: number): void {
    if (at < 0) json.null();
    else json.float8(this.#cursor.doubleAt(at));
  }

  /** The offsets of the 64-bit values in the field just read. */
  #packed(values: Ranges): void {
    const { from, to } = this.#cursor;
    if ((to - from) % 8 !== 0) throw new MalformedError("packed values past the end");
    for (let at = from; at < to; at += 8) values.pushOffset(at);
  }
}
