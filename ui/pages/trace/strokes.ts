/** Stretches of time as one path, however many there are. */

import type { Stretch } from "./critical_path.ts";

/** How wide the picture is in which the path is drawn; it is one high. */
export const UNITS = 1_000;

/**
 * The path of stretches, as far as they are in sight: each at least so many units wide, and those
 * that touch are one.
 */
export function strokes(stretches: Iterable<Stretch>, shown: Stretch, least: number): string {
  const scale = UNITS / Math.max(1, shown.toNs - shown.fromNs);
  const pieces: [number, number][] = [];
  for (const { fromNs, toNs } of stretches) {
    if (toNs < shown.fromNs || fromNs > shown.toNs) continue;
    const from = Math.max(0, (fromNs - shown.fromNs) * scale);
    const to = Math.min(UNITS, Math.max(from + least, (toNs - shown.fromNs) * scale));
    const last = pieces.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else pieces.push([from, to]);
  }
  return pieces.map(([from, to]) => `M${tenth(from)} 0H${tenth(to)}V1H${tenth(from)}Z`).join("");
}

function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}
