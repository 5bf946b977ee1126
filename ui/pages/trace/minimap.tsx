/**
 * The whole trace in a few pixels. Dragging chooses the part that is shown, a click moves it, a double
 * click shows all.
 */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useCallback } from "preact/hooks";
import type { Slot } from "../../frame/colors.ts";
import { Drawing } from "../../frame/drawing.tsx";
import { color } from "../../frame/theme.ts";
import type { Stretch } from "./critical_path.ts";
import type { WaterfallSpan } from "./span_tree.ts";
import { around } from "./trace_actions.ts";

const HEIGHT = 48;
const LANES = 12;
/** What is dragged less far is a click. */
const DRAG_PIXELS = 4;

/** The picture. */
export function Minimap(
  { spans, slots, durationNs, shown, isZoomed, show }: {
    readonly spans: readonly WaterfallSpan[];
    readonly slots: ReadonlyMap<string, Slot>;
    readonly durationNs: number;
    readonly shown: Stretch;
    /** Whether that is not all of it. */
    readonly isZoomed: boolean;
    readonly show: (part: Stretch | undefined) => void;
  },
): JSX.Element {
  const box = useSignal<readonly [number, number] | undefined>(undefined);
  const draw = useCallback((context: CanvasRenderingContext2D, width: number) => {
    const columns = Math.ceil(width);
    const tall = HEIGHT / LANES;
    const errorColor = color("--error");
    const colors = new Map([...slots].map(([service, { name }]) => [service, color(name)]));
    // A column of a lane is painted once, and once more for an error, however many spans are in it.
    const painted = Array.from({ length: LANES }, () => new Uint8Array(columns));
    const free = new Array<number>(LANES).fill(columns);
    spans.forEach(({ span, startNs, endNs, isError }, at) => {
      const lane = Math.min(LANES - 1, Math.floor(at / spans.length * LANES));
      if (free[lane] === 0 && !isError) return;
      const cells = painted[lane]!;
      const from = Math.max(0, Math.min(columns - 1, Math.floor(startNs / durationNs * width)));
      const to = Math.min(columns, Math.max(from + 1, Math.ceil(endNs / durationNs * width)));
      context.fillStyle = isError ? errorColor : colors.get(span.service)!;
      let run = -1;
      for (let x = from; x <= to; x++) {
        const isFree = x < to && (cells[x] === 0 || (isError && cells[x] === 1));
        if (isFree) {
          if (cells[x] === 0) free[lane]!--;
          cells[x] = isError ? 2 : 1;
          if (run < 0) run = x;
        } else if (run >= 0) {
          context.fillRect(run, lane * tall, x - run, tall - 1);
          run = -1;
        }
      }
    });
  }, [spans, slots, durationNs]);
  const all = { fromNs: 0, toNs: durationNs };
  const drag = (event: PointerEvent) => {
    if (event.button !== 0) return;
    event.preventDefault();
    const place = event.currentTarget as HTMLElement;
    const { left, width } = place.getBoundingClientRect();
    const at = (x: number) => Math.max(0, Math.min(1, (x - left) / width));
    const from = at(event.clientX);
    place.setPointerCapture(event.pointerId);
    const move = (moved: PointerEvent) => box.value = [from, at(moved.clientX)];
    const up = (ended: PointerEvent) => {
      const to = at(ended.clientX);
      box.value = undefined;
      if (Math.abs(to - from) * width < DRAG_PIXELS) {
        if (isZoomed) show(around(to * durationNs, shown.toNs - shown.fromNs, all));
        return;
      }
      show({
        fromNs: Math.round(Math.min(from, to) * durationNs),
        toNs: Math.round(Math.max(from, to) * durationNs),
      });
    };
    place.addEventListener("pointermove", move);
    place.addEventListener("pointerup", up);
    place.addEventListener("lostpointercapture", () => {
      box.value = undefined;
      place.removeEventListener("pointermove", move);
      place.removeEventListener("pointerup", up);
    }, { once: true });
  };
  const [from, to] = box.value ?? [shown.fromNs / durationNs, shown.toNs / durationNs];
  return (
    <div
      class="minimap"
      title="Drag to choose a part of the time"
      onPointerDown={drag}
      onDblClick={() => show(undefined)}
    >
      <Drawing draw={draw} height={HEIGHT} label={`All ${spans.length} spans over time`} />
      {(isZoomed || box.value !== undefined) && (
        <span
          class="minimap-window"
          style={{ left: `${Math.min(from, to) * 100}%`, width: `${Math.abs(to - from) * 100}%` }}
        />
      )}
    </div>
  );
}
