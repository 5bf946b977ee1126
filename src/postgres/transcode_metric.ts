/**
 * Metric messages: what describes the metric becomes a dimension, each of its points a row.
 *
 * Source: opentelemetry/proto/metrics/v1/metrics.proto
 *
 * @module
 */

import type { SignalRows } from "./batch.ts";
import { type Cursor, IrregularError, knownFields } from "./cursor.ts";
import type { Dimension, Dimensions, MetricDescription } from "./dimensions.ts";
import { JsonBuffer } from "./json_text.ts";
import { Ranges } from "./ranges.ts";
import { type RecordTranscoder, reject, type Surroundings } from "./surroundings.ts";
import {
  EXPONENTIAL_POINT,
  HISTOGRAM_POINT,
  NUMBER_POINT,
  type PointShape,
  PointTranscoder,
  SUMMARY_POINT,
} from "./transcode_point.ts";

const METRIC = knownFields(1, 2, 3, 5, 7, 9, 10, 11, 12);
const GAUGE = 5, SUM = 7, HISTOGRAM = 9, EXPONENTIAL = 10;

/** Gauge … Summary by their field in Metric: which fields they know, and the shape of their points. */
const DATA: Readonly<Record<number, { fields: number; point: PointShape }>> = {
  [GAUGE]: { fields: knownFields(1), point: NUMBER_POINT },
  [SUM]: { fields: knownFields(1, 2, 3), point: NUMBER_POINT },
  [HISTOGRAM]: { fields: knownFields(1, 2), point: HISTOGRAM_POINT },
  [EXPONENTIAL]: { fields: knownFields(1, 2), point: EXPONENTIAL_POINT },
  11: { fields: knownFields(1), point: SUMMARY_POINT },
};

/** Writes metrics. Its fields hold what has been found of the metric at hand. */
export class MetricTranscoder implements RecordTranscoder {
  readonly #cursor: Cursor;
  readonly #dimensions: Dimensions;
  readonly #point: PointTranscoder;
  readonly #metadata = new Ranges();
  readonly #points = new Ranges();
  /** The Metric message without its points. */
  readonly #descriptor = new JsonBuffer();
  readonly #scratch = new JsonBuffer();
  #temporality = 0;
  #isMonotonic = false;

  constructor(cursor: Cursor, dimensions: Dimensions) {
    this.#cursor = cursor;
    this.#dimensions = dimensions;
    this.#point = new PointTranscoder(cursor, dimensions);
  }

  /** @inheritdoc */
  record(end: number, surroundings: Surroundings, rows: SignalRows): void {
    const cursor = this.#cursor;
    const metadata = this.#metadata;
    const points = this.#points;
    metadata.clear();
    points.clear();
    let nameFrom = 0, nameTo = 0, textFrom = 0, textTo = 0, unitFrom = 0, unitTo = 0;
    let type = 0;
    while (cursor.at < end) {
      const tag = cursor.next(end);
      switch (tag) {
        case 0x0a: // name = 1, string
          nameFrom = cursor.from;
          nameTo = cursor.to;
          break;
        case 0x12: // description = 2, string
          textFrom = cursor.from;
          textTo = cursor.to;
          break;
        case 0x1a: // unit = 3, string
          unitFrom = cursor.from;
          unitTo = cursor.to;
          break;
        case 0x2a: // gauge = 5, sum = 7, histogram = 9, exponential_histogram = 10, summary = 11
        case 0x3a:
        case 0x4a:
        case 0x52:
        case 0x5a:
          if (type !== 0) throw new IrregularError("the data of a metric twice");
          type = tag >>> 3;
          this.#data(cursor.from, cursor.to, type);
          break;
        case 0x62: // metadata = 12, repeated KeyValue
          metadata.push(cursor.from, cursor.to);
          break;
        default:
          cursor.unknown(tag, METRIC);
      }
    }
    const data = DATA[type];
    if (data === undefined || points.count === 0) {
      // What is not stored still has to be well-formed.
      this.#isTooDeep(metadata);
      cursor.at = end;
      return;
    }

