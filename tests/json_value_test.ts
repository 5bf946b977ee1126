/**
 * What jsonb makes of the values that the transcoder writes, and what is read from that.
 */

import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import {
  bigintMember,
  type JsonText,
  member,
  parseAttributes,
  parseJsonb,
  textMember,
  toAnyValue,
  toKeyValues,
  toNumber,
} from "../src/postgres/json_value.ts";
import { encodeRequest } from "../src/otlp.ts";
import type { AnyValue } from "../src/record.ts";
import { log, logs } from "./one_record.ts";
import { TranscodeStore } from "./transcode_store.ts";
import { randomNumbers } from "./wire_forms.ts";

const store = await TranscodeStore.open();

/** The values as they come back out of a jsonb column, which is all they are read from. */
async function throughJsonb(values: readonly AnyValue[]): Promise<AnyValue[]> {
  await store.clear();
  const body = { arrayValue: { values: [...values] } };
  store.transcode("logs", encodeRequest("logs", logs([log({ body })])));
  await store.flush();
  const [row] = await store.rows<{ body: string }>(
    "select body::text as body from otel_data.logs",
  );
  return toAnyValue(parseJsonb(row!.body)!).arrayValue!.values;
}

async function checkExact(values: readonly AnyValue[]): Promise<void> {
  const read = await throughJsonb(values);
  assert.equal(read.length, values.length);
  for (const [n, value] of values.entries()) {
    // One by one: a diff of all of them takes minutes.
    if (!isDeepStrictEqual(read[n], value)) assert.deepEqual(read[n], value);
  }
}

Deno.test("a double of any magnitude comes back from jsonb as the same double", async () => {
  const values: number[] = [
    0,
    5e-324,
    Number.MIN_VALUE * 3,
    2.2250738585072014e-308,
    Number.MAX_VALUE,
  ];
  for (let exponent = -323; exponent <= 308; exponent++) {
    for (const digits of ["1", "-1", "9.5", "1.7976931348623157"]) {
      values.push(Number(`${digits}e${exponent}`));
    }
  }
  for (let k = -2000; k <= 2000; k++) values.push(k / 100, k / 1000, k * 1.1, k);
  for (let k = 1; k < 5000; k++) values.push(k * 1e15, k / 7);
  const random = randomNumbers(1);
  const view = new DataView(new ArrayBuffer(8));
  for (let run = 0; run < 5000; run++) {
    view.setUint32(0, random() * 2 ** 32);
    view.setUint32(4, random() * 2 ** 32);
    values.push(view.getFloat64(0));
  }
  await checkExact(
    values.filter((value) => Number.isFinite(value) && !Object.is(value, -0))
      .map((doubleValue) => ({ doubleValue })),
  );
});

Deno.test("integers come back from jsonb as integers, to the ends of int64", async () => {
  const values = [0n, 1n, -1n, 2n ** 31n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)];
  for (let digits = 1n; digits < 10n ** 18n; digits *= 10n) {
    values.push(digits, -digits, digits - 1n);
  }
  await checkExact(values.map((intValue) => ({ intValue })));
});

Deno.test("an integer and the double of the same value are told apart", async () => {
  await checkExact([
    { intValue: 1n },
    { doubleValue: 1 },
    { intValue: 0n },
    { doubleValue: 0 },
    { intValue: 100n },
    { doubleValue: 100 },
    { doubleValue: 1e21 },
    { doubleValue: 1e300 },
    { doubleValue: 2 ** 53 },
    { intValue: 2n ** 53n },
  ]);
});

Deno.test("texts, lists and maps come back from jsonb, with keys that objects have already", async () => {
  const keys = [
    "",
    "__proto__",
    "constructor",
    "toString",
    "\u2028",
    "\u{1f680}",
    '"',
    "\\",
    "\x01",
    "\ufeff",
  ];
  await checkExact([
    ...keys.map((stringValue) => ({ stringValue })),
    { stringValue: "NaN" },
    { boolValue: false },
    { arrayValue: { values: [] } },
    { kvlistValue: { values: [] } },
    ...keys.map((key) => ({ kvlistValue: { values: [{ key, value: { intValue: 1n } }] } })),
    {},
  ]);
});

Deno.test("SQL null is no value, jsonb null an empty one", () => {
  assert.equal(parseJsonb(null), undefined);
  assert.equal(parseJsonb(undefined), undefined);
  assert.equal(parseJsonb("null"), null);
  assert.deepEqual(toAnyValue(null), {});
  assert.deepEqual(parseAttributes(null), []);
  assert.deepEqual(parseAttributes("{}"), []);
  assert.deepEqual(toKeyValues(undefined), []);
  assert.deepEqual(parseAttributes('{"a": null}'), [{ key: "a", value: {} }]);
});

Deno.test("members are read as what they are in OTLP JSON, absent ones as nothing", () => {
  const json = parseJsonb(
    '{"n": 1.5, "i": 7, "t": "NaN", "inf": "-Infinity", "u": "18446744073709551615", "s": "text"}',
  ) as JsonText;
  assert.equal(toNumber(member(json, "n")), 1.5);
  assert.equal(toNumber(member(json, "i")), 7);
  assert.equal(toNumber(member(json, "t")), NaN);
  assert.equal(toNumber(member(json, "inf")), -Infinity);
  assert.equal(toNumber(member(json, "absent")), 0);
  assert.equal(bigintMember(json, "u"), 2n ** 64n - 1n);
  assert.equal(bigintMember(json, "absent"), 0n);
  assert.equal(textMember(json, "s"), "text");
  assert.equal(textMember(json, "absent"), "");
  assert.equal(member(json, "absent"), undefined);
});
