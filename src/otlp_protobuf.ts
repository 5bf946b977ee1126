/**
 * Any message of the field table to and from protobuf, as official parsers do it: unknown fields are
 * skipped, packed and unpacked lists are both taken, a message given twice is merged, the last member
 * of a oneof counts.
 *
 * @module
 */

import { OtlpDecodeError } from "./otlp_error.ts";
import { ANY_VALUE, type Field, MAX_VALUE_LEVEL, type Message, type Model } from "./otlp_fields.ts";
import { WireReader } from "./protobuf_reader.ts";
import { WIRE } from "./protobuf_wire.ts";
import { WireWriter } from "./protobuf_writer.ts";

/**
 * Reads a message.
 *
 * @param message What it is.
 * @param bytes The message, from its first byte to its last.
 * @throws {OtlpDecodeError} If the bytes are no such message.
 *
 * @example A span status
 * ```ts
 * import assert from "node:assert/strict";
 * import { RPC_STATUS } from "./otlp_fields.ts";
 *
 * assert.deepEqual(fromProtobuf(RPC_STATUS, Uint8Array.of(0x08, 3)), { code: 3, message: "" });
 * ```
 */
export function fromProtobuf(message: Message, bytes: Uint8Array): Model {
  const model = message.create();
  readFields(new WireReader(bytes), message, model, 0);
  return model;
}

/**
 * Writes a message, fields in the order of their numbers.
 *
 * @param message What it is.
 * @param model Its fields. An id that is not hex is left out, and so is what a value holds that is
 * nested deeper than {@linkcode MAX_VALUE_LEVEL}.
 *
 * @example A span status
 * ```ts
 * import assert from "node:assert/strict";
 * import { RPC_STATUS } from "./otlp_fields.ts";
 *
 * assert.equal(toProtobuf(RPC_STATUS, { code: 3, message: "" }).toHex(), "0803");
 * ```
 */
export function toProtobuf(message: Message, model: Model): Uint8Array {
  const writer = new WireWriter();
  writeFields(writer, message, model, 0);
  return writer.finish();
}

/** @param level How many AnyValues are around, this message included. */
function readFields(reader: WireReader, message: Message, model: Model, level: number): void {
  let field: Field | undefined;
  try {
    while (reader.more) {
      field = undefined;
      const tag = reader.tag();
      field = message.byNumber[tag >>> 3];
      if (field === undefined) reader.skip(tag);
      else if (field.repeated) readElements(reader, tag & 7, field, model, level);
      else readField(reader, tag & 7, field, model, level);
    }
  } catch (error) {
    if (!(error instanceof OtlpDecodeError) || field === undefined) throw error;
    const { name } = field;
    throw error.within(field.repeated ? `${name}[${(model[name] as unknown[]).length}]` : name);
  }
}

function readField(
  reader: WireReader,
  wire: number,
  field: Field,
  model: Model,
  level: number,
): void {
  if (wire !== field.wire) throw wrongWireType(field, wire);
  const value = field.message === undefined
    ? readScalar(reader, field)
    : readMessage(reader, field.message, model[field.name] as Model | undefined, level);
  for (const { name } of field.rivals) {
    if (model[name] !== undefined) delete model[name];
  }
  model[field.name] = value;
}

function readElements(
  reader: WireReader,
  wire: number,
  field: Field,
  model: Model,
  level: number,
): void {
  const list = model[field.name] as unknown[];
  if (wire === field.wire) {
    list.push(
      field.message === undefined
        ? readScalar(reader, field)
        : readMessage(reader, field.message, undefined, level),
    );
  } else if (wire === WIRE.bytes) {
    const outer = reader.enter();
    while (reader.more) list.push(readScalar(reader, field));
    reader.leave(outer);
  } else {
    throw wrongWireType(field, wire);
  }
}

