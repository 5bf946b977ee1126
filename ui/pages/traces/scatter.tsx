/** Traces over time by their duration. A box drawn over some shows only these; a click opens one. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { Slot } from "../../frame/colors.ts";
import { duration, time } from "../../frame/format.ts";
import { go, withParameters } from "../../frame/location.ts";
import { nanosOf } from "../../frame/range.ts";
import { theme } from "../../frame/theme.ts";
import { zoomTo } from "../../frame/zoom.ts";
import { type Dot, dotAt, dotsOf, draw, msOf } from "./scatter_picture.ts";
import { msAt, nsAt, scaleOf, type ScatterScale } from "./scatter_scale.ts";
import type { FoundTraces } from "./trace_pages.ts";

const HEIGHT = 180;
/** A pointer that moves less has clicked. */
const DRAG_PIXELS = 5;

interface Box {
  readonly x: number;
  readonly y: number;
  readonly toX: number;
  readonly toY: number;
}

/** The picture. */
export function Scatter(
  { found, slots, isNewestFirst }: {
    readonly found: FoundTraces;
    /** Whether what was not read yet is older. */
    readonly isNewestFirst: boolean;
    readonly slots: ReadonlyMap<string, Slot>;
  },
): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useSignal(0);
  const box = useSignal<Box | undefined>(undefined);
  const near = useSignal<Dot | undefined>(undefined);
  const { traces, range } = found;
  const scale = scaleOf(
    { width: width.value, height: HEIGHT },
    [msOf(range.since), msOf(range.until)],
    traces.map(({ durationNs }) => Number(durationNs)),
  );
  const dots = dotsOf(traces, scale);
  const lastRead = found.hasMore && isNewestFirst ? found.lastRead : undefined;
  const unreadMs = lastRead === undefined ? undefined : msOf(lastRead);
  useLayoutEffect(() => {
    const element = canvas.current!;
    const measure = () => width.value = element.clientWidth;
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (width.value > 0) draw(canvas.current!, scale, dots, slots, unreadMs);
  }, [found, slots, isNewestFirst, width.value, theme.value]);

  const place = (event: PointerEvent): [number, number] => {
    const { left, top } = canvas.current!.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  };
  return (
    <div class="scatter">
      <canvas
        ref={canvas}
        role="img"
        aria-label={`Start and duration of ${traces.length} traces; the list below tells the same`}
        style={{ height: `${HEIGHT}px`, cursor: near.value ? "pointer" : "crosshair" }}
        onPointerDown={(event) => {
          if (event.button !== 0) return;
          const [x, y] = place(event);
          canvas.current!.setPointerCapture(event.pointerId);
          box.value = { x, y, toX: x, toY: y };
        }}
        onPointerMove={(event) => {
          const [x, y] = place(event);
          if (box.value) box.value = { ...box.value, toX: x, toY: y };
          else near.value = dotAt(dots, x, y);
        }}
        onPointerLeave={() => near.value = undefined}
        onPointerCancel={() => box.value = undefined}
        onPointerUp={() => {
          const drawn = box.value;
          box.value = undefined;
          if (!drawn) return;
          if (isDrag(drawn)) return zoom(scale, drawn);
          const dot = dotAt(dots, drawn.x, drawn.y);
          if (dot) go(withParameters(`/traces/${dot.trace.traceId}`, {}));
        }}
      />
      {box.value && isDrag(box.value) && <Drawn box={box.value} />}
      {near.value && !box.value && <Said dot={near.value} width={width.value} />}
    </div>
  );
}

function isDrag({ x, y, toX, toY }: Box): boolean {
  return Math.abs(toX - x) >= DRAG_PIXELS || Math.abs(toY - y) >= DRAG_PIXELS;
}

/** Shows what is in the box; a side that is hardly longer than a click says nothing. */
function zoom(scale: ScatterScale, { x, y, toX, toY }: Box): void {
  const changes: Record<string, string> = {};
  if (Math.abs(toX - x) >= DRAG_PIXELS) {
    changes.since = nanosOf(Math.floor(msAt(scale, Math.min(x, toX))));
    changes.until = nanosOf(Math.ceil(msAt(scale, Math.max(x, toX))));
  }
  if (Math.abs(toY - y) >= DRAG_PIXELS) {
    changes.min = typed(nsAt(scale, Math.max(y, toY)));
    changes.max = typed(nsAt(scale, Math.min(y, toY)));
  }
  zoomTo(changes, { show: "", selected: "" });
}

/** A duration as one types it, in three digits. */
function typed(ns: number): string {
  const [unit, name] = ([[1e9, "s"], [1e6, "ms"], [1e3, "us"]] as const)
    .find(([least]) => ns >= least) ?? [1, "ns"];
  return `${Number((ns / unit).toPrecision(3))}${name}`;
}

function Drawn({ box: { x, y, toX, toY } }: { readonly box: Box }): JSX.Element {
  return (
    <div
      class="scatter-box"
      style={{
        left: `${Math.min(x, toX)}px`,
        top: `${Math.min(y, toY)}px`,
        width: `${Math.abs(toX - x)}px`,
        height: `${Math.abs(toY - y)}px`,
      }}
    />
  );
}

function Said(
  { dot: { trace, x, y }, width }: { readonly dot: Dot; readonly width: number },
): JSX.Element {
  const side = x > width / 2 ? { right: `${width - x + 12}px` } : { left: `${x + 12}px` };
  return (
    <div class="scatter-said" style={{ ...side, top: `${Math.max(0, y - 20)}px` }}>
      <strong>{trace.rootService}: {trace.rootOperation}</strong>
      <span class="data">
        {duration(Number(trace.durationNs))} · {time(trace.startUnixNano)}
        {trace.errorCount > 0 && <span class="error">· {trace.errorCount} errors</span>}
      </span>
    </div>
  );
}
