/**
 * Requests in legal but unusual protobuf: what a parser has to take, and no client sends.
 *
 * Fields come in any order, with unknown fields of every wire type among them; singular messages are
 * given in pieces, scalars and oneofs more than once, lists packed, unpacked or in parts, varints
 * longer than they need be. It all means the request it was made from. Or, if asked, some message
 * inside is damaged while all lengths around it still fit.
 */

import { type Field, type Message, REQUESTS } from "../src/otlp_fields.ts";
import { WIRE } from "../src/protobuf_wire.ts";
import { WireWriter } from "../src/protobuf_writer.ts";
import type { ExportRequests, Signal } from "../src/record.ts";

/** How unusual. The same options give the same bytes. */
export interface WireFormOptions {
  /** Any integer. */
  readonly seed: number;
  /** How often something unusual is done where it can be, 0 to 1; 0 is the plain form. */
  readonly oddity: number;
  /** How often a message is damaged, 0 to 1. @default {0} */
  readonly damage?: number;
}

/**
 * `request` in an unusual form.
 *
 * @example What it means does not change
 * ```ts ignore
 * const body = wireForm("logs", request, { seed: 1, oddity: 0.3 });
 * assert.deepEqual(decodeRequest("logs", body), request);
 * ```
 */
export function wireForm<S extends Signal>(
  signal: S,
  request: ExportRequests[S],
  options: WireFormOptions,
): Uint8Array {
  return new Form(options).message(REQUESTS[signal], request as unknown as Model);
}

/** Numbers from 0 to 1 that look random, the same for the same seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Model = Record<string, unknown>;

/** Whole fields: tag and value. */
type Chunk = Uint8Array;

const UNKNOWN_FIELDS = [17, 31, 32, 33, 100, 1000, 19_000, 2 ** 29 - 1];

class Form {
  readonly #random: () => number;
  readonly #oddity: number;
  readonly #damage: number;

  constructor({ seed, oddity, damage = 0 }: WireFormOptions) {
    this.#random = randomNumbers(seed);
    this.#oddity = oddity;
    this.#damage = damage;
  }

  message(type: Message, model: Model): Uint8Array {
    return this.#damaged(concatenate(this.#chunks(type, model)));
  }

