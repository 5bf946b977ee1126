/** OTLP in protobuf against an independent oracle: requests, responses, and the table of fields. */

import assert from "node:assert/strict";
import fc from "fast-check";
import protobuf from "protobufjs";
import {
  decodeRequest,
  decodeResponse,
  decodeStatus,
  encodeRequest,
  encodeResponse,
  encodeStatus,
} from "../src/otlp.ts";
import { OtlpDecodeError } from "../src/otlp_error.ts";
import { type Field, type Message, REQUESTS, RESPONSES, RPC_STATUS } from "../src/otlp_fields.ts";
import { fromProtobuf } from "../src/otlp_protobuf.ts";
import { WIRE } from "../src/protobuf_wire.ts";
import { arbitraryRequest } from "./arbitraries.ts";
import {
  ORACLE_MESSAGES,
  oracleDecode,
  oracleDecodeMessage,
  oracleEncode,
  oracleEncodeMessage,
  oracleType,
} from "./oracle.ts";
import { field, joined, logRequest, nested, SAMPLES, SIGNALS, text } from "./wire_parts.ts";

const RUNS = { seed: 2, numRuns: 1000 };

/** Every message that can be reached from `message`. */
function reachable(message: Message, found = new Set<Message>()): Set<Message> {
  if (found.has(message)) return found;
  found.add(message);
  for (const { message: inner } of message.fields) if (inner !== undefined) reachable(inner, found);
  return found;
}

const MESSAGES = new Set(
  [...Object.values(REQUESTS), ...Object.values(RESPONSES), RPC_STATUS].flatMap((
    message,
  ) => [...reachable(message)]),
);

/** The oracle's name of a message of the field table. */
function oracleName(message: Message): string {
  const nestedNames: Record<string, string> = {
    SpanEvent: "Span.Event",
    SpanLink: "Span.Link",
    Buckets: "ExponentialHistogramDataPoint.Buckets",
    ValueAtQuantile: "SummaryDataPoint.ValueAtQuantile",
    "google.rpc.Status": "RpcStatus",
  };
  return nestedNames[message.name] ?? message.name;
}

function wrongWireTypes({ wire, repeated }: Field): number[] {
  const packable = repeated && wire !== WIRE.bytes;
  return [0, 1, 2, 3, 4, 5, 6, 7].filter((other) =>
    other !== wire && !(packable && other === WIRE.bytes)
  );
}

for (const signal of SIGNALS) {
  Deno.test(`${signal}: what the oracle writes is read as it was meant`, () => {
    fc.assert(
      fc.property(arbitraryRequest(signal) as fc.Arbitrary<never>, (request) => {
        assert.deepEqual(decodeRequest(signal, oracleEncode(signal, request)), request);
      }),
      RUNS,
    );
  });

  Deno.test(`${signal}: what we write the oracle reads as it was meant`, () => {
    fc.assert(
      fc.property(arbitraryRequest(signal) as fc.Arbitrary<never>, (request) => {
        assert.deepEqual(oracleDecode(signal, encodeRequest(signal, request)), request);
      }),
      RUNS,
    );
  });
}

Deno.test("the field table says of every message what the official definitions say", () => {
  assert.equal(MESSAGES.size, 41);
  for (const message of MESSAGES) {
    const ours = message.fields.map((one) => ({
      name: one.name,
      number: one.number,
      type: one.message !== undefined
        ? `.${oracleName(one.message)}`
        : one.type === "id"
        ? "bytes"
        : one.type,
      names: one.names === undefined ? undefined : Object.fromEntries(one.names),
      repeated: one.repeated,
      hasPresence: !one.repeated && one.initial === undefined,
      rivals: one.rivals.map((rival) => rival.name),
    }));
    const theirs = oracleType(oracleName(message)).fieldsArray
      .filter((one) => one.name !== "details")
      .map((one) => {
        const type = one.resolve().resolvedType;
        const group = one.partOf?.fieldsArray.map((member) => member.name) ?? [];
        return {
          name: one.name,
          number: one.id,
          type: type instanceof protobuf.Type
            ? type.fullName
            : type instanceof protobuf.Enum
            ? "enum"
            : one.type,
          names: type instanceof protobuf.Enum ? { ...type.values } : undefined,
          repeated: one.repeated,
          hasPresence: one.partOf !== null || !one.repeated && type instanceof protobuf.Type,
          rivals: group.filter((name) => name !== one.name),
        };
      }).sort((a, b) => a.number - b.number);
    assert.deepEqual(ours, theirs, message.name);
  }
});

