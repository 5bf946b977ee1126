/** The page of metrics. */

import type { JSX } from "preact";

/** The page. */
export function MetricsPage(): JSX.Element {
  return (
    <main class="page">
      <h1>Metrics</h1>
    </main>
  );
}
