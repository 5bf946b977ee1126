import assert from "node:assert/strict";
import { Instant } from "../src/postgres/instant.ts";
import { Ranges } from "../src/postgres/ranges.ts";
import { cleanText, RowBuffer } from "../src/postgres/row_buffer.ts";
import { fromProtobuf } from "../src/otlp_protobuf.ts";
import { message } from "../src/otlp_fields.ts";

/** Sizes that make every reserve grow the buffer at some place, and one that never does. */
const SIZES = [1, 2, 31, 32, 33, 64, 100, 1 << 16];

/** What has been written. */
function written(buffer: RowBuffer): Uint8Array {
  return buffer.bytes.slice(0, buffer.at);
}

/** The field at the beginning of `bytes`: its content, or null. */
function fieldOf(bytes: Uint8Array): Uint8Array | null {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getInt32(0);
  if (length < 0) {
    assert.equal(bytes.length, 4);
    return null;
  }
  assert.equal(bytes.length, 4 + length);
  return bytes.subarray(4);
}

/** A text as it is written, amidst other bytes, from a buffer of each size. */
function textOf(source: Uint8Array): { text: string | null; replaced: number } {
  const pool = Uint8Array.of(0xff, ...source, 0xff);
  const results = SIZES.map((size) => {
    const buffer = new RowBuffer(size);
    buffer.reserve(0); // as all do that write a tuple
    buffer.text(pool, 1, pool.length - 1);
    const field = fieldOf(written(buffer));
    const element = new RowBuffer(size);
    element.element(new DataView(pool.buffer), 1, pool.length - 1);
    assert.deepEqual(fieldOf(written(element)), field ?? new Uint8Array(0));
    assert.equal(element.replaced, buffer.replaced);
    return {
      text: field && new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(field),
      replaced: buffer.replaced,
    };
  });
  for (const result of results) assert.deepEqual(result, results[0]);
  return results[0]!;
}

/** What a text has to become. */
function replacedText(source: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(source).replaceAll("\0", "\ufffd");
}

const BROKEN: readonly [what: string, bytes: number[]][] = [
  ["NUL", [0]],
  ["a continuation byte alone", [0x80]],
  ["two bytes cut", [0xc3]],
  ["three bytes cut after one", [0xe2]],
  ["three bytes cut after two", [0xe2, 0x82]],
  ["four bytes cut after three", [0xf0, 0x9f, 0x9a]],
  ["an overlong slash", [0xc0, 0xaf]],
  ["an overlong NUL", [0xc0, 0x80]],
  ["an overlong of three bytes", [0xe0, 0x9f, 0xbf]],
  ["an overlong of four bytes", [0xf0, 0x8f, 0xbf, 0xbf]],
  ["a high surrogate", [0xed, 0xa0, 0x80]],
  ["a surrogate pair", [0xed, 0xa0, 0xbd, 0xed, 0xba, 0x80]],
  ["beyond U+10FFFF", [0xf4, 0x90, 0x80, 0x80]],
  ["five bytes", [0xf8, 0x88, 0x80, 0x80, 0x80]],
  ["0xff", [0xff]],
  ["a character after a cut one", [0xe2, 0x82, 0x41]],
];

const WHOLE = [
  "\x01",
  "\x1f",
  "\x7f",
  '"',
  "\\",
  "é",
  "€",
  "\ufeff",
  "\ufffe",
  "\u{1f680}",
  "\u{10ffff}",
];

Deno.test("a text is written as it is, null when it is empty", () => {
  assert.deepEqual(textOf(new Uint8Array(0)), { text: null, replaced: 0 });
  for (const text of [...WHOLE, WHOLE.join(""), "\ud7ff\ue000", "x".repeat(70_000)]) {
    assert.deepEqual(textOf(new TextEncoder().encode(text)), { text, replaced: 0 });
  }
});

