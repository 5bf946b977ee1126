/** What stands above a column: it sorts by it, and its right edge makes it wider. */

import type { ComponentChildren, JSX } from "preact";
import { resetWidths, setWidth, type Widths } from "./column_widths.ts";
import { Icon } from "./icons.tsx";

/** By how much a key changes a width, in pixels. */
const STEP = 24;

/** What is inside; it has to be in an element with `data-column`, beside those of the other columns. */
export function ColumnHead(
  { table, column, sorted, sort, children }: {
    /** The name of the table, and of the column in it. */
    readonly table: string;
    readonly column: string;
    /** How rows are sorted by it; undefined when they are not. */
    readonly sorted: "ascending" | "descending" | undefined;
    /** Sorts by it; undefined when that cannot be. */
    readonly sort?: (() => void) | undefined;
    readonly children: ComponentChildren;
  },
): JSX.Element {
  const text = (
    <>
      {children}
      {sorted && <Icon name={sorted === "descending" ? "down" : "up"} />}
    </>
  );
  return (
    <>
      {sort === undefined ? <span class="column-text">{text}</span> : (
        <button
          type="button"
          class="quiet"
          title="Sort; Shift and ← or → change the width"
          onClick={sort}
          onKeyDown={(event) => {
            const by = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
            if (by === undefined || !event.shiftKey) return;
            event.preventDefault();
            const now = measured(event.currentTarget);
            setWidth(table, now, column, now[column]! + by);
          }}
        >
          {text}
        </button>
      )}
      <span
        class="column-edge"
        aria-hidden="true"
        title="Drag to change the width; double-click for the usual widths"
        onPointerDown={(event) => drag(event, table, column)}
        onDblClick={() => resetWidths(table)}
        // A drag that ends on a head is no click on it.
        onClick={(event) => event.stopPropagation()}
      />
    </>
  );
}

function drag(event: PointerEvent, table: string, column: string): void {
  if (event.button !== 0) return;
  event.preventDefault();
  const edge = event.currentTarget as HTMLElement;
  edge.setPointerCapture(event.pointerId);
  const now = measured(edge);
  const from = event.clientX;
  const move = (moved: PointerEvent) => {
    // A click is no change.
    if (moved.clientX !== from) setWidth(table, now, column, now[column]! + moved.clientX - from);
  };
  edge.addEventListener("pointermove", move);
  edge.addEventListener("lostpointercapture", () => {
    edge.removeEventListener("pointermove", move);
  }, { once: true });
}

/** How wide the columns are now. */
function measured(inside: HTMLElement): Widths {
  const heads = inside.closest("[data-column]")!.parentElement!.children;
  return Object.fromEntries(
    Array.from(heads, (head) => [
      (head as HTMLElement).dataset.column!,
      Math.round(head.getBoundingClientRect().width),
    ]),
  );
}
