/** A picture over which a part can be chosen by dragging. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";

/** What is dragged less far is a click. */
const DRAG_PIXELS = 4;

/** A part of a picture: 0 is left or top, 1 right or bottom. */
export interface Part {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

interface Drag {
  readonly x: number;
  readonly y: number;
  readonly toX: number;
  readonly toY: number;
}

/** The picture. */
export function Brush(
  { choose, point, isBox = false, children }: {
    readonly choose: (part: Part) => void;
    /** Gets where the pointer is, from 0 to 1; undefined when it is elsewhere. */
    readonly point?: (x: number | undefined, y: number | undefined) => void;
    /** Whether a box is chosen, not only a stretch from left to right. */
    readonly isBox?: boolean;
    readonly children: ComponentChildren;
  },
): JSX.Element {
  const drag = useSignal<Drag | undefined>(undefined);
  const part = drag.value === undefined ? undefined : partOf(drag.value, isBox);
  return (
    <div
      class="brush"
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        const [x, y] = placeOf(event);
        drag.value = { x, y, toX: x, toY: y };
      }}
      onPointerMove={(event) => {
        const [toX, toY] = placeOf(event);
        point?.(toX, toY);
        if (drag.value !== undefined) drag.value = { ...drag.value, toX, toY };
      }}
      onPointerLeave={() => point?.(undefined, undefined)}
      onPointerCancel={() => drag.value = undefined}
      onPointerUp={(event) => {
        const dragged = drag.value;
        drag.value = undefined;
        if (dragged === undefined) return;
        const chosen = partOf(dragged, isBox);
        const pixels = (chosen.right - chosen.left) * event.currentTarget.clientWidth;
        if (pixels >= DRAG_PIXELS) choose(chosen);
      }}
    >
      {children}
      {part !== undefined && (
        <div
          class="brush-chosen"
          style={{
            left: `${part.left * 100}%`,
            width: `${(part.right - part.left) * 100}%`,
            top: `${part.top * 100}%`,
            height: `${(part.bottom - part.top) * 100}%`,
          }}
        />
      )}
    </div>
  );
}

function placeOf(event: PointerEvent): [number, number] {
  const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
  const within = (value: number) => Math.min(1, Math.max(0, value));
  return [
    within((event.clientX - box.left) / box.width),
    within((event.clientY - box.top) / box.height),
  ];
}

function partOf({ x, y, toX, toY }: Drag, isBox: boolean): Part {
  return {
    left: Math.min(x, toX),
    right: Math.max(x, toX),
    top: isBox ? Math.min(y, toY) : 0,
    bottom: isBox ? Math.max(y, toY) : 1,
  };
}
