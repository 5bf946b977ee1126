/**
 * Decimal numbers of any length, compared exactly, as `numeric` compares them.
 *
 * @module
 */

/** `digits` times ten to the `exponent`. */
export interface Decimal {
  /** To the precision of a double: two that differ in it differ alike. */
  readonly near: number;
  readonly digits: bigint;
  readonly exponent: number;
}

/**
 * Reads a number.
 *
 * @param text As filters and jsonb write it.
 *
 * @example Past the precision of a double
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const [a, b] = [decimalOf("9007199254740993"), decimalOf("9.007199254740992e15")];
 * assert.equal(compareDecimals(a, b), 1);
 * ```
 */
export function decimalOf(text: string): Decimal {
  const [, sign, whole, fraction = "", exponent = "0"] = /^(-?)(\d+)(?:\.(\d*))?(?:e([+-]?\d+))?$/i
    .exec(text)!;
  return {
    near: Number(text),
    digits: BigInt(`${sign}${whole}${fraction}`),
    exponent: Number(exponent) - fraction.length,
  };
}

/** Below 0 when `a` is smaller, 0 when they are equal, above 0 when it is larger. */
export function compareDecimals(a: Decimal, b: Decimal): number {
  // Rounding keeps the order.
  if (a.near !== b.near) return a.near < b.near ? -1 : 1;
  const exponent = Math.min(a.exponent, b.exponent);
  const difference = scaled(a, exponent) - scaled(b, exponent);
  return difference === 0n ? 0 : difference < 0n ? -1 : 1;
}

function scaled({ digits, exponent }: Decimal, to: number): bigint {
  return digits * 10n ** BigInt(exponent - to);
}
