import assert from "node:assert/strict";
import { Cursor } from "../src/postgres/cursor.ts";
import { Instant } from "../src/postgres/instant.ts";
import { JsonBuffer, MAX_VALUE_DEPTH } from "../src/postgres/json_text.ts";
import { Ranges } from "../src/postgres/ranges.ts";
import { ANY_VALUE, type Message, message, type Model } from "../src/otlp_fields.ts";
import { toProtobuf } from "../src/otlp_protobuf.ts";
import type { AnyValue, KeyValue } from "../src/record.ts";
import { randomNumbers } from "./wire_forms.ts";

/** Sizes of which some make the buffer grow at each place where it can. */
const SIZES = [1, 40, 100, 1 << 16];

/** What `write` writes at the start of buffers of several sizes, with what they hold before it. */
function written(write: (json: JsonBuffer) => void, sizes: readonly number[] = SIZES): JsonBuffer {
  const buffers = sizes.map((size) => {
    const json = new JsonBuffer(size);
    json.reserve(0); // as all do that write a tuple
    write(json);
    return json;
  });
  const [first] = buffers as [JsonBuffer];
  for (const json of buffers) {
    assert.equal(textOf(json), textOf(first));
    assert.equal(json.replaced, first.replaced);
    assert.equal(json.inexact, first.inexact);
    assert.equal(json.tooDeep, first.tooDeep);
  }
  return first;
}

function textOf(json: JsonBuffer): string {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
    .decode(json.bytes.subarray(0, json.at));
}

/** A cursor over bytes that stand amidst others that would change the meaning if they were read. */
function cursorOver(bytes: Uint8Array): { cursor: Cursor; from: number; to: number } {
  const pool = new Uint8Array(bytes.length + 12).fill(0x0a);
  pool.set(bytes, 5);
  const cursor = new Cursor();
  cursor.reset(pool.subarray(2));
  cursor.at = 3;
  return { cursor, from: 3, to: 3 + bytes.length };
}

function stringOf(source: Uint8Array, sizes = SIZES): JsonBuffer {
  return written((json) => {
    const { cursor, from, to } = cursorOver(source);
    json.string(cursor, from, to);
  }, sizes);
}

function valueOf(value: AnyValue): JsonBuffer {
  return bytesOf(ANY_VALUE, value as Model, (json, cursor, to) => json.anyValue(cursor, to, 1));
}

function bytesOf(
  type: Message,
  model: Model,
  write: (json: JsonBuffer, cursor: Cursor, to: number) => void,
): JsonBuffer {
  const bytes = toProtobuf(type, model);
  return written((json) => {
    const { cursor, to } = cursorOver(bytes);
    write(json, cursor, to);
    assert.equal(cursor.at, to);
  });
}

/** What a JSON string has to say. */
function meant(source: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(source).replaceAll("\0", "\ufffd");
}

const SPECIAL: readonly Uint8Array[] = [
  ...Array.from({ length: 0x20 }, (_, code) => Uint8Array.of(code)),
  ...['"', "\\", "\x7f", "\x20", "é", "€", "\ufeff", "\u2028", "\u{1f680}"].map((text) =>
    new TextEncoder().encode(text)
  ),
  Uint8Array.of(0x80),
  Uint8Array.of(0xff),
  Uint8Array.of(0xe2, 0x82),
  Uint8Array.of(0xed, 0xa0, 0x80),
];

Deno.test("texts of any length with a special character at any place are what they were", () => {
  const plain = new TextEncoder().encode(
    "The quick brown fox jumps over the lazy dog, 0123456789: {}[]/!#~",
  );
  for (const special of SPECIAL) {
    const isBroken = meant(special).includes("\ufffd");
    for (let length = 0; length <= 70; length++) {
      for (let at = 0; at <= length; at++) {
        const source = new Uint8Array(length + special.length);
        for (let i = 0; i < source.length; i++) source[i] = plain[i % plain.length]!;
        source.set(special, at);
        const json = stringOf(source, [1 << 16]);
        assert.equal(JSON.parse(textOf(json)), meant(source));
        assert.equal(json.replaced, isBroken ? 1 : 0);
      }
    }
  }
});

Deno.test("special characters next to each other are told apart, whatever room there is", () => {
  const random = randomNumbers(1);
  for (let run = 0; run < 3000; run++) {
    const parts = Array.from(
      { length: 1 + random() * 12 },
      () =>
        random() < 0.4
          ? SPECIAL[Math.floor(random() * SPECIAL.length)]!
          : new Uint8Array(random() * 6).fill(0x61 + random() * 26),
    );
    const source = Uint8Array.from(parts.flatMap((part) => [...part]));
    assert.equal(JSON.parse(textOf(stringOf(source))), meant(source), source.toHex());
  }
});

