import fc from "fast-check";
import assert from "node:assert/strict";
import {
  addHistograms,
  type Histogram,
  histogramOf,
  histogramQuantile,
  subtractHistograms,
} from "../src/query/histogram.ts";

/** The example of the Prometheus exposition format: 24054, 33444, 100392, 129389, 133988, 144320 in all. */
const REQUESTS: Histogram = {
  bounds: [0.05, 0.1, 0.2, 0.5, 1],
  counts: [24_054, 9_390, 66_948, 28_997, 4_599, 10_332],
};

/** Linear interpolation by hand. */
const KNOWN: readonly (readonly [q: number, value: number])[] = [
  [0, 0],
  [24_054 / 144_320, 0.05],
  // Rank 72,160: 38,716 of the 66,948 in (0.1, 0.2].
  [0.5, 0.1 + 0.1 * (72_160 - 33_444) / 66_948],
  // Rank 129,888: 499 of the 4,599 in (0.5, 1].
  [0.9, 0.5 + 0.5 * (129_888 - 129_389) / 4_599],
  // Above the highest bound, which stands for it.
  [0.95, 1],
  [1, 1],
];

for (const [q, value] of KNOWN) {
  Deno.test(`quantile ${q} of a histogram lies evenly in its bucket`, () => {
    const estimate = histogramQuantile(q, REQUESTS);
    assert.ok(Math.abs(estimate - value) < 1e-12, `${estimate} instead of ${value}`);
  });
}

Deno.test("a quantile that is none, and a histogram with nothing in it, give what Prometheus gives", () => {
  assert.equal(histogramQuantile(NaN, REQUESTS), NaN);
  assert.equal(histogramQuantile(-0.1, REQUESTS), -Infinity);
  assert.equal(histogramQuantile(1.1, REQUESTS), Infinity);
  assert.equal(histogramQuantile(0.5, { bounds: [1, 2], counts: [0, 0, 0] }), NaN);
  assert.equal(histogramQuantile(0.5, { bounds: [], counts: [7] }), NaN);
  // All in the lowest bucket, which ends at or below 0: its bound stands for it.
  assert.equal(histogramQuantile(0.5, { bounds: [-5, 5], counts: [4, 0, 0] }), -5);
  assert.equal(histogramQuantile(0.5, { bounds: [0, 5], counts: [4, 0, 0] }), 0);
  // Empty buckets below are passed over.
  assert.equal(histogramQuantile(0, { bounds: [1, 2, 3], counts: [0, 0, 4, 0] }), 2);
});

Deno.test("bounds at the ends of what a double holds neither overflow nor give NaN", () => {
  const wide = { bounds: [-Number.MAX_VALUE, Number.MAX_VALUE], counts: [0, 2, 0] };
  assert.equal(histogramQuantile(0.5, wide), 0);
  const endless = { bounds: [-Infinity, 1, Infinity], counts: [0, 1, 1, 0] };
  assert.equal(histogramQuantile(0.25, endless), 1);
  assert.equal(histogramQuantile(1, endless), 1);
});

Deno.test("buckets that contradict each other are no histogram", () => {
  assert.equal(histogramOf([], []), undefined);
  assert.equal(histogramOf([1, 2], []), undefined);
  assert.equal(histogramOf([1, 2, 3], [2, 1]), undefined);
  assert.equal(histogramOf([1, 2, 3], [1, 1]), undefined);
  assert.equal(histogramOf([1, 2], [NaN]), undefined);
  assert.equal(histogramOf([1, 2, 3], [1, NaN]), undefined);
  assert.deepEqual(histogramOf([1], []), { bounds: [], counts: [1] });
});

const histograms = fc.uniqueArray(fc.integer({ min: -5, max: 15 }), { maxLength: 8 })
  .chain((bounds) =>
    fc.array(fc.nat(100), { minLength: bounds.length + 1, maxLength: bounds.length + 1 })
      .map((counts): Histogram => ({ bounds: bounds.toSorted((a, b) => a - b), counts }))
  );

/** How many of the measurements are at most `bound`, which is a bound of the histogram. */
function atMost(bound: number, { bounds, counts }: Histogram): number {
  return counts.slice(0, bounds.indexOf(bound) + 1).reduce((sum, count) => sum + count, 0);
}

Deno.test("what two histograms hold together is counted at every bound that both have", () => {
  fc.assert(fc.property(histograms, histograms, (a, b) => {
    const sum = addHistograms(a, b);
    assert.deepEqual(sum.bounds, a.bounds.filter((bound) => b.bounds.includes(bound)));
    for (const bound of sum.bounds) {
      assert.equal(atMost(bound, sum), atMost(bound, a) + atMost(bound, b));
    }
    const all = (one: Histogram) => one.counts.reduce((total, count) => total + count, 0);
    assert.equal(all(sum), all(a) + all(b));
  }));
});

Deno.test("it does not matter in which order histograms are added, and subtracting takes it back", () => {
  fc.assert(fc.property(histograms, histograms, histograms, (a, b, c) => {
    const ab = addHistograms(a, b);
    assert.deepEqual(ab, addHistograms(b, a));
    assert.deepEqual(addHistograms(ab, c), addHistograms(a, addHistograms(b, c)));
    const same = { bounds: a.bounds, counts: a.counts.map((count) => count * 3) };
    assert.deepEqual(subtractHistograms(addHistograms(a, same), same), a);
  }));
});

Deno.test("a quantile lies in the bucket that holds its rank, and grows with q", () => {
  fc.assert(
    fc.property(histograms, fc.double({ min: 0, max: 1, noNaN: true }), (histogram, q) => {
      const { bounds, counts } = histogram;
      const total = counts.reduce((sum, count) => sum + count, 0);
      fc.pre(total > 0 && bounds.length > 0);
      const value = histogramQuantile(q, histogram);
      let below = 0;
      const bucket = counts.findIndex((count) => count > 0 && (below += count) >= q * total);
      const upper = bounds[bucket] ?? bounds.at(-1)!;
      const lower = bucket === 0 ? Math.min(0, upper) : bounds[bucket - 1]!;
      assert.ok(value >= lower - 1e-9 && value <= upper + 1e-9, `${value} in (${lower}, ${upper}]`);
      assert.ok(histogramQuantile(Math.min(1, q + 0.1), histogram) >= value - 1e-9);
    }),
  );
});