function readMessage(
  reader: WireReader,
  message: Message,
  earlier: Model | undefined,
  level: number,
): Model {
  const model = earlier ?? message.create();
  const inner = message === ANY_VALUE ? level + 1 : level;
  const outer = reader.enter();
  if (inner <= MAX_VALUE_LEVEL) readFields(reader, message, model, inner);
  reader.leave(outer);
  return model;
}

function readScalar(reader: WireReader, field: Field): unknown {
  switch (field.type) {
    case "string":
      return reader.string();
    case "bytes":
      return reader.bytes();
    case "id":
      return reader.hex();
    case "bool":
      return reader.bool();
    case "int32":
    case "enum":
      return reader.int32();
    case "uint32":
      return reader.uint32();
    case "sint32":
      return reader.sint32();
    case "fixed32":
      return reader.fixed32();
    case "int64":
      return reader.int64();
    case "uint64":
      return reader.uint64();
    case "fixed64":
      return reader.fixed64();
    case "sfixed64":
      return reader.sfixed64();
    case "double":
      return reader.double();
    case "message":
      throw new TypeError(`Cannot read a message as a scalar: ${field.name}`);
  }
}

function wrongWireType(field: Field, wire: number): OtlpDecodeError {
  return new OtlpDecodeError(`expected wire type ${field.wire} of ${field.type}, got ${wire}`);
}

function writeFields(writer: WireWriter, message: Message, model: Model, level: number): void {
  for (const field of message.fields) {
    const value = model[field.name];
    if (value === undefined) continue;
    if (field.repeated) writeElements(writer, field, value as unknown[], level);
    else if (!isInitial(field, value)) {
      writer.tag(field.number, field.wire);
      writeValue(writer, field, value, level);
    }
  }
}

/** Whether a field without presence holds what it reads as when absent; -0 is not 0. */
export function isInitial(field: Field, value: unknown): boolean {
  return Object.is(value, field.initial) || field.type === "id" && !isHex(value as string);
}

function writeElements(
  writer: WireWriter,
  field: Field,
  list: readonly unknown[],
  level: number,
): void {
  if (list.length === 0) return;
  if (field.wire === WIRE.bytes) {
    for (const value of list) {
      writer.tag(field.number, WIRE.bytes);
      writeValue(writer, field, value, level);
    }
    return;
  }
  writer.tag(field.number, WIRE.bytes);
  const mark = writer.open();
  for (const value of list) writeValue(writer, field, value, level);
  writer.close(mark);
}

function writeValue(writer: WireWriter, field: Field, value: unknown, level: number): void {
  if (field.message === undefined) return writeScalar(writer, field, value);
  const inner = field.message === ANY_VALUE ? level + 1 : level;
  const mark = writer.open();
  if (inner <= MAX_VALUE_LEVEL) writeFields(writer, field.message, value as Model, inner);
  return writer.close(mark);
}

/** Writes the value of a field that is no message, behind its tag. */
export function writeScalar(writer: WireWriter, field: Field, value: unknown): void {
  switch (field.type) {
    case "string":
      return writer.string(value as string);
    case "bytes":
      return writer.bytes(value as Uint8Array);
    case "id":
      return writer.hex(value as string);
    case "bool":
      return writer.bool(value as boolean);
    case "int32":
    case "enum":
      return writer.int32(value as number);
    case "uint32":
      return writer.uint32(value as number);
    case "sint32":
      return writer.sint32(value as number);
    case "fixed32":
      return writer.fixed32(value as number);
    case "int64":
      return writer.int64(value as bigint);
    case "uint64":
      return writer.uint64(value as bigint);
    case "fixed64":
    case "sfixed64":
      return writer.fixed64(value as bigint);
    case "double":
      return writer.double(value as number);
    case "message":
      throw new TypeError(`Cannot write a message as a scalar: ${field.name}`);
  }
}

/** Whether `text` stands for bytes. */
function isHex(text: string): boolean {
  return text.length % 2 === 0 && !/[^0-9a-fA-F]/.test(text);
}
