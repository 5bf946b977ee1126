/** The page of one trace. */

import type { JSX } from "preact";

/** The page. */
export function TracePage({ traceId }: { readonly traceId: string }): JSX.Element {
  return (
    <main class="page">
      <h1>Trace {traceId}</h1>
    </main>
  );
}