Deno.test("any four bytes that are ASCII are what they were", () => {
  // Each byte as the one under test beside neighbours that borrow from it or are borrowed from.
  for (const neighbour of [0x01, 0x1f, 0x20, 0x21, 0x22, 0x23, 0x5b, 0x5c, 0x5d, 0x7f]) {
    for (let code = 1; code < 0x80; code++) {
      for (let at = 0; at < 4; at++) {
        const source = new Uint8Array(4).fill(neighbour);
        source[at] = code;
        const json = stringOf(source, [1 << 16]);
        assert.equal(JSON.parse(textOf(json)), meant(source), source.toHex());
      }
    }
  }
});

Deno.test("a text of a megabyte is written whole, also when all of it is escaped", () => {
  for (const unit of ["x", "\x01", '"', "€"]) {
    const text = unit.repeat(1 << 20);
    const json = stringOf(new TextEncoder().encode(text), [1, 1 << 16]);
    assert.equal(JSON.parse(textOf(json)), text);
  }
});

/** Whether jsonb, which prints numbers in full, would keep it a double. */
function hasFraction(text: string): boolean {
  return /^-?\d+\.\d+(e-\d+)?$|^-?\d+e-\d+$/.test(text);
}

function checkDouble(value: number): void {
  const json = new JsonBuffer();
  json.double(value);
  const text = textOf(json);
  if (Number.isFinite(value)) {
    assert.ok(hasFraction(text), text);
    assert.equal(Number(text), value + 0, text); // 0 for -0
    assert.equal(json.inexact, Object.is(value, -0));
  } else assert.equal(text, `"${value}"`);
}

Deno.test("a double is written so that it reads back as itself and as no integer", () => {
  for (let exponent = -323; exponent <= 308; exponent++) {
    for (const digits of ["1", "-1", "2", "9.5", "1.7976931348623157"]) {
      const value = Number(`${digits}e${exponent}`);
      if (value !== 0 && Number.isFinite(value)) checkDouble(value);
    }
  }
  for (let k = -30_000; k <= 30_000; k++) {
    checkDouble(k / 100);
    checkDouble(k / 1000);
    checkDouble(k / 8);
  }
  for (let bits = 0; bits < 63; bits++) {
    for (const near of [-1, -0.01, 0, 0.01, 1]) {
      checkDouble(2 ** bits / 100 + near);
      checkDouble(2 ** bits + near);
      checkDouble(-(2 ** bits) / 100 + near);
    }
  }
  for (
    const value of [0, -0, 5e-324, Number.MAX_VALUE, -Number.MAX_VALUE, NaN, Infinity, -Infinity]
  ) {
    checkDouble(value);
  }
  const random = randomNumbers(2);
  const view = new DataView(new ArrayBuffer(8));
  for (let run = 0; run < 20_000; run++) {
    view.setUint32(0, random() * 2 ** 32);
    view.setUint32(4, random() * 2 ** 32);
    checkDouble(view.getFloat64(0));
  }
});

Deno.test("integers are written in full", () => {
  for (
    const value of [
      0n,
      1n,
      -1n,
      2n ** 31n,
      -(2n ** 31n),
      2n ** 32n,
      2n ** 53n,
      2n ** 53n + 1n,
      -(2n ** 53n) - 1n,
      2n ** 63n - 1n,
      -(2n ** 63n),
    ]
  ) {
    const json = valueOf({ intValue: value });
    assert.equal(textOf(json), String(value));
    assert.equal(json.inexact, false);
  }
});

Deno.test("bytes are written as base64 and marked as not exact", () => {
  for (let length = 0; length < 100; length++) {
    const bytes = Uint8Array.from({ length }, (_, n) => n * 37);
    const json = valueOf({ bytesValue: bytes });
    assert.equal(JSON.parse(textOf(json)), bytes.toBase64());
    assert.equal(json.inexact, true);
  }
});

