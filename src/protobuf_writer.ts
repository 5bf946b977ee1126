/**
 * A writer of the protobuf wire format into a buffer that grows, 64-bit exact.
 *
 * Source: https://protobuf.dev/programming-guides/encoding/
 *
 * @module
 */

/** Up to so many characters of text a loop is faster than a call of the encoder; one byte of length. */
const MAX_LOOP_LENGTH = 0x7f;

/** How much memory a writer keeps that is used again. */
const MAX_KEPT_BYTES = 4 << 20;

const utf8Encoder = new TextEncoder();

/**
 * Writes protobuf values one after the other into a buffer that grows.
 *
 * @example A nested message
 * ```ts
 * import assert from "node:assert/strict";
 * import { WIRE } from "./protobuf_wire.ts";
 *
 * const writer = new WireWriter();
 * writer.tag(1, WIRE.bytes);
 * const mark = writer.open();
 * writer.tag(2, WIRE.bytes);
 * writer.string("hi");
 * writer.close(mark);
 * assert.equal(writer.finish().toHex(), "0a0412026869");
 * ```
 */
export class WireWriter {
  #bytes: Uint8Array = new Uint8Array(1024);
  #view: DataView = new DataView(this.#bytes.buffer);
  #length = 0;

  /** The key of a field. */
  tag(field: number, wire: number): void {
    this.uint32((field << 3 | wire) >>> 0);
  }

  /** An unsigned 32-bit varint. */
  uint32(value: number): void {
    this.#reserve(5);
    while (value > 0x7f) {
      this.#bytes[this.#length++] = value & 0x7f | 0x80;
      value >>>= 7;
    }
    this.#bytes[this.#length++] = value;
  }

  /** A signed 32-bit varint (int32 and enums): ten bytes when negative. */
  int32(value: number): void {
    if (value < 0) this.uint64(BigInt.asUintN(64, BigInt(value)));
    else this.uint32(value);
  }

  /** A zigzag 32-bit varint. */
  sint32(value: number): void {
    this.uint32((value << 1 ^ value >> 31) >>> 0);
  }

  /** A boolean. */
  bool(value: boolean): void {
    this.uint32(value ? 1 : 0);
  }

  /** An unsigned 64-bit varint. */
  uint64(value: bigint): void {
    this.#varint(Number(value & 0xffffffffn), Number(value >> 32n));
  }

  /** A signed 64-bit varint. */
  int64(value: bigint): void {
    this.uint64(BigInt.asUintN(64, value));
  }

  /** The same of a whole number, of which all 64 bits count. */
  int64OfNumber(value: number): void {
    if (value >= 0 && value <= 0xffffffff) this.uint32(value);
    else this.#varint(value >>> 0, Math.floor(value / 0x100000000) >>> 0);
  }

  #varint(lo: number, hi: number): void {
    this.#reserve(10);
    while (hi > 0) {
      this.#bytes[this.#length++] = lo & 0x7f | 0x80;
      lo = (lo >>> 7 | hi << 25) >>> 0;
      hi >>>= 7;
    }
    this.uint32(lo);
  }

  /** Four bytes, unsigned. */
  fixed32(value: number): void {
    const at = this.#grow(4); // may replace the view
    this.#view.setUint32(at, value, true);
  }

  /** Eight bytes, signed or unsigned. */
  fixed64(value: bigint): void {
    const at = this.#grow(8); // may replace the view
    this.#view.setBigUint64(at, value, true);
  }

  /** Eight bytes, unsigned, by their halves. */
  fixed64OfHalves(lo: number, hi: number): void {
    const at = this.#grow(8); // may replace the view
    this.#view.setUint32(at, lo, true);
    this.#view.setUint32(at + 4, hi, true);
  }

  /** An IEEE 754 double. */
  double(value: number): void {
    const at = this.#grow(8); // may replace the view
    this.#view.setFloat64(at, value, true);
  }

  /** Bytes with their length before them. */
  bytes(value: Uint8Array): void {
    this.uint32(value.length);
    const at = this.#grow(value.length);
    this.#bytes.set(value, at);
  }

  /** The bytes that hex digits stand for, with their length before them. */
  hex(digits: string): void {
    const length = digits.length >> 1;
    this.uint32(length);
    const at = this.#grow(length);
    const bytes = this.#bytes;
    for (let n = 0; n < length; n++) {
      bytes[at + n] = nibble(digits.charCodeAt(2 * n)) << 4 | nibble(digits.charCodeAt(2 * n + 1));
    }
  }

  /** Text with its length before it; lone surrogates become U+FFFD. */
  string(value: string): void {
    const { length } = value;
    if (length <= MAX_LOOP_LENGTH) {
      this.#reserve(length + 1);
      const bytes = this.#bytes;
      const start = this.#length + 1;
      let n = 0;
      for (; n < length; n++) {
        const unit = value.charCodeAt(n);
        if (unit > 0x7f) break;
        bytes[start + n] = unit;
      }
      if (n === length) {
        bytes[start - 1] = length;
        this.#length = start + length;
        return;
      }
    }
    const mark = this.open();
    this.#reserve(value.length * 3);
    this.#length += utf8Encoder.encodeInto(value, this.#bytes.subarray(this.#length)).written;
    this.close(mark);
  }

  /**
   * Begins a nested message (or a packed list).
   *
   * @param room How many bytes its length will probably take.
   * @returns What {@linkcode WireWriter.close} needs.
   */
  open(room = 1): number {
    return this.#grow(room);
  }

  /**
   * Ends a nested message: writes its length before it, moving it when that takes another number of
   * bytes.
   *
   * @param mark What {@linkcode WireWriter.open} returned.
   * @param room The same as there.
   */
  close(mark: number, room = 1): void {
    const start = mark + room;
    const length = this.#length - start;
    let extra = 1 - room;
    for (let rest = length >>> 7; rest > 0; rest >>>= 7) extra++;
    // Room for the length too: while it is written, #length does not cover the message.
    this.#reserve(extra + 5);
    if (extra !== 0) this.#bytes.copyWithin(start + extra, start, this.#length);
    this.#length = mark;
    this.uint32(length);
    this.#length += length;
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** Forgets what was written, and keeps the memory for what comes next, up to some MiB. */
  clear(): void {
    this.#length = 0;
    if (this.#bytes.length <= MAX_KEPT_BYTES) return;
    this.#bytes = new Uint8Array(1024);
    this.#view = new DataView(this.#bytes.buffer);
  }

  #grow(length: number): number {
    this.#reserve(length);
    const at = this.#length;
    this.#length = at + length;
    return at;
  }

  #reserve(length: number): void {
    const needed = this.#length + length;
    if (needed <= this.#bytes.length) return;
    const bytes = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    bytes.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}

/** The value of a hex digit, in lower or upper case. */
function nibble(unit: number): number {
  return (unit & 0xf) + (unit >>> 6) * 9;
}
