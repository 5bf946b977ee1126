/** OTLP in JSON: the examples of the specification, and what is written. */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  decodeRequest,
  encodeRequest,
  exceedsDepth,
  jsonToProtobuf,
  parseRequestJson,
  requestToJson,
} from "../src/otlp.ts";
import { OtlpDecodeError } from "../src/otlp_error.ts";
import type { Signal } from "../src/record.ts";
import { arbitraryRequest } from "./arbitraries.ts";
import { oracleDecode } from "./oracle.ts";
import { bodyOf, fixture, logOf, spanOf } from "./json_records.ts";

const SIGNALS: readonly Signal[] = ["traces", "logs", "metrics"];

const RUNS = { seed: 6, numRuns: 600 };

/** A body nested in `wraps` lists, each with the marker that makes the text worth a second look. */
function deepBody(wraps: number): string {
  return '{"arrayValue":{"values":['.repeat(wraps) + '{"intValue":9007199254740993}' +
    "]}}".repeat(wraps);
}

/** Reads `text`; what is taken must come out of protobuf as it went in. */
function takeOrRefuse(signal: Signal, text: string): boolean {
  let request;
  try {
    request = parseRequestJson(signal, text);
  } catch (error) {
    assert.ok(error instanceof OtlpDecodeError, `${error}`);
    return false;
  }
  const bytes = encodeRequest(signal, request as never);
  assert.deepEqual(decodeRequest(signal, bytes), request);
  assert.deepEqual(parseRequestJson(signal, requestToJson(signal, request as never)), request);
  return true;
}

for (const signal of SIGNALS) {
  Deno.test(`${signal}: JSON that we write is read as it was meant, by us and by way of protobuf`, () => {
    fc.assert(
      fc.property(arbitraryRequest(signal) as fc.Arbitrary<never>, fc.nat(2), (request, indent) => {
        const text = requestToJson(signal, request);
        assert.deepEqual(parseRequestJson(signal, text), request);
        const pretty = indent === 0 ? text : JSON.stringify(JSON.parse(text), undefined, indent);
        const bytes = jsonToProtobuf(signal, text);
        assert.deepEqual(oracleDecode(signal, bytes), request);
        // -0 is the one thing that JavaScript's own writer loses.
        if (!text.includes("-0")) assert.deepEqual(jsonToProtobuf(signal, pretty), bytes);
      }),
      RUNS,
    );
  });
}

Deno.test("the examples of the specification come out as they went in", () => {
  const examples = { traces: "traces", logs: "logs", events: "logs", metrics: "metrics" } as const;
  for (const [name, signal] of Object.entries(examples)) {
    const text = fixture(name);
    const request = parseRequestJson(signal, text);
    const bytes = jsonToProtobuf(signal, text);
    assert.deepEqual(decodeRequest(signal, bytes), request);
    assert.deepEqual(oracleDecode(signal, bytes), request);
    const isDefault = (key: string, value: unknown) => key !== "boolValue" && value === 0;
    const ids = (_: string, value: unknown) =>
      typeof value === "string" && /^[0-9A-F]{16,32}$/.test(value) && /[A-F]/.test(value)
        ? value.toLowerCase()
        : value;
    const withoutDefaults = JSON.parse(text, function (key, value) {
      const isKept = key === "min" || key === "max" || !isDefault(key, value);
      return isKept ? ids(key, value) : undefined;
    });
    assert.deepEqual(JSON.parse(requestToJson(signal, request)), withoutDefaults, name);
  }
});

Deno.test("every field of the example span is read", () => {
  const { resource, scopeSpans } = parseRequestJson("traces", fixture("traces")).resourceSpans[0]!;
  assert.deepEqual(resource, {
    attributes: [{ key: "service.name", value: { stringValue: "checkout" } }],
    droppedAttributesCount: 0,
    entityRefs: [],
  });
  assert.deepEqual(scopeSpans, [{
    scope: {
      name: "shop.http",
      version: "1.0.0",
      attributes: [{ key: "scope.attribute", value: { stringValue: "of the scope" } }],
      droppedAttributesCount: 0,
    },
    schemaUrl: "",
    spans: [{
      traceId: "7c1d2a90fe33b1546ad2e5780911cf4b",
      spanId: "a0e19c7ec3c1b174",
      parentSpanId: "a0e19c7ec3c1b173",
      traceState: "",
      flags: 0,
      name: "GET /it's",
      kind: 2,
      startTimeUnixNano: 1544712660000000000n,
      endTimeUnixNano: 1544712661000000000n,
      attributes: [{ key: "span.attribute", value: { stringValue: "of the span" } }],
      droppedAttributesCount: 0,
      events: [],
      droppedEventsCount: 0,
      links: [],
      droppedLinksCount: 0,
    }],
  }]);
});