    const { bytes } = cursor;
    const descriptor = this.#descriptor;
    descriptor.at = 0;
    if (nameFrom !== nameTo) descriptor.bytesField(0x0a, bytes, nameFrom, nameTo);
    if (textFrom !== textTo) descriptor.bytesField(0x12, bytes, textFrom, textTo);
    if (unitFrom !== unitTo) descriptor.bytesField(0x1a, bytes, unitFrom, unitTo);
    descriptor.fields(0x62, bytes, metadata);
    this.#describeData(type);
    const metric = this.#dimensions.metric(descriptor, () => {
      return this.#isTooDeep(metadata) ? undefined : this.#description(type, {
        name: this.#dimensions.text(bytes, nameFrom, nameTo),
        unit: this.#dimensions.text(bytes, unitFrom, unitTo),
        description: this.#dimensions.text(bytes, textFrom, textTo),
      });
    });
    this.#write(metric, data.point, surroundings, rows);
    cursor.at = end;
  }

  #write(metric: Dimension, shape: PointShape, surroundings: Surroundings, rows: SignalRows): void {
    const { count, offsets } = this.#points;
    for (let n = 0; n < count; n++) {
      this.#cursor.at = offsets[n * 2]!;
      const { at, replaced } = rows.json;
      const reason = this.#point.write(offsets[n * 2 + 1]!, shape, metric, surroundings, rows);
      if (reason === undefined) surroundings.accepted++;
      else {
        rows.json.at = at;
        rows.json.replaced = replaced;
        reject(surroundings, 1, reason);
      }
    }
  }

  /** Gauge … Summary: collects their points, and what Sum and the histograms say of themselves. */
  #data(from: number, end: number, type: number): void {
    const cursor = this.#cursor;
    cursor.at = from;
    const fields = DATA[type]!.fields;
    const hasTemporality = type === SUM || type === HISTOGRAM || type === EXPONENTIAL;
    this.#temporality = 0;
    this.#isMonotonic = false;
    while (cursor.at < end) {
      const tag = cursor.next(end);
      if (tag === 0x0a) { // data_points = 1
        this.#points.push(cursor.from, cursor.to);
      } else if (tag === 0x10 && hasTemporality) { // aggregation_temporality = 2, enum
        this.#temporality = cursor.lo | 0;
      } else if (tag === 0x18 && type === SUM) { // is_monotonic = 3, bool
        this.#isMonotonic = (cursor.lo | cursor.hi) !== 0;
      } else {
        cursor.unknown(tag, fields);
      }
    }
  }

  #describeData(type: number): void {
    const descriptor = this.#descriptor;
    descriptor.reserve(32);
    descriptor.char(type << 3 | 2);
    const length = descriptor.at++;
    if (this.#temporality !== 0) descriptor.int32Field(0x10, this.#temporality);
    if (this.#isMonotonic) descriptor.uint32Field(0x18, 1);
    descriptor.bytes[length] = descriptor.at - length - 1;
  }

  #description(
    type: number,
    texts: Pick<MetricDescription, "name" | "unit" | "description">,
  ): MetricDescription {
    const hasTemporality = type === SUM || type === HISTOGRAM || type === EXPONENTIAL;
    const fits = this.#temporality >= 0 && this.#temporality < 0x8000;
    return {
      ...texts,
      type,
      temporality: hasTemporality && fits ? this.#temporality : null,
      isMonotonic: type === SUM ? this.#isMonotonic : null,
    };
  }

  #isTooDeep(metadata: Ranges): boolean {
    const scratch = this.#scratch;
    scratch.at = 0;
    scratch.tooDeep = false;
    scratch.attributes(this.#cursor, metadata.offsets, metadata.count);
    return scratch.tooDeep;
  }
}
