import assert from "node:assert/strict";
import fc from "fast-check";
import type {
  AnyValue,
  KeyValue,
  LogRecord,
  NumberDataPoint,
  Signal,
  Span,
} from "../src/record.ts";
import { arbitraryRequest } from "./arbitraries.ts";
import { canonicalise } from "./canonical.ts";

const LOG: LogRecord = {
  timeUnixNano: 1n,
  observedTimeUnixNano: 0n,
  severityNumber: 9,
  severityText: "",
  attributes: [],
  droppedAttributesCount: 0,
  flags: 0,
  traceId: "",
  spanId: "",
  eventName: "",
};

const SPAN: Span = {
  traceId: "aa".repeat(16),
  spanId: "bb".repeat(8),
  traceState: "",
  parentSpanId: "",
  flags: 0,
  name: "",
  kind: 0,
  startTimeUnixNano: 0n,
  endTimeUnixNano: 0n,
  attributes: [],
  droppedAttributesCount: 0,
  events: [],
  droppedEventsCount: 0,
  links: [],
  droppedLinksCount: 0,
};

const POINT: NumberDataPoint = {
  attributes: [],
  startTimeUnixNano: 0n,
  timeUnixNano: 0n,
  exemplars: [],
  flags: 0,
};

function logs(...logRecords: Partial<LogRecord>[]): string[] {
  return canonicalise("logs", {
    resourceLogs: [{
      schemaUrl: "",
      scopeLogs: [{ schemaUrl: "", logRecords: logRecords.map((log) => ({ ...LOG, ...log })) }],
    }],
  });
}

function spans(...list: Partial<Span>[]): string[] {
  return canonicalise("traces", {
    resourceSpans: [{
      schemaUrl: "",
      scopeSpans: [{ schemaUrl: "", spans: list.map((span) => ({ ...SPAN, ...span })) }],
    }],
  });
}

function points(...list: Partial<NumberDataPoint>[]): string[] {
  const dataPoints = list.map((point) => ({ ...POINT, ...point }));
  const metric = { name: "m", description: "", unit: "", metadata: [], gauge: { dataPoints } };
  return canonicalise("metrics", {
    resourceMetrics: [{
      schemaUrl: "",
      scopeMetrics: [{ schemaUrl: "", metrics: [metric] }],
    }],
  });
}

function body(value: AnyValue): string[] {
  return logs({ body: value });
}

function attributes(...list: KeyValue[]): string[] {
  return logs({ attributes: list });
}

const a = (value: AnyValue): KeyValue => ({ key: "a", value });
const one: AnyValue = { intValue: 1n };
const two: AnyValue = { intValue: 2n };

Deno.test("canonicalise() evens out what OTLP says is the same", () => {
  const b: KeyValue = { key: "b", value: one };
  assert.deepEqual(attributes(a(one), b), attributes(b, a(one)));
  assert.deepEqual(attributes(a(one), a(two)), attributes(a(two)));
  assert.deepEqual(
    body({ kvlistValue: { values: [a(one), b, a(two)] } }),
    body({ kvlistValue: { values: [b, a(two)] } }),
  );
  assert.deepEqual(attributes({ key: "a" }), attributes(a({})));
  assert.deepEqual(body({ stringValue: "\0\ud800" }), body({ stringValue: "\ufffd\ufffd" }));
  assert.deepEqual(attributes({ key: "a\0", value: one }, { key: "a\ufffd", value: two }), [
    ...attributes({ key: "a\ufffd", value: two }),
  ]);
  assert.deepEqual(logs({ severityNumber: 1 }, {}), logs({}, { severityNumber: 1 }));
  for (const id of ["00".repeat(16), "ab", "ab".repeat(32)]) {
    assert.deepEqual(logs({ traceId: id, spanId: id }), logs({}));
    assert.deepEqual(spans({ parentSpanId: id }), spans({}));
  }
});

Deno.test("canonicalise() tells apart what differs", () => {
  const values: AnyValue[] = [
    {},
    one,
    { doubleValue: 1 },
    { doubleValue: 0 },
    { doubleValue: -0 },
    { doubleValue: NaN },
    { doubleValue: Infinity },
    { stringValue: "1" },
    { stringValue: "NaN" },
    { stringValue: "" },
    { boolValue: true },
    { boolValue: false },
    { bytesValue: new Uint8Array() },
    { bytesValue: Uint8Array.of(1) },
    { arrayValue: { values: [] } },
    { arrayValue: { values: [one, two] } },
    { arrayValue: { values: [two, one] } },
    { kvlistValue: { values: [] } },
  ];
  assert.equal(new Set(values.flatMap(body)).size, values.length);
  assert.equal(new Set(values.flatMap((value) => attributes(a(value)))).size, values.length);
  assert.notDeepEqual(body({}), logs({}));
  assert.notDeepEqual(logs({}), logs({}, {}));
  assert.notDeepEqual(
    logs({ timeUnixNano: 2n ** 64n - 1n }),
    logs({ timeUnixNano: 2n ** 64n - 2n }),
  );
  assert.notDeepEqual(spans({}), spans({ status: { message: "", code: 0 } }));
  assert.notDeepEqual(points({ asInt: 1n }), points({ asDouble: 1 }));
});

Deno.test("canonicalise() drops containers without records, and an empty resource is none", () => {
  const scopeLogs = [{ schemaUrl: "s", logRecords: [LOG] }];
  const resource = { attributes: [], droppedAttributesCount: 0, entityRefs: [] };
  const scope = { name: "", version: "", attributes: [], droppedAttributesCount: 0 };
  assert.deepEqual(
    canonicalise("logs", {
      resourceLogs: [
        { schemaUrl: "gone", scopeLogs: [{ schemaUrl: "gone", logRecords: [] }] },
        { schemaUrl: "gone", scopeLogs: [] },
        { schemaUrl: "r", resource, scopeLogs: [{ ...scopeLogs[0]!, scope }] },
      ],
    }),
    canonicalise("logs", { resourceLogs: [{ schemaUrl: "r", scopeLogs }] }),
  );
});

Deno.test("canonicalise() drops the records that nobody can keep", () => {
  for (const id of ["", "00".repeat(16), "ab"]) {
    assert.deepEqual(spans({ traceId: id }), []);
    assert.deepEqual(spans({ spanId: id }), []);
  }
  assert.deepEqual(points({}, { flags: 2 }), []);
  assert.equal(points({ flags: 1 }, { asInt: 0n }, { asDouble: NaN }).length, 3);
  let value: AnyValue = one;
  for (let level = 1; level < 128; level++) value = { arrayValue: { values: [value] } };
  assert.equal(body(value).length, 1);
  assert.equal(body({ arrayValue: { values: [value] } }).length, 0);
});

Deno.test("arbitraryRequest() makes valid records only", () => {
  const count = (part: unknown): number =>
    Array.isArray(part)
      ? part.reduce((sum, item) => sum + count(item), 0)
      : typeof part === "object" && part !== null
      ? Object.entries(part).reduce((sum, [name, value]) =>
        sum + (/^(spans|logRecords|dataPoints)$/.test(name)
          ? (value as unknown[]).length
          : /^(attributes|resource|scope|metadata)$/.test(name)
          ? 0
          : count(value)), 0)
      : 0;
  for (const signal of ["traces", "logs", "metrics"] satisfies Signal[]) {
    fc.assert(
      fc.property(arbitraryRequest(signal) as fc.Arbitrary<never>, (request) => {
        assert.equal(canonicalise(signal, request).length, count(request));
      }),
      { seed: 9, numRuns: 300 },
    );
  }
});
