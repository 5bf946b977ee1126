import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { ResendWindow } from "../src/journal/resend_window.ts";
import { randomOf } from "./crashing_files.ts";

function keyOf(n: number): Uint8Array {
  return createHash("sha256").update(`${n}`).digest();
}

Deno.test("the resend window knows what a map with times knows, however keys come and go", () => {
  for (let seed = 0; seed < 40; seed++) {
    const random = randomOf(seed);
    let now = 0;
    const maxKeys = [1, 7, 1_100, 5_000][seed % 4]!;
    const window = new ResendWindow({ windowMs: 1_000, maxKeys, clock: () => now });
    /** In the order of arrival. */
    const known = new Map<number, { position: bigint; arrivalMs: number }>();
    let evicted = 0;
    const forget = () => {
      for (const [n, { arrivalMs }] of known) if (now - arrivalMs >= 1_000) known.delete(n);
    };
    for (let step = 0; step < 4_000; step++) {
      if (random() < 0.02) now += random() * 400;
      forget();
      const n = Math.floor(random() * 3_000);
      if (random() < 0.6) {
        const arrivalMs = now - (random() < 0.1 ? random() * 2_000 : 0);
        const newest = [...known.values()].at(-1)?.arrivalMs ?? -Infinity;
        const clamped = Math.max(arrivalMs, newest);
        window.add({ key: keyOf(n), position: BigInt(step), arrivalMs });
        if (!known.has(n) && now - clamped < 1_000) {
          if (known.size === maxKeys) {
            known.delete(known.keys().next().value!);
            evicted++;
          }
          known.set(n, { position: BigInt(step), arrivalMs: clamped });
        }
      }
      assert.equal(window.find(keyOf(n)), known.get(n)?.position, `seed ${seed} step ${step}`);
      assert.equal(window.size, known.size);
    }
    assert.equal(window.evictedEarly, evicted);
    const [from, to] = [1_000n, 3_500n];
    const expected = [...known].filter(([, { position }]) => position >= from && position < to);
    assert.deepEqual(
      [...window.between(from, to)].map(({ key, ...rest }) => [Buffer.from(key), rest]),
      expected.map(([n, rest]) => [keyOf(n), rest]),
    );
    assert.equal(window.oldest, known.values().next().value?.position);
  }
});

Deno.test("a million keys take less than 60 MB", () => {
  const window = new ResendWindow({ windowMs: 1_000, maxKeys: 1_000_000, clock: () => 0 });
  const key = new Uint8Array(32);
  const view = new DataView(key.buffer);
  for (let n = 0; n < 1_000_100; n++) {
    // The first bytes of a hash differ as random numbers do.
    view.setUint32(0, Math.imul(n, 2654435761), true);
    view.setUint32(8, n, true);
    window.add({ key, position: BigInt(n), arrivalMs: 0 });
  }
  assert.deepEqual([window.size, window.evictedEarly], [1_000_000, 100]);
  assert(window.memoryBytes < 60e6, `${window.memoryBytes}`);
  assert.equal(window.oldest, 100n);
});
