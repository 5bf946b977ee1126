/** What stands above the rows: times, and the edge between tree and bars, which can be moved. */

import type { Signal } from "@preact/signals";
import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { Stretch } from "./critical_path.ts";
import { ticksWithin } from "./time_axis.ts";

const MIN = 15;
const MAX = 75;
const STEP = 5;

/** The head. */
export function WaterfallHead(
  { shown, width, laneWidth }: {
    readonly shown: Stretch;
    /** Of the tree, in percent. */
    readonly width: Signal<number>;
    /** Is told how wide the bars may be, in pixels. */
    readonly laneWidth: Signal<number>;
  },
): JSX.Element {
  const lane = useRef<HTMLSpanElement>(null);
  useLayoutEffect(() => {
    const measure = () => laneWidth.value = lane.current!.clientWidth;
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(lane.current!);
    return () => observer.disconnect();
  }, []);
  const resize = (to: number) => width.value = Math.round(Math.max(MIN, Math.min(MAX, to)));
  const drag = (event: PointerEvent) => {
    // Else the browser would select and drag what is behind it.
    event.preventDefault();
    const handle = event.currentTarget as HTMLElement;
    const head = handle.parentElement!.getBoundingClientRect();
    handle.setPointerCapture(event.pointerId);
    const move = (moved: PointerEvent) => resize((moved.clientX - head.left) / head.width * 100);
    handle.addEventListener("pointermove", move);
    handle.addEventListener("lostpointercapture", () => {
      handle.removeEventListener("pointermove", move);
    }, { once: true });
  };
  const lengthNs = shown.toNs - shown.fromNs;
  return (
    <div class="span-row span-head">
      <span aria-hidden="true">Service and operation</span>
      <span ref={lane} class="span-lane" aria-hidden="true">
        {ticksWithin(shown, laneWidth.value).map(({ ns, label }) => (
          <span
            key={ns}
            class="span-tick"
            style={{ left: `${(ns - shown.fromNs) / lengthNs * 100}%` }}
          >
            {label}
          </span>
        ))}
      </span>
      <div
        class="span-edge"
        role="separator"
        tabIndex={0}
        aria-orientation="vertical"
        aria-label="Width of the tree"
        aria-valuenow={width.value}
        aria-valuemin={MIN}
        aria-valuemax={MAX}
        onPointerDown={drag}
        onKeyDown={(event) => {
          if (event.key === "ArrowLeft") resize(width.value - STEP);
          else if (event.key === "ArrowRight") resize(width.value + STEP);
          else return;
          event.preventDefault();
          event.stopPropagation();
        }}
      />
    </div>
  );
}

/** Lines behind all rows, at those times. */
export function Grid(
  { shown, laneWidth }: { readonly shown: Stretch; readonly laneWidth: Signal<number> },
): JSX.Element {
  const lengthNs = shown.toNs - shown.fromNs;
  return (
    <div class="span-grid" aria-hidden="true">
      <span class="span-lane">
        {ticksWithin(shown, laneWidth.value).map(({ ns }) => (
          <i key={ns} style={{ left: `${(ns - shown.fromNs) / lengthNs * 100}%` }} />
        ))}
      </span>
    </div>
  );
}
