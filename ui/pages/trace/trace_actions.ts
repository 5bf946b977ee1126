/** What can be done with a trace; each changes the address. */

import { setParameters } from "../../frame/location.ts";
import type { Stretch } from "./critical_path.ts";
import { step } from "./find.ts";
import { ancestors, foldsText, isFolded, rowOf, withFolds } from "./span_tree.ts";
import type { TraceView } from "./trace_view.ts";

/** The actions. */
export interface TraceActions {
  /** Chooses a span, and opens what hides it. */
  readonly select: (at: number) => void;
  /** Chooses none. */
  readonly close: () => void;
  /** Chooses the span of a row; of the nearest row when there is none of this number. */
  readonly toRow: (row: number) => void;
  readonly fold: (at: number, folded: boolean) => void;
  readonly foldAll: (folded: boolean) => void;
  /** Folds, or goes to the parent; opens, or goes to the first child. */
  readonly left: (row: number) => void;
  readonly right: (row: number) => void;
  /** Goes to the next of some, or to the one before. */
  readonly next: (among: readonly number[], by: 1 | -1, from: number) => void;
  /** Shows a part of the time; all of it for undefined. */
  readonly show: (part: Stretch | undefined) => void;
  /** Shows a part that is so much shorter, around the chosen span or the middle. */
  readonly zoom: (factor: number) => void;
  /** Shows a span and what is below it alone. */
  readonly focus: (at: number) => void;
  /** Shows all spans and all of the time. */
  readonly reset: () => void;
  readonly toggleCritical: () => void;
}

const REPLACE = { replace: true };

/** The actions on what is shown now. */
export function actionsOn(view: TraceView): TraceActions {
  const { spans, visible, folds, within, at, shown, whole } = view;
  const select = (to: number) => {
    const span = spans[to];
    if (span === undefined) return;
    const opened = withFolds(folds, ancestors(spans, to).map((up) => spans[up]!), false);
    const isOutside = to < within.from || to >= within.to;
    const isHidden = view.isOnly && !visible.includes(to) && !view.foundSet.has(to);
    setParameters({
      span: span.key,
      fold: foldsText(opened),
      ...isOutside && { focus: "", window: "" },
      ...isHidden && { only: "" },
    }, REPLACE);
  };
  const fold = (index: number, folded: boolean) =>
    setParameters({ fold: foldsText(withFolds(folds, [spans[index]!], folded)) }, REPLACE);
  const show = (part: Stretch | undefined) => {
    const isWhole = part === undefined ||
      (part.fromNs <= whole.fromNs && part.toNs >= whole.toNs);
    setParameters({ window: isWhole ? "" : `${part.fromNs}-${part.toNs}` });
  };
  return {
    select,
    close: () => setParameters({ span: "" }, REPLACE),
    toRow(row) {
      select(visible[Math.max(0, Math.min(visible.length - 1, row))] ?? -1);
    },
    fold,
    foldAll: (folded) => setParameters({ fold: folded ? "all" : "" }, REPLACE),
    left(row) {
      const index = visible[row];
      const span = spans[index ?? -1];
      if (index === undefined || span === undefined) return;
      if (span.below > 0 && !isFolded(folds, span)) fold(index, true);
      else if (span.span.parent !== undefined && index !== view.focus) select(span.span.parent);
    },
    right(row) {
      const index = visible[row];
      const span = spans[index ?? -1];
      if (index === undefined || span === undefined || span.below === 0) return;
      if (isFolded(folds, span)) fold(index, false);
      else if ((visible[row + 1] ?? 0) <= index + span.below) select(visible[row + 1] ?? -1);
    },
    next(among, by, from) {
      select(step(among, from < 0 && by < 0 ? spans.length : from, by));
    },
    show,
    zoom(factor) {
      const lengthNs = shown.toNs - shown.fromNs;
      const nextNs = Math.max(2, Math.min(whole.toNs - whole.fromNs, lengthNs / factor));
      const chosen = spans[at];
      const isInSight = chosen !== undefined && chosen.endNs >= shown.fromNs &&
        chosen.startNs <= shown.toNs;
      const middleNs = isInSight
        ? (Math.max(shown.fromNs, chosen.startNs) + Math.min(shown.toNs, chosen.endNs)) / 2
        : (shown.fromNs + shown.toNs) / 2;
      show(around(middleNs, nextNs, whole));
    },
    focus(index) {
      const span = spans[index];
      if (span !== undefined) setParameters({ focus: span.key, window: "" });
    },
    reset: () => setParameters({ focus: "", window: "" }),
    toggleCritical: () => setParameters({ critical: view.path ? "" : "1" }, REPLACE),
  };
}

/** A stretch of a length around a moment, within another one. */
export function around(middleNs: number, lengthNs: number, within: Stretch): Stretch {
  const lastNs = Math.max(within.fromNs, within.toNs - lengthNs);
  const fromNs = Math.round(Math.max(within.fromNs, Math.min(lastNs, middleNs - lengthNs / 2)));
  return { fromNs, toNs: Math.min(within.toNs, fromNs + Math.ceil(lengthNs)) };
}

/** Where one is: the row of the chosen span, or of the last one that was. */
export function rowAt({ visible, at }: TraceView, lastAt: number): number {
  return rowOf(visible, at < 0 ? lastAt : at);
}
