import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import {
  decodeRequest,
  encodeRequest,
  exceedsDepth,
  jsonToProtobuf,
  parseRequestJson,
  requestToJson,
} from "../src/otlp.ts";
import { OtlpDecodeError } from "../src/protobuf.ts";
import type { AnyValue, LogRecord, Metric, NumberDataPoint, Signal, Span } from "../src/record.ts";
import { arbitraryRequest } from "./arbitraries.ts";
import { oracleDecode } from "./oracle.ts";

const SIGNALS: readonly Signal[] = ["traces", "logs", "metrics"];
const RUNS = { seed: 6, numRuns: 600 };

function fixture(name: string): string {
  return readFileSync(new URL(`./fixtures/${name}.json`, import.meta.url), "utf8");
}

/** The only record of a request whose record is written `json`. */
function logOf(json: string): LogRecord {
  const text = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[${json}]}]}]}`;
  return parseRequestJson("logs", text).resourceLogs[0]!.scopeLogs[0]!.logRecords[0]!;
}

function spanOf(json: string): Span {
  const text = `{"resourceSpans":[{"scopeSpans":[{"spans":[${json}]}]}]}`;
  return parseRequestJson("traces", text).resourceSpans[0]!.scopeSpans[0]!.spans[0]!;
}

function metricOf(json: string): Metric {
  const text = `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[${json}]}]}]}`;
  return parseRequestJson("metrics", text).resourceMetrics[0]!.scopeMetrics[0]!.metrics[0]!;
}

function pointOf(json: string): NumberDataPoint {
  return metricOf(`{"sum":{"dataPoints":[${json}]}}`).sum!.dataPoints[0]!;
}

function bodyOf(json: string): AnyValue | undefined {
  return logOf(`{"body":${json}}`).body;
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

Deno.test("ids are hex of either case; empty and null ones are absent", () => {
  const id = "7C1d2a90FE33b1546ad2e5780911cf4B";
  assert.equal(spanOf(`{"traceId":"${id}"}`).traceId, id.toLowerCase());
  for (const absent of ['{"parentSpanId":""}', '{"parentSpanId":null}', "{}"]) {
    assert.equal(spanOf(absent).parentSpanId, "");
  }
});

Deno.test("an id that is not hex is an empty one, so that its record alone is rejected", () => {
  const notHex = ["xyz", "abc", "W47/95gDgQPSabYzgT/GDA==", " ab", "0x12", "\\ud800a", "١٢"];
  for (const id of notHex) {
    assert.equal(spanOf(`{"traceId":"${id}"}`).traceId, "", id);
  }
  const bytes = jsonToProtobuf(
    "traces",
    '{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz","name":"a"},{"name":"b"}]}]}]}',
  );
  const { spans } = oracleDecode("traces", bytes).resourceSpans[0]!.scopeSpans[0]!;
  assert.deepEqual(spans.map(({ traceId, name }) => [traceId, name]), [["", "a"], ["", "b"]]);
});

Deno.test("an id of the wrong length is kept for the caller to judge", () => {
  assert.equal(spanOf('{"traceId":"ABCD"}').traceId, "abcd");
});

Deno.test("null stands for what is absent, everywhere", () => {
  const empty = logOf("{}");
  const nulls = Object.fromEntries([...Object.keys(empty), "body"].map((name) => [name, null]));
  assert.deepEqual(logOf(JSON.stringify(nulls)), empty);
  assert.deepEqual(parseRequestJson("logs", '{"resourceLogs":null}'), { resourceLogs: [] });
  assert.deepEqual(parseRequestJson("logs", '{"resourceLogs":[{"resource":null}]}').resourceLogs, [
    { scopeLogs: [], schemaUrl: "" },
  ]);
  assert.deepEqual(bodyOf('{"stringValue":null}'), {});
  assert.deepEqual(bodyOf('{"intValue":1,"stringValue":null}'), { intValue: 1n });
  assert.deepEqual(bodyOf('{"arrayValue":{"values":[null]}}'), { arrayValue: { values: [{}] } });
});

Deno.test("64-bit integers are taken as text", () => {
  assert.equal(pointOf('{"asInt":"-9223372036854775808"}').asInt, -(2n ** 63n));
  assert.equal(pointOf('{"asInt":"9223372036854775807"}').asInt, 2n ** 63n - 1n);
  assert.equal(pointOf('{"timeUnixNano":"18446744073709551615"}').timeUnixNano, 2n ** 64n - 1n);
  assert.deepEqual(bodyOf('{"intValue":"9007199254740993"}'), { intValue: 9007199254740993n });
});

Deno.test("64-bit integers are taken as numbers and read exactly past 2^53", () => {
  const numbers = ["0", "-1", "9007199254740993", "-9007199254740993", "9223372036854775807"];
  for (const number of numbers) {
    assert.deepEqual(bodyOf(`{"intValue":${number}}`), { intValue: BigInt(number) });
    assert.equal(pointOf(`{ "asInt" :\t${number}\n}`).asInt, BigInt(number));
  }
  assert.equal(pointOf('{"timeUnixNano":1544712660300000001}').timeUnixNano, 1544712660300000001n);
  assert.equal(pointOf('{"timeUnixNano":18446744073709551615}').timeUnixNano, 2n ** 64n - 1n);
  const histogram = metricOf(
    '{"histogram":{"dataPoints":[{"count":18446744073709551615,' +
      '"bucketCounts":[9007199254740993, 1,18446744073709551615]}]}}',
  ).histogram!.dataPoints[0]!;
  assert.equal(histogram.count, 2n ** 64n - 1n);
  assert.deepEqual(histogram.bucketCounts, [9007199254740993n, 1n, 2n ** 64n - 1n]);
});

Deno.test("long numbers beside text that looks like one leave the text alone", () => {
  const texts = [
    "1234567890123456789",
    "id: 1234567890123456789, ",
    '\\"',
    "\\\\",
    '\\\\\\":12345678901234567',
  ];
  for (const text of texts) {
    const log = logOf(
      `{"severityText":"${text}","timeUnixNano":1544712660300000001,"eventName":"${text}"}`,
    );
    assert.equal(log.severityText, JSON.parse(`"${text}"`));
    assert.equal(log.eventName, log.severityText);
    assert.equal(log.timeUnixNano, 1544712660300000001n);
  }
});

Deno.test("integers written with a fraction of zero or an exponent are integers", () => {
  for (const one of ["1.0", '"1.0"', "1e3", '"1e3"', "1.5e1", '"-2E+2"']) {
    const value = BigInt(Number(JSON.parse(one)));
    assert.deepEqual(bodyOf(`{"intValue":${one}}`), { intValue: value });
  }
  assert.equal(logOf('{"timeUnixNano":1.5447126603e18}').timeUnixNano, 1544712660300000000n);
  assert.equal(logOf('{"severityNumber":"9"}').severityNumber, 9);
  assert.equal(logOf('{"flags":"4294967295"}').flags, 2 ** 32 - 1);
});

Deno.test("integer values that are no int64 are kept as doubles, as JavaScript clients send them", () => {
  const past = {
    "1e20": 1e20,
    "18446744073709551616": 2 ** 64,
    '"9223372036854775808"': 2 ** 63,
    "-9223372036854775809": -(2 ** 63),
    "100000000000000000000000": 1e23,
    "1.7976931348623157e308": Number.MAX_VALUE,
    "0.5": 0.5,
  };
  for (const [json, value] of Object.entries(past)) {
    assert.deepEqual(bodyOf(`{"intValue":${json}}`), { doubleValue: value }, json);
    assert.equal(pointOf(`{"asInt":${json}}`).asDouble, value, json);
    assert.equal(pointOf(`{"asInt":${json}}`).asInt, undefined, json);
  }
  assert.throws(() => bodyOf('{"intValue":"many"}'), {
    reason: "expected an integer, got string",
  });
  assert.throws(() => logOf('{"timeUnixNano":1e20}'), OtlpDecodeError);
});

Deno.test("doubles are numbers, text with a number, or one of three words", () => {
  const doubles: [json: string, value: number][] = [
    ["1", 1],
    ["-0", -0],
    ["-0.0", -0],
    ['"-0"', -0],
    ["1e-7", 1e-7],
    ['"1.5"', 1.5],
    ['"NaN"', NaN],
    ['"Infinity"', Infinity],
    ['"-Infinity"', -Infinity],
    ["1e400", Infinity],
    ["12345678901234567890", 12345678901234567890],
    ["0.12345678901234567890123", 0.12345678901234568],
  ];
  for (const [json, value] of doubles) {
    assert.deepEqual(bodyOf(`{"doubleValue":${json}}`), { doubleValue: value }, json);
    assert.deepEqual(pointOf(`{"asDouble":${json}}`).asDouble, value, json);
  }
  for (const wrong of ['""', '"Inf"', '"nan"', '" 1"', '"0x1"', '"1,5"', "true", "[1]", "{}"]) {
    assert.throws(() => bodyOf(`{"doubleValue":${wrong}}`), OtlpDecodeError, wrong);
  }
});

Deno.test("NaN and infinities sent as null: a point without a value, NaN within a list", () => {
  const point = pointOf('{"asDouble":null,"flags":0}');
  assert.equal(point.asDouble, undefined);
  assert.equal(point.asInt, undefined);
  const histogram = metricOf(
    '{"histogram":{"dataPoints":[{"sum":null,"explicitBounds":[null,1,null]}]}}',
  ).histogram!.dataPoints[0]!;
  assert.deepEqual(histogram.explicitBounds, [NaN, 1, NaN]);
  assert.equal(histogram.sum, undefined);
});

Deno.test("lone surrogates become U+FFFD, escaped or not; pairs stay", () => {
  assert.deepEqual(bodyOf('{"stringValue":"a\\ud83dz"}'), { stringValue: "a\ufffdz" });
  assert.deepEqual(bodyOf('{"stringValue":"\\ud83d\\ude80"}'), { stringValue: "🚀" });
  assert.deepEqual(bodyOf('{"stringValue":"\ud83dz"}'), { stringValue: "\ufffdz" });
  assert.equal(logOf('{"attributes":[{"key":"\\udc00"}]}').attributes[0]!.key, "\ufffd");
});

Deno.test("pretty printing and a byte order mark make no difference", () => {
  const text = fixture("metrics");
  const bytes = jsonToProtobuf("metrics", text);
  assert.deepEqual(jsonToProtobuf("metrics", "\ufeff" + text), bytes);
  assert.deepEqual(jsonToProtobuf("metrics", JSON.stringify(JSON.parse(text))), bytes);
  assert.deepEqual(jsonToProtobuf("metrics", JSON.stringify(JSON.parse(text), null, "\t")), bytes);
  assert.deepEqual(jsonToProtobuf("metrics", `\r\n ${text} \t`), bytes);
});

Deno.test("enums are numbers or names, and open", () => {
  assert.equal(spanOf('{"kind":5}').kind, 5);
  assert.equal(spanOf('{"kind":"SPAN_KIND_SERVER"}').kind, 2);
  assert.equal(spanOf('{"kind":"2"}').kind, 2);
  assert.equal(spanOf('{"kind":77}').kind, 77);
  assert.equal(spanOf('{"status":{"code":"STATUS_CODE_ERROR"}}').status!.code, 2);
  assert.equal(logOf('{"severityNumber":"SEVERITY_NUMBER_FATAL4"}').severityNumber, 24);
  assert.equal(logOf('{"severityNumber":"SEVERITY_NUMBER_INFO"}').severityNumber, 9);
  assert.equal(
    metricOf('{"sum":{"aggregationTemporality":"AGGREGATION_TEMPORALITY_CUMULATIVE"}}')
      .sum!.aggregationTemporality,
    2,
  );
  assert.throws(() => spanOf('{"kind":"SERVER"}'), {
    path: "resourceSpans[0].scopeSpans[0].spans[0].kind",
    reason: "expected an integer, got string",
  });
  assert.throws(() => spanOf('{"kind":"__proto__"}'), OtlpDecodeError);
});

Deno.test("unknown fields are ignored whatever they hold, snake_case ones among them", () => {
  const json = '{"name":"a","new":{"deep":[1,{"x":null}]},"trace_id":5,"__proto__":{"kind":3},' +
    '"constructor":1,"toString":[],"kind":1}';
  assert.deepEqual(spanOf(json), { ...spanOf('{"name":"a"}'), kind: 1 });
});

Deno.test("a __proto__ in the text reaches no prototype", () => {
  const span = spanOf(
    '{"__proto__":{"polluted":true},"attributes":[{"key":"__proto__","value":{"__proto__":{"stringValue":"x"}}}]}',
  );
  assert.deepEqual(span.attributes, [{ key: "__proto__", value: {} }]);
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
  assert.equal(Object.getPrototypeOf(span), Object.prototype);
});

Deno.test("bytes are base64 of either alphabet, padded or not", () => {
  const bytes = Uint8Array.of(0xfb, 0xff, 0xfe, 0x01);
  for (const text of ["+//+AQ==", "-__-AQ==", "+//+AQ", "-__-AQ"]) {
    assert.deepEqual(bodyOf(`{"bytesValue":"${text}"}`), { bytesValue: bytes }, text);
  }
  assert.deepEqual(bodyOf('{"bytesValue":""}'), { bytesValue: new Uint8Array() });
  for (const wrong of ['"+_"', '"a"', '"!"', "[1,2]", '"a==="']) {
    assert.throws(() => bodyOf(`{"bytesValue":${wrong}}`), {
      name: "OtlpDecodeError",
      path: "resourceLogs[0].scopeLogs[0].logRecords[0].body.bytesValue",
    }, wrong);
  }
});

Deno.test("of a oneof given twice the last member counts, as in protobuf", () => {
  assert.deepEqual(bodyOf('{"stringValue":"a","intValue":1}'), { intValue: 1n });
  assert.deepEqual(bodyOf('{"intValue":1,"arrayValue":{}}'), { arrayValue: { values: [] } });
  assert.deepEqual(bodyOf('{"doubleValue":1,"intValue":1e20,"boolValue":false}'), {
    boolValue: false,
  });
  assert.deepEqual(bodyOf('{"intValue":"1","intValue":"2"}'), { intValue: 2n });
  const metric = metricOf('{"gauge":{"dataPoints":[{}]},"sum":{}}');
  assert.equal(metric.gauge, undefined);
  assert.deepEqual(metric.sum, { dataPoints: [], aggregationTemporality: 0, isMonotonic: false });
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

/** A body nested in `wraps` lists, each with the marker that makes the text worth a second look. */
function deepBody(wraps: number): string {
  return '{"arrayValue":{"values":['.repeat(wraps) + '{"intValue":9007199254740993}' +
    "]}}".repeat(wraps);
}

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