Deno.test("NUL and invalid UTF-8 become U+FFFD as TextDecoder has it, wherever they stand", () => {
  for (const [what, bytes] of BROKEN) {
    for (const before of ["", "a", "€", "plain text before it ".repeat(3), "x".repeat(65_500)]) {
      for (const after of ["", "b", "\u{1f680}"]) {
        const source = Uint8Array.of(
          ...new TextEncoder().encode(before),
          ...bytes,
          ...new TextEncoder().encode(after),
        );
        const result = textOf(source);
        assert.equal(result.text, replacedText(source), what);
        assert.equal(result.replaced, 1, what);
      }
    }
  }
});

Deno.test("a text of nothing but invalid bytes grows to three times its size", () => {
  for (const length of [1, 20, 1000]) {
    const { text } = textOf(new Uint8Array(length).fill(0xff));
    assert.equal(text, "\ufffd".repeat(length));
    const mixed = textOf(
      Uint8Array.of(...new Uint8Array(length).fill(0x61), ...new Uint8Array(length)),
    );
    assert.equal(mixed.text, "a".repeat(length) + "\ufffd".repeat(length));
  }
});

Deno.test("cleanText leaves alone what needs no replacing, and agrees with TextDecoder on any two bytes", () => {
  for (let first = 0; first < 256; first++) {
    for (let second = 0; second < 256; second++) {
      const source = Uint8Array.of(first, second);
      const wanted = replacedText(source);
      const clean = cleanText(source, 0, 2);
      const isValid = new TextEncoder().encode(wanted).toHex() === source.toHex();
      assert.equal(clean === undefined, isValid, source.toHex());
      if (clean !== undefined) assert.equal(new TextDecoder().decode(clean), wanted);
    }
  }
});

Deno.test("cleanText agrees with TextDecoder on sequences of three and four bytes at every edge", () => {
  const edges = [0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xed, 0xf0, 0xff];
  for (const first of [0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5]) {
    for (const second of edges) {
      for (const third of edges) {
        for (const fourth of edges) {
          const source = Uint8Array.of(first, second, third, fourth);
          const clean = cleanText(source, 0, 4);
          assert.equal(
            new TextDecoder("utf-8", { ignoreBOM: true }).decode(clean ?? source),
            replacedText(source),
            source.toHex(),
          );
        }
      }
    }
  }
});

Deno.test("a buffer that is cleared keeps no more than it is told to, and grows again", () => {
  const buffer = new RowBuffer(64);
  const write = () => {
    buffer.reserve(0);
    buffer.text(new Uint8Array(1000), 0, 1000);
    return written(buffer);
  };
  const first = write();
  assert.equal(buffer.replaced, 1);
  for (const keep of [100_000, 500, 64]) {
    buffer.clear(keep);
    assert.deepEqual([buffer.at, buffer.replaced], [0, 0]);
    assert.ok(buffer.bytes.length <= keep);
    assert.deepEqual(write(), first);
  }
});

Deno.test("ranges grow as needed and keep what is in them", () => {
  const ranges = new Ranges();
  for (let round = 0; round < 2; round++) {
    for (let n = 0; n < 100_000; n++) ranges.push(n, n + 1);
    assert.equal(ranges.count, 100_000);
    for (let n = 0; n < 100_000; n += 997) {
      assert.deepEqual([...ranges.offsets.subarray(n * 2, n * 2 + 2)], [n, n + 1]);
    }
    ranges.clear();
    assert.equal(ranges.count, 0);
    assert.ok(ranges.offsets.length <= 1 << 16);
  }
  for (let n = 0; n < 1000; n++) ranges.pushOffset(n * 3);
  assert.deepEqual([ranges.count, ranges.offsets[999]], [1000, 2997]);
});

