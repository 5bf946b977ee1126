/**
 * Any message of the field table to and from OTLP JSON.
 *
 * Reading takes what real clients send, which is more than the specification allows: a byte order
 * mark, ids in either case, enums by number or name, 64-bit integers as text or as numbers of any
 * length, doubles as numbers or text, base64 of either alphabet, `null` for what is absent. An integer
 * value that is no int64 (JavaScript clients send 1e20 as `intValue`) is kept as a double, `null` in a
 * list of doubles is the NaN it was, an id that is not hex is an empty one, and of a doubled oneof the
 * last member counts.
 *
 * Writing follows the specification: hex ids, 64-bit integers as text, enums as numbers, non-finite
 * doubles as text; what is absent or has its initial value is left out.
 *
 * Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding and
 * https://protobuf.dev/programming-guides/json/
 *
 * @module
 */

import { OtlpDecodeError } from "./otlp_error.ts";
import { ANY_VALUE, type Field, MAX_VALUE_LEVEL, type Message, type Model } from "./otlp_fields.ts";
import { isInitial, writeScalar } from "./otlp_protobuf.ts";
import { WIRE } from "./protobuf_wire.ts";
import { WireWriter } from "./protobuf_writer.ts";

/**
 * Reads a message, and writes it as protobuf: requests are stored as that, and to make a model of one
 * first costs as much again. Fields are in the order in which they come. Of a doubled oneof all members
 * are there, of which the last one counts on the wire as well.
 *
 * @param message What it is.
 * @param text JSON text.
 * @throws {OtlpDecodeError} If the text is no JSON or no such message.
 *
 * @example A span status
 * ```ts
 * import assert from "node:assert/strict";
 * import { RPC_STATUS } from "./otlp_fields.ts";
 *
 * assert.equal(jsonToWire(RPC_STATUS, '{"code":"3","message":""}').toHex(), "0803");
 * ```
 */
export function jsonToWire(message: Message, text: string): Uint8Array {
  const writer = new WireWriter();
  writeMessage(writer, parse(text), message, 0);
  return writer.finish();
}

/**
 * Writes a message.
 *
 * @param message What it is.
 * @param model Its fields. What a value holds that is nested deeper than
 * {@linkcode MAX_VALUE_LEVEL} is left out.
 *
 * @example A span status
 * ```ts
 * import assert from "node:assert/strict";
 * import { RPC_STATUS } from "./otlp_fields.ts";
 *
 * assert.equal(toJson(RPC_STATUS, { code: 3, message: "" }), '{"code":3}');
 * ```
 */
export function toJson(message: Message, model: Model): string {
  return JSON.stringify(plainMessage(message, model, 0));
}

// `JSON.stringify(-0)` is 0. TypeScript does not know `JSON.rawJSON` yet.
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

// Sixteen digits in a row, neither in quotes nor after a decimal point: perhaps a number that a
// double cannot hold. Timestamps in quotes, which are in every request, do not match.
const LONG_NUMBER = /(?<![\d".])\d{16}/;

/**
 * `JSON.parse` without a byte order mark and without loss: numbers that a double may not hold come as
 * text, which is as good as a number wherever one is expected (and is taken as text where text is). A
 * reviver would see the same, but overflows the stack on JSON that is nested some thousand levels deep.
 *
 * @throws {OtlpDecodeError} It is no JSON.
 */
function parse(given: string): unknown {
  const text = given.startsWith("\ufeff") ? given.slice(1) : given;
  try {
    const value = JSON.parse(text);
    return LONG_NUMBER.test(text) ? JSON.parse(quoteLongNumbers(text)) : value;
  } catch (cause) {
    throw new OtlpDecodeError(`expected JSON, ${flawOf(cause as SyntaxError)}`, "", { cause });
  }
}

/** What is wrong with text, without the piece of it that the engine's message quotes. */
function flawOf({ message }: SyntaxError): string {
  const [, position] = /at position (\d+)/.exec(message) ?? [];
  if (position !== undefined) return `got a flaw at character ${position}`;
  return message.includes("end of JSON") ? "got its beginning" : "got something else";
}

/** Puts the numbers of 16 and more characters into quotes. `text` is valid JSON. */
function quoteLongNumbers(text: string): string {
  const pieces: string[] = [];
  let copied = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) at = endOfText(text, at);
    else if (code === 0x2d || (code >= 0x30 && code <= 0x39)) {
      let end = at + 1;
      while (isOfNumber(text.charCodeAt(end))) end++;
      if (end - at >= 16) {
        pieces.push(text.slice(copied, at), text.slice(at, end));
        copied = end;
      }
      at = end - 1;
    }
  }
  pieces.push(text.slice(copied));
  return pieces.join('"');
}

