/** What is said of spans that are not as they should be. */

import { duration } from "../../frame/format.ts";
import type { WaterfallSpan } from "./span_tree.ts";

/** Why a span is a root though it names a parent. */
export function rootWords({ mark, span }: WaterfallSpan, isPartial: boolean): string {
  if (mark === "circle") return "Its parents go round in a circle, which was cut here.";
  const parent = `Its parent ${span.record.parentSpanId} is not here: `;
  if (isPartial) return `${parent}it may be among the spans that were not read.`;
  return `${parent}it may have been sampled away, be late, or be lost.`;
}

/** The badge of a clock that differs: `clock −250ms`, or `moved +250ms`. */
export function clockText(deltaNs: number, isAdjusted: boolean): string {
  return isAdjusted ? `moved ${signed(deltaNs)}` : `clock ${signed(-deltaNs)}`;
}

/** The same at length. */
export function clockWords(deltaNs: number, isAdjusted: boolean): string {
  if (isAdjusted) {
    return `Moved by ${
      signed(deltaNs)
    } with all below it of the same machine, so that it fits its parent.`;
  }
  const way = deltaNs > 0 ? "behind" : "ahead of";
  return `By its times it does not fit its parent: this clock seems to be ${
    duration(Math.abs(deltaNs))
  } ${way} that of its parent.`;
}

/** A duration with its sign. */
export function signed(ns: number): string {
  return ns > 0 ? `+${duration(ns)}` : duration(ns);
}
