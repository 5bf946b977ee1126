/** Nothing was found: what was looked for, and how to find more. */

import type { JSX } from "preact";
import { range, rangeName, setRange, widened } from "../../frame/range.ts";
import { ZoomOut } from "../../frame/zoom_out.tsx";
import { clearSearch, isNarrowed, NARROWING, search } from "./search.ts";

const NAMES = {
  service: "Service",
  operation: "Operation",
  query: "Query",
  min: "At least",
  max: "At most",
  errors: "Errors only",
} as const;

/** Says so; `hasMore` when not everything was read. */
export function NoMatch({ hasMore }: { readonly hasMore: boolean }): JSX.Element {
  const wanted = search.value;
  return (
    <div class="empty no-match" role="status">
      <h2>{hasMore ? "No trace matches so far" : "No trace matches"}</h2>
      <ul>
        <li>Time range: {rangeName(range.value)}</li>
        {NARROWING.filter((name) => wanted[name]).map((name) => (
          <li key={name}>
            {NAMES[name]}
            {wanted[name] !== true && (
              <>
                : <code>{wanted[name]}</code>
              </>
            )}
          </li>
        ))}
      </ul>
      <div>
        {!hasMore && <ZoomOut />}
        {isNarrowed.value && <button type="button" onClick={clearSearch}>Clear the search</button>}
        <button type="button" onClick={() => setRange(widened(range.value))}>
          Widen the time range
        </button>
      </div>
    </div>
  );
}