Deno.test("every kind of value of the example log is read", () => {
  const { logRecords } = parseRequestJson("logs", fixture("logs")).resourceLogs[0]!.scopeLogs[0]!;
  assert.deepEqual(logRecords[0]!.attributes.map(({ value }) => value), [
    { stringValue: "text" },
    { boolValue: true },
    { intValue: 10n },
    { doubleValue: 637.704 },
    { arrayValue: { values: [{ stringValue: "many" }, { stringValue: "values" }] } },
    { kvlistValue: { values: [{ key: "inner", value: { stringValue: "value" } }] } },
  ]);
});

Deno.test("JSON is written as the specification says", () => {
  const span = spanOf("{}");
  const request = {
    resourceSpans: [{
      schemaUrl: "",
      scopeSpans: [{
        schemaUrl: "",
        spans: [{
          ...span,
          traceId: "7c1d2a90fe33b1546ad2e5780911cf4b",
          kind: 2,
          startTimeUnixNano: 2n ** 64n - 1n,
          attributes: [
            { key: "int", value: { intValue: -1n } },
            { key: "double", value: { doubleValue: 1 } },
            { key: "minus", value: { doubleValue: -0 } },
            { key: "nan", value: { doubleValue: NaN } },
            { key: "inf", value: { doubleValue: -Infinity } },
            { key: "bytes", value: { bytesValue: Uint8Array.of(0xfb, 0xff) } },
            { key: "false", value: { boolValue: false } },
            { key: "empty", value: {} },
            { key: "absent" },
          ],
          status: { code: 0, message: "" },
        }],
      }],
    }],
  };
  assert.equal(
    requestToJson("traces", request),
    '{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"7c1d2a90fe33b1546ad2e5780911cf4b",' +
      '"kind":2,"startTimeUnixNano":"18446744073709551615","attributes":[' +
      '{"key":"int","value":{"intValue":"-1"}},{"key":"double","value":{"doubleValue":1}},' +
      '{"key":"minus","value":{"doubleValue":-0}},{"key":"nan","value":{"doubleValue":"NaN"}},' +
      '{"key":"inf","value":{"doubleValue":"-Infinity"}},{"key":"bytes","value":{"bytesValue":"+/8="}},' +
      '{"key":"false","value":{"boolValue":false}},{"key":"empty","value":{}},{"key":"absent"}],' +
      '"status":{}}]}]}]}',
  );
});

Deno.test("a wrong type is an error with its path", () => {
  const cases: [text: string, path: string, reason: string][] = [
    ["[]", "", "expected an object, got array"],
    ["null", "", "expected an object, got null"],
    ['"x"', "", "expected an object, got string"],
    ['{"resourceLogs":{}}', "resourceLogs", "expected an array, got object"],
    ['{"resourceLogs":"x"}', "resourceLogs", "expected an array, got string"],
    ['{"resourceLogs":[1]}', "resourceLogs[0]", "expected an object, got number"],
    [
      '{"resourceLogs":[{},{"scopeLogs":[{"logRecords":[{"body":"text"}]}]}]}',
      "resourceLogs[1].scopeLogs[0].logRecords[0].body",
      "expected an object, got string",
    ],
    [
      '{"resourceLogs":[{"resource":{"attributes":[{"key":"a"},{"key":5}]}}]}',
      "resourceLogs[0].resource.attributes[1].key",
      "expected a string, got number",
    ],
    [
      '{"resourceLogs":[{"resource":{"droppedAttributesCount":-1}}]}',
      "resourceLogs[0].resource.droppedAttributesCount",
      "expected an integer from 0 to 4294967295, got another one",
    ],
    [
      '{"resourceLogs":[{"resource":{"entityRefs":[{"idKeys":["a",null]}]}}]}',
      "resourceLogs[0].resource.entityRefs[0].idKeys[1]",
      "expected a string, got null",
    ],
    [
      `{"resourceLogs":[{"schemaUrl":["${"x".repeat(100)}"]}]}`,
      "resourceLogs[0].schemaUrl",
      "expected a string, got array",
    ],
    [
      `{"resourceLogs":[{"resource":"${"x".repeat(100)}"}]}`,
      "resourceLogs[0].resource",
      "expected an object, got string",
    ],
  ];
  for (const [text, path, reason] of cases) {
    assert.throws(() => parseRequestJson("logs", text), { name: "OtlpDecodeError", path, reason });
  }
  assert.throws(() => bodyOf('{"boolValue":1}'), { reason: "expected a boolean, got number" });
  assert.throws(() => spanOf('{"traceId":5}'), { reason: "expected a string, got number" });
  assert.throws(() => spanOf('{"kind":2147483648}'), OtlpDecodeError);
  assert.throws(() => spanOf('{"kind":1.5}'), OtlpDecodeError);
  assert.throws(() => spanOf('{"startTimeUnixNano":-1}'), OtlpDecodeError);
  assert.throws(() => spanOf('{"startTimeUnixNano":"18446744073709551616"}'), OtlpDecodeError);
});

