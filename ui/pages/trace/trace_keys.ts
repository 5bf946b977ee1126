/** The keys of the page of a trace. */

import type { RefObject } from "preact";
import { copyText } from "../../frame/copy.tsx";
import { useKeys } from "../../frame/keys.ts";
import { movingKeys } from "../../frame/row_keys.ts";
import type { TraceActions } from "./trace_actions.ts";
import type { TraceView } from "./trace_view.ts";
import { isFolded } from "./span_tree.ts";

/** Listens to them. */
export function useTraceKeys(
  { view, actions, row, box }: {
    readonly view: TraceView;
    readonly actions: TraceActions;
    /** The row that one is at; -1 for none. */
    readonly row: number;
    /** Where what is looked for is typed. */
    readonly box: RefObject<HTMLInputElement | null>;
  },
): void {
  const { spans, visible, folds, found, errors } = view;
  const at = visible[row] ?? -1;
  // One who is at a hidden span goes on from there.
  const from = view.at < 0 ? at : view.at;
  const to = (index: number) => () => actions.toRow(index);
  useKeys([
    ...movingKeys("span", row, visible.length, to),
    { key: "ArrowLeft", about: "Fold, or go to the parent", act: () => actions.left(row) },
    { key: "ArrowRight", about: "Open, or go to the first child", act: () => actions.right(row) },
    {
      key: "Enter",
      about: "Choose the span; fold or open the chosen one",
      act: () => {
        const span = spans[at];
        if (span === undefined) return;
        if (view.at !== at) actions.select(at);
        else if (span.below > 0) actions.fold(at, !isFolded(folds, span));
      },
    },
    { key: "[", about: "Fold all", act: () => actions.foldAll(true) },
    { key: "]", about: "Open all", act: () => actions.foldAll(false) },
    { key: "/", about: "Find", act: () => box.current?.select() },
    { key: "n", about: "Next match", act: () => actions.next(found, 1, from) },
    { key: "N", about: "Match before", act: () => actions.next(found, -1, from) },
    { key: "e", about: "Next error", act: () => actions.next(errors, 1, from) },
    { key: "E", about: "Error before", act: () => actions.next(errors, -1, from) },
    { key: "x", about: "Critical path", act: actions.toggleCritical },
    {
      key: "f",
      about: "This span and what is below it alone; again: all",
      act: () => view.focus >= 0 && view.focus === at ? actions.reset() : actions.focus(at),
    },
    { key: "z", about: "All spans, all of the time", act: actions.reset },
    { key: "+", about: "Zoom in", act: () => actions.zoom(2) },
    { key: "-", about: "Zoom out", act: () => actions.zoom(0.5) },
    {
      key: "c",
      about: "Copy the id",
      act: () => {
        if (spans[at]) void copyText(spans[at].span.record.spanId);
      },
    },
  ], [view, row]);
}
