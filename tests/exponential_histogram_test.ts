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

// Those of Prometheus for its native histograms: promqltest/testdata/native_histograms.test. A bucket of
// theirs ends where ours with the index before it ends.
const PROMETHEUS: readonly (readonly [what: string, ExponentialHistogram, [number, number][]])[] = [
  [
    "only positive",
    histogram({
      zeroThreshold: 0.001,
      zeroCount: 2,
      positive: bucketsOf(-1, [2, 3, 0, 1, 4]),
    }),
    [
      [1.001, Infinity],
      [1, 16],
      [0.99, 15.67072476139083],
      [0.9, 12.99603834169977],
      [
        0.5,
        1.5874010519681996,
      ],
      [0.1, 0.0006],
      [0, 0],
      [-1, -Infinity],
    ],
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
    // Rank 23.76 of 24: 0.94 of the way from 2^3 to 2^4.
    [[1, 16], [0.99, 8 * 2 ** 0.94], [0.5, 0], [0.01, -8 * 2 ** 0.94], [0, -16]],
  ],
];

for (const [what, one, values] of PROMETHEUS) {
  for (const [q, value] of values) {
    Deno.test(`quantile ${q} of a histogram with ${what} buckets is that of Prometheus`, () => {
      assertNear(exponentialHistogramQuantile(q, one), value);
    });
  }
}

Deno.test("a quantile that is none, and a histogram with nothing in it, give what Prometheus gives", () => {
  const one = histogram({ positive: new Map([[0, 1]]) });
  assert.equal(exponentialHistogramQuantile(NaN, one), NaN);
  assert.equal(exponentialHistogramQuantile(-0.1, one), -Infinity);
  assert.equal(exponentialHistogramQuantile(1.1, one), Infinity);
  assert.equal(exponentialHistogramQuantile(0.5, histogram({})), NaN);
  assert.equal(exponentialHistogramQuantile(0.5, histogram({ zeroCount: 3 })), 0);
});

Deno.test("scales -2 and 5 are added at -2, where 128 buckets become one", () => {
  // Scale 5: bucket 0 is (1, 2^(1/32)], 127 ends at 16, 128 begins there, -1 ends at 1.
  const fine = histogram({
    scale: 5,
    positive: new Map([[-1, 1], [0, 2], [127, 4], [128, 8]]),
    negative: new Map([[-129, 16], [-128, 32]]),
    zeroCount: 64,
  });
  // Scale -2: bucket 0 is (1, 16].
  const coarse = histogram({ scale: -2, positive: new Map([[0, 100], [1, 200]]), zeroCount: 300 });
  assert.deepEqual(addExponentialHistograms(fine, coarse), {
    scale: -2,
    zeroThreshold: 0,
    zeroCount: 364,
    positive: new Map([[-1, 1], [0, 106], [1, 208]]),
    negative: new Map([[-2, 16], [-1, 32]]),
  });
  // The 50 lowest of the positive 105 end at 2^(4 * (49.5 - 1) / 104), and so on: by hand.
  const sum = addExponentialHistograms(
    histogram({ scale: 5, positive: new Map([[-1, 1], [0, 2], [127, 2]]) }),
    histogram({ scale: -2, positive: new Map([[0, 100]]) }),
  );
  assertNear(exponentialHistogramQuantile(0.5, sum), 2 ** (4 * (52.5 - 1) / 104));
  assertNear(exponentialHistogramQuantile(1, sum), 16);
});

Deno.test("what the larger zero threshold covers belongs to the zero bucket, and so does the bucket that it cuts", () => {
  // Scale 0: bucket -1 is (0.5, 1], 0 is (1, 2], 1 is (2, 4].
  const narrow = histogram({
    zeroThreshold: 0.25,
    zeroCount: 1,
    positive: new Map([[-1, 2], [0, 3], [1, 4]]),
  });
  const whole = addExponentialHistograms(narrow, histogram({ zeroThreshold: 1 }));
  // Zero bucket: 3 up to 1; then 3 up to 2.
  assertNear(exponentialHistogramQuantile(3 / 10, whole), 1);
  assertNear(exponentialHistogramQuantile(6 / 10, whole), 2);
  assertNear(exponentialHistogramQuantile(1.5 / 10, whole), 0.5);
  const cut = addExponentialHistograms(narrow, histogram({ zeroThreshold: 1.5 }));
  // Zero bucket: 6 up to 2, where the bucket ends that the threshold cuts.
  assertNear(exponentialHistogramQuantile(3 / 10, cut), 1);
  assertNear(exponentialHistogramQuantile(6 / 10, cut), 2);
  assertNear(exponentialHistogramQuantile(1, cut), 4);
  // An empty bucket is not cut.
  const empty = histogram({
    zeroThreshold: 1.5,
    zeroCount: 1,
    positive: new Map([[0, 0], [1, 1]]),
  });
  assertNear(exponentialHistogramQuantile(0.5, empty), 1.5);
});

