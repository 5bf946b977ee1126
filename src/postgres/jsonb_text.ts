/**
 * Values as Postgres prints them once they are `jsonb`, without asking it.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { AnyValue, KeyValue } from "../record.ts";

/**
 * What `#>> '{}'` gives of a value: a text as it is, anything else as JSON; undefined for an empty one.
 *
 * @example A text, and a list
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const values = [{ stringValue: "a" }, { doubleValue: 2 }];
 * assert.equal(jsonbText(values[0]!), "a");
 * assert.equal(jsonbText({ arrayValue: { values } }), '["a", 2.0]');
 * ```
 */
export function jsonbText(value: AnyValue): string | undefined {
  return value.stringValue ?? asText(value) ?? jsonOf(value);
}

/** Whether it is a number in jsonb. */
export function isJsonbNumber({ intValue, doubleValue }: AnyValue): boolean {
  return intValue !== undefined || Number.isFinite(doubleValue);
}

/** Bytes, and numbers that JSON does not know, are stored as texts. */
function asText({ bytesValue, doubleValue }: AnyValue): string | undefined {
  if (bytesValue !== undefined) return Buffer.from(bytesValue).toString("base64");
  return doubleValue === undefined || Number.isFinite(doubleValue) ? undefined : `${doubleValue}`;
}

/** Undefined for null. */
function jsonOf(value: AnyValue): string | undefined {
  const { boolValue, intValue, doubleValue, arrayValue, kvlistValue } = value;
  if (boolValue !== undefined) return String(boolValue);
  if (intValue !== undefined) return String(intValue);
  if (doubleValue !== undefined) return decimal(doubleValue);
  if (arrayValue !== undefined) return `[${arrayValue.values.map(printed).join(", ")}]`;
  return kvlistValue && mapOf(kvlistValue.values);
}

/** Within an array or a map. */
function printed(value: AnyValue | undefined): string {
  if (value === undefined) return "null";
  const text = value.stringValue ?? asText(value);
  return text === undefined ? jsonOf(value) ?? "null" : JSON.stringify(text);
}

/** Keys are ordered by their length in bytes, then by their bytes; of equal ones the last counts. */
function mapOf(entries: readonly KeyValue[]): string {
  const last = new Map(entries.map(({ key, value }) => [key, value]));
  const members = [...last].map(([key, value]) => ({ key: Buffer.from(key), value }));
  members.sort((a, b) => a.key.length - b.key.length || Buffer.compare(a.key, b.key));
  const texts = members.map(({ key, value }) =>
    `${JSON.stringify(String(key))}: ${printed(value)}`
  );
  return `{${texts.join(", ")}}`;
}

/** All digits, and a fraction, as `json_text.ts` and then `numeric` write it. */
function decimal(value: number): string {
  if (Number.isInteger(value)) {
    return `${Math.abs(value) < 1e21 ? String(value) : BigInt(value)}.0`;
  }
  const [, sign, whole, rest = "", exponent] = /^(-?)(\d+)(?:\.(\d+))?(?:e-(\d+))?$/.exec(
    String(value),
  )!;
  if (exponent === undefined) return String(value);
  return `${sign}0.${"0".repeat(Number(exponent) - 1)}${whole}${rest}`;
}
