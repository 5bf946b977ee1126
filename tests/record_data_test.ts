/** Spans, log records and measurements given as plain objects: what is taken, what is refused. */

import { type LogData, type MetricData, RecordError, type TraceData } from "@oneiric/otel-storage";
import assert from "node:assert/strict";
import { logRequest } from "../src/log_data.ts";
import { metricRequests } from "../src/metric_data.ts";
import { decodeRequest } from "../src/otlp.ts";
import type { LogRecord, Metric, Span } from "../src/record.ts";
import { spanRequest } from "../src/trace_data.ts";

const START = "2026-01-31T12:00:00Z";
const NANOS = 1_769_860_800_000_000_000n;

function spanOf(data: TraceData): Span {
  return decodeRequest("traces", spanRequest(data)).resourceSpans[0]!.scopeSpans[0]!.spans[0]!;
}

function logOf(data: LogData): LogRecord {
  return decodeRequest("logs", logRequest(data)).resourceLogs[0]!.scopeLogs[0]!.logRecords[0]!;
}

function metricOf(data: MetricData): Metric {
  const { bodies: [body], errors } = metricRequests([data]);
  if (errors.length > 0) throw errors[0];
  return decodeRequest("metrics", body!).resourceMetrics[0]!.scopeMetrics[0]!.metrics[0]!;
}

/** Checks which field is refused, and in which words. */
function refuses(make: () => unknown, field: string, message: string | RegExp): void {
  assert.throws(make, (error) => {
    assert(error instanceof RecordError, String(error));
    assert.equal(error.field, field, error.message);
    if (typeof message === "string") assert.equal(error.message, message);
    else assert.match(error.message, message);
    return true;
  });
}

const SPAN = { name: "work", startTime: START, durationMs: 1 } as const;

Deno.test("a span without ids gets random ones, each time others", () => {
  const made = Array.from({ length: 100 }, () => spanOf(SPAN));
  for (const { traceId, spanId } of made) {
    assert.match(traceId, /^(?!0+$)[0-9a-f]{32}$/);
    assert.match(spanId, /^(?!0+$)[0-9a-f]{16}$/);
  }
  assert.equal(new Set(made.map(({ traceId }) => traceId)).size, 100);
  assert.equal(new Set(made.map(({ spanId }) => spanId)).size, 100);
});

Deno.test("ids are 32 and 16 hex digits, in either case", () => {
  const ids = { traceId: "A".repeat(32), spanId: "B".repeat(16), parentSpanId: "C".repeat(16) };
  const { traceId, spanId, parentSpanId } = spanOf({ ...SPAN, ...ids });
  assert.deepEqual([traceId, spanId, parentSpanId], [
    "a".repeat(32),
    "b".repeat(16),
    "c".repeat(16),
  ]);
  for (const [field, digits] of [["traceId", 32], ["spanId", 16], ["parentSpanId", 16]] as const) {
    const bad = ["", "1769860800", "0".repeat(digits), "g".repeat(digits), "a".repeat(digits - 1)];
    for (const value of bad) {
      refuses(
        () => spanOf({ ...SPAN, [field]: value }),
        field,
        `Cannot store the span with '${field}': '${value}' (has to be ${digits} hex digits, not all 0)`,
      );
    }
  }
  refuses(() => logOf({ message: "", traceId: "x" }), "traceId", /^Cannot store the log record/);
});

Deno.test("a time is a Date, a text with its zone, milliseconds or bigint nanoseconds", () => {
  const forms: readonly [TraceData["startTime"], bigint][] = [
    [new Date("2026-01-31T12:00:00Z"), NANOS],
    ["2026-01-31T12:00:00Z", NANOS],
    ["2026-01-31T13:00:00.000000001+01:00", NANOS + 1n],
    ["2026-01-31 12:00:00.123456+00:00", NANOS + 123_456_000n],
    [1_769_860_800_000, NANOS],
    [1_769_860_800_000.5, NANOS + 500_000n],
    [NANOS + 7n, NANOS + 7n],
    [new Date(0), 0n],
  ];
  for (const [startTime, nanos] of forms) {
    assert.equal(spanOf({ ...SPAN, startTime }).startTimeUnixNano, nanos, String(startTime));
  }
});

