/**
 * The protobuf wire format: a bounds-checked reader and a writer, 64-bit exact.
 *
 * The reader takes what official parsers take: varints of up to ten bytes, truncated to the width of
 * the field, and invalid UTF-8, which becomes U+FFFD. Everything else that is wrong is an
 * {@linkcode OtlpDecodeError}, never a crash and never a read out of bounds.
 *
 * Source: https://protobuf.dev/programming-guides/encoding/
 *
 * @module
 */

/**
 * The bytes or the text are no valid OTLP.
 *
 * @example Where the error is
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const error = new OtlpDecodeError("expected an array, got string", "scopeSpans");
 * assert.equal(error.within("resourceSpans[0]").path, "resourceSpans[0].scopeSpans");
 * assert.equal(
 *   error.message,
 *   "Cannot decode OTLP at scopeSpans: expected an array, got string",
 * );
 * ```
 */
export class OtlpDecodeError extends Error {
  /** Always `OtlpDecodeError`. */
  override readonly name = "OtlpDecodeError";
  /** What is wrong, without the path. */
  readonly reason: string;
  /** Where, by the field names of OTLP JSON: `resourceSpans[0].scopeSpans[0].spans[3].traceId`. */
  readonly path: string;

  /**
   * Makes an error.
   *
   * @param reason What was expected and what came.
   * @param path Where; empty for the request as a whole.
   * @param options The cause, if another error told of it.
   */
  constructor(reason: string, path = "", options?: ErrorOptions) {
    super(`Cannot decode OTLP${path && ` at ${path}`}: ${reason}`, options);
    this.reason = reason;
    this.path = path;
  }

  /**
   * The same error seen from the message around: paths are built on the way out, so that decoding
   * what is valid costs nothing.
   *
   * @param step The field that was being read, with its index if it is repeated.
   * @returns A new error whose path begins with `step`.
   */
  within(step: string): OtlpDecodeError {
    const path = this.path === "" ? step : `${step}.${this.path}`;
    return new OtlpDecodeError(this.reason, path, { cause: this.cause });
  }
}

/**
 * A valid request that is too large to be taken at once.
 *
 * @example What to do about it
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const error = new OtlpTooLargeError("send fewer at a time");
 * assert.equal(error.message, "Cannot take the OTLP request: send fewer at a time");
 * ```
 */
export class OtlpTooLargeError extends Error {
  /** Always `OtlpTooLargeError`. */
  override readonly name = "OtlpTooLargeError";

  /**
   * Makes an error.
   *
   * @param reason What is too large, and what to do.
   */
  constructor(reason: string) {
    super(`Cannot take the OTLP request: ${reason}`);
  }
}

/**
 * The wire types that OTLP uses.
 *
 * @example The tag of field 1, a string
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.equal(1 << 3 | WIRE.bytes, 0x0a);
 * ```
 */
export const WIRE: {
  readonly varint: 0;
  readonly fixed64: 1;
  readonly bytes: 2;
  readonly startGroup: 3;
  readonly endGroup: 4;
  readonly fixed32: 5;
} = { varint: 0, fixed64: 1, bytes: 2, startGroup: 3, endGroup: 4, fixed32: 5 };

/** Groups are long deprecated; what nests them deeper than this is refused. */
const MAX_GROUP_DEPTH = 100;

/** Up to so many characters of text a loop is faster than a call of the encoder; one byte of length. */
const MAX_LOOP_LENGTH = 0x7f;

/** How much memory a writer keeps that is used again. */
const MAX_KEPT_BYTES = 4 << 20;

const utf8Decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const utf8Encoder = new TextEncoder();

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

/**
 * Writes protobuf values one after the other into a buffer that grows.
 *
 * @example A nested message
 * ```ts
 * import assert from "node:assert/strict";
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
