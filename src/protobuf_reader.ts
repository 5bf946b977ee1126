/**
 * A reader of the protobuf wire format: bounds-checked, 64-bit exact.
 *
 * It takes what official parsers take: varints of up to ten bytes, truncated to the width of the field,
 * and invalid UTF-8, which becomes U+FFFD. Everything else that is wrong is an
 * {@linkcode OtlpDecodeError}, never a crash and never a read out of bounds.
 *
 * Source: https://protobuf.dev/programming-guides/encoding/
 *
 * @module
 */

import { OtlpDecodeError } from "./otlp_error.ts";
import { WIRE } from "./protobuf_wire.ts";

/** Groups are long deprecated; what nests them deeper than this is refused. */
const MAX_GROUP_DEPTH = 100;

const utf8Decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Reads protobuf values one after the other. Every method throws {@linkcode OtlpDecodeError} when
 * the value does not fit into the message.
 *
 * @example Reading a message
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const reader = new WireReader(Uint8Array.of(0x0a, 2, 0x68, 0x69, 0x10, 0x96, 0x01));
 * assert.equal(reader.tag() >>> 3, 1);
 * assert.equal(reader.string(), "hi");
 * assert.equal(reader.tag() >>> 3, 2);
 * assert.equal(reader.uint32(), 150);
 * assert.equal(reader.more, false);
 * ```
 */
export class WireReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  #end: number;
  /** The halves of the last varint. */
  #lo = 0;
  #hi = 0;

  /**
   * Begins at the first byte.
   *
   * @param bytes What to read.
   */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#end = bytes.length;
  }

  /** Whether the message that is being read has more fields. */
  get more(): boolean {
    return this.#at < this.#end;
  }

  /**
   * Begins a nested message (or a packed list): reads its length and stays within it from now on.
   *
   * @returns What {@linkcode WireReader.leave} needs.
   */
  enter(): number {
    const length = this.uint32();
    const outer = this.#end;
    if (length > outer - this.#at) this.#fail(`a length of ${length} bytes`);
    this.#end = this.#at + length;
    return outer;
  }

  /**
   * Ends a nested message; what has not been read of it is passed over.
   *
   * @param outer What {@linkcode WireReader.enter} returned.
   */
  leave(outer: number): void {
    this.#at = this.#end;
    this.#end = outer;
  }

  /** Field number (shifted left by 3) and wire type of the next field. */
  tag(): number {
    const tag = this.uint32();
    if (tag >>> 3 === 0) throw new OtlpDecodeError("field number 0 is not allowed");
    return tag;
  }

  /** An unsigned 32-bit varint. */
  uint32(): number {
    const byte = this.#bytes[this.#at]!;
    if (byte < 0x80 && this.#at < this.#end) {
      this.#at++;
      return byte;
    }
    this.#varint();
    return this.#lo;
  }

  /** A signed 32-bit varint: int32 and enums. */
  int32(): number {
    return this.uint32() | 0;
  }

  /** A zigzag 32-bit varint. */
  sint32(): number {
    const value = this.uint32();
    return (value >>> 1) ^ -(value & 1);
  }

  /** A boolean. */
  bool(): boolean {
    this.#varint();
    return this.#lo !== 0 || this.#hi !== 0;
  }

  /** An unsigned 64-bit varint. */
  uint64(): bigint {
    this.#varint();
    return this.#hi === 0 ? BigInt(this.#lo) : BigInt(this.#hi) << 32n | BigInt(this.#lo);
  }

  /** A signed 64-bit varint. */
  int64(): bigint {
    return BigInt.asIntN(64, this.uint64());
  }

  /** Four bytes, unsigned. */
  fixed32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /** Eight bytes, unsigned. */
  fixed64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }

  /** Eight bytes, signed. */
  sfixed64(): bigint {
    return this.#view.getBigInt64(this.#take(8), true);
  }

  /** An IEEE 754 double. */
  double(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  /** A copy of length-delimited bytes. */
  bytes(): Uint8Array {
    return this.#span().slice();
  }

  /** Length-delimited bytes as lower-case hex. */
  hex(): string {
    return this.#span().toHex();
  }

  /** Text; invalid UTF-8 becomes U+FFFD. */
  string(): string {
    return utf8Decoder.decode(this.#span());
  }

  /**
   * Passes over a field.
   *
   * @param tag Its tag, already read.
   */
  skip(tag: number): void {
    const groups: number[] = [];
    for (let current = tag;; current = this.tag()) {
      switch (current & 7) {
        case WIRE.varint:
          this.#varint();
          break;
        case WIRE.fixed64:
          this.#take(8);
          break;
        case WIRE.bytes:
          this.#span();
          break;
        case WIRE.fixed32:
          this.#take(4);
          break;
        case WIRE.startGroup:
          if (groups.length === MAX_GROUP_DEPTH) {
            throw new OtlpDecodeError(`groups are nested deeper than ${MAX_GROUP_DEPTH} levels`);
          }
          groups.push(current >>> 3);
          break;
        case WIRE.endGroup:
          if (groups.pop() !== current >>> 3) {
            throw new OtlpDecodeError(`end of group ${current >>> 3} without its start`);
          }
          break;
        default:
          throw new OtlpDecodeError(`unknown wire type ${current & 7}`);
      }
      if (groups.length === 0) return;
    }
  }

  /** Reads up to ten bytes into the two halves; bits beyond 64 are dropped. */
  #varint(): void {
    let lo = 0;
    let hi = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.#at >= this.#end) this.#fail("a varint");
      const byte = this.#bytes[this.#at++]!;
      const bits = byte & 0x7f;
      if (shift <= 28) lo |= bits << shift;
      if (shift === 28) hi = bits >>> 4;
      else if (shift > 28) hi |= bits << (shift - 32);
      if (byte < 0x80) {
        this.#lo = lo >>> 0;
        this.#hi = hi >>> 0;
        return;
      }
    }
    throw new OtlpDecodeError("a varint is longer than ten bytes");
  }

  #take(length: number): number {
    const at = this.#at;
    if (length > this.#end - at) this.#fail(`${length} bytes`);
    this.#at = at + length;
    return at;
  }

  #span(): Uint8Array {
    const length = this.uint32();
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  #fail(what: string): never {
    throw new OtlpDecodeError(
      `expected ${what}, got the end of the message after ${this.#end - this.#at} bytes`,
    );
  }
}
