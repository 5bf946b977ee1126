/** Zooming into what is shown, which can be undone; what is zoomed to stands in the address. */

import { computed, signal } from "@preact/signals";
import { useKeys } from "./keys.ts";
import { parameter, setParameters } from "./location.ts";
import type { Range } from "./range.ts";

type Parameters = Readonly<Record<string, string>>;

/** More are not kept. */
const MOST = 50;

/** What the address said before a zoom, and what the zoom has made of it; the latest last. */
const zooms = signal<readonly { readonly before: Parameters; readonly after: Parameters }[]>([]);

/** Which of them led here; none, when something else was chosen since. */
const latest = computed(() =>
  zooms.value.findLastIndex(({ after }) =>
    Object.entries(after).every(([name, value]) => parameter(name) === value)
  )
);

/** Whether there is a zoom to undo. */
export const isZoomed = computed(() => latest.value >= 0);

/**
 * Zooms; it can be undone.
 *
 * @param to Parameters of the address that say what is zoomed to.
 * @param reset Others that lose their value, and do not get it back.
 */
export function zoomTo(to: Range | Parameters, reset: Parameters = {}): void {
  const after = { ...to };
  const before = Object.fromEntries(Object.keys(after).map((name) => [name, parameter(name)]));
  // Said twice, it would have to be undone twice.
  if (Object.entries(after).every(([name, value]) => before[name] === value)) return;
  zooms.value = [...zooms.peek(), { before, after }].slice(-MOST);
  setParameters({ ...after, ...reset });
}

/** Goes back to what was shown before the last zoom, if there was one. */
export function undoZoom(): void {
  const at = latest.peek();
  const zoom = zooms.peek()[at];
  if (zoom === undefined) return;
  zooms.value = zooms.peek().slice(0, at);
  setParameters(zoom.before);
}

/** Listens to the key that undoes it. */
export function useZoomKey(): void {
  useKeys([{ key: "Backspace", about: "Undo the zoom", act: undoZoom }]);
}
