import assert from "node:assert/strict";
import { ByteMap } from "../src/postgres/byte_map.ts";
import { randomNumbers } from "./wire_forms.ts";

/** A key amidst other bytes. */
function keyOf(bytes: ArrayLike<number>): [source: DataView, from: number, to: number] {
  const pool = Uint8Array.of(7, 7, 7, ...Array.from(bytes), 7, 7);
  return [new DataView(pool.buffer, 1), 2, 2 + bytes.length];
}

/** A key of its own for each number. */
function numbered(n: number): [DataView, number, number] {
  return keyOf(new TextEncoder().encode(`key ${n}`));
}

Deno.test("byte map finds a key by its content, wherever it lies", () => {
  const map = new ByteMap<string>(100, 10_000);
  const [source, from, to] = keyOf([1, 2, 3, 4, 5]);
  map.add(source, from, to, "found");
  assert.equal(map.get(...keyOf([1, 2, 3, 4, 5])), "found");
  for (const other of [[], [1, 2, 3, 4], [1, 2, 3, 4, 6], [0, 2, 3, 4, 5], [1, 2, 3, 4, 5, 0]]) {
    assert.equal(map.get(...keyOf(other)), undefined);
  }
});

Deno.test("byte map keeps its own copy of a key", () => {
  const map = new ByteMap<number>(100, 10_000);
  const [source, from, to] = keyOf([1, 2, 3, 4, 5]);
  map.add(source, from, to, 1);
  for (let i = from; i < to; i++) source.setUint8(i, 9);
  assert.equal(map.get(source, from, to), undefined);
  assert.equal(map.get(...keyOf([1, 2, 3, 4, 5])), 1);
});

Deno.test("byte map tells keys of every length up to 20 apart by any one bit", () => {
  const map = new ByteMap<string>(10_000, 1_000_000);
  const names = new Map<string, Uint8Array>();
  for (let length = 0; length <= 20; length++) {
    for (let bit = -1; bit < length * 8; bit++) {
      const key = new Uint8Array(length);
      if (bit >= 0) key[bit >> 3]! |= 1 << (bit & 7);
      const name = `${length} bytes, bit ${bit}`;
      names.set(name, key);
      map.add(...keyOf(key), name);
    }
  }
  for (const [name, key] of names) assert.equal(map.get(...keyOf(key)), name);
  assert.equal(map.forgotten, 0);
});

Deno.test("byte map holds the empty key", () => {
  const map = new ByteMap<number>(2, 10);
  assert.equal(map.get(...keyOf([])), undefined);
  map.add(...keyOf([]), 0);
  assert.equal(map.get(...keyOf([])), 0);
});

Deno.test("byte map forgets all when it has as many keys as it may have", () => {
  const map = new ByteMap<number>(3, 1000);
  for (let n = 0; n < 3; n++) map.add(...numbered(n), n);
  assert.deepEqual([0, 1, 2].map((n) => map.get(...numbered(n))), [0, 1, 2]);
  assert.equal(map.forgotten, 0);
  map.add(...numbered(3), 3);
  assert.deepEqual([0, 1, 2, 3].map((n) => map.get(...numbered(n))), [
    undefined,
    undefined,
    undefined,
    3,
  ]);
  assert.equal(map.forgotten, 1);
  // It counts anew.
  map.add(...numbered(4), 4);
  map.add(...numbered(5), 5);
  assert.deepEqual([3, 4, 5].map((n) => map.get(...numbered(n))), [3, 4, 5]);
  assert.equal(map.forgotten, 1);
});

Deno.test("byte map forgets all when its keys have as many bytes as they may have", () => {
  const map = new ByteMap<number>(1000, 10);
  map.add(...keyOf([1, 1, 1, 1]), 1);
  map.add(...keyOf([2, 2, 2, 2, 2, 2]), 2);
  assert.equal(map.get(...keyOf([1, 1, 1, 1])), 1);
  map.add(...keyOf([3]), 3);
  assert.equal(map.get(...keyOf([1, 1, 1, 1])), undefined);
  assert.equal(map.get(...keyOf([3])), 3);
  assert.equal(map.forgotten, 1);
});

Deno.test("byte map takes a key larger than all it may hold, and only that one", () => {
  const map = new ByteMap<number>(1000, 10);
  map.add(...keyOf(new Uint8Array(50)), 50);
  assert.equal(map.get(...keyOf(new Uint8Array(50))), 50);
  assert.equal(map.forgotten, 0);
  map.add(...keyOf([1]), 1);
  assert.equal(map.get(...keyOf(new Uint8Array(50))), undefined);
  assert.equal(map.get(...keyOf([1])), 1);
  assert.equal(map.forgotten, 1);
});

Deno.test("byte map that is cleared has room again and has forgotten nothing for want of it", () => {
  const map = new ByteMap<number>(2, 100);
  map.add(...numbered(0), 0);
  map.add(...numbered(1), 1);
  map.clear();
  assert.equal(map.get(...numbered(0)), undefined);
  map.add(...numbered(2), 2);
  map.add(...numbered(3), 3);
  assert.deepEqual([2, 3].map((n) => map.get(...numbered(n))), [2, 3]);
  assert.equal(map.forgotten, 0);
});

Deno.test("byte map agrees with a Map of texts in whatever order it is asked", () => {
  const map = new ByteMap<number>(1_000_000, 100_000_000);
  const texts = new Map<string, number>();
  const random = randomNumbers(1);
  for (let run = 0; run < 50_000; run++) {
    // Few different bytes, so that keys share beginnings and ends.
    const key = Uint8Array.from({ length: random() * 12 }, () => random() * 3);
    const text = key.toHex();
    assert.equal(map.get(...keyOf(key)), texts.get(text));
    if (!texts.has(text)) {
      texts.set(text, run);
      map.add(...keyOf(key), run);
    }
  }
  assert.ok(texts.size > 10_000);
});
