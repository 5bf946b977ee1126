/** OTLP in JSON: how each kind of value may be written. */

import assert from "node:assert/strict";
import { jsonToProtobuf, parseRequestJson } from "../src/otlp.ts";
import { OtlpDecodeError } from "../src/otlp_error.ts";
import type { Metric, NumberDataPoint } from "../src/record.ts";
import { oracleDecode } from "./oracle.ts";
import { bodyOf, fixture, logOf, requestOf, spanOf } from "./json_records.ts";

function metricOf(json: string): Metric {
  const text = `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[${json}]}]}]}`;
  return requestOf("metrics", text).resourceMetrics[0]!.scopeMetrics[0]!.metrics[0]!;
}

function pointOf(json: string): NumberDataPoint {
  return metricOf(`{"sum":{"dataPoints":[${json}]}}`).sum!.dataPoints[0]!;
}

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
