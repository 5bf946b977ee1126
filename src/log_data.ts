/**
 * A log record as a plain object: `{ level, message, … }`, or a span that stands for one.
 *
 * @module
 */

import * as z from "zod";
import { encodeRequest } from "./otlp.ts";
import type { LogRecord } from "./record.ts";
import { encodeRecord, FieldFault } from "./record_error.ts";
import {
  anyValue,
  type Attributes,
  type AttributeValue,
  keyValues,
  nanosOf,
  nowNanos,
  resourceOf,
  TIME,
  type TimeValue,
  withAttribute,
} from "./record_fields.ts";
import { spanTimes } from "./span_times.ts";
import { SPAN_FIELDS, type TraceData } from "./trace_data.ts";

/**
 * A log record. `message` or the attribute `log.message` has to be there. Fields that are not listed are
 * refused, so that none is lost by a misspelt name.
 *
 * The fields of a span may be there as well. OTLP has a place for some of them: `startTime` is the time,
 * `name` the event name. The others become attributes: `operation`, `span.kind`, `status`, and `duration_ms`
 * for `endTime` and `durationMs`.
 */
export interface LogData extends
  Pick<
    TraceData,
    | "traceId"
    | "spanId"
    | "name"
    | "kind"
    | "startTime"
    | "endTime"
    | "durationMs"
    | "status"
    | "service"
    | "operation"
  > {
  /** When it happened. @default `startTime`, else now */
  readonly timestamp?: TimeValue | undefined;
  /**
   * The severity: `TRACE`, `DEBUG`, `INFO`, `WARN`, `ERROR`, `FATAL`, each also with 2 to 4 behind it, or
   * `WARNING`, `CRITICAL`; in capitals or not. Any other text is kept, without a number.
   *
   * @default the attribute `log.level`, else none
   */
  readonly level?: string | undefined;
  /** What is logged: text or a structure. @default the attribute `log.message` */
  readonly message?: AttributeValue;
  /** What else describes it; `log.level` and `log.message` stand for the fields and do not stay here. */
  readonly attributes?: Attributes | undefined;
}

const LEVEL = "log.level";
const MESSAGE = "log.message";

const SCHEMA = z.strictObject({
  ...SPAN_FIELDS,
  timestamp: TIME.optional(),
  level: z.string("has to be a text").optional(),
  message: z.custom<AttributeValue>(() => true).optional(),
}, "has to be an object");

/** The lowest severity number of each name. */
const SEVERITIES: Readonly<Record<string, number>> = {
  TRACE: 1,
  DEBUG: 5,
  INFO: 9,
  WARN: 13,
  WARNING: 13,
  ERROR: 17,
  FATAL: 21,
  CRITICAL: 21,
};

/**
 * The severity number of a level, as the OpenTelemetry log data model numbers them; 0 when it has none.
 *
 * @example Levels of several loggers
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(["info", "WARN2", "Critical", "chatty"].map(severityNumber), [9, 14, 21, 0]);
 * ```
 */
export function severityNumber(level: string): number {
  const [, name = "", step = "1"] = /^([A-Z]+)([2-4])?$/.exec(level.toUpperCase()) ?? [];
  const lowest = Object.hasOwn(SEVERITIES, name) ? SEVERITIES[name] : undefined;
  return lowest === undefined ? 0 : lowest + Number(step) - 1;
}

/**
 * Makes an `ExportLogsServiceRequest` of one log record.
 *
 * @throws {RecordError} A field is missing, unknown, wrong, or contradicts another one.
 *
 * @example Level and message as attributes
 * ```ts
 * import assert from "node:assert/strict";
 * import { decodeRequest } from "./otlp.ts";
 *
 * const bytes = logRequest({ attributes: { "log.level": "ERROR", "log.message": "full", disk: "sda" } });
 * const log = decodeRequest("logs", bytes).resourceLogs[0]?.scopeLogs[0]?.logRecords[0];
 * assert.equal(log?.severityNumber, 17);
 * assert.deepEqual(log.attributes, [{ key: "disk", value: { stringValue: "sda" } }]);
 * ```
 */
export function logRequest(data: LogData): Uint8Array {
  return encodeRecord("log record", SCHEMA, encoded, data);
}

function encoded(data: z.output<typeof SCHEMA>): Uint8Array {
  const { [LEVEL]: itsLevel, [MESSAGE]: itsMessage, ...rest } = data.attributes;
  const level = oneOf("level", data.level, LEVEL, itsLevel) ?? "";
  if (typeof level !== "string") {
    throw new FieldFault(`attributes.${LEVEL}`, level, "has to be a text");
  }
  const message = oneOf("message", data.message, MESSAGE, itsMessage);
  if (message === undefined) {
    throw new FieldFault("message", undefined, `is missing: give it or the attribute '${MESSAGE}'`);
  }
  const now = nowNanos();
  const attributes = [
    ["operation", data.operation],
    ["span.kind", data.kind],
    ["status", data.status],
    ["duration_ms", durationOf(data)],
  ] as const;
  const record: LogRecord = {
    timeUnixNano: timeOf(data) ?? now,
    observedTimeUnixNano: now,
    severityNumber: severityNumber(level),
    severityText: level,
    body: anyValue("message", message),
    attributes: keyValues(
      "attributes",
      attributes.reduce((all, [name, value]) => withAttribute(all, name, value), rest),
    ),
    droppedAttributesCount: 0,
    flags: 0,
    traceId: data.traceId ?? "",
    spanId: data.spanId ?? "",
    eventName: data.name ?? "",
  };
  const scopeLogs = [{ logRecords: [record], schemaUrl: "" }];
  return encodeRequest("logs", {
    resourceLogs: [{ ...resourceOf(data.service), scopeLogs, schemaUrl: "" }],
  });
}

/** What is said by a field, by an attribute, or by both alike. */
function oneOf(
  field: string,
  value: AttributeValue,
  attribute: string,
  own: AttributeValue,
): AttributeValue {
  if (value !== undefined && own !== undefined && value !== own) {
    throw new FieldFault(field, value, `contradicts the attribute '${attribute}'`);
  }
  return value ?? own;
}

function timeOf({ timestamp, startTime }: z.output<typeof SCHEMA>): bigint | undefined {
  const started = startTime === undefined ? undefined : nanosOf("startTime", startTime);
  if (timestamp === undefined) return started;
  const time = nanosOf("timestamp", timestamp);
  if (started !== undefined && started !== time) {
    throw new FieldFault("startTime", startTime, "contradicts timestamp");
  }
  return time;
}

/** How long it took, in milliseconds. */
function durationOf(data: z.output<typeof SCHEMA>): number | undefined {
  if (data.endTime === undefined) return data.durationMs;
  const { start, end } = spanTimes({ ...data, startTime: data.startTime ?? data.timestamp });
  return data.durationMs ?? Number(end - start) / 1e6;
}
