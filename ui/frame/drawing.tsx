/** A canvas that is drawn anew when what it shows, its size or the theme changes. */

import type { JSX } from "preact";
import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { theme } from "./theme.ts";

/** Draws on a canvas of so many CSS pixels that is empty. */
export type Draw = (context: CanvasRenderingContext2D, width: number, height: number) => void;

/** The canvas. */
export function Drawing(
  { draw, label, height }: {
    /** Another function draws anew: keep it with `useCallback`. */
    readonly draw: Draw;
    /** What it shows, in words. */
    readonly label: string;
    /** In pixels; it is as wide as there is room. */
    readonly height: number;
  },
): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useSignal(0);
  const chosen = theme.value;
  useLayoutEffect(() => {
    const element = canvas.current!;
    const observer = new ResizeObserver(() => width.value = element.clientWidth);
    observer.observe(element);
    width.value = element.clientWidth;
    return () => observer.disconnect();
  }, []);
  const wide = width.value;
  useLayoutEffect(() => {
    if (wide === 0) return;
    const element = canvas.current!;
    const context = element.getContext("2d")!;
    element.width = Math.round(wide * devicePixelRatio);
    element.height = Math.round(height * devicePixelRatio);
    context.scale(devicePixelRatio, devicePixelRatio);
    draw(context, wide, height);
  }, [draw, wide, height, chosen]);
  return (
    <canvas
      ref={canvas}
      class="drawing"
      role="img"
      aria-label={label}
      style={{ height: `${height}px` }}
    />
  );
}
