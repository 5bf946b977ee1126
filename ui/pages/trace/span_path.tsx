/** The spans above the chosen one, from the root on; each can be gone to. */

import type { JSX } from "preact";
import { count } from "../../frame/format.ts";
import { parameter } from "../../frame/location.ts";
import { ancestors } from "./span_tree.ts";
import type { TraceActions } from "./trace_actions.ts";
import type { TraceView } from "./trace_view.ts";

/** So many of a long path are there: the first, and the last ones. */
const MAX_STEPS = 8;

/** The path, and what is shown of the trace when that is not all. */
export function SpanPath(
  { view, actions, at }: {
    readonly view: TraceView;
    readonly actions: TraceActions;
    /** Where one is. */
    readonly at: number;
  },
): JSX.Element | null {
  const { spans, focus, isZoomed, visible, within } = view;
  const chosen = spans[at];
  const above = chosen === undefined ? [] : ancestors(spans, at);
  const wanted = parameter("span");
  const left = Math.max(0, above.length - MAX_STEPS);
  const name = (of: number) => spans[of]!.span.record.name || "no name";
  const hidden = view.isOnly ? within.to - within.from - visible.length : 0;
  return (
    <div class="trace-path">
      {chosen === undefined && (
        <span class="muted">
          {wanted === ""
            ? "Choose a span to see what is above it."
            : `Span ${wanted} is not among those that were read.`}
        </span>
      )}
      {chosen && (
        <nav aria-label="Spans above">
          {above.map((up, index) =>
            index > 0 && index <= left
              ? index === 1 && <span key="left" class="muted">… {count(left)} more ›</span>
              : (
                <button
                  key={up}
                  type="button"
                  class="quiet"
                  title={spans[up]!.span.service}
                  onClick={() => actions.select(up)}
                >
                  {name(up)} ›
                </button>
              )
          )}
          <span aria-current="true">{name(at)}</span>
        </nav>
      )}
      <span class="grow" />
      {hidden > 0 && <span class="muted">{count(hidden)} other spans hidden</span>}
      {focus >= 0
        ? (
          <button type="button" onClick={actions.reset}>
            Only {name(focus)} and below · Show the whole trace
          </button>
        )
        : isZoomed && <button type="button" onClick={actions.reset}>Show all of the time</button>}
      {chosen && chosen.below > 0 && focus !== at && (
        <button
          type="button"
          class="quiet"
          onClick={() => actions.focus(at)}
        >
          Focus on it
        </button>
      )}
      <button
        type="button"
        class="quiet"
        aria-label="Zoom out"
        onClick={() => actions.zoom(0.5)}
        disabled={!isZoomed}
      >
        −
      </button>
      <button
        type="button"
        class="quiet"
        aria-label="Zoom in"
        onClick={() => actions.zoom(2)}
      >
        +
      </button>
    </div>
  );
}
