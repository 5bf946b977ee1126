/** OTLP in protobuf: what is read of requests that are unusual, deep or broken. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeRequest, encodeRequest, exceedsDepth, requestToJson } from "../src/otlp.ts";
import { OtlpDecodeError } from "../src/otlp_error.ts";
import { WIRE } from "../src/protobuf_wire.ts";
import { WireWriter } from "../src/protobuf_writer.ts";
import type { AnyValue, ExportRequests, KeyValue, Signal } from "../src/record.ts";
import { oracleDecode } from "./oracle.ts";
import {
  concatenated,
  field,
  joined,
  logRequest,
  nested,
  SAMPLES,
  SIGNALS,
  text,
} from "./wire_parts.ts";

function onlyLog(bytes: Uint8Array) {
  return decodeRequest("logs", bytes).resourceLogs[0]!.scopeLogs[0]!.logRecords[0]!;
}

function onlyMetric(...parts: Uint8Array[]) {
  const bytes = nested(1, nested(2, nested(2, ...parts)));
  return decodeRequest("metrics", bytes).resourceMetrics[0]!.scopeMetrics[0]!.metrics[0]!;
}

/** A value nested in `wraps` lists and maps, as protobuf of a KeyValue; made from the inside out. */
function deepAttribute(wraps: number, inner = text(1, "deep")): Uint8Array {
  const pieces = [inner];
  let length = inner.length;
  const wrap = (number: number) => {
    const writer = new WireWriter();
    writer.tag(number, WIRE.bytes);
    writer.uint32(length);
    const head = writer.finish();
    pieces.push(head);
    length += head.length;
  };
  for (let index = 0; index < wraps; index++) {
    if (index % 2 === 0) {
      wrap(1); // ArrayValue.values
      wrap(5); // AnyValue.array_value
    } else {
      wrap(2); // KeyValue.value
      wrap(1); // KeyValueList.values
      wrap(6); // AnyValue.kvlist_value
    }
  }
  wrap(2);
  wrap(6);
  return concatenated(pieces.reverse());
}

/** The same with the model. */
function deepValue(wraps: number): AnyValue {
  let value: AnyValue = { stringValue: "deep" };
  for (let index = 0; index < wraps; index++) {
    value = index % 2 === 0
      ? { arrayValue: { values: [value] } }
      : { kvlistValue: { values: [{ key: "", value }] } };
  }
  return value;
}

/** Reads `bytes`; what is taken must survive being written and read again. */
function isTaken(signal: Signal, bytes: Uint8Array): boolean {
  let request: ExportRequests[Signal];
  try {
    request = decodeRequest(signal, bytes);
  } catch (error) {
    assert.ok(error instanceof OtlpDecodeError, `${error}`);
    return false;
  }
  assert.deepEqual(decodeRequest(signal, encodeRequest(signal, request as never)), request);
  return true;
}

Deno.test("unknown fields of every wire type are passed over, at every level", () => {
  const unknown = joined(
    field(1000, WIRE.varint, (writer) => writer.uint64(2n ** 64n - 1n)),
    field(1001, WIRE.fixed64, (writer) => writer.fixed64(1n)),
    field(1002, WIRE.bytes, (writer) => writer.string("new")),
    field(1003, WIRE.fixed32, (writer) => writer.fixed32(1)),
    field(1004, WIRE.startGroup, (writer) => writer.tag(1004, WIRE.endGroup)),
  );
  const known = [
    text(3, "INFO"),
    nested(5, text(1, "body"), unknown),
    nested(6, text(1, "key"), unknown, nested(2, text(1, "value"), unknown)),
  ];
  const bytes = joined(
    unknown,
    nested(1, unknown, nested(2, unknown, nested(2, unknown, ...known, unknown), unknown), unknown),
    unknown,
  );
  assert.deepEqual(onlyLog(bytes), {
    timeUnixNano: 0n,
    observedTimeUnixNano: 0n,
    severityNumber: 0,
    severityText: "INFO",
    body: { stringValue: "body" },
    attributes: [{ key: "key", value: { stringValue: "value" } }],
    droppedAttributesCount: 0,
    flags: 0,
    traceId: "",
    spanId: "",
    eventName: "",
  });
});

Deno.test("fields of the standard that came after 1.9 are passed over", () => {
  const index = field(8, WIRE.varint, (writer) => writer.int32(1));
  const attribute = nested(6, field(3, WIRE.varint, (writer) => writer.int32(1)), nested(2, index));
  assert.deepEqual(onlyLog(logRequest(attribute)).attributes, [{ key: "", value: {} }]);
});

