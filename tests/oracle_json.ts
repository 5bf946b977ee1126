/**
 * The oracle for OTLP JSON: `JSON.parse` and the official message definitions, and nothing of `src/`.
 *
 * Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
 */

import protobuf from "protobufjs";
import type { ExportRequests, Signal } from "../src/record.ts";
import { ORACLE_MESSAGES, oracleDecode, oracleEncode, oracleType } from "./oracle.ts";

/** The request in `text`, in the shapes of `src/record.ts`. */
export function oracleParse<S extends Signal>(signal: S, text: string): ExportRequests[S] {
  const type = oracleType(ORACLE_MESSAGES[signal].request);
  const fields = toModel(type, parse(text) as Fields) as unknown as ExportRequests[S];
  // There and back, which sets the fields that JSON leaves out.
  return oracleDecode(signal, oracleEncode(signal, fields));
}

type Fields = Record<string, unknown>;

/** A number as it is written, because a JavaScript number may say less. */
class JsonNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Reviver = (this: unknown, key: string, value: unknown, context: { source: string }) => unknown;

function parse(text: string): unknown {
  const keepText: Reviver = (_key, value, { source }) =>
    typeof value === "number" ? new JsonNumber(source) : value;
  return JSON.parse(text, keepText as (key: string, value: unknown) => unknown);
}

function toModel(type: protobuf.Type, json: Fields): Fields {
  const model: Fields = {};
  for (const field of type.fieldsArray) {
    field.resolve();
    const value = json[field.name];
    if (value === undefined || value === null) continue;
    model[field.name] = field.repeated
      ? (value as unknown[]).map((item) => toField(field, item))
      : toField(field, value);
  }
  // JavaScript's exporters call every number without a fraction an int.
  if (type.name === "AnyValue" && typeof model.intValue === "bigint") {
    const { intValue } = model;
    if (BigInt.asIntN(64, intValue) !== intValue) return { doubleValue: Number(intValue) };
  }
  return model;
}

function toField(field: protobuf.Field, value: unknown): unknown {
  if (field.resolvedType instanceof protobuf.Type) {
    return toModel(field.resolvedType, value as Fields);
  }
  if (field.type === "bool") return value;
  // Half of a surrogate pair is no character: U+FFFD.
  if (field.type === "string") return String(value).toWellFormed();
  if (field.type === "bytes") {
    const isId = /^(traceId|spanId|parentSpanId)$/.test(field.name);
    return isId ? String(value).toLowerCase() : Uint8Array.fromBase64(String(value));
  }
  const text = value instanceof JsonNumber ? value.text : String(value);
  if (!/64$/.test(field.type)) return Number(text);
  // An exponent is written by JavaScript for numbers that are doubles of that very value.
  return /[.e]/i.test(text) ? BigInt(Number(text)) : BigInt(text);
}
