/** Which log records the address asks for, and what one is told by. */

import { computed } from "@preact/signals";
import type { StoredLog } from "../../frame/answers.ts";
import type { Parameters } from "../../frame/api.ts";
import { parameter } from "../../frame/location.ts";

/** Severities by name, with the lowest number of each. */
export const SEVERITIES: readonly (readonly [string, number])[] = [
  ["Trace", 1],
  ["Debug", 5],
  ["Info", 9],
  ["Warn", 13],
  ["Error", 17],
  ["Fatal", 21],
];

/** What is asked for, without the range: as the API takes it and as the address has it. */
export const logQuery = computed<Parameters>(() => ({
  text: parameter("text"),
  filter: parameter("filter"),
  minSeverity: parameter("minSeverity"),
  service: parameter("service"),
}));

/** A text that changes with it. */
export const logQueryKey = computed(() => JSON.stringify(logQuery.value));

/** When a record was made, or else seen. */
export function logTime({ record }: StoredLog): string {
  return record.timeUnixNano === "0" ? record.observedTimeUnixNano : record.timeUnixNano;
}

/**
 * Tells a record from others: its time and a digest of all that is in it. Records that are equal in
 * all are not told apart.
 */
export function logKey(log: StoredLog): string {
  let key = keys.get(log);
  if (key === undefined) keys.set(log, key = `${logTime(log)}-${digest(JSON.stringify(log))}`);
  return key;
}

const keys = new WeakMap<StoredLog, string>();

/** FNV-1a. */
function digest(text: string): string {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193) >>> 0;
  }
  return value.toString(36);
}

/** The name of a severity: as it was sent, else of its number. */
export function severityName({ severityNumber, severityText }: StoredLog["record"]): string {
  if (severityText !== "") return severityText;
  const [name] = SEVERITIES.findLast(([, least]) => severityNumber >= least) ?? [];
  return name === undefined ? "—" : name.toUpperCase();
}

/** The class that colours a severity. */
export function severityClass({ severityNumber }: StoredLog["record"]): string {
  return severityNumber >= 17 ? "error" : severityNumber >= 13 ? "warn" : "muted";
}
