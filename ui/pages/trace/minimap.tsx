/** The whole trace in a few pixels; dragging chooses the part that is shown. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useCallback } from "preact/hooks";
import type { Slot } from "../../frame/colors.ts";
import { Drawing } from "../../frame/drawing.tsx";
import type { WaterfallSpan } from "./span_tree.ts";
import type { Stretch } from "./critical_path.ts";

const HEIGHT = 48;
const LANES = 12;

/** The picture. */
export function Minimap(
  { spans, slots, durationNs, shown, show }: {
    readonly spans: readonly WaterfallSpan[];
    readonly slots: ReadonlyMap<string, Slot>;
    readonly durationNs: number;
    readonly shown: Stretch;
    readonly show: (part: Stretch | undefined) => void;
  },
): JSX.Element {
  const box = useSignal<readonly [number, number] | undefined>(undefined);
  const draw = useCallback((context: CanvasRenderingContext2D, width: number) => {
    const style = getComputedStyle(document.documentElement);
    const tall = HEIGHT / LANES;
    // A column of a lane is painted once, however many spans are in it.
    const painted = Array.from({ length: LANES }, () => new Uint8Array(Math.ceil(width) + 1));
    spans.forEach(({ span, startNs, endNs, isError }, at) => {
      const lane = Math.min(LANES - 1, Math.floor(at / spans.length * LANES));
      const from = Math.max(0, Math.floor(startNs / durationNs * width));
      const to = Math.min(
        Math.ceil(width),
        Math.max(from + 1, Math.ceil(endNs / durationNs * width)),
      );
      context.fillStyle = style.getPropertyValue(
        isError ? "--error" : slots.get(span.service)!.name,
      );
      let run = -1;
      for (let x = from; x <= to; x++) {
        const isFree = x < to && (painted[lane]![x] === 0 || (isError && painted[lane]![x] === 1));
        if (isFree) {
          painted[lane]![x] = isError ? 2 : 1;
          if (run < 0) run = x;
        } else if (run >= 0) {
          context.fillRect(run, lane * tall, x - run, tall - 1);
          run = -1;
        }
      }
    });
  }, [spans, slots, durationNs]);
  const drag = (event: PointerEvent) => {
    const place = event.currentTarget as HTMLElement;
    const { left, width } = place.getBoundingClientRect();
    const at = (x: number) => Math.max(0, Math.min(1, (x - left) / width));
    const from = at(event.clientX);
    place.setPointerCapture(event.pointerId);
    const move = (moved: PointerEvent) => box.value = [from, at(moved.clientX)];
    const up = (ended: PointerEvent) => {
      const to = at(ended.clientX);
      box.value = undefined;
      if (Math.abs(to - from) * width < 4) return;
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
    <div class="minimap" onPointerDown={drag} onDblClick={() => show(undefined)}>
      <Drawing draw={draw} height={HEIGHT} label={`All ${spans.length} spans over time`} />
      <span
        class="minimap-window"
        style={{ left: `${Math.min(from, to) * 100}%`, width: `${Math.abs(to - from) * 100}%` }}
      />
    </div>
  );
}
