/**
 * Reads `jsonb` text back as OTLP values: the inverse of `json_text.ts` for what it wrote exactly.
 *
 * @module
 */

import type { AnyValue, KeyValue } from "../record.ts";

/** A number as its digits stand in the text: only they tell an int from a double. */
class NumberText {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** JSON whose numbers are still text. */
export type JsonText =
  | string
  | boolean
  | null
  | NumberText
  | JsonText[]
  | { readonly [key: string]: JsonText };

/** Parses the text of a jsonb value; SQL null gives `undefined`. */
export function parseJsonb(text: unknown): JsonText | undefined {
  if (text === null || text === undefined) return undefined;
  if (typeof text === "string" && /^[-0-9]/.test(text)) return new NumberText(text);
  return JSON.parse(String(text), numbersAsText) as JsonText;
}

function numbersAsText(_key: string, value: unknown, context?: { source?: string }): unknown {
  return typeof value === "number" ? new NumberText(context?.source ?? String(value)) : value;
}

/** Parses attributes. */
export function parseAttributes(text: unknown): KeyValue[] {
  const json = parseJsonb(text);
  return json === undefined ? [] : toKeyValues(json);
}

/** A JSON object as attributes. */
export function toKeyValues(json: JsonText | undefined): KeyValue[] {
  if (json === undefined || json === null) return [];
  return Object.entries(json).map(([key, value]) => ({ key, value: toAnyValue(value) }));
}

/** A JSON value as an AnyValue. */
export function toAnyValue(json: JsonText): AnyValue {
  if (json === null) return {};
  if (typeof json === "string") return { stringValue: json };
  if (typeof json === "boolean") return { boolValue: json };
  if (json instanceof NumberText) {
    // jsonb writes no exponents, but what is stored as JSON text may have one.
    return /[.e]/.test(json.text)
      ? { doubleValue: Number(json.text) }
      : { intValue: BigInt(json.text) };
  }
  if (Array.isArray(json)) return { arrayValue: { values: json.map(toAnyValue) } };
  return { kvlistValue: { values: toKeyValues(json) } };
}

/** A member of a JSON object that OTLP JSON knows as a number, text of one, or double. */
export function toNumber(json: JsonText | undefined): number {
  if (json instanceof NumberText) return Number(json.text);
  return json === undefined || json === null ? 0 : Number(json);
}

/** A member of a JSON object, `undefined` when it is absent. */
export function member(json: JsonText, key: string): JsonText | undefined {
  return (json as { readonly [key: string]: JsonText })[key];
}

/** A member that is a text; empty when absent. */
export function textMember(json: JsonText, key: string): string {
  return String(member(json, key) ?? "");
}

/** A member that is a 64-bit number as text; 0 when absent. */
export function bigintMember(json: JsonText, key: string): bigint {
  return BigInt(textMember(json, key) || 0);
}
