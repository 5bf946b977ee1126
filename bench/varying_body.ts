/**
 * Encoded requests that are another one each time they are sent, at the cost of a copy.
 *
 * A collector recognises a request that comes again, and an index or a dictionary takes a value that
 * it has seen more lightly than a new one. So ids, session ids, numbers of orders and values of points
 * are changed in the encoded form, at places that are known before. Where they are is found by
 * encoding the same telemetry twice with other values and looking where the bytes differ.
 */

import { encodeRequest, requestToJson } from "../src/otlp.ts";
import type { ExportRequests, Signal } from "../src/record.ts";
import { logRequest } from "./log_telemetry.ts";
import { pointRequest } from "./point_telemetry.ts";
import { Mint, seeded, type Shape, traceRequest } from "./telemetry.ts";

/** What to make bodies of. */
export interface BodyOptions {
  readonly signal: Signal;
  readonly encoding: "protobuf" | "json";
  /** How many different ones. */
  readonly bodies: number;
  /** Records in each. */
  readonly records: number;
  readonly shape: Shape;
  /** When their records happened. */
  readonly startUnixNano: bigint;
}

/** Bytes of a run that get a byte of their own of the mask; longer runs use it again. */
const MASK = 16;

/** A body and where its values can be changed. */
export class VaryingBody {
  readonly bytes: Uint8Array;
  /** Places of bytes of binary ids and of fractions of doubles. */
  readonly #binary: Places;
  /** Places of hex digits in text. */
  readonly #digits: Places;
  /** Where times begin: 8 bytes, the lowest first. */
  readonly #times: Uint32Array;
  /** Where times begin that are decimal digits. */
  readonly #decimalTimes: Uint32Array;

  /**
   * @param bytes What is sent.
   * @param low The same with all that varies as low as it can be.
   * @param high The same with all that varies as high as it can be.
   */
  constructor(bytes: Uint8Array, low: Uint8Array, high: Uint8Array) {
    this.bytes = bytes;
    const binary: Place[] = [];
    const digits: Place[] = [];
    const times: number[] = [];
    const decimalTimes: number[] = [];
    if (low.length !== bytes.length || high.length !== bytes.length) {
      throw new Error(`Cannot vary a body: ${[bytes, low, high].map((b) => b.length)} bytes`);
    }
    for (let at = 0, run = 0; at < bytes.length; at++) {
      if (low[at] === high[at]) {
        run = 0;
        continue;
      }
      const place = { at, mask: run++ % MASK };
      if (low[at] === 0x00 && high[at] === 0xff) binary.push(place);
      else if (low[at] === ZERO && high[at] === F) digits.push(place);
      else if (low[at] === 1 && high[at] === 2) {
        times.push(at);
        at += 7;
      } else if (low[at] === ONE && high[at] === TWO) {
        decimalTimes.push(at);
        at += TIME_DIGITS - 1;
      } else throw new Error(`Cannot vary a body: byte ${at} is ${low[at]} or ${high[at]}`);
    }
    this.#binary = new Places(binary);
    this.#digits = new Places(digits);
    this.#times = Uint32Array.from(times);
    this.#decimalTimes = Uint32Array.from(decimalTimes);
  }