/** The index of the quote that ends the string beginning at `at`. */
function endOfText(text: string, at: number): number {
  for (;;) {
    at = text.indexOf('"', at + 1);
    let escapes = at;
    while (text[escapes - 1] === "\\") escapes--;
    if ((at - escapes) % 2 === 0) return at;
  }
}

/** Digits, `+`, `-`, `.`, `E` and `e`. */
function isOfNumber(code: number): boolean {
  return code >= 0x30 && code <= 0x39 || code === 0x2b || code === 0x2d || code === 0x2e ||
    code === 0x45 || code === 0x65;
}

/** @param level How many AnyValues are around, this message not included. */
function writeMessage(writer: WireWriter, json: unknown, message: Message, level: number): void {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw expected("an object", json);
  }
  const inner = message === ANY_VALUE ? level + 1 : level;
  if (inner > MAX_VALUE_LEVEL) return;
  for (const name of Object.keys(json)) {
    const value = (json as Record<string, unknown>)[name];
    const field = message.byName.get(name);
    if (field === undefined || value === null) continue;
    if (field.repeated) {
      writeList(writer, value, field, inner);
      continue;
    }
    try {
      writeField(writer, value, field, inner);
    } catch (error) {
      throw located(error, name);
    }
  }
}

function writeField(writer: WireWriter, json: unknown, field: Field, level: number): void {
  if (field.message !== undefined) {
    writeNested(writer, json, field, field.message, level);
    return;
  }
  const { field: chosen, value } = sortNumber(json, field);
  if (isInitial(chosen, value)) return;
  writer.tag(chosen.number, chosen.wire);
  writeScalar(writer, chosen, value);
}

function writeNested(
  writer: WireWriter,
  json: unknown,
  { number }: Field,
  message: Message,
  level: number,
): void {
  writer.tag(number, WIRE.bytes);
  const mark = writer.open();
  writeMessage(writer, json, message, level);
  writer.close(mark);
}

function writeList(writer: WireWriter, json: unknown, field: Field, level: number): void {
  const { name, message, wire, type } = field;
  if (!Array.isArray(json)) throw located(expected("an array", json), name);
  if (json.length === 0) return;
  const isPacked = wire !== WIRE.bytes;
  if (isPacked) writer.tag(field.number, WIRE.bytes);
  const mark = isPacked ? writer.open() : 0;
  for (let index = 0; index < json.length; index++) {
    const item = json[index];
    try {
      if (message !== undefined) {
        writeNested(writer, item ?? {}, field, message, level);
      } else {
        const value = item === null && type === "double" ? NaN : readScalar(item, field);
        if (!isPacked) writer.tag(field.number, wire);
        writeScalar(writer, field, value);
      }
    } catch (error) {
      throw located(error, `${name}[${index}]`);
    }
  }
  if (isPacked) writer.close(mark);
}

/**
 * A scalar, and the field that it is of: an integer that is none of 64 bits is of the double beside it.
 *
 * @throws {OtlpDecodeError} It is of neither.
 */
function sortNumber(json: unknown, field: Field): { field: Field; value: unknown } {
  const double = doubleFor(field);
  if (double === undefined) return { field, value: readScalar(json, field) };
  const value = toInteger(json);
  const fits = value !== undefined && BigInt.asIntN(64, value) === value;
  return fits ? { field, value } : { field: double, value: readDouble(json, "an integer") };
}

/** The double that may stand for an integer: the other member of its oneof. */
function doubleFor(field: Field): Field | undefined {
  if (field.type !== "int64" && field.type !== "sfixed64") return undefined;
  return field.rivals.find((rival) => rival.type === "double");
}

/**
 * A value of a field that is no message.
 *
 * @throws {OtlpDecodeError} It is none of the field.
 */
