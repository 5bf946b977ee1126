/** Finds spans, and goes from one to the next. */

import type { JSX, RefObject } from "preact";
import { count } from "../../frame/format.ts";
import { setParameters } from "../../frame/location.ts";
import { KINDS } from "./kinds.ts";
import type { TraceActions } from "./trace_actions.ts";
import type { TraceView } from "./trace_view.ts";

const REPLACE = { replace: true };

/** The bar. */
export function FindBar(
  { view, actions, from, box }: {
    readonly view: TraceView;
    readonly actions: TraceActions;
    /** Where one is. */
    readonly from: number;
    /** Gets where one types. */
    readonly box: RefObject<HTMLInputElement | null>;
  },
): JSX.Element {
  const { found, errors, isFinding, isOnly, at } = view;
  const next = (by: 1 | -1) => actions.next(found, by, from);
  return (
    <div class="trace-tools" role="search">
      <input
        ref={box}
        type="search"
        class="trace-find"
        aria-label="Find in the trace"
        placeholder="Find: text, or key=value"
        value={view.wanted.text}
        onInput={(event) => setParameters({ find: event.currentTarget.value }, REPLACE)}
        onKeyDown={(event) => {
          if (event.key !== "Enter") return;
          event.preventDefault();
          next(event.shiftKey ? -1 : 1);
        }}
      />
      <select
        aria-label="Kind"
        value={view.wanted.kind}
        onChange={(event) => setParameters({ kind: event.currentTarget.value }, REPLACE)}
      >
        <option value="">Any kind</option>
        {KINDS.slice(1).map((kind) => <option key={kind} value={kind}>{kind}</option>)}
      </select>
      <input
        type="text"
        class="trace-min"
        aria-label="Shortest duration"
        aria-invalid={view.isMinWrong}
        placeholder="≥ 10ms"
        title="How long a span was at least: 250us, 10ms, 1.5s"
        value={view.minText}
        onInput={(event) => setParameters({ min: event.currentTarget.value }, REPLACE)}
      />
      <span class={view.isMinWrong ? "num error" : "num"} role="status">
        {view.isMinWrong
          ? "No duration: 250us, 10ms, 1.5s"
          : isFinding && `${found.indexOf(at) + 1}/${found.length}`}
      </span>
      <button type="button" onClick={() => next(-1)} disabled={found.length === 0}>Previous</button>
      <button type="button" onClick={() => next(1)} disabled={found.length === 0}>Next</button>
      <label>
        <input
          type="checkbox"
          checked={isOnly}
          disabled={!isFinding}
          onChange={({ currentTarget: { checked } }) =>
            setParameters({ only: checked ? "1" : "" }, REPLACE)}
        />
        Only matches
      </label>
      <span class="trace-errors">
        <span class={errors.length > 0 ? "num error" : "num muted"}>
          {at >= 0 && errors.includes(at) && `${errors.indexOf(at) + 1}/`}
          {count(errors.length)} {errors.length === 1 ? "error" : "errors"}
        </span>
        <button
          type="button"
          aria-label="Previous error"
          onClick={() => actions.next(errors, -1, from)}
          disabled={errors.length === 0}
        >
          ↑
        </button>
        <button
          type="button"
          aria-label="Next error"
          onClick={() => actions.next(errors, 1, from)}
          disabled={errors.length === 0}
        >
          ↓
        </button>
      </span>
      <label>
        <input
          type="checkbox"
          checked={view.path !== undefined}
          onChange={actions.toggleCritical}
        />
        Critical path
      </label>
    </div>
  );
}
