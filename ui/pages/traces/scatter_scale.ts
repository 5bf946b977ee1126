/** Where a trace is in the picture: time goes to the right, durations go up, each ten times the last. */

/** A picture and what it shows. Times are milliseconds since 1970, durations nanoseconds. */
export interface ScatterScale {
  readonly width: number;
  readonly height: number;
  readonly fromMs: number;
  readonly toMs: number;
  readonly shortestNs: number;
  readonly longestNs: number;
}

/** Room for the axes, in pixels. */
export const MARGIN = { left: 56, right: 12, top: 10, bottom: 20 } as const;

/** A scale on which all durations have a place, from a power of ten to a power of ten. */
export function scaleOf(
  size: { readonly width: number; readonly height: number },
  [fromMs, toMs]: readonly [number, number],
  durationsNs: readonly number[],
): ScatterScale {
  let shortest = Infinity;
  let longest = 0;
  for (const ns of durationsNs) {
    shortest = Math.min(shortest, Math.max(ns, 1));
    longest = Math.max(longest, ns, 1);
  }
  if (longest === 0) [shortest, longest] = [1e6, 1e9];
  const low = 10 ** Math.floor(Math.log10(shortest));
  const high = 10 ** Math.ceil(Math.log10(longest * 1.05));
  return { ...size, fromMs, toMs, shortestNs: low, longestNs: Math.max(high, low * 10) };
}

/**
 * From the left, in pixels.
 *
 * @example There and back
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const scale = scaleOf({ width: 868, height: 230 }, [0, 1_000], [1e6, 5e8]);
 * assert.equal(xOf(scale, 500), 456);
 * assert.equal(msAt(scale, 456), 500);
 * assert.equal(yOf(scale, 1e9), 10);
 * assert.equal(nsAt(scale, 210), 1e6);
 * ```
 */
export function xOf({ width, fromMs, toMs }: ScatterScale, ms: number): number {
  return MARGIN.left + (ms - fromMs) / (toMs - fromMs) * (width - MARGIN.left - MARGIN.right);
}

/** From the top, in pixels. */
export function yOf({ height, shortestNs, longestNs }: ScatterScale, ns: number): number {
  const part = Math.log(Math.max(ns, 1) / shortestNs) / Math.log(longestNs / shortestNs);
  return height - MARGIN.bottom - part * (height - MARGIN.top - MARGIN.bottom);
}

/** The time at a place. */
export function msAt({ width, fromMs, toMs }: ScatterScale, x: number): number {
  const part = (x - MARGIN.left) / (width - MARGIN.left - MARGIN.right);
  return fromMs + Math.max(0, Math.min(part, 1)) * (toMs - fromMs);
}

/** The duration at a place. */
export function nsAt({ height, shortestNs, longestNs }: ScatterScale, y: number): number {
  const part = (height - MARGIN.bottom - y) / (height - MARGIN.top - MARGIN.bottom);
  const bounded = Math.max(0, Math.min(part, 1));
  return Math.round(shortestNs * (longestNs / shortestNs) ** bounded);
}

const STEPS_S = [
  1,
  2,
  5,
  10,
  15,
  30,
  60,
  120,
  300,
  600,
  900,
  1800,
  3600,
  7200,
  10800,
  21600,
  43200,
];
const DAY_S = 86_400;

/** Round times to write below the picture, some hundred pixels apart. */
export function timeTicks({ width, fromMs, toMs }: ScatterScale): number[] {
  const wantedS = (toMs - fromMs) / 1000 / Math.max(1, width / 110);
  const stepS = STEPS_S.find((step) => step >= wantedS) ?? Math.ceil(wantedS / DAY_S) * DAY_S;
  const offsetMs = new Date(fromMs).getTimezoneOffset() * 60_000;
  const stepMs = stepS * 1000;
  const ticks: number[] = [];
  for (
    let ms = Math.ceil((fromMs - offsetMs) / stepMs) * stepMs + offsetMs;
    ms <= toMs;
    ms += stepMs
  ) {
    ticks.push(ms);
  }
  return ticks;
}

/** Powers of ten to write at the left. */
export function durationTicks({ shortestNs, longestNs }: ScatterScale): number[] {
  const ticks: number[] = [];
  const count = Math.round(Math.log10(longestNs / shortestNs));
  const every = Math.ceil(count / 5);
  for (let at = 0; at <= count; at += every) ticks.push(shortestNs * 10 ** at);
  return ticks;
}
