/** The page of traces. */

import type { JSX } from "preact";

/** The page. */
export function TracesPage(): JSX.Element {
  return (
    <main class="page">
      <h1>Traces</h1>
    </main>
  );
}
