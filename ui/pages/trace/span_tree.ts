/** A trace as rows: where spans are in time, which are hidden, what is below them. */

import type { TraceTree, TreeSpan } from "../../frame/answers.ts";

/** A span and what is known of its place. */
export interface WaterfallSpan {
  readonly span: TreeSpan;
  /** Its id; of several with one id the second has `.2` behind it, and so on. */
  readonly key: string;
  /** From the start of the trace, in nanoseconds. */
  readonly startNs: number;
  readonly endNs: number;
  readonly isError: boolean;
  /** Whether it has not said when it began. */
  readonly isUnknown: boolean;
  /** Whether it has not said when it ended. */
  readonly isRunning: boolean;
  /** How many spans are below it; they come right behind it. */
  readonly below: number;
  /** How many of them have failed. */
  readonly errorsBelow: number;
  /** Why it is a root though it names a parent. */
  readonly mark: "orphan" | "circle" | undefined;
  /** By how much it was moved, in nanoseconds: 0 unless times are adjusted. */
  readonly movedNs: number;
}

/** Spans that follow each other: from one up to, without, another. */
export interface Places {
  readonly from: number;
  readonly to: number;
}

/** The spans of a trace, in the order of its tree. */
export function waterfallOf({ spans, startUnixNano }: TraceTree): WaterfallSpan[] {
  const start = BigInt(startUnixNano);
  const ids = new Map<string, number>();
  for (const { record } of spans) ids.set(record.spanId, 0);
  const below = new Array<number>(spans.length).fill(0);
  const errorsBelow = new Array<number>(spans.length).fill(0);
  for (let at = spans.length - 1; at >= 0; at--) {
    const { parent, record } = spans[at]!;
    if (parent === undefined) continue;
    below[parent]! += below[at]! + 1;
    errorsBelow[parent]! += errorsBelow[at]! + (record.status?.code === 2 ? 1 : 0);
  }
  return spans.map((span, at) => {
    const { spanId, parentSpanId, startTimeUnixNano, endTimeUnixNano, status } = span.record;
    const before = ids.get(spanId)! + 1;
    const isKnown = ids.has(parentSpanId);
    ids.set(spanId, before);
    const startNs = startTimeUnixNano === "0" ? 0 : Number(BigInt(startTimeUnixNano) - start);
    const isTimed = startTimeUnixNano !== "0" && endTimeUnixNano !== "0";
    const endNs = isTimed ? Number(BigInt(endTimeUnixNano) - start) : startNs;
    return {
      span,
      key: before === 1 ? spanId : `${spanId}.${before}`,
      startNs,
      endNs: Math.max(startNs, endNs),
      isError: status?.code === 2,
      isUnknown: startTimeUnixNano === "0",
      isRunning: endTimeUnixNano === "0",
      below: below[at]!,
      errorsBelow: errorsBelow[at]!,
      mark: !span.isOrphan ? undefined : isKnown ? "circle" : "orphan",
      movedNs: 0,
    };
  });
}

/** Which spans are folded: those with these keys, or all others. */
export interface Folds {
  readonly all: boolean;
  readonly but: ReadonlySet<string>;
}

/** Folds as the address has them: keys, with `all` before them when they are the open ones. */
export function readFolds(text: string): Folds {
  const keys = text.split(",").filter((key) => key !== "");
  const all = keys[0] === "all";
  return { all, but: new Set(all ? keys.slice(1) : keys) };
}

/** The same as text. */
export function foldsText({ all, but }: Folds): string {
  return [...all ? ["all"] : [], ...but].join(",");
}

/** Whether what is below a span is hidden. */
export function isFolded({ all, but }: Folds, { key, below }: WaterfallSpan): boolean {
  return below > 0 && all !== but.has(key);
}

/** Folds or opens spans. */
export function withFolds(folds: Folds, spans: readonly WaterfallSpan[], fold: boolean): Folds {
  const but = new Set(folds.but);
  for (const { key } of spans) {
    if (folds.all !== fold) but.add(key);
    else but.delete(key);
  }
  return { all: folds.all, but };
}

/** Where a span and all below it are. */
export function subtree(spans: readonly WaterfallSpan[], at: number): Places {
  return { from: at, to: at + 1 + spans[at]!.below };
}

/** Where the spans are that can be seen: those of some places, without what is folded or not kept. */
export function visibleSpans(
  spans: readonly WaterfallSpan[],
  folds: Folds,
  { from, to }: Places = { from: 0, to: spans.length },
  kept?: ReadonlySet<number>,
): number[] {
  const visible: number[] = [];
  for (let at = from; at < to; at++) {
    if (kept === undefined || kept.has(at)) visible.push(at);
    if (isFolded(folds, spans[at]!)) at += spans[at]!.below;
  }
  return visible;
}

/** Spans and all above them: what is left of a tree when only these are wanted. */
export function withAncestors(
  spans: readonly WaterfallSpan[],
  wanted: readonly number[],
): Set<number> {
  const kept = new Set<number>();
  for (const at of wanted) {
    for (let up: number | undefined = at; up !== undefined; up = spans[up]!.span.parent) {
      if (kept.has(up)) break;
      kept.add(up);
    }
  }
  return kept;
}

/** The row of a span; when it is hidden, that of the one before it that is not. -1 for none. */
export function rowOf(visible: readonly number[], at: number): number {
  let low = 0;
  let high = visible.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (visible[middle]! <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Where the spans above one are, the root first. */
export function ancestors(spans: readonly WaterfallSpan[], at: number): number[] {
  const above: number[] = [];
  for (let up = spans[at]?.span.parent; up !== undefined; up = spans[up]!.span.parent) {
    above.push(up);
  }
  return above.reverse();
}

/** When a span and all below it were, in nanoseconds from the start of the trace. */
export function extent(
  spans: readonly WaterfallSpan[],
  { from, to }: Places,
): { readonly fromNs: number; readonly toNs: number } {
  let fromNs = Infinity;
  let toNs = -Infinity;
  for (let at = from; at < to; at++) {
    fromNs = Math.min(fromNs, spans[at]!.startNs);
    toNs = Math.max(toNs, spans[at]!.endNs);
  }
  return { fromNs, toNs: Math.max(toNs, fromNs + 1) };
}