  /**
   * Writes the body with other values. What was equal in it stays equal: spans keep their parents.
   *
   * @param random Numbers from 0 to 1.
   * @param laterNanos How much later all of it happened; as JSON, in whole seconds.
   * @param target Where to.
   * @param offset Where in it.
   */
  write(random: () => number, laterNanos: number, target: Uint8Array, offset: number): void {
    target.set(this.bytes, offset);
    const mask = Uint8Array.from({ length: MASK }, () => random() * 256);
    const { at: binaryAt, mask: binaryMask } = this.#binary;
    for (let n = 0; n < binaryAt.length; n++) {
      target[offset + binaryAt[n]!]! ^= mask[binaryMask[n]!]!;
    }
    const { at: digitAt, mask: digitMask } = this.#digits;
    for (let n = 0; n < digitAt.length; n++) {
      const digit = VALUE[target[offset + digitAt[n]!]!]! ^ (mask[digitMask[n]!]! & 15);
      target[offset + digitAt[n]!] = DIGITS[digit]!;
    }
    const view = new DataView(target.buffer, target.byteOffset + offset);
    for (const at of this.#times) {
      const low = view.getUint32(at, true) + laterNanos;
      view.setUint32(at, low % 2 ** 32, true);
      view.setUint32(at + 4, view.getUint32(at + 4, true) + Math.floor(low / 2 ** 32), true);
    }
    for (const at of this.#decimalTimes) addSeconds(target, offset + at, laterNanos / 1e9 | 0);
  }
}

/** Adds to a decimal number of nanoseconds in text. */
function addSeconds(text: Uint8Array, at: number, seconds: number): void {
  for (let n = at + SECOND_DIGITS - 1; seconds > 0; n--) {
    const sum = text[n]! - ZERO + seconds;
    text[n] = ZERO + sum % 10;
    seconds = Math.floor(sum / 10);
  }
}

/** Makes bodies, the same ones for the same options. */
export function varyingBodies(options: BodyOptions): VaryingBody[] {
  const { bodies, shape } = options;
  const [bytes, low, high] = [
    new Mint(seeded(1), shape),
    new FixedMint(options, "0"),
    new FixedMint(options, "f"),
  ].map((mint) => Array.from({ length: bodies }, (_, n) => encoded(mint, n, options)));
  return bytes!.map((body, n) => new VaryingBody(body, low![n]!, high![n]!));
}

/** Gives the values that vary the same digit throughout, and all others as {@linkcode Mint} does. */
class FixedMint extends Mint {
  readonly #digit: "0" | "f";
  readonly #encoding: "protobuf" | "json";

  constructor({ shape, encoding }: BodyOptions, digit: "0" | "f") {
    super(seeded(1), shape);
    this.#digit = digit;
    this.#encoding = encoding;
  }

  override fresh(digits: number): string {
    return super.fresh(digits).replace(/./g, this.#digit);
  }

  override time(): bigint {
    const form = this.#encoding === "json" ? "1".repeat(TIME_DIGITS) : `0x${"01".repeat(8)}`;
    return BigInt(form) * (this.#digit === "0" ? 1n : 2n);
  }

  /** Its sign, exponent and upper four bits stay. */
  override freshDouble(near: number): number {
    const view = new DataView(new ArrayBuffer(8));
    view.setFloat64(0, super.freshDouble(near));
    const fill = this.#digit === "0" ? 0 : 0xff;
    for (let byte = 2; byte < 8; byte++) view.setUint8(byte, fill);
    return view.getFloat64(0);
  }

  /** Its upper six bytes stay. */
  override freshInt(): bigint {
    const value = super.freshInt();
    return this.#digit === "0" ? value & ~0xffffn : value | 0xffffn;
  }
}

function encoded(mint: Mint, request: number, options: BodyOptions): Uint8Array {
  const { signal, records, startUnixNano } = options;
  switch (signal) {
    case "traces":
      return encode(signal, traceRequest(mint, request, records, startUnixNano), options);
    case "logs":
      return encode(signal, logRequest(mint, request, records, startUnixNano), options);
    case "metrics":
      return encode(signal, pointRequest(mint, request, records, startUnixNano), options);
  }
}

/** @throws {RangeError} For metrics as JSON, where a double is no text of a fixed length. */
function encode<S extends Signal>(
  signal: S,
  request: ExportRequests[S],
  { encoding }: BodyOptions,
): Uint8Array {
  if (encoding === "protobuf") return encodeRequest(signal, request);
  if (signal === "metrics") throw new RangeError("Cannot vary metrics as JSON: use protobuf");
  return new TextEncoder().encode(requestToJson(signal, request));
}

const [ZERO, ONE, TWO, F] = [0x30, 0x31, 0x32, 0x66];
/** Digits of a time of our days in nanoseconds, and of its seconds. */
const [TIME_DIGITS, SECOND_DIGITS] = [19, 10];
const DIGITS = new TextEncoder().encode("0123456789abcdef");
const VALUE = new Uint8Array(128);
DIGITS.forEach((code, value) => VALUE[code] = value);

interface Place {
  readonly at: number;
  readonly mask: number;
}

/** Many of them in little space. */
class Places {
  readonly at: Uint32Array;
  readonly mask: Uint8Array;

  constructor(places: readonly Place[]) {
    this.at = Uint32Array.from(places, ({ at }) => at);
    this.mask = Uint8Array.from(places, ({ mask }) => mask);
  }
}
