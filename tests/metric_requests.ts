/**
 * Ten minutes of metrics of every type, with what goes wrong in them: resets, gaps, other scales.
 *
 * @module
 */

import type {
  ExponentialHistogramDataPoint,
  ExportRequests,
  HistogramDataPoint,
  KeyValue,
  Metric,
  NumberDataPoint,
} from "../src/record.ts";
import { attribute, metrics, resource, TIME } from "./one_record.ts";

const SECOND = 1_000_000_000n;
/** Points come every ten seconds, from ten minutes before `TIME` on. */
const INTERVAL = 10n * SECOND;
const POINTS = 60;
/** When the first point is taken. */
export const FIRST: bigint = TIME - 600n * SECOND;

/** Numbers from 0 to 1, always the same ones. */
function randoms(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
}

/** A series: its resource, its attributes, and the seed of its numbers. */
interface Given {
  readonly service: string;
  readonly attributes: KeyValue[];
  readonly seed: number;
}

const SERIES: readonly Given[] = ["shop", "billing"].flatMap((service, s) =>
  ["/cart", "/pay"].map((route, r) => ({
    service,
    attributes: [attribute("http.route", route), attribute("zone", "a")],
    seed: 1 + s * 2 + r,
  }))
);

type PointBase = Pick<
  NumberDataPoint,
  "attributes" | "startTimeUnixNano" | "timeUnixNano" | "exemplars" | "flags"
>;

/** A point of each time, with attributes now in this order and now in that. */
function points<P>(
  given: Given,
  make: (base: PointBase, n: number, random: () => number) => P,
): P[] {
  const random = randoms(given.seed * 7919);
  return Array.from({ length: POINTS }, (_, n) => {
    const { attributes } = given;
    const base = {
      attributes: n % 20 < 10 ? attributes : attributes.toReversed(),
      startTimeUnixNano: FIRST - INTERVAL,
      timeUnixNano: FIRST + BigInt(n) * INTERVAL + BigInt(given.seed),
      exemplars: [],
      flags: 0,
    };
    return make(base, n, random);
  });
}

function metric(name: string, unit: string, data: Partial<Metric>): Metric {
  return { name, unit, description: `what ${name} is`, metadata: [], ...data };
}

/** Whole numbers and others; now and then NaN or none. */
function gaugeOf(given: Given): Metric {
  const dataPoints = points(given, (base, n, random): NumberDataPoint => {
    const value = random() * 100 - 20;
    if (n % 13 === 5) return { ...base, flags: 1 };
    if (n % 17 === 3) return { ...base, asDouble: NaN };
    return n % 2 === 0
      ? { ...base, asDouble: value }
      : { ...base, asInt: BigInt(Math.round(value)) };
  });
  return metric("queue.size", "{item}", { gauge: { dataPoints } });
}

/** Above 2^53, so that a double would lose what it grows by. */
const LARGE = 2n ** 60n;

/** Cumulative: reset with a new start, without one, from an unknown start, and not at all. */
function counterOf(given: Given): Metric {
  let total = given.seed === 4 ? LARGE : 0n;
  let start = given.seed === 2 ? 0n : FIRST - INTERVAL;
  const dataPoints = points(given, (base, n, random): NumberDataPoint => {
    total += BigInt(Math.floor(random() * 50));
    if (n === 25 && given.seed < 4) {
      total = BigInt(Math.floor(random() * 500));
      if (given.seed === 1) start = base.timeUnixNano - 5n * SECOND;
      if (given.seed === 3) start = base.timeUnixNano;
    }
    return { ...base, startTimeUnixNano: start, asInt: total };
  });
  return metric("http.requests", "1", {
    sum: {
      dataPoints: given.seed === 3 ? dataPoints.slice(0, 50) : dataPoints,
      aggregationTemporality: 2,
      isMonotonic: true,
    },
  });
}

function deltaOf(given: Given): Metric {
  const dataPoints = points(given, (base, _, random): NumberDataPoint => ({
    ...base,
    startTimeUnixNano: base.timeUnixNano - INTERVAL,
    asDouble: random() * 10,
  }));
  const sum = { dataPoints, aggregationTemporality: 1, isMonotonic: true };
  return metric("http.requests", "1", { sum });
}

function upDownOf(given: Given): Metric {
  let value = 0;
  const dataPoints = points(given, (base, _, random): NumberDataPoint => {
    value += random() * 10 - 5;
    return { ...base, asDouble: value };
  });
  const sum = { dataPoints, aggregationTemporality: 2, isMonotonic: false };
  return metric("connections", "{connection}", { sum });
}

