/** The page of pipeline. */

import type { JSX } from "preact";

/** The page. */
export function PipelinePage(): JSX.Element {
  return (
    <main class="page">
      <h1>Pipeline</h1>
    </main>
  );
}
