/**
 * The wire types of protobuf: how the bytes of a field are to be read.
 *
 * Source: https://protobuf.dev/programming-guides/encoding/#structure
 *
 * @module
 */

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
