/**
 * Protobuf by hand: fields, messages and requests for what no writer would write.
 *
 * @module
 */

import fc from "fast-check";
import { WIRE } from "../src/protobuf_wire.ts";
import { WireWriter } from "../src/protobuf_writer.ts";
import type { Signal } from "../src/record.ts";
import { arbitraryRequest } from "./arbitraries.ts";
import { oracleEncode } from "./oracle.ts";

/** All there are. */
export const SIGNALS: readonly Signal[] = ["traces", "logs", "metrics"];

/** One field: `field(1, WIRE.bytes, (writer) => writer.string("x"))`. */
export function field(
  number: number,
  wire: number,
  write: (writer: WireWriter) => void,
): Uint8Array {
  const writer = new WireWriter();
  writer.tag(number, wire);
  write(writer);
  return writer.finish();
}

/** A nested message. */
export function nested(number: number, ...parts: Uint8Array[]): Uint8Array {
  return field(number, WIRE.bytes, (writer) => writer.bytes(joined(...parts)));
}

/** Bytes one behind the other. */
export function joined(...parts: Uint8Array[]): Uint8Array {
  return concatenated(parts);
}

/** Bytes of a list one behind the other. */
export function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** A field of text. */
export function text(number: number, value: string): Uint8Array {
  return field(number, WIRE.bytes, (writer) => writer.string(value));
}

/** A request with one log record made of `parts`. */
export function logRequest(...parts: Uint8Array[]): Uint8Array {
  return nested(1, nested(2, nested(2, ...parts)));
}

/** A request that has about everything, as bytes of the oracle. */
export const SAMPLES = SIGNALS.map((signal) => {
  const requests = fc.sample(arbitraryRequest(signal) as fc.Arbitrary<object>, {
    seed: 3,
    numRuns: 300,
  });
  const encoded = requests.map((request) => oracleEncode(signal, request as never))
    .filter((bytes) => bytes.length < 3000).sort((a, b) => b.length - a.length);
  return { signal, bytes: encoded[0]! };
});
