/** Values of OTLP as text. */

import type { AnyValue, KeyValue } from "./answers.ts";

/** A value in one line; text as it is, lists and maps as JSON. */
export function valueText(value: AnyValue | undefined): string {
  if (value === undefined) return "";
  if (value.stringValue !== undefined) return value.stringValue;
  const plain = plainValue(value);
  return typeof plain === "object" ? JSON.stringify(plain) : String(plain);
}

/** A value as JSON has it; what it has no kind for is text. */
export function plainValue(value: AnyValue | undefined): unknown {
  if (value === undefined) return null;
  if (value.stringValue !== undefined) return value.stringValue;
  if (value.boolValue !== undefined) return value.boolValue;
  if (value.doubleValue !== undefined) return value.doubleValue;
  if (value.intValue !== undefined) {
    const number = Number(value.intValue);
    return Number.isSafeInteger(number) ? number : value.intValue;
  }
  if (value.bytesValue !== undefined) return value.bytesValue;
  if (value.arrayValue !== undefined) {
    return ((value.arrayValue as { values?: AnyValue[] }).values ?? []).map(plainValue);
  }
  if (value.kvlistValue !== undefined) {
    const list = (value.kvlistValue as { values?: KeyValue[] }).values ?? [];
    return Object.fromEntries(list.map((one) => [one.key, plainValue(one.value)]));
  }
  return null;
}

/** Attributes as JSON has them. */
export function plainAttributes(attributes: readonly KeyValue[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, plainValue(value)]));
}

/** An attribute as text; empty when there is none. */
export function attributeText(attributes: readonly KeyValue[], key: string): string {
  return valueText(attributes.findLast((one) => one.key === key)?.value);
}

/** A name or value in the grammar of filters: quoted where it has to be. */
export function quoted(text: string): string {
  return /^[\w.:/-]+$/.test(text) && !/^(and|or|not|exists|has)$/i.test(text)
    ? text
    : `"${text.replace(/["\\]/g, "\\$&")}"`;
}

/** Names that stand for fields, not attributes, in filters. */
const FIELDS = /^(service|operation|kind|status|duration|severity|text|metric)$/;

/** What filters call an attribute, before it is quoted. */
export function attributeName(of: "record" | "resource", key: string): string {
  if (of === "resource") return `resource.${key}`;
  return FIELDS.test(key) || key.startsWith("resource.") ? `attributes.${key}` : key;
}

/** The filter that finds what has an attribute with a value. */
export function attributeFilter(of: "record" | "resource", key: string, text: string): string {
  return `${quoted(attributeName(of, key))} = ${quoted(text)}`;
}
