/**
 * Reads protobuf fields in place for the transcoder: no objects, no bigints, no strings.
 *
 * It differs from `protobuf_reader.ts` in what it gives up for speed: 64-bit values come as two 32-bit
 * halves, errors carry no path (the caller decodes again, slowly, to find it), and messages are
 * ranges of the same buffer.
 *
 * @module
 */

/** The bytes are no valid protobuf; where and why is for the slow decoder to say. */
export class MalformedError extends Error {
  override readonly name = "MalformedError";
}

/**
 * Valid protobuf in a form that is legal and never seen from a client, such as a oneof given twice:
 * it has to be merged by the slow decoder and encoded again first.
 */
export class IrregularError extends Error {
  override readonly name = "IrregularError";
}

/** Groups nested deeper than this are refused, as recursion must end somewhere. */
const MAX_GROUP_DEPTH = 100;

const EMPTY = new Uint8Array(0);

/** A position in a buffer. Every read takes the `end` of the message it reads in. */
export class Cursor {
  /** What is read. */
  bytes: Uint8Array = EMPTY;
  /** The same bytes, to read numbers. */
  view: DataView = new DataView(EMPTY.buffer);
  /** The position of the next read. */
  at = 0;
  /** Where the bytes of the last field read begin and end. */
  from = 0;
  to = 0;
  /** Lower and upper half, unsigned, of the last number read. */
  lo = 0;
  hi = 0;

  /** Starts over on other bytes. */
  reset(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
  }

  /** A varint into `lo` and `hi`; returns its lower 32 bits, unsigned. */
  varint(end: number): number {
    const byte = this.bytes[this.at]!;
    if (byte < 0x80 && this.at < end) {
      this.at++;
      this.hi = 0;
      return this.lo = byte;
    }
    this.varint64(end);
    return this.lo;
  }

  /** A varint of up to ten bytes, into `lo` and `hi`. */
  varint64(end: number): void {
    const bytes = this.bytes;
    let at = this.at;
    let lo = 0;
    let hi = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (at >= end) throw new MalformedError("varint past the end");
      const byte = bytes[at++]!;
      const bits = byte & 0x7f;
      if (shift < 28) lo |= bits << shift;
      else if (shift === 28) {
        lo |= bits << 28;
        hi = bits >>> 4;
      } else hi |= bits << (shift - 32);
      if (byte < 0x80) {
        this.at = at;
        this.lo = lo >>> 0;
        this.hi = hi >>> 0;
        return;
      }
    }
    throw new MalformedError("varint of more than ten bytes");
  }

  /** Eight bytes, little-endian, into `lo` and `hi`. */
  fixed64(end: number): void {
    const at = this.at;
    if (at + 8 > end) throw new MalformedError("fixed64 past the end");
    this.lo = this.view.getUint32(at, true);
    this.hi = this.view.getUint32(at + 4, true);
    this.at = at + 8;
  }

  /** Four bytes, little-endian, into `lo`. */
  fixed32(end: number): void {
    const at = this.at;
    if (at + 4 > end) throw new MalformedError("fixed32 past the end");
    this.lo = this.view.getUint32(at, true);
    this.hi = 0;
    this.at = at + 4;
  }

  /** The double whose eight bytes begin at `at`, which the caller has checked to be there. */
  doubleAt(at: number): number {
    return this.view.getFloat64(at, true);
  }

  /**
   * Reads the next field whole and returns its tag. What it holds is then in `from` and `to` (length
   * delimited), or in `lo` and `hi`, with `from` saying where it begins (all other wire types).
   *
   * @param end The end of the message; the cursor stands before it.
   */
  next(end: number): number {
    const { bytes } = this;
    let tag = bytes[this.at]!;
    if ((tag & 0x87) === 2) {
      // A short string, bytes or message, as most fields are.
      const from = this.at + 2;
      const length = bytes[from - 1]!;
      if (length < 0x80 && from + length <= end) {
        this.from = from;
        this.at = this.to = from + length;
        return tag;
      }
    }
    if (tag < 0x80) this.at++;
    else {
      this.varint64(end);
      tag = this.lo;
    }
    switch (tag & 7) {
      case 0:
        this.from = this.at;
        this.varint(end);
        break;
      case 1:
        this.from = this.at;
        this.fixed64(end);
        break;
      case 2: {
        let length = bytes[this.at]!;
        if (length < 0x80 && this.at < end) this.at++;
        else {
          this.varint64(end);
          length = this.lo;
        }
        this.from = this.at;
        this.to = this.at + length;
        if (this.to > end) throw new MalformedError("length past the end");
        this.at = this.to;
        break;
      }
      case 5:
        this.fixed32(end);
        break;
      default:
        this.#pass(tag, end, 0);
    }
    return tag;
  }

  /**
   * Lets a field that was read pass, unless it is one of `known`.
   *
   * @param known Bit n set: field n of this message is known, so that it came with a wrong wire type.
   */
  unknown(tag: number, known: number): void {
    const field = tag >>> 3;
    if (field === 0 || (field < 31 && (known & (1 << field)) !== 0)) {
      throw new MalformedError("wrong wire type");
    }
  }

  #pass(tag: number, end: number, depth: number): void {
    switch (tag & 7) {
      case 0:
        return this.varint64(end);
      case 1:
        return this.fixed64(end);
      case 2:
        this.varint(end);
        this.at += this.lo;
        if (this.at > end) throw new MalformedError("length past the end");
        return;
      case 3: {
        if (depth >= MAX_GROUP_DEPTH) throw new MalformedError("groups nested too deeply");
        const close = ((tag & ~7) | 4) >>> 0;
        for (;;) {
          const inner = this.varint(end);
          if (inner === close) return;
          if (inner >>> 3 === 0) throw new MalformedError("field number 0");
          this.#pass(inner, end, depth + 1);
        }
      }
      case 5:
        this.fixed32(end);
        return;
      default:
        throw new MalformedError("unknown wire type");
    }
  }
}

/** The bits of the fields a message knows, for {@linkcode Cursor.skip}. */
export function knownFields(...fields: readonly number[]): number {
  return fields.reduce((bits, field) => bits | (1 << field), 0);
}

/** The value of two halves as an unsigned decimal number. */
export function decimal(lo: number, hi: number): string {
  if (hi === 0) return String(lo);
  if (hi < 0x200000) return String(hi * 4294967296 + lo);
  return ((BigInt(hi) << 32n) | BigInt(lo)).toString();
}

/** A sint32 from its zigzag form. */
export function zigzag(value: number): number {
  return (value >>> 1) ^ -(value & 1);
}

/** Whether `bytes[from, to)` are `length` bytes that are not all zero, as OTLP asks of an id. */
export function isId(bytes: Uint8Array, from: number, to: number, length: number): boolean {
  if (to - from !== length) return false;
  for (let i = from; i < to; i++) if (bytes[i] !== 0) return true;
  return false;
}
