/**
 * The requests and responses of OTLP/HTTP, as protobuf and as JSON, lossless both ways.
 *
 * Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp-request
 *
 * @module
 */

import {
  MAX_VALUE_LEVEL,
  type Message,
  type Model,
  REQUESTS,
  RESPONSES,
  RPC_STATUS,
} from "./otlp_fields.ts";
import { jsonToWire, toJson } from "./otlp_json.ts";
import { fromProtobuf, toProtobuf } from "./otlp_protobuf.ts";
import type { ArrayValue, ExportRequests, KeyValueList, Signal } from "./record.ts";

/** The two encodings of OTLP/HTTP. */
export type Encoding = "protobuf" | "json";

/** What an answer of 200 says: how many records were not taken, and why. */
export interface PartialSuccess {
  /** Spans, log records or data points. */
  readonly rejected: number;
  /** For developers to read; empty when nothing is to be said. */
  readonly message: string;
}

/** What any other answer says: `google.rpc.Status`, without details. */
export interface RpcStatus {
  /** A `google.rpc.Code`: 3 invalid argument, 8 resource exhausted, 14 unavailable, … */
  readonly code: number;
  /** For developers to read. */
  readonly message: string;
}

const REJECTED: Readonly<Record<Signal, string>> = {
  traces: "rejectedSpans",
  logs: "rejectedLogRecords",
  metrics: "rejectedDataPoints",
};

/**
 * Reads a request. A value nested deeper than 128 levels does not fail it: the value of level 129
 * stands there empty, and {@linkcode exceedsDepth} tells of it.
 *
 * @param signal Which request it is.
 * @param bytes The body, protobuf.
 * @throws {OtlpDecodeError} If the bytes are no such request; with the path of the field.
 *
 * @example A log record
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const bytes = jsonToProtobuf("logs", '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}');
 * const request = decodeRequest("logs", bytes);
 * assert.equal(request.resourceLogs[0]?.scopeLogs[0]?.logRecords[0]?.timeUnixNano, 0n);
 * ```
 */
export function decodeRequest<S extends Signal>(signal: S, bytes: Uint8Array): ExportRequests[S] {
  return fromProtobuf(REQUESTS[signal], bytes) as unknown as ExportRequests[S];
}

/**
 * Writes a request as protobuf. Lone surrogates in text become U+FFFD, ids that are not hex are left
 * out, and so is what a value holds at level 129.
 *
 * @example There and back
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const request = { resourceSpans: [{ scopeSpans: [], schemaUrl: "https://example.org" }] };
 * assert.deepEqual(decodeRequest("traces", encodeRequest("traces", request)), request);
 * ```
 */
export function encodeRequest<S extends Signal>(signal: S, request: ExportRequests[S]): Uint8Array {
  return toProtobuf(REQUESTS[signal], request as unknown as Model);
}

/**
 * Reads a request as clients send it in JSON; see `otlp_json.ts` for what is taken. Depth is treated
 * as in {@linkcode decodeRequest}.
 *
 * @param signal Which request it is.
 * @param text The body.
 * @throws {OtlpDecodeError} If the text is no such request; with the path of the field.
 *
 * @example Where the error is
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.throws(
 *   () => parseRequestJson("logs", '{"resourceLogs":[{"scopeLogs":"none"}]}'),
 *   { path: "resourceLogs[0].scopeLogs", reason: "expected an array, got string" },
 * );
 * ```
 */
export function parseRequestJson<S extends Signal>(signal: S, text: string): ExportRequests[S] {
  return decodeRequest(signal, jsonToProtobuf(signal, text));
}

/**
 * Writes a request as OTLP JSON.
 *
 * @example 64-bit integers are text
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const request = parseRequestJson("logs", '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":1}]}]}]}');
 * assert.equal(
 *   requestToJson("logs", request),
 *   '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1"}]}]}]}',
 * );
 * ```
 */
export function requestToJson<S extends Signal>(signal: S, request: ExportRequests[S]): string {
  return toJson(REQUESTS[signal], request as unknown as Model);
}

/**
 * Turns a JSON request into protobuf, which is how it goes on from the door.
 *
 * @param signal Which request it is.
 * @param text The body.
 * @throws {OtlpDecodeError} If the text is no such request; with the path of the field.
 *
 * @example An empty request
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.equal(jsonToProtobuf("traces", '{"resourceSpans":[]}').length, 0);
 * ```
 */
