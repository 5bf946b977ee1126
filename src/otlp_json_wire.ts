/**
 * OTLP JSON to protobuf, without the message in between.
 *
 * Requests in JSON are stored as protobuf. To make a model of one first costs as much again, most of it
 * for what is then left to the collector of garbage. What is read and how is said in `otlp_json.ts`;
 * fields are written in the order in which they come. Of a doubled oneof all members are written, of
 * which the last one counts on the wire as well.
 *
 * @module
 */

import { ANY_VALUE, type Field, MAX_VALUE_LEVEL, type Message } from "./otlp_fields.ts";
import { expected, located, parseJson, readScalar, sortNumber } from "./otlp_json.ts";
import { isInitial, writeScalar } from "./otlp_protobuf.ts";
import { WIRE } from "./protobuf_wire.ts";
import { WireWriter } from "./protobuf_writer.ts";

/**
 * Reads a message in JSON and writes it as protobuf.
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
  writeMessage(writer, parseJson(text), message, 0);
  return writer.finish();
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