Deno.test("what JSON cannot say is marked as not exact, and nothing else is", () => {
  const exact: AnyValue[] = [
    { stringValue: "" },
    { boolValue: false },
    { doubleValue: 0 },
    { arrayValue: { values: [{ stringValue: "a" }, { intValue: 1n }] } },
    { kvlistValue: { values: [{ key: "", value: { boolValue: true } }] } },
  ];
  const inexact: [AnyValue, unknown][] = [
    [{}, null],
    [{ doubleValue: -0 }, 0],
    [{ doubleValue: NaN }, "NaN"],
    [{ doubleValue: -Infinity }, "-Infinity"],
    [{ bytesValue: new Uint8Array(0) }, ""],
    [{ kvlistValue: { values: [{ key: "a" }] } }, { a: null }],
    [{ arrayValue: { values: [{ arrayValue: { values: [{}] } }] } }, [[null]]],
  ];
  for (const value of exact) assert.equal(valueOf(value).inexact, false, textOf(valueOf(value)));
  for (const [value, shown] of inexact) {
    const json = valueOf(value);
    assert.equal(json.inexact, true);
    assert.deepEqual(JSON.parse(textOf(json)), shown);
  }
});

/** Lists and maps by turns, `levels` deep. */
function nested(levels: number): AnyValue {
  let value: AnyValue = { arrayValue: { values: [] } };
  for (let level = 1; level < levels; level++) {
    value = level % 2 === 0
      ? { arrayValue: { values: [value] } }
      : { kvlistValue: { values: [{ key: "", value }] } };
  }
  return value;
}

Deno.test("values are written down to level 128, and what lies deeper is marked", () => {
  const deepest = valueOf(nested(MAX_VALUE_DEPTH));
  assert.equal(deepest.tooDeep, false);
  assert.equal(textOf(deepest), '{"":['.repeat(63) + '{"":[]}' + "]}".repeat(63));
  assert.equal(valueOf(nested(MAX_VALUE_DEPTH + 1)).tooDeep, true);
});

Deno.test("lists of many empty values find room for their punctuation", () => {
  for (const value of [{ arrayValue: { values: [] } }, {}, { kvlistValue: { values: [] } }]) {
    const values: AnyValue[] = Array.from({ length: 500 }, () => value);
    const parsed = JSON.parse(textOf(valueOf({ arrayValue: { values } }))) as unknown[];
    assert.equal(parsed.length, 500);
  }
  const pairs: KeyValue[] = Array.from({ length: 500 }, (_, n) => ({
    key: String(n),
    value: { kvlistValue: { values: [] } },
  }));
  const map = JSON.parse(textOf(valueOf({ kvlistValue: { values: pairs } }))) as object;
  assert.equal(Object.keys(map).length, 500);
});

Deno.test("attributes are one object, of a key given twice with the last value last", () => {
  const attributes: KeyValue[] = [
    { key: "a", value: { intValue: 1n } },
    { key: "__proto__", value: { stringValue: "p" } },
    { key: "a", value: { intValue: 2n } },
  ];
  for (const count of [0, 1, 3]) {
    const parts = attributes.slice(0, count).map((pair) =>
      toProtobuf(message("KeyValue"), pair as unknown as Model)
    );
    const all = Uint8Array.from(parts.flatMap((part) => [...part]));
    const json = written((json) => {
      const { cursor, from } = cursorOver(all);
      const ranges = new Ranges();
      let at = from;
      for (const { length } of parts) ranges.push(at, at += length);
      json.attributes(cursor, ranges.offsets, ranges.count);
    });
    assert.equal(
      textOf(json),
      ["{}", '{"a":1}', "", '{"a":1,"__proto__":"p","a":2}'][count],
    );
  }
});

Deno.test("times are decimal strings of nanoseconds, exact to the year 2554", () => {
  const times = [
    0n,
    1n,
    999n,
    1000n,
    1001n,
    99_999_999_999n,
    100_000_000_000n,
    100_000_000_001n,
    1_760_000_000_123_456_789n,
    (0x78000000n << 32n) - 1n,
    0x78000000n << 32n,
    2n ** 63n - 1n,
    2n ** 63n,
    2n ** 64n - 1n,
  ];
  const random = randomNumbers(3);
  for (let run = 0; run < 5000; run++) {
    times.push(BigInt(Math.floor(random() * 2 ** 32)) << 32n >> BigInt(Math.floor(random() * 64)));
  }
  for (const time of times) {
    const instant = new Instant();
    instant.setNanos(time);
    const json = written((json) => json.unixNano(instant));
    assert.equal(textOf(json), `"${time}"`);
  }
});

Deno.test("ids are hexadecimal strings", () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, n) => n);
  assert.equal(textOf(written((json) => json.hex(bytes, 0, 256))), `"${bytes.toHex()}"`);
});