Deno.test("hostile scales, indexes and thresholds give numbers", () => {
  for (const scale of [-(2 ** 31), -2000, -11, 20, 2000, 2 ** 31 - 1]) {
    for (const index of [-(2 ** 31), -1, 0, 1, 2 ** 31 - 1]) {
      for (const zeroThreshold of [0, 5e-324, 1, 1e308, Infinity, NaN, -1]) {
        const one = histogram({
          scale,
          zeroThreshold,
          zeroCount: 2 ** 64,
          positive: new Map([[index, 1]]),
          negative: new Map([[index, 2 ** 64]]),
        });
        const sum = addExponentialHistograms(one, histogram({ scale: -20, zeroThreshold: 2 }));
        for (const histogram of [one, sum]) {
          for (const q of [0, 0.1, 0.5, 1]) {
            const value = exponentialHistogramQuantile(q, histogram);
            assert.ok(Number.isFinite(value), `${value} at scale ${scale}, index ${index}`);
          }
        }
      }
    }
  }
});

const buckets = fc.dictionary(fc.integer({ min: -40, max: 40 }).map(String), fc.nat(50), {
  maxKeys: 8,
}).map((counts) => new Map(Object.entries(counts).map(([index, count]) => [Number(index), count])));
const histograms = fc.record({
  scale: fc.integer({ min: -4, max: 6 }),
  zeroThreshold: fc.constantFrom(0, 0.001, 0.5, 1.7),
  zeroCount: fc.nat(20),
  positive: buckets,
  negative: buckets,
});

function measured({ zeroCount, positive, negative }: ExponentialHistogram): number {
  const all = [...positive.values(), ...negative.values()];
  return all.reduce((sum, count) => sum + count, zeroCount);
}

Deno.test("it does not matter in which order exponential histograms are added, and subtracting takes it back", () => {
  fc.assert(fc.property(histograms, histograms, histograms, (a, b, c) => {
    const ab = addExponentialHistograms(a, b);
    assert.deepEqual(ab, addExponentialHistograms(b, a));
    assert.deepEqual(
      addExponentialHistograms(ab, c),
      addExponentialHistograms(a, addExponentialHistograms(b, c)),
    );
    assert.equal(measured(ab), measured(a) + measured(b));
    const rest = subtractExponentialHistograms(ab, b);
    const coarse = addExponentialHistograms(
      a,
      histogram({ scale: ab.scale, zeroThreshold: ab.zeroThreshold }),
    );
    for (const q of [0, 0.3, 1]) {
      assert.deepEqual(
        exponentialHistogramQuantile(q, rest),
        exponentialHistogramQuantile(q, coarse),
      );
    }
  }));
});

Deno.test("a quantile lies in the bucket of the measurement of its rank, whatever the scale", () => {
  const magnitude = fc.double({ min: 1e-3, max: 1e3, noNaN: true });
  const values = fc.array(fc.tuple(magnitude, fc.boolean()), { minLength: 1, maxLength: 40 })
    .map((all) => all.map(([value, isNegative]) => isNegative ? -value : value));
  fc.assert(
    fc.property(
      values,
      fc.integer({ min: -3, max: 8 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (values, scale, q) => {
        const positive = new Map<number, number>();
        const negative = new Map<number, number>();
        for (const value of values) {
          const index = Math.ceil(Math.log2(Math.abs(value)) * 2 ** scale) - 1;
          const side = value > 0 ? positive : negative;
          side.set(index, (side.get(index) ?? 0) + 1);
        }
        const estimate = exponentialHistogramQuantile(q, histogram({ scale, positive, negative }));
        const rank = Math.max(1, Math.ceil(q * values.length - 1e-9));
        const exact = values.toSorted((a, b) => a - b)[rank - 1]!;
        const base = 2 ** (2 ** -scale);
        const ratio = estimate / exact;
        assert.ok(
          ratio <= base * (1 + 1e-9) && ratio >= 1 / base * (1 - 1e-9),
          `${estimate} for ${exact}`,
        );
      },
    ),
  );
});
