import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import protobuf from "protobufjs";
import { OtlpDecodeError } from "../src/otlp_error.ts";
import { WireReader } from "../src/protobuf_reader.ts";
import { WIRE } from "../src/protobuf_wire.ts";
import { WireWriter } from "../src/protobuf_writer.ts";

const RUNS = { seed: 1, numRuns: 300 };

const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const uint32 = fc.nat({ max: 2 ** 32 - 1 });
const int32 = fc.integer();

const EDGES = {
  uint64: [
    0n,
    1n,
    127n,
    128n,
    2n ** 32n - 1n,
    2n ** 32n,
    2n ** 53n + 1n,
    2n ** 63n,
    2n ** 64n - 1n,
  ],
  int64: [0n, -1n, 1n, -(2n ** 31n), -(2n ** 53n) - 1n, -(2n ** 63n), 2n ** 63n - 1n],
  uint32: [0, 1, 127, 128, 16383, 16384, 2 ** 28, 2 ** 31, 2 ** 32 - 1],
  int32: [0, 1, -1, 2 ** 31 - 1, -(2 ** 31)],
};

/** What `write` writes. */
function written(write: (writer: WireWriter) => void): Uint8Array {
  const writer = new WireWriter();
  write(writer);
  return writer.finish();
}

/** Holds `kind` of reader, writer and protobufjs to one another for a value. */
function agree<T extends bigint | number>(
  kind: "uint64" | "int64" | "uint32" | "int32" | "sint32" | "fixed32" | "fixed64" | "sfixed64",
  value: T,
): void {
  const write = kind === "sfixed64" ? "fixed64" : kind;
  const bytes = written((writer) => writer[write](value as never));
  const bits = BigInt.asUintN(64, BigInt(value));
  const long = {
    low: Number(bits & 0xffffffffn) | 0,
    high: Number(bits >> 32n) | 0,
    unsigned: true,
  };
  const other = protobuf.Writer.create();
  other[kind]((typeof value === "bigint" ? long : value) as never);
  assert.equal(bytes.toHex(), new Uint8Array(other.finish()).toHex(), `${kind} ${value}`);
  const reader = new WireReader(bytes);
  assert.equal(reader[kind](), value);
  assert.equal(reader.more, false);
}

Deno.test("64-bit integers are exact and written as protobufjs writes them", () => {
  for (const value of EDGES.uint64) {
    for (const kind of ["uint64", "fixed64"] as const) agree(kind, value);
  }
  for (const value of EDGES.int64) {
    for (const kind of ["int64", "sfixed64"] as const) agree(kind, value);
  }
  fc.assert(
    fc.property(uint64, int64, (unsigned, signed) => {
      agree("uint64", unsigned);
      agree("fixed64", unsigned);
      agree("int64", signed);
      agree("sfixed64", signed);
    }),
    RUNS,
  );
});

Deno.test("32-bit integers are exact and written as protobufjs writes them", () => {
  for (const value of EDGES.uint32) {
    for (const kind of ["uint32", "fixed32"] as const) agree(kind, value);
  }
  for (const value of EDGES.int32) {
    for (const kind of ["int32", "sint32"] as const) agree(kind, value);
  }
  fc.assert(
    fc.property(uint32, int32, (unsigned, signed) => {
      agree("uint32", unsigned);
      agree("fixed32", unsigned);
      agree("int32", signed);
      agree("sint32", signed);
    }),
    RUNS,
  );
});

Deno.test("doubles keep NaN, -0, infinities and the smallest", () => {
  for (const value of [NaN, -0, 0, Infinity, -Infinity, 5e-324, Number.MAX_VALUE, 0.1]) {
    assert.ok(Object.is(new WireReader(written((writer) => writer.double(value))).double(), value));
  }
});

Deno.test("text keeps NUL, a byte order mark and every code point", () => {
  for (const text of ["", "\0", "\ufeffbom", "\u{10ffff}é", "x".repeat(300)]) {
    assert.equal(new WireReader(written((writer) => writer.string(text))).string(), text);
  }
  fc.assert(
    fc.property(fc.string({ unit: "binary", size: "large" }), (text) => {
      const bytes = written((writer) => writer.string(text));
      assert.equal(new WireReader(bytes).string(), text);
      assert.equal(protobuf.Reader.create(bytes).string(), text);
    }),
    RUNS,
  );
});

