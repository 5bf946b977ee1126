/**
 * Log records as they will be read once they are stored, without asking a database.
 *
 * @module
 */

import { decodeRequest, exceedsDepth } from "../otlp.ts";
import type { InstrumentationScope, KeyValue, LogRecord, Resource } from "../record.ts";
import type { Stored } from "./stored.ts";

const NO_RESOURCE: Resource = { attributes: [], droppedAttributesCount: 0, entityRefs: [] };
const NO_SCOPE: InstrumentationScope = {
  name: "",
  version: "",
  attributes: [],
  droppedAttributesCount: 0,
};

/**
 * The records of a request that are kept, in its order: each as {@linkcode logOf} gives it, up to the
 * order of attributes.
 *
 * @param body An ExportLogsServiceRequest in protobuf.
 * @throws {OtlpDecodeError} It is none.
 *
 * @example One record
 * ```ts
 * import { jsonToProtobuf } from "../otlp.ts";
 * import assert from "node:assert/strict";
 *
 * const text = '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityText":"a\\u0000"}]}]}]}';
 * const [log] = receivedLogs(jsonToProtobuf("logs", text));
 * assert.equal(log?.record.severityText, "a\ufffd");
 * ```
 */
export function receivedLogs(body: Uint8Array): Stored<LogRecord>[] {
  const received: Stored<LogRecord>[] = [];
  for (
    const { resource = NO_RESOURCE, schemaUrl, scopeLogs } of decodeRequest("logs", body)
      .resourceLogs
  ) {
    const isLost = exceedsDepth(resource);
    const container = { resource: kept(resource), resourceSchemaUrl: kept(schemaUrl) };
    for (const { scope = NO_SCOPE, schemaUrl, logRecords } of scopeLogs) {
      if (isLost || exceedsDepth(scope)) continue;
      const scoped = { scope: kept(scope), scopeSchemaUrl: kept(schemaUrl) };
      for (const record of logRecords) {
        if (!exceedsDepth(record)) received.push({ record: kept(record), ...container, ...scoped });
      }
    }
  }
  return received;
}

/** A part of a request with what Postgres cannot hold replaced, and without what does not count. */
function kept<T>(part: T): T {
  return keptAs("", part) as T;
}

function keptAs(name: string, value: unknown): unknown {
  if (typeof value === "string") {
    if (name === "traceId" || name === "spanId") return idOf(value, name === "traceId" ? 32 : 16);
    return value.includes("\0") ? value.replaceAll("\0", "\ufffd") : value;
  }
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (name === "attributes" || name === "kvlistValue") {
    return name === "attributes"
      ? lastOf(value as KeyValue[])
      : { values: lastOf((value as { values: KeyValue[] }).values) };
  }
  if (Array.isArray(value)) return value.map((one) => keptAs("", one));
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, keptAs(name, member)]),
  );
}

/** Of a key given twice the last value counts; an absent one is empty. */
function lastOf(entries: readonly KeyValue[]): KeyValue[] {
  const last = new Map<string, KeyValue>();
  for (const { key, value = {} } of entries) {
    const name = kept(key);
    last.set(name, { key: name, value: kept(value) });
  }
  return [...last.values()];
}

/** An id of the wrong length, or all zero, is absent. */
function idOf(hex: string, digits: number): string {
  return hex.length === digits && /[^0]/.test(hex) ? hex : "";
}