/** The two services do not have the same bounds; some deltas hold nothing. */
function histogramOf(given: Given, temporality: 1 | 2): Metric {
  const explicitBounds = given.service === "shop" ? [0, 5, 10, 25, 50] : [5, 10, 20, 50, 100];
  let counts = explicitBounds.concat(0).map(() => 0n);
  let sum = 0;
  let start = FIRST - INTERVAL;
  const dataPoints = points(given, (base, n, random): HistogramDataPoint => {
    const isReset = temporality === 2 && n === 30 && given.seed % 2 === 0;
    if (isReset) start = base.timeUnixNano - 1n;
    if (isReset || temporality === 1) {
      counts = counts.map(() => 0n);
      sum = 0;
    }
    for (let at = 0; at < (n % 7 === 0 ? 0 : 20); at++) {
      const value = random() ** 2 * 120;
      const bucket = explicitBounds.findIndex((bound) => value <= bound);
      counts[bucket < 0 ? counts.length - 1 : bucket]!++;
      sum += value;
    }
    return {
      ...base,
      startTimeUnixNano: temporality === 1 ? base.timeUnixNano - INTERVAL : start,
      count: counts.reduce((all, count) => all + count, 0n),
      sum,
      bucketCounts: [...counts],
      explicitBounds,
      ...temporality === 1 && { min: n, max: n + 200 },
    };
  });
  const histogram = { dataPoints, aggregationTemporality: temporality };
  return metric("latency", "ms", { histogram });
}

/** Scales from 5 down to -2, positive and negative buckets, a zero bucket. */
function exponentialOf(given: Given, temporality: 1 | 2): Metric {
  const scale = [5, -2, 3, 0][given.seed - 1]!;
  const all = new Map<string, bigint>();
  let zeroCount = 0n;
  let start = FIRST - INTERVAL;
  const side = (sign: string) => {
    const counts = [...all].filter(([key]) => key[0] === sign)
      .map(([key, count]) => [Number(key.slice(1)), count] as const);
    const offset = Math.min(...counts.map(([index]) => index));
    if (counts.length === 0) return { offset: 0, bucketCounts: [] };
    const length = Math.max(...counts.map(([index]) => index)) - offset + 1;
    const bucketCounts = Array<bigint>(length).fill(0n);
    for (const [index, count] of counts) bucketCounts[index - offset] = count;
    return { offset, bucketCounts };
  };
  const dataPoints = points(given, (base, n, random): ExponentialHistogramDataPoint => {
    const isReset = temporality === 2 && n === 35 && given.seed === 1;
    if (isReset) start = base.timeUnixNano - 1n;
    if (isReset || temporality === 1) {
      all.clear();
      zeroCount = 0n;
    }
    for (let at = 0; at < 15; at++) {
      const exponent = random() * 12 - 4;
      const kind = random();
      if (kind < 0.1) {
        zeroCount++;
        continue;
      }
      const key = `${kind < 0.3 ? "-" : "+"}${Math.floor(exponent * 2 ** scale)}`;
      all.set(key, (all.get(key) ?? 0n) + 1n);
    }
    return {
      ...base,
      startTimeUnixNano: temporality === 1 ? base.timeUnixNano - INTERVAL : start,
      count: zeroCount + [...all.values()].reduce((sum, count) => sum + count, 0n),
      scale,
      zeroCount,
      zeroThreshold: 0,
      positive: side("+"),
      negative: side("-"),
    };
  });
  const exponentialHistogram = { dataPoints, aggregationTemporality: temporality };
  return metric("size", "By", { exponentialHistogram });
}

function summaryOf(given: Given): Metric {
  let count = 0n;
  const dataPoints = points(given, (base, n, random) => ({
    attributes: base.attributes,
    startTimeUnixNano: base.startTimeUnixNano,
    timeUnixNano: base.timeUnixNano,
    flags: 0,
    count: count += 3n,
    sum: Number(count) * 2,
    quantileValues: [
      { quantile: 0.5, value: random() },
      { quantile: 0.99, value: n === 4 ? NaN : 10 + random() },
    ],
  }));
  return metric("old.latency", "s", { summary: { dataPoints } });
}

/** One request for each series of each metric. */
export const METRIC_REQUESTS: readonly ExportRequests["metrics"][] = SERIES.flatMap((given) =>
  [
    gaugeOf(given),
    counterOf(given),
    deltaOf(given),
    upDownOf(given),
    histogramOf(given, 1),
    histogramOf(given, 2),
    exponentialOf(given, 1),
    exponentialOf(given, 2),
    summaryOf(given),
  ].map((one) =>
    metrics([one], {
      resource: resource([attribute("service.name", given.service), attribute("host", "h1")]),
    })
  )
);