Deno.test("a field of the wrong wire type is an error that names it, for every field there is", () => {
  let tried = 0;
  for (const message of MESSAGES) {
    for (const one of message.fields) {
      for (const wire of wrongWireTypes(one)) {
        const bytes = field(one.number, wire, (writer) => writer.fixed64(0n));
        assert.throws(() => fromProtobuf(message, bytes), {
          name: "OtlpDecodeError",
          path: one.repeated ? `${one.name}[0]` : one.name,
          reason: `expected wire type ${one.wire} of ${one.type}, got ${wire}`,
        });
        tried++;
      }
    }
  }
  assert.ok(tried > 500, `tried ${tried}`);
});

Deno.test("an error names the field by its path", () => {
  const span = text(5, "fine");
  const bad = field(1, WIRE.varint, (writer) => writer.uint32(1));
  const bytes = nested(
    1,
    nested(2, nested(2, span), nested(2, span), nested(2, span), nested(2, bad)),
  );
  assert.throws(() => decodeRequest("traces", bytes), {
    name: "OtlpDecodeError",
    path: "resourceSpans[0].scopeSpans[0].spans[3].traceId",
    message: "Cannot decode OTLP at resourceSpans[0].scopeSpans[0].spans[3].traceId: " +
      "expected wire type 2 of id, got 0",
  });
});

Deno.test("an error in an unknown field names the message around", () => {
  const bytes = logRequest(text(3, "INFO"), Uint8Array.of(0xfa, 0x7f, 9));
  assert.throws(() => decodeRequest("logs", bytes), {
    path: "resourceLogs[0].scopeLogs[0].logRecords[0]",
  });
});

Deno.test("bytes behind the last field are an error", () => {
  const { signal, bytes } = SAMPLES[0]!;
  decodeRequest(signal, bytes);
  for (const tail of [[0], [0x80], [0x0a], [0x0a, 5, 1], [0x0c], [0xff, 0xff]]) {
    assert.throws(
      () => decodeRequest(signal, joined(bytes, Uint8Array.from(tail))),
      OtlpDecodeError,
    );
  }
});

Deno.test("responses and statuses are those of the oracle, both ways", () => {
  const rejectedName = {
    traces: "rejectedSpans",
    logs: "rejectedLogRecords",
    metrics: "rejectedDataPoints",
  };
  const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });
  fc.assert(
    fc.property(
      fc.constantFrom(...SIGNALS),
      count,
      fc.string({ unit: "binary" }),
      (signal, rejected, message) => {
        const name = ORACLE_MESSAGES[signal].response;
        const bytes = encodeResponse(signal, { rejected, message }, "protobuf");
        const isAll = rejected === 0 && message === "";
        const model = isAll
          ? {}
          : { partialSuccess: { [rejectedName[signal]]: BigInt(rejected), errorMessage: message } };
        assert.deepEqual(oracleDecodeMessage(name, bytes), model);
        const theirs = oracleEncodeMessage(name, model);
        assert.deepEqual(decodeResponse(signal, theirs, "protobuf"), { rejected, message });
        const json = encodeResponse(signal, { rejected, message }, "json");
        assert.deepEqual(decodeResponse(signal, json, "json"), { rejected, message });
      },
    ),
    RUNS,
  );
  const status = { code: 14, message: "the journal is full" };
  assert.deepEqual(oracleDecodeMessage("RpcStatus", encodeStatus(status, "protobuf")), {
    ...status,
    details: [],
  });
  const detailed = oracleEncodeMessage("RpcStatus", {
    ...status,
    details: [{ typeUrl: "type.googleapis.com/x", value: Uint8Array.of(1) }],
  });
  assert.deepEqual(decodeStatus(detailed, "protobuf"), status);
});

Deno.test("responses and statuses in JSON are as the specification writes them", () => {
  const json = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert.equal(json(encodeResponse("logs", { rejected: 0, message: "" }, "json")), "{}");
  assert.equal(
    json(encodeResponse("logs", { rejected: 2, message: "no" }, "json")),
    '{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"no"}}',
  );
  assert.equal(
    json(encodeStatus({ code: 3, message: 'a "b"' }, "json")),
    '{"code":3,"message":"a \\"b\\""}',
  );
});
