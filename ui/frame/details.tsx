/** A panel at the right for what is chosen; its width can be changed and is kept. */

import type { ComponentChildren, JSX } from "preact";
import { Icon } from "./icons.tsx";
import { useKeys } from "./keys.ts";
import { preference } from "./preferences.ts";

const MIN_WIDTH = 320;
const width = preference("detailsWidth", 440);
const STEP = 24;

/** The panel. */
export function Details(
  { title, close, children }: {
    readonly title: ComponentChildren;
    readonly close: () => void;
    readonly children: ComponentChildren;
  },
): JSX.Element {
  useKeys([{ key: "Escape", about: "Close the details", act: close }], [close]);
  const resize = (to: number) => {
    width.value = Math.round(Math.max(MIN_WIDTH, Math.min(to, innerWidth - 240)));
  };
  const drag = (event: PointerEvent) => {
    // Else the browser would select and drag what is behind it.
    event.preventDefault();
    const handle = event.currentTarget as HTMLElement;
    handle.setPointerCapture(event.pointerId);
    const { right } = handle.parentElement!.getBoundingClientRect();
    const move = (moved: PointerEvent) => resize(right - moved.clientX);
    handle.addEventListener("pointermove", move);
    handle.addEventListener("lostpointercapture", () => {
      handle.removeEventListener("pointermove", move);
    }, { once: true });
  };
  return (
    <aside class="details" aria-label="Details" style={{ width: `${width.value}px` }}>
      <div
        class="details-edge"
        role="separator"
        tabIndex={0}
        aria-orientation="vertical"
        aria-label="Width of the details"
        aria-valuenow={width.value}
        aria-valuemin={MIN_WIDTH}
        onPointerDown={drag}
        onKeyDown={(event) => {
          if (event.key === "ArrowLeft") resize(width.value + STEP);
          else if (event.key === "ArrowRight") resize(width.value - STEP);
          else return;
          event.preventDefault();
          event.stopPropagation();
        }}
      />
      <header class="details-head">
        <h2>{title}</h2>
        <button type="button" class="quiet" onClick={close} aria-label="Close the details">
          <Icon name="close" />
        </button>
      </header>
      <div class="details-body" tabIndex={0} role="group" aria-label="Details">{children}</div>
    </aside>
  );
}
