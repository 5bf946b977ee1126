/**
 * Metric points in the shape that services send them: 16 metrics a request, of which 7 are gauges, 5
 * sums, 3 histograms and 1 an exponential histogram; 4 labels a point; each request has the same
 * series at each sending, with new values.
 */

import type {
  ExponentialHistogramDataPoint,
  ExportMetricsServiceRequest,
  HistogramDataPoint,
  KeyValue,
  Metric,
  NumberDataPoint,
} from "../src/record.ts";
import { METHODS, type Mint, ROUTES, scope } from "./telemetry.ts";

const METRICS = 16;
const CUMULATIVE = 2;
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/**
 * The request of that number.
 *
 * @param startUnixNano When the points were taken.
 */
export function pointRequest(
  mint: Mint,
  request: number,
  points: number,
  startUnixNano: bigint,
): ExportMetricsServiceRequest {
  const metrics: Metric[] = [];
  // A request of few points has few metrics, and the next request others.
  for (let left = points, n = 0; left > 0; n++) {
    const count = Math.min(left, Math.ceil(points / METRICS));
    metrics.push(metric(mint, (request + n) % METRICS, count, startUnixNano));
    left -= count;
  }
  return {
    resourceMetrics: [{
      resource: mint.resource(request),
      scopeMetrics: [{ scope: scope("runtime"), metrics, schemaUrl: "" }],
      schemaUrl: "",
    }],
  };
}

function metric(mint: Mint, kind: number, count: number, timeUnixNano: bigint): Metric {
  const common = (series: number) => ({
    attributes: labels(mint, series),
    startTimeUnixNano: mint.time(timeUnixNano - 3_600_000_000_000n),
    timeUnixNano: mint.time(timeUnixNano),
    exemplars: [],
    flags: 0,
  });
  const pointsOf = <T>(point: (series: number) => T) =>
    Array.from({ length: count }, (_, series) => point(series));
  const base = { description: "What a service says of itself", unit: "s", metadata: [] };
  if (kind < 7) {
    const dataPoints = pointsOf<NumberDataPoint>((series) => ({
      ...common(series),
      asDouble: mint.freshDouble(100),
    }));
    return { ...base, name: `process.gauge.${kind}`, gauge: { dataPoints } };
  }
  if (kind < 12) {
    const dataPoints = pointsOf<NumberDataPoint>((series) => ({
      ...common(series),
      asInt: mint.freshInt(),
    }));
    return {
      ...base,
      name: `http.server.requests.${kind}`,
      sum: { dataPoints, aggregationTemporality: CUMULATIVE, isMonotonic: true },
    };
  }
  if (kind < 15) {
    const dataPoints = pointsOf<HistogramDataPoint>((series) => {
      const bucketCounts = Array.from({ length: BOUNDS.length + 1 }, () => mint.below(1_000));
      return {
        ...common(series),
        count: BigInt(bucketCounts.reduce((sum, count) => sum + count)),
        sum: mint.freshDouble(5_000),
        bucketCounts: bucketCounts.map(BigInt),
        explicitBounds: BOUNDS,
        min: 0.001,
        max: 9.5,
      };
    });
    return {
      ...base,
      name: `http.server.duration.${kind}`,
      histogram: { dataPoints, aggregationTemporality: CUMULATIVE },
    };
  }
  const dataPoints = pointsOf<ExponentialHistogramDataPoint>((series) => {
    const bucketCounts = Array.from({ length: 40 }, () => mint.below(100));
    return {
      ...common(series),
      count: BigInt(bucketCounts.reduce((sum, count) => sum + count)),
      sum: mint.freshDouble(5_000),
      scale: 3,
      zeroCount: 0n,
      positive: { offset: -12, bucketCounts: bucketCounts.map(BigInt) },
      zeroThreshold: 0,
    };
  });
  return {
    ...base,
    name: `rpc.duration.${kind}`,
    exponentialHistogram: { dataPoints, aggregationTemporality: CUMULATIVE },
  };
}

function labels(mint: Mint, series: number): KeyValue[] {
  return [
    mint.text("http.request.method", METHODS[series % METHODS.length]!),
    mint.text("http.route", ROUTES[Math.floor(series / METHODS.length) % ROUTES.length]!),
    mint.text("k8s.pod.name", `pod-${Math.floor(series / 20)}`),
    mint.int("http.response.status_code", 200),
  ];
}
