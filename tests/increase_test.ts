import fc from "fast-check";
import assert from "node:assert/strict";
import { Increase, type Measure } from "../src/query/increase.ts";

const COUNTER: Measure<number, number> = {
  difference: (later, earlier = 0) => later - earlier,
  add: (a, b) => a + b,
  isLess: (later, earlier) => later < earlier,
};

/** What points `[time, start, value]` come to that began counting at `since`. */
function increaseOf(points: readonly [number, number, number][], since = 1000): number | undefined {
  const increase = new Increase(COUNTER, BigInt(since));
  for (const [time, start, value] of points) {
    increase.add({ time: BigInt(time), start: BigInt(start), value });
  }
  return increase.take();
}

const CASES: readonly (readonly [
  what: string,
  points: [time: number, start: number, value: number][],
  increase: number | undefined,
])[] = [
  ["no points", [], undefined],
  ["a first point that began before", [[1010, 900, 5]], undefined],
  ["a first point whose start is not known", [[1010, 0, 5]], undefined],
  ["a first point that began within the range", [[1010, 1000, 5]], 5],
  ["a first point that starts when it was taken", [[1010, 1010, 5]], undefined],
  ["a start that lies after its point", [[1010, 1020, 5]], undefined],
  ["growth", [[1010, 900, 5], [1020, 900, 5], [1030, 900, 9]], 4],
  ["a fall", [[1010, 0, 5], [1020, 0, 9], [1030, 0, 2], [1040, 0, 3]], 4 + 3],
  ["a later start with more than before", [[1010, 900, 5], [1020, 1015, 7]], 7],
  ["a later start with less than before", [[1010, 900, 5], [1020, 1015, 3]], 3],
  ["a later start that is not known", [[1010, 900, 5], [1020, 1020, 7], [1030, 1020, 9]], 2],
  ["a start that comes to be known", [[1010, 0, 5], [1020, 1012, 7]], 7],
  ["a start that was known before", [[1010, 900, 5], [1020, 0, 7]], 2],
  ["a start that goes back", [[1010, 900, 5], [1020, 800, 7]], 2],
];

for (const [what, points, increase] of CASES) {
  Deno.test(`the increase of ${what} is ${increase ?? "not known"}`, () => {
    assert.equal(increaseOf(points), increase);
  });
}

const values = fc.array(fc.nat(1_000), { minLength: 1, maxLength: 50 });

Deno.test("without resets the increase is the last value less the first, however it is taken", () => {
  fc.assert(fc.property(values, fc.array(fc.boolean()), (steps, takes) => {
    let total = 0;
    const increase = new Increase(COUNTER, 0n);
    let taken = 0;
    for (const [n, step] of steps.entries()) {
      total += step;
      increase.add({ time: BigInt(n), start: 0n, value: total });
      if (takes[n]) taken += increase.take() ?? 0;
    }
    taken += increase.take() ?? 0;
    assert.equal(taken, total - steps[0]!);
    assert.equal(increase.take(), undefined);
  }));
});

Deno.test("with resets the increase is what came within each life of the process", () => {
  fc.assert(fc.property(fc.array(values, { minLength: 1, maxLength: 5 }), (lives) => {
    const increase = new Increase(COUNTER, 1n);
    let time = 1n;
    for (const steps of lives) {
      const start = time++;
      let total = 0;
      for (const step of steps) {
        total += step;
        increase.add({ time: time++, start, value: total });
      }
    }
    assert.equal(increase.take(), lives.flat().reduce((sum, step) => sum + step, 0));
  }));
});