Deno.test("lists of numbers are taken packed, unpacked and mixed", () => {
  const one = (writer: WireWriter) => writer.fixed64(1n);
  const packed = field(6, WIRE.bytes, (writer) => {
    const mark = writer.open();
    writer.fixed64(2n);
    writer.fixed64(2n ** 64n - 1n);
    writer.close(mark);
  });
  const bounds = [0.5, -0].map((bound) => field(7, WIRE.fixed64, (writer) => writer.double(bound)));
  const point = nested(
    1,
    field(6, WIRE.fixed64, one),
    packed,
    field(6, WIRE.fixed64, one),
    ...bounds,
  );
  const histogram = onlyMetric(nested(9, point)).histogram!.dataPoints[0]!;
  assert.deepEqual(histogram.bucketCounts, [1n, 2n, 2n ** 64n - 1n, 1n]);
  assert.deepEqual(histogram.explicitBounds, [0.5, -0]);

  const counts = [
    field(2, WIRE.varint, (writer) => writer.uint64(300n)),
    field(2, WIRE.bytes, (writer) => writer.bytes(Uint8Array.of(1, 0xac, 0x02))),
  ];
  const exponential = onlyMetric(nested(10, nested(1, nested(8, ...counts))));
  assert.deepEqual(exponential.exponentialHistogram!.dataPoints[0]!.positive, {
    offset: 0,
    bucketCounts: [300n, 1n, 300n],
  });
});

Deno.test("a packed list that ends inside a number is an error that names the element", () => {
  const point = nested(1, field(6, WIRE.bytes, (writer) => writer.bytes(new Uint8Array(12))));
  assert.throws(() => onlyMetric(nested(9, point)), {
    path: "resourceMetrics[0].scopeMetrics[0].metrics[0].histogram.dataPoints[0].bucketCounts[1]",
  });
});

Deno.test("of a scalar given twice the last counts, a message given twice is merged", () => {
  const bytes = joined(
    nested(
      1,
      nested(1, nested(1, text(1, "a")), field(2, WIRE.varint, (writer) => writer.uint32(1))),
      text(3, "first"),
      nested(1, nested(1, text(1, "b"))),
      text(3, "last"),
    ),
  );
  const { resource, schemaUrl } = decodeRequest("logs", bytes).resourceLogs[0]!;
  assert.equal(schemaUrl, "last");
  assert.deepEqual(resource, {
    attributes: [{ key: "a" }, { key: "b" }],
    droppedAttributesCount: 1,
    entityRefs: [],
  });
  assert.deepEqual(oracleDecode("logs", bytes), decodeRequest("logs", bytes));
});

Deno.test("of a oneof the last member counts, and the same message member twice is merged", () => {
  const int = field(3, WIRE.varint, (writer) => writer.int64(-1n));
  const list = (value: string) => nested(5, nested(1, text(1, value)));
  const body = (...parts: Uint8Array[]) => onlyLog(logRequest(nested(5, ...parts))).body;
  assert.deepEqual(body(text(1, "x"), int), { intValue: -1n });
  assert.deepEqual(body(int, text(1, "")), { stringValue: "" });
  assert.deepEqual(body(list("a"), list("b")), {
    arrayValue: { values: [{ stringValue: "a" }, { stringValue: "b" }] },
  });
  assert.deepEqual(body(list("a"), int, list("b")), {
    arrayValue: { values: [{ stringValue: "b" }] },
  });
  assert.deepEqual(onlyLog(logRequest(nested(5, list("a")), nested(5, list("b")))).body, {
    arrayValue: { values: [{ stringValue: "a" }, { stringValue: "b" }] },
  });
  const { gauge, sum } = onlyMetric(nested(5, nested(1)), nested(7, nested(1)));
  assert.equal(gauge, undefined);
  assert.equal(sum?.dataPoints.length, 1);
});

Deno.test("keys of attributes never become properties", () => {
  const names = ["__proto__", "constructor", "prototype", "toString"];
  const values = names.map((name) => nested(6, text(1, name), nested(2, text(1, "polluted"))));
  const log = onlyLog(logRequest(...values));
  assert.deepEqual(log.attributes.map(({ key }) => key), names);
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
  assert.equal(Object.getPrototypeOf(log), Object.prototype);
});

Deno.test("enums are open: any int32 is kept", () => {
  for (const kind of [6, -1, 2 ** 31 - 1, -(2 ** 31)]) {
    const bytes = logRequest(field(2, WIRE.varint, (writer) => writer.int32(kind)));
    assert.equal(onlyLog(bytes).severityNumber, kind);
  }
});

Deno.test("ids of any length are kept as hex for the caller to judge", () => {
  for (const length of [0, 1, 8, 15, 16, 32]) {
    const id = new Uint8Array(length).fill(0xab);
    const bytes = logRequest(field(9, WIRE.bytes, (writer) => writer.bytes(id)));
    assert.equal(onlyLog(bytes).traceId, "ab".repeat(length));
  }
});

Deno.test("values of 128 levels are kept, whole", () => {
  for (const wraps of [0, 1, 99, 127]) {
    const log = onlyLog(logRequest(deepAttribute(wraps)));
    assert.deepEqual(log.attributes, [{ key: "", value: deepValue(wraps) }]);
    assert.equal(exceedsDepth(log), false, `${wraps + 1} levels`);
  }
});

