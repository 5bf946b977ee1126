/** Which colour a count has in a heat map: steps are even in its logarithm. */

/** A colour and the counts that have it. */
export interface HeatLevel {
  /** A variable of the palette. */
  readonly color: string;
  /** The least of them. */
  readonly least: number;
}

const COLORS = ["--h0", "--h1", "--h2", "--h3", "--h4", "--h5"];

/**
 * The levels of counts up to `most`, those that no whole number is in left out. None has the colour of
 * the background.
 *
 * @example Six steps up to a million, and two up to 2
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const leasts = (most: number) => levelsOf(most).map(({ least }) => least);
 * assert.deepEqual(leasts(1e6), [1, 10, 100, 1_000, 10_000, 100_000]);
 * assert.deepEqual(leasts(2), [1, 2]);
 * assert.deepEqual(levelsOf(1), [{ color: "--h5", least: 1 }]);
 * ```
 */
export function levelsOf(most: number): HeatLevel[] {
  const leastOf = (at: number) => Math.ceil(Number((most ** (at / COLORS.length)).toPrecision(9)));
  return COLORS
    .map((color, at) => ({ color, least: leastOf(at) }))
    .filter(({ least }, at) => at === COLORS.length - 1 || least < leastOf(at + 1));
}

/** The level of a count; undefined for none. */
export function levelOf(count: number, levels: readonly HeatLevel[]): HeatLevel | undefined {
  return levels.findLast(({ least }) => count >= least);
}