Deno.test("numbers are big-endian in fields of their size", () => {
  const epoch = new Instant();
  epoch.set(0, 0);
  const cases: [string, (buffer: RowBuffer) => void][] = [
    ["00000002" + "8000", (buffer) => buffer.int2(-32768)],
    ["00000004" + "ffffffff", (buffer) => buffer.int4(2 ** 32 - 1)],
    ["00000008" + "fedcba98" + "76543210", (buffer) => buffer.int8(0x76543210, 0xfedcba98)],
    ["00000008" + "8000000000000000", (buffer) => buffer.float8(-0)],
    ["ffffffff", (buffer) => buffer.null()],
    ["00000008" + "fffca2fec4c82000", (buffer) => buffer.timestamptz(epoch)],
  ];
  for (const [hex, write] of cases) {
    const buffer = new RowBuffer();
    buffer.tuple(1);
    write(buffer);
    assert.equal(written(buffer).toHex(), "0001" + hex);
  }
});

Deno.test("ids are copied from where they lie", () => {
  const bytes = Uint8Array.from({ length: 20 }, (_, n) => n * 13);
  const view = new DataView(bytes.buffer);
  const buffer = new RowBuffer();
  buffer.uuid(view, 3);
  buffer.spanId(view, 5);
  assert.equal(
    written(buffer).toHex(),
    "00000010" + bytes.slice(3, 19).toHex() + "00000008" + bytes.slice(5, 13).toHex(),
  );
});

Deno.test("arrays of 64-bit values are Postgres arrays of one dimension, null when empty", () => {
  const source = Uint8Array.from({ length: 2403 }, (_, n) => n);
  for (const size of SIZES) {
    for (const [count, oid] of [[0, 20], [1, 20], [300, 701]] as const) {
      const values = new Ranges();
      for (let n = 0; n < count; n++) values.pushOffset(3 + n * 8);
      const buffer = new RowBuffer(size);
      if (oid === 20) buffer.int8Array(source, values);
      else buffer.float8Array(source, values);
      const field = fieldOf(written(buffer));
      if (count === 0) {
        assert.equal(field, null);
        continue;
      }
      const head = [1, 0, oid, count, 1].map((value) => value.toString(16).padStart(8, "0"));
      const items = Array.from(
        { length: count },
        (_, n) => "00000008" + source.slice(3 + n * 8, 11 + n * 8).reverse().toHex(),
      );
      assert.equal(field!.toHex(), [...head, ...items].join(""));
    }
  }
});

Deno.test("an array of texts has them as they are, empty ones too", () => {
  const texts = ["", "abc", "abcd", "", "é中", "abcdé", "x".repeat(1000)];
  for (const size of SIZES) {
    const buffer = new RowBuffer(size);
    const start = buffer.openTexts(texts.length);
    for (const text of texts) {
      const source = new TextEncoder().encode(`<${text}>`);
      buffer.element(new DataView(source.buffer), 1, source.length - 1);
    }
    buffer.close(start);
    const head = [1, 0, 25, texts.length, 1].map((value) => value.toString(16).padStart(8, "0"));
    const items = texts.map((text) => {
      const bytes = new TextEncoder().encode(text);
      return bytes.length.toString(16).padStart(8, "0") + bytes.toHex();
    });
    assert.equal(fieldOf(written(buffer))!.toHex(), [...head, ...items].join(""));
  }
});

Deno.test("protobuf fields inside a bytea are read back by the decoder", () => {
  for (const size of SIZES) {
    for (const number of [0, 1, 127, 128, 2 ** 31 - 1, -1, -(2 ** 31), -129, 70_000]) {
      for (const length of [0, 1, 127, 128, 64, 65, 20_000]) {
        const buffer = new RowBuffer(size);
        const text = new TextEncoder().encode("x".repeat(length));
        const start = (buffer.reserve(16), buffer.open());
        buffer.int32Field(0x30, number);
        buffer.bytesField(0x2a, text, 0, text.length);
        buffer.uint32Field(0x50, number >>> 0);
        buffer.enumInMessage(0x7a, 0x18, number);
        buffer.close(start);
        const span = fromProtobuf(message("Span"), fieldOf(written(buffer))!);
        assert.equal(span.kind, number);
        assert.equal(span.name, "x".repeat(length));
        assert.equal(span.droppedAttributesCount, number >>> 0);
        assert.deepEqual(span.status, { code: number, message: "" });
      }
    }
  }
});
