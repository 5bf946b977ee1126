/** Zooming in time, which can be undone. */

import { useKeys } from "./keys.ts";
import { type Range, range, setRange } from "./range.ts";

/** Ranges that were zoomed from, the latest last. */
const zoomedFrom: Range[] = [];

/** Zooms; it can be undone. */
export function zoomTo(to: Range): void {
  zoomedFrom.push(range.peek());
  setRange(to);
}

/** Goes back to the range before the last zoom, if there was one. */
export function undoZoom(): void {
  const before = zoomedFrom.pop();
  if (before !== undefined) setRange(before);
}

/** Listens to the key that undoes it. */
export function useZoomKey(): void {
  useKeys([{ key: "Backspace", about: "Undo the zoom", act: undoZoom }]);
}