Deno.test("text that is no JSON is an error with its cause", () => {
  for (
    const text of [
      "",
      "{",
      "{'a':1}",
      '{"resourceLogs":[}',
      "\ufeff",
      "NaN",
      '{"a":1}x',
      '{"a":01}',
    ]
  ) {
    assert.throws(() => parseRequestJson("logs", text), (error) => {
      assert.ok(error instanceof OtlpDecodeError);
      assert.match(error.message, /^Cannot decode OTLP: expected JSON, got /);
      assert.ok(error.cause instanceof SyntaxError);
      return true;
    });
  }
});

Deno.test("JSON with a broken long number is no JSON", () => {
  for (
    const number of [
      "12345678901234567.",
      "01234567890123456789",
      "1234567890123456-7",
      "--12345678901234567",
    ]
  ) {
    assert.throws(() => logOf(`{"timeUnixNano":${number}}`), OtlpDecodeError, number);
  }
});

Deno.test("values of 128 levels are kept, deeper ones reach the transcoder 129 levels deep", () => {
  const whole = logOf(`{"body":${deepBody(127)}}`);
  assert.equal(exceedsDepth(whole), false);
  let inner = whole.body!;
  while (inner.arrayValue !== undefined) inner = inner.arrayValue.values[0]!;
  assert.deepEqual(inner, { intValue: 9007199254740993n });
  for (const wraps of [128, 10_000, 100_000]) {
    const text = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[` +
      `{"severityText":"INFO"},{"body":${deepBody(wraps)}}]}]}]}`;
    const bytes = jsonToProtobuf("logs", text);
    const logs = decodeRequest("logs", bytes).resourceLogs[0]!.scopeLogs[0]!.logRecords;
    assert.deepEqual(logs.map(exceedsDepth), [false, true], `${wraps + 1} levels`);
    assert.ok(bytes.length < 2000);
  }
});

Deno.test("what is nested 100,000 deep in an unknown field is ignored", () => {
  const deep = "[".repeat(100_000) + "1234567890123456789" + "]".repeat(100_000);
  assert.equal(logOf(`{"new":${deep},"eventName":"a"}`).eventName, "a");
  assert.throws(() => logOf(`{"new":${deep}]}`), OtlpDecodeError);
});

Deno.test("JSON cut off anywhere is an error", () => {
  for (const name of ["traces", "logs", "metrics"] as const) {
    const text = JSON.stringify(JSON.parse(fixture(name)));
    for (let length = 0; length < text.length; length++) {
      assert.throws(() => parseRequestJson(name, text.slice(0, length)), OtlpDecodeError);
    }
  }
});

Deno.test("any JSON under any known name is an error or a request that can be written", () => {
  const names = [...new Set(SIGNALS.flatMap((name) => fixture(name).match(/(?<=")\w+(?=":)/g)!))];
  const { json } = fc.letrec<{ json: unknown }>((tie) => ({
    json: fc.oneof(
      { maxDepth: 6, depthSize: "medium" },
      fc.constantFrom<unknown>(null, true, "", "1", "NaN", "abcd", 0, -1, 1.5, 1e300, 2 ** 60),
      fc.array(tie("json"), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...names), tie("json"), { maxKeys: 4 }),
    ),
  }));
  fc.assert(
    fc.property(fc.constantFrom(...SIGNALS), json, (signal, value) => {
      takeOrRefuse(signal, JSON.stringify(value));
    }),
    { seed: 7, numRuns: 3_000 },
  );
});

Deno.test("mutated JSON is an error or a request that can be written", () => {
  const pieces = fc.constantFrom(
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"',
    "\\",
    "0",
    "-",
    "9".repeat(20),
    "null",
    "\u0000",
    "\ud800",
    "1e9",
  );
  const mutation = fc.tuple(fc.nat(), fc.nat({ max: 3 }), pieces);
  let taken = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(...SIGNALS),
      fc.array(mutation, { minLength: 1, maxLength: 3 }),
      (signal, mutations) => {
        let text = fixture(signal);
        for (const [at, length, piece] of mutations) {
          const start = at % text.length;
          text = text.slice(0, start) + piece + text.slice(start + length);
        }
        if (takeOrRefuse(signal, text)) taken++;
      },
    ),
    { seed: 8, numRuns: 3_000 },
  );
  assert.ok(taken > 100, `taken ${taken}`);
});
