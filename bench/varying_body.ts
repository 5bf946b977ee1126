/**
 * Encoded requests that are another one each time they are sent, at the cost of a copy.
 *
 * A collector recognises a request that comes again, and an index or a dictionary takes a value that
 * it has seen more lightly than a new one. So ids, session ids, numbers of orders and values of points
 * are changed in the encoded form, at places that are known before. Where they are is found by
 * encoding the same telemetry twice with other digits and looking where the bytes differ.
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

  /**
   * @param bytes What is sent.
   * @param low The same with all that varies as low as it can be.
   * @param high The same with all that varies as high as it can be.
   */
  constructor(bytes: Uint8Array, low: Uint8Array, high: Uint8Array) {
    this.bytes = bytes;
    const binary: Place[] = [];
    const digits: Place[] = [];
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
      else throw new Error(`Cannot vary a body: byte ${at} is ${low[at]} or ${high[at]}`);
    }
    this.#binary = new Places(binary);
    this.#digits = new Places(digits);
  }

  /** How many bytes vary. */
  get varying(): number {
    return this.#binary.at.length + this.#digits.at.length;
  }

  /**
   * Writes the body with other values. What was equal in it stays equal: spans keep their parents.
   *
   * @param random Numbers from 0 to 1.
   * @param target Where to.
   * @param offset Where in it.
   */
  write(random: () => number, target: Uint8Array, offset: number): void {
    target.set(this.bytes, offset);
    const mask = Uint8Array.from({ length: MASK }, () => random() * 256);
    {
      const { at, mask: which } = this.#binary;
      for (let n = 0; n < at.length; n++) target[offset + at[n]!]! ^= mask[which[n]!]!;
    }
    const { at, mask: which } = this.#digits;
    for (let n = 0; n < at.length; n++) {
      const digit = VALUE[target[offset + at[n]!]!]! ^ (mask[which[n]!]! & 15);
      target[offset + at[n]!] = DIGITS[digit]!;
    }
  }
}

/** Makes bodies, the same ones for the same options. */
export function varyingBodies(options: BodyOptions): VaryingBody[] {
  const { bodies, shape } = options;
  const [bytes, low, high] = [
    new Mint(seeded(1), shape),
    new FixedMint(seeded(1), shape, "0"),
    new FixedMint(seeded(1), shape, "f"),
  ].map((mint) => Array.from({ length: bodies }, (_, n) => encoded(mint, n, options)));
  return bytes!.map((body, n) => new VaryingBody(body, low![n]!, high![n]!));
}

/** Gives the values that vary the same digit throughout, and all others as {@linkcode Mint} does. */
class FixedMint extends Mint {
  readonly #digit: "0" | "f";

  constructor(random: () => number, shape: Shape, digit: "0" | "f") {
    super(random, shape);
    this.#digit = digit;
  }

  override fresh(digits: number): string {
    return super.fresh(digits).replace(/./g, this.#digit);
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

const [ZERO, F] = [0x30, 0x66];
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