Deno.test("invalid UTF-8 and lone surrogates become U+FFFD", () => {
  assert.equal(new WireReader(Uint8Array.of(3, 0x61, 0xff, 0x62)).string(), "a\ufffdb");
  assert.equal(new WireReader(written((writer) => writer.string("a\ud800b"))).string(), "a\ufffdb");
});

Deno.test("bytes are copies: the request is not held by what was read of it", () => {
  const request = Uint8Array.of(2, 7, 8);
  const value = new WireReader(request).bytes();
  request[1] = 0;
  assert.deepEqual(value, Uint8Array.of(7, 8));
});

Deno.test("a reader of part of a buffer stays in it", () => {
  const part = Uint8Array.of(9, 9, 1, 2, 3, 4, 9, 9).subarray(2, 6);
  assert.equal(new WireReader(part).fixed32(), 0x04030201);
  assert.throws(() => new WireReader(part).fixed64(), OtlpDecodeError);
});

Deno.test("a varint of ten bytes drops the bits that do not fit, one of eleven is refused", () => {
  const ten = Uint8Array.of(...Array(9).fill(0xff), 0x7f);
  assert.equal(new WireReader(ten).uint64(), 2n ** 64n - 1n);
  assert.equal(new WireReader(ten).uint32(), 2 ** 32 - 1);
  assert.equal(new WireReader(ten).int32(), -1);
  assert.equal(new WireReader(ten).bool(), true);
  const high = Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80, 0x01);
  assert.equal(new WireReader(high).bool(), true);
  assert.equal(new WireReader(high).uint64(), 2n ** 35n);
  const zero = Uint8Array.of(0x80, 0x80, 0x00);
  assert.equal(new WireReader(zero).bool(), false);
  assert.throws(
    () => new WireReader(Uint8Array.of(...Array(10).fill(0xff), 0x01)).uint64(),
    { name: "OtlpDecodeError", reason: "a varint is longer than ten bytes" },
  );
});

Deno.test("no value reaches past the end of its message", () => {
  // A message of one byte, with more bytes behind it that do not belong to it.
  const kinds = [
    "uint32",
    "uint64",
    "int64",
    "fixed32",
    "fixed64",
    "sfixed64",
    "double",
    "bytes",
    "string",
    "hex",
    "tag",
    "bool",
    "enter",
  ] as const;
  for (const kind of kinds) {
    const reader = new WireReader(Uint8Array.of(1, 0x88, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1));
    reader.enter();
    assert.throws(() => reader[kind](), OtlpDecodeError, kind);
  }
  const reader = new WireReader(Uint8Array.of(1, 0x08, 1));
  const outer = reader.enter();
  assert.throws(() => reader.skip(reader.tag()), OtlpDecodeError);
  reader.leave(outer);
});

Deno.test("a length past the end is refused, whatever its size", () => {
  for (const length of [3, 127, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]) {
    const bytes = written((writer) => {
      writer.uint32(length);
      writer.fixed32(0);
    }).slice(0, -2);
    for (const kind of ["bytes", "string", "hex", "enter"] as const) {
      assert.throws(() => new WireReader(bytes)[kind](), OtlpDecodeError, `${kind} of ${length}`);
    }
  }
});

Deno.test("leave() passes over what was not read of a nested message", () => {
  const reader = new WireReader(Uint8Array.of(2, 5, 6, 7));
  const outer = reader.enter();
  assert.equal(reader.uint32(), 5);
  reader.leave(outer);
  assert.equal(reader.uint32(), 7);
  assert.equal(reader.more, false);
});

Deno.test("lengths of nested messages are written in as many bytes as they need", () => {
  for (const length of [0, 1, 127, 128, 16383, 16384, 2097151, 2097152]) {
    const [bytes, ...others] = [1, 2, 3, 5].map((room) =>
      written((writer) => {
        const outer = writer.open(room);
        writer.bytes(new Uint8Array(length).fill(7));
        writer.close(outer, room);
        writer.uint32(5);
      })
    );
    const reader = new WireReader(bytes!);
    const end = reader.enter();
    assert.equal(reader.bytes().length, length);
    assert.equal(reader.more, false);
    reader.leave(end);
    assert.equal(reader.uint32(), 5);
    assert.equal(reader.more, false);
    // However much room was made for it.
    for (const other of others) assert.equal(Buffer.compare(other, bytes!), 0);
  }
});

