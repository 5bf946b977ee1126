import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { constants, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { type ContentEncoding, decompress } from "../src/decompress.ts";

type Coding = Exclude<ContentEncoding, "identity">;

const compressors: Record<Coding, (plain: Uint8Array) => Uint8Array> = {
  gzip: gzipSync,
  deflate: deflateSync,
  zstd: zstdCompressSync,
};
const codings = Object.keys(compressors) as Coding[];

async function decompressed(sent: Uint8Array, coding: Coding): Promise<Uint8Array> {
  const chunks = await Array.fromAsync(decompress(sent, coding));
  return Uint8Array.from(chunks.flatMap((chunk) => [...chunk]));
}

/** Bytes of which a part repeats and a part does not, in more than one block of zstd. */
function mixed(length: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length }, (_, i) => {
    state = Math.imul(state, 1664525) + 1013904223 | 0;
    return i % 3000 < 2000 ? i % 7 : state >>> 24;
  });
}

/** zstd as a stream writes it: of a size that is not known at its beginning, in `window`. */
function zstdOf(plain: Uint8Array, window: number, checksum: 0 | 1 = 0): Uint8Array {
  return zstdCompressSync(plain, {
    params: {
      [constants.ZSTD_c_contentSizeFlag]: 0,
      [constants.ZSTD_c_windowLog]: window,
      [constants.ZSTD_c_checksumFlag]: checksum,
    },
  });
}

Deno.test("what was compressed comes back, in every coding", async () => {
  for (const coding of codings) {
    for (const length of [0, 1, 1000, 300_000]) {
      const plain = mixed(length);
      const back = await decompressed(compressors[coding](plain), coding);
      assert.ok(Buffer.compare(back, plain) === 0, `${coding} ${length}`);
    }
  }
});

Deno.test("what is cut is refused wherever it is cut, in every coding", async () => {
  const cut = { status: 400, message: "Cannot decompress the body: unexpected end of file" };
  for (const coding of codings) {
    const whole = compressors[coding](mixed(3000));
    for (let length = 0; length < whole.length; length += length < 30 ? 1 : 97) {
      await assert.rejects(decompressed(whole.subarray(0, length), coding), cut, `${length}`);
    }
  }
  for (const checksum of [0, 1] as const) {
    const blocks = zstdOf(mixed(300_000), 18, checksum);
    assert.equal((await decompressed(blocks, "zstd")).length, 300_000);
    for (let length = 1; length < blocks.length; length += 7919) {
      await assert.rejects(decompressed(blocks.subarray(0, -length), "zstd"), cut, `${length}`);
    }
  }
});

Deno.test("zstd of several frames is read whole, and with something else behind it not at all", async () => {
  const first = compressors.zstd(mixed(1000));
  const skipped = Uint8Array.of(0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3);
  const joined = Buffer.concat([first, skipped, zstdOf(mixed(2000), 18)]);
  assert.equal((await decompressed(joined, "zstd")).length, 3000);
  const ends: [number[], string][] = [
    [[1], "unexpected end of file"],
    [[1, 2, 3, 4, 5], "incorrect header check"],
    [[...skipped.subarray(0, -1)], "unexpected end of file"],
  ];
  for (const [end, reason] of ends) {
    await assert.rejects(decompressed(Buffer.concat([first, Uint8Array.from(end)]), "zstd"), {
      status: 400,
      message: `Cannot decompress the body: ${reason}`,
    });
  }
});

Deno.test("deflate with something behind it is refused", async () => {
  const whole = compressors.deflate(mixed(1000));
  for (const end of [Uint8Array.of(0), whole]) {
    await assert.rejects(decompressed(Buffer.concat([whole, end]), "deflate"), {
      status: 400,
      message: "Cannot decompress the body: something follows its end",
    });
  }
});

Deno.test("what is not in the coding it names is refused", async () => {
  for (const coding of codings) {
    for (const other of codings) {
      if (other === coding) continue;
      await assert.rejects(decompressed(compressors[other](mixed(100)), coding), { status: 400 });
    }
    await assert.rejects(decompressed(mixed(100), coding), { status: 400 });
  }
});

Deno.test("zstd may ask for a window of 32 MiB and no more", async () => {
  assert.equal((await decompressed(zstdOf(mixed(1000), 25), "zstd")).length, 1000);
  await assert.rejects(decompressed(zstdOf(mixed(1000), 26), "zstd"), {
    status: 400,
    message: /^Cannot decompress the body: .*too much memory/,
  });
});
