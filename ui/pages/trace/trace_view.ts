/** What the address says of a trace: which spans are shown, in which part of time, which is chosen. */

import { useMemo } from "preact/hooks";
import { parseDuration } from "../../../src/duration.ts";
import type { TraceTree } from "../../frame/answers.ts";
import { parameter } from "../../frame/location.ts";
import { adjusted, clockBadge, clockDeltas } from "./clock_skew.ts";
import { criticalPath, type Stretch } from "./critical_path.ts";
import { findSpans, type Wanted } from "./find.ts";
import {
  extent,
  type Folds,
  type Places,
  readFolds,
  subtree,
  visibleSpans,
  waterfallOf,
  type WaterfallSpan,
  withAncestors,
} from "./span_tree.ts";

/** All that can be seen of a trace. */
export interface TraceView {
  readonly spans: readonly WaterfallSpan[];
  readonly durationNs: number;
  /** By how much clocks differ, as far as that has to be said: by where the spans are. */
  readonly clocks: ReadonlyMap<number, number>;
  readonly isAdjusted: boolean;
  /** The spans that are meant: all, or one with all below it. */
  readonly within: Places;
  /** Where the span is that they are below; -1 for none. */
  readonly focus: number;
  /** The part of time that is shown, and the longest that it can be. */
  readonly shown: Stretch;
  readonly whole: Stretch;
  readonly isZoomed: boolean;
  readonly wanted: Wanted;
  /** What was typed as the shortest duration, and whether it is one. */
  readonly minText: string;
  readonly isMinWrong: boolean;
  /** Whether anything is looked for. */
  readonly isFinding: boolean;
  /** Whether only what was found is shown. */
  readonly isOnly: boolean;
  /** Where the spans are that were found, and those that failed. */
  readonly found: readonly number[];
  readonly foundSet: ReadonlySet<number>;
  readonly errors: readonly number[];
  /** The stretches of the critical path; undefined when it is not shown. */
  readonly path: ReadonlyMap<number, readonly Stretch[]> | undefined;
  readonly folds: Folds;
  /** Where the spans of the rows are. */
  readonly visible: readonly number[];
  /** Where the chosen span is; -1 for none. */
  readonly at: number;
  readonly places: ReadonlyMap<string, number>;
}

/** Reads the address. */
export function useTraceView(tree: TraceTree): TraceView {
  const raw = useMemo(() => waterfallOf(tree), [tree]);
  const deltas = useMemo(() => clockDeltas(raw), [raw]);
  const clocks = useMemo(() => clocksOf(raw, deltas), [raw, deltas]);
  const isAdjusted = parameter("times") === "adjusted" && clocks.size > 0;
  const spans = useMemo(() => isAdjusted ? adjusted(raw, deltas) : raw, [raw, deltas, isAdjusted]);
  const places = useMemo(() => new Map(spans.map(({ key }, at) => [key, at])), [spans]);
  const all = { from: 0, to: spans.length };
  const durationNs = useMemo(
    () => isAdjusted ? extent(spans, all).toNs : Math.max(1, Number(tree.durationNs)),
    [spans],
  );

  const focus = places.get(parameter("focus")) ?? -1;
  const within = useMemo(() => focus < 0 ? all : subtree(spans, focus), [spans, focus]);
  const whole = useMemo(
    () => focus < 0 ? { fromNs: 0, toNs: durationNs } : extent(spans, within),
    [within, durationNs],
  );
  const windowText = parameter("window");
  const shown = useMemo(() => windowOf(windowText, whole), [windowText, whole]);

  const minText = parameter("min");
  const minNs = minText === "" ? 0 : parseDuration(minText.replaceAll(" ", ""));
  const wanted = { text: parameter("find"), kind: parameter("kind"), minNs: Number(minNs ?? 0) };
  const isFinding = wanted.text.trim() !== "" || wanted.kind !== "" || wanted.minNs > 0;
  const found = useMemo(
    () => findSpans(spans, wanted, within),
    [spans, within, wanted.text, wanted.kind, wanted.minNs],
  );
  const foundSet = useMemo(() => new Set(found), [found]);
  const isOnly = isFinding && parameter("only") !== "";
  const kept = useMemo(() => isOnly ? withAncestors(spans, found) : undefined, [found, isOnly]);
  const errors = useMemo(() => {
    const failed: number[] = [];
    for (let at = within.from; at < within.to; at++) if (spans[at]!.isError) failed.push(at);
    return failed;
  }, [spans, within]);

  const isCritical = parameter("critical") !== "";
  const path = useMemo(() => isCritical ? criticalPath(spans) : undefined, [spans, isCritical]);
  const foldText = parameter("fold");
  const folds = useMemo(() => readFolds(foldText), [foldText]);
  const visible = useMemo(
    () => visibleSpans(spans, folds, within, kept),
    [spans, folds, within, kept],
  );
  return {
    spans,
    durationNs,
    clocks,
    isAdjusted,
    within,
    focus,
    shown,
    whole,
    isZoomed: windowText !== "",
    wanted,
    minText,
    isMinWrong: minNs === undefined,
    isFinding,
    isOnly,
    found,
    foundSet,
    errors,
    path,
    folds,
    visible,
    at: places.get(parameter("span")) ?? -1,
    places,
  };
}

function clocksOf(
  spans: readonly WaterfallSpan[],
  deltas: readonly number[],
): Map<number, number> {
  const clocks = new Map<number, number>();
  for (let at = 0; at < spans.length; at++) {
    const deltaNs = clockBadge(spans, deltas, at);
    if (deltaNs !== 0) clocks.set(at, deltaNs);
  }
  return clocks;
}

/** The part of the trace that the address says; all of it when it says none. */
function windowOf(text: string, whole: Stretch): Stretch {
  const [, from, to] = /^(\d+)-(\d+)$/.exec(text) ?? [];
  if (from === undefined) return whole;
  const fromNs = Math.max(whole.fromNs, Number(from));
  const toNs = Math.min(whole.toNs, Number(to));
  return fromNs < toNs ? { fromNs, toNs } : whole;
}