Deno.test("numbers, halves and hex digits are written like the bigints and bytes they stand for", () => {
  const same = (write: (writer: WireWriter) => void, as: (writer: WireWriter) => void) =>
    assert.equal(written(write).toHex(), written(as).toHex());
  const whole = fc.oneof(
    fc.maxSafeInteger(),
    fc.double({ min: -(2 ** 63), max: 2 ** 63 - 1024, noNaN: true }).map(Math.trunc),
  );
  fc.assert(
    fc.property(whole, uint64, fc.uint8Array({ maxLength: 300 }), (number, bits, bytes) => {
      same((writer) => writer.int64OfNumber(number), (writer) => writer.int64(BigInt(number)));
      same(
        (writer) => writer.fixed64OfHalves(Number(bits & 0xffffffffn), Number(bits >> 32n)),
        (writer) => writer.fixed64(bits),
      );
      same((writer) => writer.hex(bytes.toHex()), (writer) => writer.bytes(bytes));
      same((writer) => writer.hex(bytes.toHex().toUpperCase()), (writer) => writer.bytes(bytes));
    }),
    RUNS,
  );
});

Deno.test("nothing is lost when the buffer grows, whatever is being written then", () => {
  for (let before = 1000; before < 1030; before++) {
    const reader = new WireReader(written((writer) => {
      writer.bytes(new Uint8Array(before));
      for (let index = 0; index < 10; index++) writer.string("a");
      writer.uint64(2n ** 64n - 1n);
    }));
    reader.bytes();
    for (let index = 0; index < 10; index++) assert.equal(reader.string(), "a");
    assert.equal(reader.uint64(), 2n ** 64n - 1n);
  }
});

Deno.test("skip() passes over every wire type, groups in groups too", () => {
  const fields = [
    [0x08, 0xff, 0x01],
    [0x09, 1, 2, 3, 4, 5, 6, 7, 8],
    [0x0a, 2, 1, 2],
    [0x0d, 1, 2, 3, 4],
    [0x0b, 0x13, 0x08, 1, 0x14, 0x0a, 0, 0x0c],
  ];
  for (const field of fields) {
    const reader = new WireReader(Uint8Array.from([...field, 42]));
    reader.skip(reader.tag());
    assert.equal(reader.uint32(), 42);
  }
});

Deno.test("skip() refuses groups that do not close, close another one, or were not opened", () => {
  for (const bytes of [[0x0b], [0x0b, 0x08, 1], [0x0b, 0x14], [0x0b, 0x13, 0x0c], [0x0c]]) {
    const reader = new WireReader(Uint8Array.from(bytes));
    assert.throws(() => reader.skip(reader.tag()), OtlpDecodeError, String(bytes));
  }
});

Deno.test("skip() takes groups 100 deep and refuses deeper ones without recursing", () => {
  const nested = (depth: number) =>
    Uint8Array.from([...Array(depth).fill(0x0b), ...Array(depth).fill(0x0c)]);
  const reader = new WireReader(nested(100));
  reader.skip(reader.tag());
  assert.equal(reader.more, false);
  for (const depth of [101, 100_000]) {
    const deeper = new WireReader(nested(depth));
    assert.throws(() => deeper.skip(deeper.tag()), {
      reason: "groups are nested deeper than 100 levels",
    });
  }
});

Deno.test("field number 0 and the wire types 6 and 7 are refused", () => {
  assert.throws(() => new WireReader(Uint8Array.of(0x02)).tag(), {
    reason: "field number 0 is not allowed",
  });
  for (const wire of [6, 7]) {
    const reader = new WireReader(Uint8Array.of(1 << 3 | wire, 0));
    assert.throws(() => reader.skip(reader.tag()), { reason: `unknown wire type ${wire}` });
  }
});

Deno.test("the largest field number is written and read", () => {
  const field = 2 ** 29 - 1;
  const reader = new WireReader(written((writer) => writer.tag(field, WIRE.fixed32)));
  const tag = reader.tag();
  assert.deepEqual([tag >>> 3, tag & 7], [field, WIRE.fixed32]);
});

Deno.test("OtlpDecodeError builds its path from the inside out and keeps the cause", () => {
  const cause = new SyntaxError("x");
  const error = new OtlpDecodeError("expected an array, got string", "", { cause })
    .within("spans[3]").within("scopeSpans[0]");
  assert.equal(error.path, "scopeSpans[0].spans[3]");
  assert.equal(
    error.message,
    "Cannot decode OTLP at scopeSpans[0].spans[3]: expected an array, got string",
  );
  assert.equal(error.cause, cause);
  assert.equal(new OtlpDecodeError("no JSON").message, "Cannot decode OTLP: no JSON");
});