export function jsonToProtobuf(signal: Signal, text: string): Uint8Array {
  return jsonToWire(REQUESTS[signal], text);
}

/**
 * Whether a decoded record holds a value nested deeper than 128 levels, so that it is not whole.
 *
 * @param record A record or any other part of a request.
 *
 * @example Lists in lists
 * ```ts
 * import assert from "node:assert/strict";
 *
 * let body = {};
 * for (let level = 1; level < 128; level++) body = { arrayValue: { values: [body] } };
 * assert.equal(exceedsDepth({ body }), false);
 * assert.equal(exceedsDepth({ body: { arrayValue: { values: [body] } } }), true);
 * ```
 */
export function exceedsDepth(record: object): boolean {
  return isDeeper(record, 1);
}

/** @param level That of an AnyValue in `part` that is not nested in another one. */
function isDeeper(part: object, level: number): boolean {
  if (part instanceof Uint8Array) return false;
  for (const [name, value] of Object.entries(part)) {
    if (typeof value !== "object") continue;
    if (name === "arrayValue" || name === "kvlistValue") {
      const { values } = value as ArrayValue | KeyValueList;
      const full = name === "arrayValue"
        ? values.length > 0
        : (value as KeyValueList).values.some((pair) => pair.value !== undefined);
      if (full && (level === MAX_VALUE_LEVEL || isDeeper(values, level + 1))) return true;
    } else if (isDeeper(value, level)) {
      return true;
    }
  }
  return false;
}

/**
 * Writes the answer to a request that was taken, wholly or in part.
 *
 * @example All of it
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const answer = encodeResponse("traces", { rejected: 0, message: "" }, "json");
 * assert.equal(new TextDecoder().decode(answer), "{}");
 * ```
 */
export function encodeResponse(
  signal: Signal,
  { rejected, message }: PartialSuccess,
  encoding: Encoding,
): Uint8Array {
  const partialSuccess = { [REJECTED[signal]]: BigInt(rejected), errorMessage: message };
  const model: Model = rejected === 0 && message === "" ? {} : { partialSuccess };
  return encoding === "json"
    ? new TextEncoder().encode(toJson(RESPONSES[signal], model))
    : toProtobuf(RESPONSES[signal], model);
}

/**
 * Reads such an answer.
 *
 * @throws {OtlpDecodeError} If the bytes are no such answer.
 *
 * @example There and back
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const partial = { rejected: 2, message: "trace id of 4 bytes" };
 * const answer = encodeResponse("traces", partial, "protobuf");
 * assert.deepEqual(decodeResponse("traces", answer, "protobuf"), partial);
 * ```
 */
export function decodeResponse(
  signal: Signal,
  bytes: Uint8Array,
  encoding: Encoding,
): PartialSuccess {
  const model = decoded(RESPONSES[signal], bytes, encoding);
  const partial = (model.partialSuccess ?? {}) as Model;
  return {
    rejected: Number(partial[REJECTED[signal]] ?? 0n),
    message: partial.errorMessage as string ?? "",
  };
}

/**
 * Writes the answer to a request that was not taken.
 *
 * @example Invalid argument
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const answer = encodeStatus({ code: 3, message: "no JSON" }, "json");
 * assert.equal(new TextDecoder().decode(answer), '{"code":3,"message":"no JSON"}');
 * ```
 */
export function encodeStatus(status: RpcStatus, encoding: Encoding): Uint8Array {
  const model: Model = { ...status };
  return encoding === "json"
    ? new TextEncoder().encode(toJson(RPC_STATUS, model))
    : toProtobuf(RPC_STATUS, model);
}

/**
 * Reads such an answer; details are passed over.
 *
 * @throws {OtlpDecodeError} If the bytes are no such answer.
 *
 * @example There and back
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const status = { code: 14, message: "the journal is full" };
 * assert.deepEqual(decodeStatus(encodeStatus(status, "protobuf"), "protobuf"), status);
 * ```
 */
export function decodeStatus(bytes: Uint8Array, encoding: Encoding): RpcStatus {
  return decoded(RPC_STATUS, bytes, encoding) as unknown as RpcStatus;
}

function decoded(message: Message, bytes: Uint8Array, encoding: Encoding): Model {
  if (encoding === "protobuf") return fromProtobuf(message, bytes);
  return fromProtobuf(message, jsonToWire(message, new TextDecoder().decode(bytes)));
}
