/** The axis of a waterfall: round times, all in one unit. */

import type { Stretch } from "./critical_path.ts";

const UNITS: readonly (readonly [number, string])[] = [
  [3_600e9, "h"],
  [60e9, "m"],
  [1e9, "s"],
  [1e6, "ms"],
  [1e3, "µs"],
  [1, "ns"],
];

/** Longer steps are told in minutes or hours, of which a half is no round number. */
const SECOND_NS = 1e9;

/** A time on the axis. */
export interface Tick {
  readonly ns: number;
  readonly label: string;
}

/**
 * The round times within a stretch, about so many.
 *
 * @example A second and more
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const labels = ticks({ fromNs: 0, toNs: 1.2e9 }, 3).map(({ label }) => label);
 * assert.deepEqual(labels, ["0", "0.5s", "1.0s"]);
 * ```
 */
export function ticks({ fromNs, toNs }: Stretch, about: number): Tick[] {
  const rawNs = Math.max(1, (toNs - fromNs) / about);
  const [ofStepNs, ofStep] = UNITS.find(([ns]) => rawNs >= ns)!;
  const stepNs = roundStep(rawNs / ofStepNs, ofStep) * ofStepNs;
  const [unitNs, unit] = UNITS.find(([ns]) => ns <= Math.max(ofStepNs, SECOND_NS) && toNs >= ns) ??
    [ofStepNs, ofStep];
  const digits = Math.max(0, -Math.floor(Math.log10(stepNs / unitNs) + 1e-9));
  const found: Tick[] = [];
  for (let at = Math.ceil(fromNs / stepNs); at * stepNs <= toNs; at++) {
    const ns = at * stepNs;
    found.push({ ns, label: ns === 0 ? "0" : `${(ns / unitNs).toFixed(digits)}${unit}` });
  }
  return found;
}

/** So many times there are, about, where they have room. */
const MOST_TICKS = 5;
/** Of a label: a character, and what is left free around it. */
const CHARACTER_PIXELS = 7;
const FREE_PIXELS = 8;

/**
 * The round times within a stretch whose labels have room beside each other.
 *
 * @param width Pixels of the stretch; 0 when that is not known.
 *
 * @example Fewer in a narrow window
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const labels = (width: number) => ticksWithin({ fromNs: 0, toNs: 4e8 }, width).map(({ label }) => label);
 * assert.deepEqual(labels(600), ["0", "100ms", "200ms", "300ms", "400ms"]);
 * assert.deepEqual(labels(120), ["0", "200ms", "400ms"]);
 * ```
 */
export function ticksWithin(shown: Stretch, width: number): Tick[] {
  const pixels = width / (shown.toNs - shown.fromNs);
  for (let about = MOST_TICKS; about > 0; about--) {
    const found = ticks(shown, about);
    const [first, second] = found;
    const longest = Math.max(...found.map(({ label }) => label.length));
    if (
      width === 0 || first === undefined || second === undefined ||
      (second.ns - first.ns) * pixels >= longest * CHARACTER_PIXELS + FREE_PIXELS
    ) return found;
  }
  return ticks(shown, 1).slice(0, 1);
}

/** The next 1, 2 or 5; of minutes and seconds also those that make up an hour or a minute. */
function roundStep(value: number, unit: string): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const steps = unit === "s" || unit === "m"
    ? [1, 2, 5, 10, 15, 30, 60]
    : [1, 2, 5, 10].map((step) => step * power);
  return steps.find((step) => step >= value) ?? steps.at(-1)!;
}
