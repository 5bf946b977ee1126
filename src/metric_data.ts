/**
 * A measurement as a plain object, for programs that have no OpenTelemetry SDK.
 *
 * @module
 */

import * as z from "zod";
import { encodeRequest } from "./otlp.ts";
import type { HistogramDataPoint, KeyValue, Metric } from "./record.ts";
import { encodeRecord, FieldFault, RecordError } from "./record_error.ts";
import {
  ATTRIBUTES,
  type Attributes,
  keyValues,
  NAME,
  nanosOf,
  nowNanos,
  resourceOf,
  TIME,
  type TimeValue,
} from "./record_fields.ts";

/**
 * A value of a metric. Fields that are not listed are refused, so that none is lost by a misspelt name.
 *
 * - `gauge`: a value at a time.
 * - `counter`: what has been counted since counting began: a cumulative, monotonic sum whose start is
 *   unknown. So it is what `rate` and `increase` take differences of, and a smaller value is a reset. What
 *   is to be added up instead (a delta) goes through `write`.
 * - `histogram`: one measurement or a list of them, with delta temporality: each call adds to what is known.
 */
export interface MetricData {
  /** Its name. */
  readonly name: string;
  /** See above. */
  readonly type: "counter" | "gauge" | "histogram";
  /**
   * A number is stored as a double, a bigint as an `int64`. A list is for histograms only, of 1 to 100,000
   * finite numbers.
   */
  readonly value: number | bigint | readonly number[];
  /** In UCUM notation, such as `s` or `By`. @default none */
  readonly unit?: string | undefined;
  /** What it measures, for people. @default none */
  readonly description?: string | undefined;
  /** The attributes of its series. @default none */
  readonly labels?: Attributes | undefined;
  /** When the value was taken. @default now */
  readonly timestamp?: TimeValue | undefined;
  /** Resource attribute `service.name`. @default none */
  readonly service?: string | undefined;
  /**
   * Inclusive upper bounds of the buckets but the last of a histogram, ascending, up to 1,000.
   *
   * @default those of OpenTelemetry SDKs: 0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500,
   * 10000
   */
  readonly bounds?: readonly number[] | undefined;
}

const MAX_VALUES = 100_000;
const MAX_BOUNDS = 1_000;
const BOUNDS = [0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000];
const DELTA = 1;
const CUMULATIVE = 2;
const INT64_MAX = 2n ** 63n - 1n;

const VALUE = `has to be a finite number, a bigint of 64 bits, or 1 to ${MAX_VALUES} numbers`;
const finite = z.number("has to be a finite number");

const SCHEMA = z.strictObject({
  name: NAME,
  type: z.enum(["counter", "gauge", "histogram"], "has to be counter, gauge or histogram"),
  value: z.union([
    z.number(VALUE),
    z.bigint().min(-INT64_MAX - 1n, VALUE).max(INT64_MAX, VALUE),
    z.array(finite).min(1, VALUE).max(MAX_VALUES, VALUE).readonly(),
  ], VALUE),
  unit: z.string("has to be a text").optional(),
  description: z.string("has to be a text").optional(),
  labels: ATTRIBUTES.optional(),
  timestamp: TIME.optional(),
  service: NAME.optional(),
  bounds: z.array(finite, "has to be a list of numbers")
    .max(MAX_BOUNDS, `has to be up to ${MAX_BOUNDS} numbers`)
    .refine(
      (bounds) => bounds.every((bound, n) => n === 0 || bound > bounds[n - 1]!),
      "has to ascend",
    )
    .optional(),
}, "has to be an object");

type Parsed = z.output<typeof SCHEMA>;

/** Measurements, each as a request of its own, and what is wrong with the others. */
export interface MetricRequests {
  /** In the order of the list. */
  readonly bodies: Uint8Array[];
  /** Each with the index of its measurement. */
  readonly errors: RecordError[];
}

