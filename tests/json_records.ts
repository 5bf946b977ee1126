/**
 * The only record of requests in JSON.
 *
 * @module
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { jsonToProtobuf, parseRequestJson } from "../src/otlp.ts";
import type { AnyValue, ExportRequests, LogRecord, Signal, Span } from "../src/record.ts";
import { oracleDecode } from "./oracle.ts";

/** The text of an example of the specification. */
export function fixture(name: string): string {
  return readFileSync(new URL(`./fixtures/${name}.json`, import.meta.url), "utf8");
}

/**
 * A request in JSON, which has to be the same, or to be refused alike, when it is made protobuf and read
 * from that by somebody else.
 */
export function requestOf<S extends Signal>(signal: S, text: string): ExportRequests[S] {
  let request: ExportRequests[S];
  try {
    request = parseRequestJson(signal, text);
  } catch (error) {
    assert.throws(() => jsonToProtobuf(signal, text), { message: (error as Error).message });
    throw error;
  }
  assert.deepEqual(oracleDecode(signal, jsonToProtobuf(signal, text)), request);
  return request;
}

/** The only record of a request whose record is written `json`. */
export function logOf(json: string): LogRecord {
  const text = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[${json}]}]}]}`;
  return requestOf("logs", text).resourceLogs[0]!.scopeLogs[0]!.logRecords[0]!;
}

/** The only span of a request whose span is written `json`. */
export function spanOf(json: string): Span {
  const text = `{"resourceSpans":[{"scopeSpans":[{"spans":[${json}]}]}]}`;
  return requestOf("traces", text).resourceSpans[0]!.scopeSpans[0]!.spans[0]!;
}

/** The body of a log record, written `json`. */
export function bodyOf(json: string): AnyValue | undefined {
  return logOf(`{"body":${json}}`).body;
}
