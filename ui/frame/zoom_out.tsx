/** Undoes a zoom for who has no keys at hand. */

import type { JSX } from "preact";
import { isZoomed, undoZoom } from "./zoom.ts";

/** The button; it is there when there is a zoom to undo. */
export function ZoomOut(): JSX.Element | null {
  if (!isZoomed.value) return null;
  return (
    <button type="button" title="Undo the zoom (Backspace)" onClick={undoZoom}>Zoom out</button>
  );
}
