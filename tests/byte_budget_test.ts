import assert from "node:assert/strict";
import { ByteBudget } from "../src/byte_budget.ts";

/** Lets everything that is ready to go on go on. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

Deno.test("a byte budget lets in as much as fits and counts the most it ever held", async () => {
  const budget = new ByteBudget(10);
  const first = await budget.reserve(4);
  const second = await budget.reserve(6);
  assert.deepEqual([budget.used, budget.highWater, budget.waiting], [10, 10, 0]);
  first[Symbol.dispose]();
  second[Symbol.dispose]();
  assert.deepEqual([budget.used, budget.highWater, budget.waiting], [0, 10, 0]);
});

Deno.test("a byte budget serves in order: the small do not overtake the large", async () => {
  const budget = new ByteBudget(10);
  const order: string[] = [];
  const first = await budget.reserve(6);
  const large = budget.reserve(10).then((lease) => (order.push("large"), lease));
  const small = budget.reserve(1).then((lease) => (order.push("small"), lease));
  await settle();
  assert.deepEqual([order, budget.waiting], [[], 2]);
  first[Symbol.dispose]();
  (await large)[Symbol.dispose]();
  (await small)[Symbol.dispose]();
  assert.deepEqual(order, ["large", "small"]);
  assert.equal(budget.used, 0);
});

Deno.test("a byte budget counts bytes that are given back twice once", async () => {
  const budget = new ByteBudget(10);
  const first = await budget.reserve(4);
  using _second = await budget.reserve(4);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  assert.deepEqual([first.bytes, budget.used], [0, 4]);
});

Deno.test("a byte budget lets who stands behind an aborted wait go on", async () => {
  const budget = new ByteBudget(10);
  using _held = await budget.reserve(6);
  const controller = new AbortController();
  const large = budget.reserve(10, controller.signal);
  const small = budget.reserve(4);
  const reason = new Error("gone");
  controller.abort(reason);
  await assert.rejects(large, reason);
  using lease = await small;
  assert.deepEqual([lease.bytes, budget.used, budget.waiting], [4, 10, 0]);
});

Deno.test("a byte budget refuses an aborted signal, what never fits and a limit that is none", async () => {
  const budget = new ByteBudget(10);
  const reason = new Error("gone");
  await assert.rejects(budget.reserve(1, AbortSignal.abort(reason)), reason);
  await assert.rejects(budget.reserve(11), {
    name: "RangeError",
    message: "Cannot reserve bytes: must be within 0 and 10, got 11",
  });
  await assert.rejects(budget.reserve(NaN), RangeError);
  assert.equal(budget.used, 0);
  for (const limit of [0, -1, 1.5, NaN, Infinity]) {
    assert.throws(() => new ByteBudget(limit), {
      name: "RangeError",
      message: `Cannot create ByteBudget: limit must be a positive integer, got ${limit}`,
    });
  }
});

Deno.test("a byte budget gives at once what is free, and nothing past those who wait", async () => {
  const budget = new ByteBudget(10);
  using first = budget.tryReserve(6);
  assert.deepEqual([first?.bytes, budget.used], [6, 6]);
  for (const never of [5, 11, -1, NaN]) assert.equal(budget.tryReserve(never), undefined);
  const waiting = budget.reserve(5);
  assert.equal(budget.tryReserve(1), undefined);
  first?.[Symbol.dispose]();
  using second = await waiting;
  using third = budget.tryReserve(5);
  assert.deepEqual([second.bytes, third?.bytes, budget.used], [5, 5, 10]);
});
