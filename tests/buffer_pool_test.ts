/** Memory that is lent again: who has it, and what becomes of it. */

import assert from "node:assert/strict";
import { BufferPool } from "../src/buffer_pool.ts";

const KiB = 1024;

Deno.test("a buffer is the next size that is a power of two, or halfway between two", () => {
  const pool = new BufferPool(0);
  const sizes = [0, 1, 64, 65, 96, 97, 128, 129, 192, 193, 3 * 1024, 4 * 1024, 4 * 1024 + 1];
  assert.deepEqual(
    sizes.map((size) => pool.take(size * KiB).length / KiB),
    [64, 64, 64, 96, 96, 128, 128, 192, 192, 256, 3 * 1024, 4 * 1024, 4 * 1024 + 1],
  );
});

Deno.test("what is given is lent again, and what is too much is freed at once", () => {
  const pool = new BufferPool(128 * KiB);
  const [first, second, third] = [1, 2, 3].map(() => pool.take(64 * KiB));
  for (const buffer of [first, second, third]) pool.give(buffer!);
  assert.equal(pool.bytes, 128 * KiB);
  assert.deepEqual([first, second, third].map((buffer) => buffer!.length), [65_536, 65_536, 0]);
  assert.deepEqual(new Set([pool.take(1), pool.take(1)]), new Set([first, second]));
  assert.equal(pool.bytes, 0);
  const large = pool.take(5 * 1024 * KiB);
  pool.give(large);
  assert.deepEqual([large.length, pool.bytes], [0, 0]);
});
