/**
 * Reads the attributes of spans and log records back from rows and their attribute sets.
 *
 * @module
 */

import type { KeyValue } from "../record.ts";
import type { Row } from "./database.ts";
import {
  type JsonText,
  parseAttributes,
  parseJsonb,
  toAnyValue,
  toKeyValues,
} from "./json_value.ts";

/**
 * What {@linkcode attributesOf} needs of rows `t` and their sets `a`. To put it together is cheaper here
 * than in the database.
 */
export const ATTRIBUTES =
  `t.attributes::text as attributes, a.attributes::text as shared_attributes,
  to_json(t.attribute_values)::text as own_values, to_json(a.own_keys)::text as own_keys, a.own_types`;

/** Parts of sets that were read last, by their text. */
const SETS = new Map<string, JsonText>();
const MAX_SETS = 2_048;

/** The attributes in the row, or of its set and its own. A set that has expired reads as empty. */
export function attributesOf(row: Row): KeyValue[] {
  if (row.attributes !== null) return parseAttributes(row.attributes);
  if (row.shared_attributes === null) return [];
  const attributes = toKeyValues(partOfSet(row.shared_attributes));
  if (row.own_values === null) return attributes;
  const keys = partOfSet(row.own_keys) as string[];
  const values = JSON.parse(String(row.own_values)) as string[];
  const types = String(row.own_types ?? "");
  for (const [n, key] of keys.entries()) {
    const text = values[n]!;
    const value = types[n] === "j" ? toAnyValue(parseJsonb(text)!) : { stringValue: text };
    attributes.push({ key, value });
  }
  return attributes;
}

function partOfSet(text: unknown): JsonText {
  let json = SETS.get(String(text));
  if (json === undefined) {
    json = parseJsonb(text)!;
    if (SETS.size >= MAX_SETS) SETS.clear();
    SETS.set(String(text), json);
  }
  return json;
}