/**
 * Makes an `ExportMetricsServiceRequest` of each measurement of a list that is right.
 *
 * @throws {RecordError} It is no list.
 *
 * @example A measurement, and one without a value
 * ```ts
 * import assert from "node:assert/strict";
 * import { decodeRequest } from "./otlp.ts";
 *
 * const latency = { name: "latency", type: "histogram", value: [7, 8, 20], unit: "ms" } as const;
 * const { bodies, errors } = metricRequests([latency, { ...latency, value: NaN }]);
 * const request = decodeRequest("metrics", bodies[0]!);
 * const metric = request.resourceMetrics[0]?.scopeMetrics[0]?.metrics[0];
 * assert.deepEqual(metric?.histogram?.dataPoints[0]?.bucketCounts.slice(0, 4), [0n, 0n, 2n, 1n]);
 * assert.deepEqual(errors.map(({ index, field }) => [index, field]), [[1, "value"]]);
 * ```
 */
export function metricRequests(list: readonly MetricData[]): MetricRequests {
  if (!Array.isArray(list)) {
    throw new RecordError("metrics", { field: "", value: list, why: "has to be a list of them" });
  }
  const bodies: Uint8Array[] = [];
  const errors: RecordError[] = [];
  for (const [index, data] of list.entries()) {
    try {
      bodies.push(encodeRecord("metric", SCHEMA, encoded, data, index));
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      errors.push(error);
    }
  }
  return { bodies, errors };
}

function encoded(data: Parsed): Uint8Array {
  const { name, unit = "", description = "", service } = data;
  const metric: Metric = { name, unit, description, metadata: [], ...pointsOf(data) };
  const scopeMetrics = [{ metrics: [metric], schemaUrl: "" }];
  return encodeRequest("metrics", {
    resourceMetrics: [{ ...resourceOf(service), scopeMetrics, schemaUrl: "" }],
  });
}

function pointsOf(data: Parsed): Pick<Metric, "gauge" | "sum" | "histogram"> {
  const { type, value, bounds } = data;
  const timeUnixNano = data.timestamp === undefined
    ? nowNanos()
    : nanosOf("timestamp", data.timestamp);
  const attributes = keyValues("labels", data.labels ?? {});
  if (type === "histogram") {
    const dataPoints = [histogramPoint(value, bounds ?? BOUNDS, timeUnixNano, attributes)];
    return { histogram: { dataPoints, aggregationTemporality: DELTA } };
  }
  if (bounds !== undefined) throw new FieldFault("bounds", bounds, "is for histograms");
  if (typeof value !== "number" && typeof value !== "bigint") {
    throw new FieldFault("value", value, `has to be one number for a ${type}`);
  }
  const point = {
    attributes,
    startTimeUnixNano: 0n,
    timeUnixNano,
    ...typeof value === "bigint" ? { asInt: value } : { asDouble: value },
    exemplars: [],
    flags: 0,
  };
  if (type === "gauge") return { gauge: { dataPoints: [point] } };
  if (value < 0) throw new FieldFault("value", value, "has to be 0 or more for a counter");
  return {
    sum: { dataPoints: [point], aggregationTemporality: CUMULATIVE, isMonotonic: true },
  };
}

function histogramPoint(
  value: Parsed["value"],
  bounds: readonly number[],
  timeUnixNano: bigint,
  attributes: KeyValue[],
): HistogramDataPoint {
  if (typeof value === "bigint") {
    throw new FieldFault("value", value, "has to be a number or a list of numbers for a histogram");
  }
  const values = typeof value === "number" ? [value] : value;
  const counts = Array<number>(bounds.length + 1).fill(0);
  for (const one of values) counts[bucketOf(one, bounds)]!++;
  const sum = values.reduce((a, b) => a + b, 0);
  if (!Number.isFinite(sum)) throw new FieldFault("value", value, "has to have a finite sum");
  return {
    attributes,
    startTimeUnixNano: 0n,
    timeUnixNano,
    count: BigInt(values.length),
    sum,
    bucketCounts: counts.map(BigInt),
    explicitBounds: [...bounds],
    exemplars: [],
    flags: 0,
    min: values.reduce((a, b) => Math.min(a, b)),
    max: values.reduce((a, b) => Math.max(a, b)),
  };
}

/** Which bucket a measurement is in: the first whose bound it does not exceed, else the last. */
function bucketOf(value: number, bounds: readonly number[]): number {
  const index = bounds.findIndex((bound) => value <= bound);
  return index < 0 ? bounds.length : index;
}