function readScalar(json: unknown, field: Field): unknown {
  switch (field.type) {
    case "string":
      return readText(json).toWellFormed();
    case "bytes":
      return readBase64(readText(json));
    case "id": {
      const text = readText(json);
      return text.length % 2 === 0 && !/[^0-9a-fA-F]/.test(text) ? text.toLowerCase() : "";
    }
    case "bool":
      if (typeof json !== "boolean") throw expected("a boolean", json);
      return json;
    case "double":
      return readDouble(json, "a number");
    case "enum":
      return field.names?.get(json as string) ?? Number(readInteger(json, -(2n ** 31n), 2n ** 31n));
    case "int32":
    case "sint32":
      return Number(readInteger(json, -(2n ** 31n), 2n ** 31n));
    case "uint32":
    case "fixed32":
      return Number(readInteger(json, 0n, 2n ** 32n));
    case "int64":
    case "sfixed64":
      return readInteger(json, -(2n ** 63n), 2n ** 63n);
    case "uint64":
    case "fixed64":
      return readInteger(json, 0n, 2n ** 64n);
    case "message":
      throw new TypeError(`Cannot read a message as a scalar: ${field.name}`);
  }
}

function readText(json: unknown): string {
  if (typeof json !== "string") throw expected("a string", json);
  return json;
}

function readBase64(text: string): Uint8Array {
  try {
    const alphabet = /[-_]/.test(text) ? "base64url" : "base64";
    return Uint8Array.fromBase64(text, { alphabet });
  } catch (cause) {
    throw new OtlpDecodeError(`expected base64, got another string`, "", { cause });
  }
}

function readDouble(json: unknown, what: string): number {
  if (typeof json === "number") return json;
  if (json === "NaN" || json === "Infinity" || json === "-Infinity" || isNumeric(json)) {
    return Number(json);
  }
  throw expected(what, json);
}

/** @returns An integer from `min` to below `end`. */
function readInteger(json: unknown, min: bigint, end: bigint): bigint {
  const value = toInteger(json);
  if (value === undefined) throw expected("an integer", json);
  if (value < min || value >= end) {
    throw new OtlpDecodeError(`expected an integer from ${min} to ${end - 1n}, got another one`);
  }
  return value;
}

/** The integer that `json` is, as number or text, also if it is written `1.0` or `1e3`. */
function toInteger(json: unknown): bigint | undefined {
  if (isShort(json) && /^-?\d+$/.test(json)) return BigInt(json);
  const value = isNumeric(json) ? Number(json) : json;
  return Number.isInteger(value) ? BigInt(value as number) : undefined;
}

/** Whether `json` is a string with a JSON number in it; longer than any double is long it is not. */
function isNumeric(json: unknown): json is string {
  return isShort(json) && /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(json);
}

function isShort(json: unknown): json is string {
  return typeof json === "string" && json.length <= 1100;
}

/** An error, and where in the message it was. */
function located(error: unknown, step: string): unknown {
  return error instanceof OtlpDecodeError ? error.within(step) : error;
}

/** What says that JSON of another type came. */
function expected(what: string, json: unknown): OtlpDecodeError {
  return new OtlpDecodeError(`expected ${what}, got ${shown(json)}`);
}

/** A value as an error shows it: its type. What clients send is not for logs. */
function shown(json: unknown): string {
  if (json === null) return "null";
  return Array.isArray(json) ? "array" : typeof json;
}

function plainMessage(message: Message, model: Model, level: number): object {
  const inner = message === ANY_VALUE ? level + 1 : level;
  const plain: Record<string, unknown> = {};
  if (inner > MAX_VALUE_LEVEL) return plain;
  for (const field of message.fields) {
    const value = model[field.name];
    if (value === undefined || Object.is(value, field.initial)) continue;
    if (!field.repeated) plain[field.name] = plainValue(field, value, inner);
    else if ((value as unknown[]).length > 0) {
      plain[field.name] = (value as unknown[]).map((item) => plainValue(field, item, inner));
    }
  }
  return plain;
}

function plainValue(field: Field, value: unknown, level: number): unknown {
  if (field.message !== undefined) return plainMessage(field.message, value as Model, level);
  if (typeof value === "bigint") return String(value);
  if (value instanceof Uint8Array) return value.toBase64();
  if (typeof value !== "number") return value;
  if (Object.is(value, -0)) return rawJSON("-0");
  return Number.isFinite(value) ? value : String(value);
}
