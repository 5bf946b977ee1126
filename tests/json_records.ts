/**
 * The only record of requests in JSON.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { parseRequestJson } from "../src/otlp.ts";
import type { AnyValue, LogRecord, Span } from "../src/record.ts";

/** The text of an example of the specification. */
export function fixture(name: string): string {
  return readFileSync(new URL(`./fixtures/${name}.json`, import.meta.url), "utf8");
}

/** The only record of a request whose record is written `json`. */
export function logOf(json: string): LogRecord {
  const text = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[${json}]}]}]}`;
  return parseRequestJson("logs", text).resourceLogs[0]!.scopeLogs[0]!.logRecords[0]!;
}

/** The only span of a request whose span is written `json`. */
export function spanOf(json: string): Span {
  const text = `{"resourceSpans":[{"scopeSpans":[{"spans":[${json}]}]}]}`;
  return parseRequestJson("traces", text).resourceSpans[0]!.scopeSpans[0]!.spans[0]!;
}

/** The body of a log record, written `json`. */
export function bodyOf(json: string): AnyValue | undefined {
  return logOf(`{"body":${json}}`).body;
}
