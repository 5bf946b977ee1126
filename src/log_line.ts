/**
 * Log records for a terminal, a line each.
 *
 * @module
 */

import type { z } from "zod";
import type { LOG_PAGE, TRACE_TREE } from "./api_answers.ts";
import { serviceOf } from "./query/trace_tree.ts";
import { printable } from "./sql_table.ts";
import { padded } from "./text_width.ts";
import { timeText } from "./time_text.ts";

/** A log record as the API gives it. */
export type LogJson = z.output<typeof LOG_PAGE>["logs"][number];
/** A span as the API gives it. */
export type SpanJson = z.output<typeof TRACE_TREE>["spans"][number];
type Value = NonNullable<NonNullable<LogJson["record"]["body"]>>;
type Attributes = LogJson["record"]["attributes"];

/** As long as a time. */
const NO_TIME = "no time                 ";
const SEVERITIES = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

/** When a log record was: its own time, or when it was observed; 0 when it says neither. Nanoseconds since 1970. */
export function timeOfLog({ record }: LogJson): bigint {
  return BigInt(record.timeUnixNano === "0" ? record.observedTimeUnixNano : record.timeUnixNano);
}

/** Time, severity, service and message. */
export function logLine(log: LogJson): string {
  const { severityNumber, severityText, body, eventName } = log.record;
  const severity = SEVERITIES[Math.ceil(severityNumber / 4) - 1] ?? severityText;
  const message = body === undefined ? eventName : valueText(body);
  return line(timeOfLog(log), severity, serviceOf(log.resource.attributes), message);
}

/** The same of something that happened in a span: its name and attributes. */
export function eventLine(span: SpanJson, event: SpanJson["record"]["events"][number]): string {
  const attributes = event.attributes.map(({ key, value = {} }) => `${key}=${valueText(value)}`);
  return line(
    BigInt(event.timeUnixNano),
    "EVENT",
    span.service,
    [event.name, ...attributes].join(" "),
  );
}

function line(time: bigint, severity: string, service: string, message: string): string {
  // A record that says no time is not from 1970.
  const parts = [
    time === 0n ? NO_TIME : timeText(time),
    padded(printable(severity), 5),
    printable(service || "-"),
  ];
  return `${parts.join(" ")}  ${printable(message)}`;
}

/** A value as people write it. */
export function valueText(value: Value): string {
  return value.stringValue ?? JSON.stringify(plain(value));
}

function plain(value: Value): unknown {
  if (value.arrayValue !== undefined) {
    return ((value.arrayValue as { values?: Value[] }).values ?? []).map(plain);
  }
  if (value.kvlistValue !== undefined) {
    const { values = [] } = value.kvlistValue as { values?: Attributes };
    return Object.fromEntries(values.map((one) => [one.key, plain(one.value ?? {})]));
  }
  const { stringValue, boolValue, intValue, doubleValue, bytesValue } = value;
  return stringValue ?? boolValue ?? (intValue === undefined ? undefined : JSON_NUMBER(intValue)) ??
    doubleValue ?? bytesValue ?? null;
}

// What TypeScript does not know yet: https://tc39.es/proposal-json-parse-with-source/
const { rawJSON: JSON_NUMBER } = JSON as unknown as { rawJSON(text: string): object };