  /** The fields of a message. Only those of one field (or oneof) have to keep their order. */
  #chunks(type: Message, model: Model): Chunk[] {
    const lanes: Chunk[][] = [];
    const oneof = type.fields.filter(({ rivals }) => rivals.length > 0);
    for (const field of type.fields) {
      const value = model[field.name];
      if (field.repeated) lanes.push(this.#list(field, value as unknown[]));
      else if (!oneof.includes(field)) lanes.push(this.#singular(field, value));
    }
    if (oneof.length > 0) lanes.push(this.#oneof(oneof, model));
    while (this.#odd()) lanes.push([this.#unknown(type)]);
    return this.#odd() ? this.#interleaved(lanes) : lanes.flat();
  }

  #interleaved(lanes: Chunk[][]): Chunk[] {
    const result: Chunk[] = [];
    const rest = lanes.map((lane) => [...lane]).filter((lane) => lane.length > 0);
    while (rest.length > 0) {
      const at = this.#below(rest.length);
      result.push(rest[at]!.shift()!);
      if (rest[at]!.length === 0) rest.splice(at, 1);
    }
    return result;
  }

  #list(field: Field, values: readonly unknown[]): Chunk[] {
    if (field.message !== undefined) {
      return values.map((value) =>
        this.#delimited(field, this.message(field.message!, value as Model))
      );
    }
    if (field.wire === WIRE.bytes) return values.map((value) => this.#scalar(field, value));
    const chunks: Chunk[] = [];
    const packed = (part: readonly unknown[]) =>
      chunks.push(
        this.#delimited(field, concatenate(part.map((value) => this.#value(field, value)))),
      );
    let rest = [...values];
    while (rest.length > 0) {
      if (!this.#odd()) {
        packed(rest);
        rest = [];
      } else if (this.#odd()) packed([]);
      else if (this.#below(2) === 0) chunks.push(this.#scalar(field, rest.shift()));
      else packed(rest.splice(0, this.#below(rest.length) + 1));
    }
    return chunks;
  }

  #singular(field: Field, value: unknown): Chunk[] {
    if (value === undefined) return [];
    if (field.message !== undefined) return this.#pieces(field, value as Model);
    const before: Chunk[] = [];
    while (this.#odd()) before.push(this.#scalar(field, this.#decoy(field)));
    const isDefault = field.initial !== undefined && Object.is(value, field.initial);
    if (isDefault && before.length === 0 && !this.#odd()) return [];
    return [...before, this.#scalar(field, value)];
  }

  /** A message whole, or in parts, some of them empty, that a parser has to merge. */
  #pieces(field: Field, model: Model): Chunk[] {
    const chunks = this.#chunks(field.message!, model);
    const parts: Uint8Array[] = [];
    while (this.#odd()) {
      parts.push(concatenate(chunks.splice(0, this.#below(chunks.length + 1))));
    }
    parts.push(concatenate(chunks));
    return parts.map((part) => this.#delimited(field, this.#damaged(part)));
  }

  /** The member that is set, after others and earlier values of it that no longer count. */
  #oneof(members: readonly Field[], model: Model): Chunk[] {
    const set = members.find(({ name }) => model[name] !== undefined);
    if (set === undefined) return [];
    const chunks: Chunk[] = [];
    let last: Field | undefined;
    const add = (field: Field) => {
      chunks.push(
        field.message === undefined
          ? this.#scalar(field, this.#decoy(field))
          : this.#delimited(field, this.#decoyMessage(field.message, 2)),
      );
      last = field;
    };
    while (this.#odd()) add(members[this.#below(members.length)]!);
    // Of the same member twice in a row the messages would be merged.
    if (last === set && set.message !== undefined) add(members.find((field) => field !== set)!);
    return [...chunks, ...this.#member(set, model[set.name])];
  }

  #member(field: Field, value: unknown): Chunk[] {
    return field.message === undefined
      ? [this.#scalar(field, value)]
      : this.#pieces(field, value as Model);
  }

  /** Some message of that type, with a few fields in it. */
  #decoyMessage(type: Message, depth: number): Uint8Array {
    const chunks: Chunk[] = [];
    for (const field of type.fields) {
      if (this.#below(3) > 0) continue;
      if (field.message === undefined) chunks.push(this.#scalar(field, this.#decoy(field)));
      else if (depth > 0) {
        chunks.push(this.#delimited(field, this.#decoyMessage(field.message, depth - 1)));
      }
    }
    return this.#damaged(concatenate(chunks));
  }

  #decoy({ type }: Field): unknown {
    const number = this.#below(300);
    switch (type) {
      case "string":
        return ["", "decoy", "\0", "d".repeat(130)][number % 4];
      case "bytes":
        return new Uint8Array(number % 20);
      case "id":
        return ["", "00", "ab".repeat(16), "cd".repeat(8)][number % 4];
      case "bool":
        return number % 2 === 0;
      case "double":
        return [0, -0, NaN, 0.5][number % 4];
      case "int64":
      case "uint64":
      case "fixed64":
      case "sfixed64":
        return BigInt(number);
      default:
        return number;
    }
  }

  #scalar(field: Field, value: unknown): Chunk {
    return concatenate([this.#tag(field.number, field.wire), this.#value(field, value)]);
  }

  #value({ type }: Field, value: unknown): Uint8Array {
    switch (type) {
      case "string":
        return this.#prefixed(new TextEncoder().encode(value as string));
      case "bytes":
        return this.#prefixed(value as Uint8Array);
      case "id":
        return this.#prefixed(Uint8Array.fromHex(value as string));
      case "bool":
        return this.#varint(value ? (this.#odd() ? 1n << 35n : 1n) : 0n);
      case "int32":
      case "enum":
        // A 32-bit parser may have cut off the sign, and has to cut off what is beyond 32 bits.
        return this.#varint(BigInt.asUintN(this.#odd() ? 32 : 64, BigInt(value as number)));
      case "uint32":
        return this.#varint(BigInt(value as number) + (this.#odd() ? 5n << 32n : 0n));
      case "sint32":
        return this.#varint(BigInt(((value as number) << 1 ^ (value as number) >> 31) >>> 0));
      case "int64":
      case "uint64":
        return this.#varint(BigInt.asUintN(64, value as bigint));
      case "fixed32":
        return written((writer) => writer.fixed32(value as number));
      case "fixed64":
      case "sfixed64":
        return written((writer) => writer.fixed64(value as bigint));
      case "double":
        return written((writer) => writer.double(value as number));
      case "message":
        throw new TypeError("a message is no scalar");
    }
  }

  /** A field that this kind of message does not have. */
  #unknown(type: Message): Chunk {
    const gaps = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
    const numbers = [...gaps, ...UNKNOWN_FIELDS].filter((number) =>
      type.byNumber[number] === undefined
    );
    return this.#unknownField(numbers[this.#below(numbers.length)]!, 3);
  }

  #unknownField(number: number, depth: number): Chunk {
    const wires = [WIRE.varint, WIRE.fixed64, WIRE.bytes, WIRE.fixed32, WIRE.startGroup];
    const wire = wires[this.#below(depth > 0 ? 5 : 4)]!;
    return concatenate([this.#tag(number, wire), this.#unknownValue(number, wire, depth)]);
  }

  #unknownValue(number: number, wire: number, depth: number): Uint8Array {
    switch (wire) {
      case WIRE.varint:
        return this.#varint(BigInt(this.#below(2 ** 32)) << BigInt(this.#below(32)));
      case WIRE.fixed64:
        return this.#bytes(8);
      case WIRE.fixed32:
        return this.#bytes(4);
      case WIRE.bytes:
        return this.#prefixed(this.#bytes(this.#below(200)));
      default: {
        const inner: Chunk[] = [];
        while (this.#below(3) > 0) inner.push(this.#unknownField(this.#below(40) + 1, depth - 1));
        return concatenate([...inner, this.#tag(number, WIRE.endGroup)]);
      }
    }
  }

  #delimited(field: Field, bytes: Uint8Array): Chunk {
    return concatenate([this.#tag(field.number, WIRE.bytes), this.#prefixed(bytes)]);
  }

  #prefixed(bytes: Uint8Array): Uint8Array {
    return concatenate([this.#varint(BigInt(bytes.length), 5), bytes]);
  }

  #tag(number: number, wire: number): Uint8Array {
    return this.#varint(BigInt(number) << 3n | BigInt(wire), 5);
  }

  /** Up to `longest` bytes, though fewer would do; of tags and lengths no parser takes more than 5. */
  #varint(value: bigint, longest = 10): Uint8Array {
    const bytes: number[] = [];
    do {
      bytes.push(Number(value & 0x7fn) | 0x80);
      value >>= 7n;
    } while (value > 0n);
    if (this.#odd()) {
      const length = bytes.length + this.#below(longest + 1 - bytes.length);
      while (bytes.length < length) bytes.push(0x80);
    }
    bytes[bytes.length - 1]! &= 0x7f;
    return Uint8Array.from(bytes);
  }

  /** The bytes as they are, or now and then not. */
  #damaged(bytes: Uint8Array): Uint8Array {
    if (this.#random() >= this.#damage) return bytes;
    const at = this.#below(bytes.length + 1);
    switch (this.#below(5)) {
      case 0:
        return bytes.subarray(0, at);
      case 1:
        return concatenate([bytes, this.#bytes(this.#below(4) + 1)]);
      case 2:
        return concatenate([bytes.subarray(0, at), this.#bytes(1), bytes.subarray(at)]);
      case 3: {
        const copy = bytes.slice();
        if (at < copy.length) copy[at] = this.#below(256);
        return copy;
      }
      default:
        return this.#bytes(this.#below(12));
    }
  }

  #bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#below(256));
  }

  #odd(): boolean {
    return this.#random() < this.#oddity;
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}

function written(write: (writer: WireWriter) => void): Uint8Array {
  const writer = new WireWriter();
  write(writer);
  return writer.finish();
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
