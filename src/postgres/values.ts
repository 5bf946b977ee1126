/**
 * Values on their way in and out, the same for every client: parameters leave as Postgres' text form,
 * and results arrive as text and are parsed here. No client's own opinion of types is asked.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { SqlValue } from "./database.ts";

/**
 * The text form of a parameter, of which the server infers the type; null for null.
 *
 * @throws {TypeError} When the value is none of {@linkcode SqlValue}.
 */
export function parameterText(value: SqlValue): string | null {
  if (value === null) return null;
  if (value instanceof Uint8Array) return byteaText(value);
  if (Array.isArray(value)) return arrayText(value.map(parameterText));
  return scalarText(value as string | number | bigint | boolean);
}

function scalarText(value: string | number | bigint | boolean): string {
  switch (typeof value) {
    case "string":
      return value;
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    case "bigint":
    case "boolean":
      return String(value);
    default:
      throw new TypeError(`Cannot pass a parameter of type ${typeof value} to Postgres`);
  }
}

/** The text form of a bytea. */
export function byteaText(bytes: Uint8Array): string {
  return "\\x" + Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

/** The text form of an array of elements that are in text form already. */
export function arrayText(elements: readonly (string | null)[]): string {
  return "{" + elements.map(elementText).join(",") + "}";
}

function elementText(element: string | null): string {
  return element === null ? "NULL" : `"${element.replace(/["\\]/g, "\\$&")}"`;
}

type Parse = (text: string) => unknown;

/** What the seam promises, by type oid. Every other type stays text. */
const PARSERS: ReadonlyMap<number, Parse> = new Map<number, Parse>([
  [16, (text) => text === "t"],
  [17, parseBytea],
  [20, BigInt],
  [21, Number],
  [23, Number],
  [26, Number],
  [700, Number],
  [701, Number],
]);

/** Element type by array type: bool, bytea, int2, int4, text, varchar, int8, float4, float8, oid, numeric, uuid. */
const ELEMENTS: ReadonlyMap<number, number> = new Map([
  [1000, 16],
  [1001, 17],
  [1005, 21],
  [1007, 23],
  [1009, 25],
  [1015, 1043],
  [1016, 20],
  [1021, 700],
  [1022, 701],
  [1028, 26],
  [1231, 1700],
  [2951, 2950],
]);

/** The types that do not stay text. */
export const PARSED_TYPES: readonly number[] = [...PARSERS.keys(), ...ELEMENTS.keys()];

/** What stands for a result value of the type `oid` whose text form is `text`. */
export function parseValue(oid: number, text: string): unknown {
  const parse = PARSERS.get(oid);
  if (parse !== undefined) return parse(text);
  const element = ELEMENTS.get(oid);
  return element === undefined ? text : parseArray(element, text);
}

/** The same for a client that has parsed the value by its own lights and left what it does not know as text. */
export function parseDecoded(oid: number, value: unknown): unknown {
  if (typeof value === "string") return parseValue(oid, value);
  const element = Array.isArray(value) ? ELEMENTS.get(oid) : undefined;
  return element === undefined
    ? value
    : (value as unknown[]).map((one) => parseDecoded(element, one));
}

function parseBytea(text: string): Uint8Array {
  return Uint8Array.fromHex(text.slice(2));
}

/** Reads `{1,NULL,"a\"b",{…}}`, with or without bounds as in `[0:1]={…}`. */
function parseArray(oid: number, text: string): unknown[] {
  let at = text.indexOf("{");
  const level = (): unknown[] => {
    const values: unknown[] = [];
    at++;
    while (text[at] !== "}") {
      if (text[at] === ",") at++;
      if (text[at] === "{") values.push(level());
      else if (text[at] === '"') values.push(parseValue(oid, quoted()));
      else {
        const from = at;
        while (text[at] !== "," && text[at] !== "}") at++;
        const bare = text.slice(from, at);
        values.push(bare === "NULL" ? null : parseValue(oid, bare));
      }
    }
    at++;
    return values;
  };
  const quoted = (): string => {
    const from = ++at;
    while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
    return text.slice(from, at++).replace(/\\(.)/gs, "$1");
  };
  return level();
}
