/** How many traces there are, and the next of them. */

import type { JSX } from "preact";
import { setParameters } from "../../frame/location.ts";
import { ZoomOut } from "../../frame/zoom_out.tsx";
import { PAGE_SIZE, shown } from "./search.ts";
import { isOfAll } from "./trace_columns.tsx";
import type { FoundTraces } from "./trace_pages.ts";

/** The bar; never more than one page is loaded at a time. */
export function ResultBar({ found }: { readonly found: FoundTraces }): JSX.Element {
  const count = found.traces.length;
  const written = (value: number) => value.toLocaleString("en");
  return (
    <div class="trace-results">
      <span role="status">
        {found.hasMore
          ? `${written(count)} of ≥${written(count + 1)} traces`
          : `${written(count)} ${count === 1 ? "trace" : "traces"}`}
      </span>
      {found.hasMore && (
        <button
          type="button"
          onClick={() =>
            setParameters({ show: String(shown.value + PAGE_SIZE) }, { replace: true })}
        >
          Load more
        </button>
      )}
      <ZoomOut />
      {found.hasMore && !isOfAll.value && (
        <span class="muted">The order is one of these, not of all.</span>
      )}
    </div>
  );
}