Deno.test("deeper values mark their record, and the others of the request are kept", () => {
  for (const wraps of [128, 129, 130, 10_000, 100_000]) {
    const bytes = nested(
      1,
      nested(
        2,
        nested(2, text(3, "INFO")),
        nested(2, deepAttribute(wraps)),
        nested(2, text(3, "WARN")),
      ),
    );
    const request = decodeRequest("logs", bytes);
    const logs = request.resourceLogs[0]!.scopeLogs[0]!.logRecords;
    assert.deepEqual(logs.map(exceedsDepth), [false, true, false], `${wraps + 1} levels`);
    assert.deepEqual(logs.map((log) => log.severityText), ["INFO", "", "WARN"]);
    // What is written of it is 129 levels deep: just enough to be found by whoever counts again.
    const again = decodeRequest("logs", encodeRequest("logs", request));
    assert.deepEqual(again, request);
  }
});

Deno.test("exceedsDepth() finds deep values wherever there are any", () => {
  const attributes: KeyValue[] = [{ key: "", value: deepValue(128) }];
  assert.ok(exceedsDepth({ attributes }));
  assert.ok(exceedsDepth({ body: deepValue(128) }));
  assert.ok(exceedsDepth({ events: [{ attributes: [] }, { attributes }] }));
  assert.ok(exceedsDepth({ exemplars: [{ filteredAttributes: attributes }] }));
  assert.ok(!exceedsDepth({ attributes: [{ key: "", value: deepValue(127) }, { key: "" }] }));
  const emptyAtTheEnd = [{ arrayValue: { values: [] } }, {
    kvlistValue: { values: [{ key: "" }] },
  }];
  for (const last of emptyAtTheEnd) {
    let value: AnyValue = last;
    for (let level = 1; level < 128; level++) value = { arrayValue: { values: [value] } };
    assert.ok(!exceedsDepth({ value }));
  }
});

Deno.test("writing a value that is 100,000 levels deep ends at level 129", () => {
  const request: ExportRequests["logs"] = {
    resourceLogs: [{
      resource: {
        attributes: [{ key: "", value: deepValue(100_000) }],
        droppedAttributesCount: 0,
        entityRefs: [],
      },
      scopeLogs: [],
      schemaUrl: "",
    }],
  };
  const { resource } = decodeRequest("logs", encodeRequest("logs", request)).resourceLogs[0]!;
  assert.ok(exceedsDepth(resource!));
  assert.ok(requestToJson("logs", request).length < 10_000);
});

Deno.test("writing replaces lone surrogates and leaves out ids that are not hex", () => {
  const log = onlyLog(logRequest());
  const written = encodeRequest("logs", {
    resourceLogs: [{
      scopeLogs: [{
        logRecords: [{ ...log, severityText: "\ud800", traceId: "xyz!", spanId: "abc" }],
        schemaUrl: "",
      }],
      schemaUrl: "",
    }],
  });
  assert.deepEqual(onlyLog(written), { ...log, severityText: "\ufffd" });
});

Deno.test("an empty body is a request without records", () => {
  assert.deepEqual(decodeRequest("traces", new Uint8Array()), { resourceSpans: [] });
  assert.deepEqual(decodeRequest("logs", new Uint8Array()), { resourceLogs: [] });
  assert.deepEqual(decodeRequest("metrics", new Uint8Array()), { resourceMetrics: [] });
});

Deno.test("a request cut off anywhere is an error or a shorter request, nothing else", () => {
  for (const { signal, bytes } of SAMPLES) {
    let errors = 0;
    for (let length = 0; length < bytes.length; length++) {
      if (!isTaken(signal, bytes.slice(0, length))) errors++;
    }
    assert.ok(errors > bytes.length * 0.9, `${signal}: ${errors} of ${bytes.length}`);
  }
});

Deno.test("random bytes are an error or a request, nothing else", () => {
  fc.assert(
    fc.property(fc.constantFrom(...SIGNALS), fc.uint8Array({ maxLength: 200 }), (signal, bytes) => {
      isTaken(signal, bytes);
    }),
    { seed: 4, numRuns: 10_000 },
  );
});

Deno.test("mutated requests are an error or a request that can be written again", () => {
  const mutation = fc.tuple(fc.nat(), fc.nat({ max: 255 }));
  let taken = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(...SAMPLES),
      fc.array(mutation, { minLength: 1, maxLength: 4 }),
      ({ signal, bytes }, mutations) => {
        const mutated = bytes.slice();
        for (const [at, byte] of mutations) mutated[at % mutated.length] = byte;
        if (isTaken(signal, mutated)) taken++;
      },
    ),
    { seed: 5, numRuns: 5_000 },
  );
  assert.ok(taken > 100, `taken ${taken}`);
});