Deno.test("a time without a zone, in seconds, or out of range is refused by name", () => {
  const zone = /\(has to be an RFC 3339 time with its zone, such as/;
  const unit = /is before March 1973: has to be in (milli|nano)seconds since 1970\)$/;
  const range = /\(has to be from 1970 to 2554\)$/;
  const bad: readonly [unknown, RegExp][] = [
    ["2026-01-31T12:00:00", zone],
    ["2026-02-30T12:00:00Z", zone],
    ["yesterday", zone],
    ["", zone],
    [1_769_860_800, unit],
    [0, unit],
    [1_769_860_800_000n, unit],
    [-1, unit],
    [1.7e18, range],
    [2n ** 64n, range],
    [new Date(-1), range],
    [new Date(NaN), /\(has to be a time\)$/],
    [NaN, /\(has to be a time\)$/],
    [Infinity, /\(has to be a time\)$/],
    [{}, /\(has to be a Date, an RFC 3339 text, /],
    [null, /\(has to be a Date, an RFC 3339 text, /],
  ];
  for (const [value, message] of bad) {
    refuses(() => spanOf({ ...SPAN, startTime: value as Date }), "startTime", message);
    refuses(() => logOf({ message: "", timestamp: value as Date }), "timestamp", message);
    const gauge = { name: "load", type: "gauge", value: 1 } as const;
    refuses(() => metricOf({ ...gauge, timestamp: value as Date }), "timestamp", message);
  }
});

Deno.test("two of start, end and duration say the third, and three have to agree", () => {
  const endTime = "2026-01-31T12:00:00.25Z";
  const times = (data: TraceData) => {
    const { startTimeUnixNano: start, endTimeUnixNano: end } = spanOf({ name: "work", ...data });
    return [start - NANOS, end - NANOS];
  };
  const quarter = 250_000_000n;
  assert.deepEqual(times({ startTime: START, endTime }), [0n, quarter]);
  assert.deepEqual(times({ startTime: START, durationMs: 250 }), [0n, quarter]);
  assert.deepEqual(times({ endTime, durationMs: 250 }), [0n, quarter]);
  assert.deepEqual(times({ startTime: START, endTime, durationMs: 250.9 }), [0n, quarter]);
  assert.deepEqual(times({ startTime: START, endTime: START }), [0n, 0n]);
  refuses(() => times({}), "startTime", /is missing: give two of startTime, endTime, durationMs/);
  refuses(() => times({ startTime: START }), "endTime", /is missing/);
  refuses(() => times({ endTime }), "startTime", /is missing/);
  refuses(() => times({ startTime: endTime, endTime: START }), "endTime", /is before startTime/);
  refuses(
    () => times({ startTime: START, endTime, durationMs: 252 }),
    "durationMs",
    "Cannot store the span with 'durationMs': 252 (contradicts startTime and endTime)",
  );
  refuses(() => times({ startTime: START, durationMs: -1 }), "durationMs", /0 or more/);
  refuses(() => times({ startTime: START, durationMs: NaN }), "durationMs", /has to be a number/);
  refuses(() => times({ endTime: new Date(0), durationMs: 1 }), "durationMs", /1970/);
});

Deno.test("kind and status are words, and nothing else", () => {
  const { kind, status } = spanOf({
    ...SPAN,
    kind: "server",
    status: "ERROR",
    statusMessage: "no answer",
  });
  assert.deepEqual([kind, status], [2, { code: 2, message: "no answer" }]);
  assert.deepEqual([spanOf(SPAN).kind, spanOf(SPAN).status], [1, undefined]);
  assert.deepEqual(spanOf({ ...SPAN, status: "unset" }).status, undefined);
  refuses(
    () => spanOf({ ...SPAN, kind: "WORKER" as "SERVER" }),
    "kind",
    "Cannot store the span with 'kind': 'WORKER' (has to be one of INTERNAL, SERVER, CLIENT, " +
      "PRODUCER, CONSUMER)",
  );
  refuses(
    () => spanOf({ ...SPAN, status: 2 as unknown as "OK" }),
    "status",
    /has to be one of UNSET/,
  );
});

Deno.test("an operation names the span where nothing else does, and is an attribute", () => {
  const { name, ...unnamed } = SPAN;
  const operation = { key: "operation", value: { stringValue: "checkout" } };
  const named = spanOf({ ...SPAN, operation: "checkout" });
  assert.deepEqual([named.name, named.attributes], [name, [operation]]);
  const alone = spanOf({
    ...unnamed,
    operation: "checkout",
    attributes: { operation: "checkout" },
  });
  assert.deepEqual([alone.name, alone.attributes], ["checkout", [operation]]);
  refuses(() => spanOf(unnamed), "name", /is missing: give it or operation/);
  refuses(() => spanOf({ ...SPAN, name: "" }), "name", /must not be empty/);
  refuses(
    () => spanOf({ ...SPAN, operation: "checkout", attributes: { operation: "refund" } }),
    "operation",
    /contradicts the attribute 'operation'/,
  );
});

Deno.test("attributes keep their types", () => {
  const attributes = {
    text: "a",
    yes: true,
    int: 3,
    double: 0.5,
    minusZero: -0,
    huge: 2 ** 60,
    long: 2n ** 63n - 1n,
    bytes: new Uint8Array([0, 255]),
    nothing: null,
    absent: undefined,
    list: ["a", 1, [true]],
    map: { inner: { deep: 1n } },
  };
  const found = Object.fromEntries(
    spanOf({ ...SPAN, attributes }).attributes.map(({ key, value }) => [key, value]),
  );
  assert.deepEqual(found, {
    text: { stringValue: "a" },
    yes: { boolValue: true },
    int: { intValue: 3n },
    double: { doubleValue: 0.5 },
    minusZero: { doubleValue: -0 },
    huge: { doubleValue: 2 ** 60 },
    long: { intValue: 2n ** 63n - 1n },
    bytes: { bytesValue: new Uint8Array([0, 255]) },
    nothing: {},
    list: {
      arrayValue: {
        values: [{ stringValue: "a" }, { intValue: 1n }, {
          arrayValue: { values: [{ boolValue: true }] },
        }],
      },
    },
    map: {
      kvlistValue: {
        values: [{
          key: "inner",
          value: { kvlistValue: { values: [{ key: "deep", value: { intValue: 1n } }] } },
        }],
      },
    },
  });
});

Deno.test("attributes that are none are refused by their path", () => {
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  const bad: readonly [unknown, string, RegExp][] = [
    [{ user: { id: () => 1 } }, "attributes.user.id", /has to be text, a number, /],
    [{ at: new Date(0) }, "attributes.at", /has to be text, a number, /],
    [{ map: new Map() }, "attributes.map", /has to be text, a number, /],
    [{ symbol: Symbol("a") }, "attributes.symbol", /has to be text, a number, /],
    [{ list: [1, 2n ** 63n] }, "attributes.list.1", /has to be an integer of 64 bits/],
    [[], "attributes", /has to be a plain object/],
    ["text", "attributes", /has to be a plain object/],
    [null, "attributes", /has to be a plain object/],
  ];
  for (const [attributes, field, message] of bad) {
    refuses(
      () => spanOf({ ...SPAN, attributes: attributes as TraceData["attributes"] }),
      field,
      message,
    );
  }
  assert.throws(
    () => spanOf({ ...SPAN, attributes: { circle } as TraceData["attributes"] }),
    { name: "RecordError", message: /has to be nested up to 128 levels/ },
  );
});

Deno.test("what is no record, has a field too many, or is too large is refused", () => {
  for (const nothing of [undefined, null, "span", 5, []]) {
    refuses(() => spanOf(nothing as unknown as TraceData), "", /has to be an object/);
  }
  refuses(
    () => spanOf({ ...SPAN, trace_id: "a" } as TraceData),
    "trace_id",
    "Cannot store the span with 'trace_id': 'a' (is no field of it)",
  );
  const large = { ...SPAN, attributes: { large: "x".repeat(1 << 24) } };
  refuses(
    () => spanOf(large),
    "",
    /^Cannot store the span \(it takes 16777\d+ bytes of at most 16777216\)$/,
  );
  assert.throws(
    () => spanOf({ ...SPAN, name: { large: large.attributes.large } as never }),
    (error) => {
      assert.ok((error as Error).message.length < 300);
      return true;
    },
  );
});

Deno.test("a level has the severity number of OpenTelemetry, or none", () => {
  const numbers = {
    TRACE: 1,
    debug: 5,
    Info: 9,
    info2: 10,
    WARN: 13,
    warning: 13,
    ERROR: 17,
    ERROR4: 20,
    FATAL: 21,
    CRITICAL: 21,
    FATAL4: 24,
    INFO5: 0,
    verbose: 0,
    constructor: 0,
    "": 0,
  };
  for (const [level, number] of Object.entries(numbers)) {
    const { severityNumber, severityText } = logOf({ level, message: "hello" });
    assert.deepEqual([severityNumber, severityText], [number, level]);
  }
});

Deno.test("level and message are fields or attributes, and do not contradict each other", () => {
  const log = logOf({
    timestamp: START,
    attributes: { "log.level": "WARN", "log.message": "low", disk: "sda" },
  });
  assert.deepEqual([log.severityText, log.body, log.attributes, log.timeUnixNano], [
    "WARN",
    { stringValue: "low" },
    [{ key: "disk", value: { stringValue: "sda" } }],
    NANOS,
  ]);
  const same = logOf({ level: "WARN", message: "low", attributes: { "log.level": "WARN" } });
  assert.deepEqual(same.attributes, []);
  assert.deepEqual(logOf({ message: { code: 5 } }).body, {
    kvlistValue: { values: [{ key: "code", value: { intValue: 5n } }] },
  });
  refuses(() => logOf({ level: "INFO" }), "message", /is missing: give it or the attribute/);
  refuses(
    () => logOf({ level: "INFO", message: "", attributes: { "log.level": "WARN" } }),
    "level",
    "Cannot store the log record with 'level': 'INFO' (contradicts the attribute 'log.level')",
  );
  refuses(
    () => logOf({ message: "a", attributes: { "log.message": "b" } }),
    "message",
    /contradicts the attribute 'log.message'/,
  );
  refuses(
    () => logOf({ message: "", attributes: { "log.level": 5 } }),
    "attributes.log.level",
    /text/,
  );
  refuses(
    () => logOf({ message: "", timestamp: START, startTime: "2026-01-31T12:00:01Z" }),
    "startTime",
    /contradicts timestamp/,
  );
});

Deno.test("a log record without a time has that of the call, and no two the same", () => {
  const before = BigInt(Date.now()) * 1_000_000n;
  const made = Array.from({ length: 100 }, () => logOf({ message: "tick" }));
  const times = made.map(({ timeUnixNano }) => timeUnixNano);
  assert.equal(new Set(times).size, 100);
  assert.ok(times.every((time, n) => time >= before && time === made[n]!.observedTimeUnixNano));
  assert.deepEqual(times, times.toSorted((a, b) => a < b ? -1 : 1));
});

Deno.test("a measurement falls into the bucket whose bound it does not exceed", () => {
  const point = (value: number | number[], bounds?: number[]) =>
    metricOf({ name: "took", type: "histogram", value, bounds }).histogram!.dataPoints[0]!;
  const { count, sum, min, max, bucketCounts, explicitBounds } = point([1, 2, 2.5, 9], [1, 2, 3]);
  assert.deepEqual([count, sum, min, max], [4n, 14.5, 1, 9]);
  assert.deepEqual([bucketCounts, explicitBounds], [[1n, 1n, 1n, 1n], [1, 2, 3]]);
  assert.equal(point(7).explicitBounds.length, 15);
  assert.equal(point(7).count, 1n);
  assert.deepEqual(point([-1, 5], []).bucketCounts, [2n]);
});

Deno.test("a number is a double and a bigint an integer", () => {
  const value = (given: number | bigint) => {
    const { asInt, asDouble } = metricOf({ name: "load", type: "gauge", value: given }).gauge!
      .dataPoints[0]!;
    return asInt ?? asDouble;
  };
  assert.deepEqual([value(1), value(-0.5), value(2n ** 63n - 1n)], [1, -0.5, 2n ** 63n - 1n]);
});

Deno.test("bad measurements are refused alone, each by its index and field", () => {
  const good = { name: "load", type: "gauge", value: 1 } as const;
  const bad: readonly [Record<string, unknown>, string, RegExp][] = [
    [{ value: NaN }, "value", /has to be a finite number/],
    [{ value: "1" }, "value", /has to be a finite number/],
    [{ value: undefined }, "value", /has to be a finite number/],
    [{ value: [1, 2] }, "value", /has to be one number for a gauge/],
    [{ value: 2n ** 63n }, "value", /has to be a finite number, a bigint of 64 bits/],
    [{ type: "counter", value: -1 }, "value", /has to be 0 or more for a counter/],
    [{ type: "histogram", value: [] }, "value", /1 to 100000 numbers/],
    [{ type: "histogram", value: 5n }, "value", /a number or a list of numbers/],
    [{ type: "histogram", value: [1.7e308, 1.7e308] }, "value", /has to have a finite sum/],
    [{ type: "histogram", bounds: [2, 1] }, "bounds", /has to ascend/],
    [{ bounds: [1] }, "bounds", /is for histograms/],
    [{ type: "timer" }, "type", /has to be counter, gauge or histogram/],
    [{ name: "" }, "name", /must not be empty/],
    [{ name: undefined }, "name", /has to be a text/],
    [{ labels: 5 }, "labels", /has to be a plain object/],
    [{ labels: { at: new Date() } }, "labels.at", /has to be text/],
    [{ tags: {} }, "tags", /is no field of it/],
  ];
  const list = bad.flatMap(([part]) => [good, { ...good, ...part } as unknown as MetricData]);
  const { bodies, errors } = metricRequests(list);
  assert.equal(bodies.length, bad.length);
  assert.equal(errors.length, bad.length);
  for (const [n, [, field, message]] of bad.entries()) {
    const { index, field: itsField, message: itsMessage } = errors[n]!;
    assert.deepEqual([index, itsField], [2 * n + 1, field], itsMessage);
    assert.ok(itsMessage.startsWith(`Cannot store metric ${index} with '${field}'`), itsMessage);
    assert.match(itsMessage, message);
  }
  assert.throws(() => metricRequests({} as MetricData[]), { name: "RecordError" });
});
