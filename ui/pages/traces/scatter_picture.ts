/** Draws traces as dots; those with errors have a ring. */

import type { TraceSummary } from "../../frame/answers.ts";
import type { Slot } from "../../frame/colors.ts";
import { clock, day, duration } from "../../frame/format.ts";
import { color } from "../../frame/theme.ts";
import { durationTicks, MARGIN, type ScatterScale, timeTicks, xOf, yOf } from "./scatter_scale.ts";

/** A trace with its place. */
export interface Dot {
  readonly trace: TraceSummary;
  readonly x: number;
  readonly y: number;
}

const RADIUS = 4;
const DAY_MS = 86_400_000;

/** The places of the traces that begin in the picture. */
export function dotsOf(traces: readonly TraceSummary[], scale: ScatterScale): Dot[] {
  return traces.flatMap((trace) => {
    const ms = msOf(trace.startUnixNano);
    if (ms < scale.fromMs || ms > scale.toMs) return [];
    return [{ trace, x: xOf(scale, ms), y: yOf(scale, Number(trace.durationNs)) }];
  });
}

/** Nanoseconds as milliseconds, with their fraction. */
export function msOf(nanos: string): number {
  const exact = BigInt(nanos);
  return Number(exact / 1_000_000n) + Number(exact % 1_000_000n) / 1e6;
}

/** The dot nearest to a place, if it is near. */
export function dotAt(dots: readonly Dot[], x: number, y: number): Dot | undefined {
  let nearest: Dot | undefined;
  let least = (RADIUS * 3) ** 2;
  for (const dot of dots) {
    const distance = (dot.x - x) ** 2 + (dot.y - y) ** 2;
    if (distance <= least) [nearest, least] = [dot, distance];
  }
  return nearest;
}

/** Draws it all; what began before `unreadMs` was not read, and its place says so. */
export function draw(
  canvas: HTMLCanvasElement,
  scale: ScatterScale,
  dots: readonly Dot[],
  slots: ReadonlyMap<string, Slot>,
  unreadMs: number | undefined,
): void {
  const context = canvas.getContext("2d")!;
  const ratio = devicePixelRatio;
  canvas.width = Math.round(scale.width * ratio);
  canvas.height = Math.round(scale.height * ratio);
  context.scale(ratio, ratio);
  if (unreadMs !== undefined) drawUnread(context, scale, unreadMs);
  drawAxes(context, scale);
  context.globalAlpha = dots.length > 300 ? 0.6 : 0.85;
  for (const [service, group] of Map.groupBy(dots, ({ trace }) => trace.rootService)) {
    const slot = slots.get(service);
    context.fillStyle = color(slot?.name ?? "--control");
    context.beginPath();
    for (const { x, y } of group) {
      // What has the colour of another service has another shape.
      if (slot?.repeats) context.rect(x - RADIUS + 0.5, y - RADIUS + 0.5, 7, 7);
      else {
        context.moveTo(x + RADIUS, y);
        context.arc(x, y, RADIUS, 0, 2 * Math.PI);
      }
    }
    context.fill();
  }
  context.globalAlpha = 1;
  context.strokeStyle = color("--error");
  context.lineWidth = 2;
  context.beginPath();
  for (const { trace, x, y } of dots) {
    if (trace.errorCount === 0) continue;
    context.moveTo(x + RADIUS + 2, y);
    context.arc(x, y, RADIUS + 2, 0, 2 * Math.PI);
  }
  context.stroke();
}

function drawUnread(
  context: CanvasRenderingContext2D,
  scale: ScatterScale,
  unreadMs: number,
): void {
  const x = xOf(scale, unreadMs) - RADIUS * 2;
  const width = x - MARGIN.left;
  if (width <= 0) return;
  const bottom = scale.height - MARGIN.bottom;
  context.fillStyle = color("--s1");
  context.fillRect(MARGIN.left, MARGIN.top, width, bottom - MARGIN.top);
  if (width < 80) return;
  context.fillStyle = color("--muted");
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText("not loaded yet", MARGIN.left + width / 2, (MARGIN.top + bottom) / 2 - 8);
}

function drawAxes(context: CanvasRenderingContext2D, scale: ScatterScale): void {
  const right = scale.width - MARGIN.right;
  const bottom = scale.height - MARGIN.bottom;
  context.strokeStyle = color("--line");
  context.fillStyle = color("--muted");
  context.lineWidth = 1;
  context.font = "11px ui-monospace, monospace";
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.beginPath();
  for (const ns of durationTicks(scale)) {
    const y = Math.round(yOf(scale, ns)) + 0.5;
    context.moveTo(MARGIN.left, y);
    context.lineTo(right, y);
    context.fillText(duration(ns).replace(/\.0+(?=\D)/, ""), MARGIN.left - 6, y);
  }
  context.stroke();
  context.textAlign = "center";
  context.textBaseline = "top";
  const isLong = scale.toMs - scale.fromMs > 2 * DAY_MS;
  for (const ms of timeTicks(scale)) {
    const x = xOf(scale, ms);
    if (x < MARGIN.left + 20 || x > right - 20) continue;
    const date = new Date(ms);
    context.fillText(isLong ? day(date).slice(5) : clock(date), x, bottom + 6);
  }
}
