/** The critical path: the spans that a trace was waiting for, moment by moment. */

import type { WaterfallSpan } from "./span_tree.ts";

/** A stretch of it, in nanoseconds from the start of the trace. */
export interface Stretch {
  readonly fromNs: number;
  readonly toNs: number;
}

/**
 * The stretches of each span on the path, by where the span is. It goes back from the end of the
 * longest root: a span waits for the child that ended last before each moment, else for itself.
 */
export function criticalPath(spans: readonly WaterfallSpan[]): Map<number, Stretch[]> {
  const children = new Map<number, number[]>();
  let root = -1;
  spans.forEach(({ span, startNs, endNs }, at) => {
    if (span.parent !== undefined) {
      const siblings = children.get(span.parent);
      if (siblings) siblings.push(at);
      else children.set(span.parent, [at]);
    } else if (root < 0 || endNs - startNs > spans[root]!.endNs - spans[root]!.startNs) root = at;
  });
  const path = new Map<number, Stretch[]>();
  if (root < 0) return path;
  const open = [{ at: root, fromNs: spans[root]!.startNs, toNs: spans[root]!.endNs }];
  while (open.length > 0) {
    const { at, fromNs, toNs } = open.pop()!;
    const own: Stretch[] = [];
    let untilNs = toNs;
    const ended = (children.get(at) ?? []).map((child) => ({
      at: child,
      fromNs: Math.max(fromNs, spans[child]!.startNs),
      toNs: Math.min(toNs, spans[child]!.endNs),
    })).sort((a, b) => b.toNs - a.toNs || a.fromNs - b.fromNs);
    for (const child of ended) {
      if (child.toNs > untilNs || child.fromNs >= child.toNs) continue;
      if (child.toNs < untilNs) own.push({ fromNs: child.toNs, toNs: untilNs });
      open.push(child);
      untilNs = child.fromNs;
    }
    if (untilNs > fromNs) own.push({ fromNs, toNs: untilNs });
    path.set(at, own.reverse());
  }
  return path;
}
