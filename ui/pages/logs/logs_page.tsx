/** The page of logs. */

import type { JSX } from "preact";

/** The page. */
export function LogsPage(): JSX.Element {
  return (
    <main class="page">
      <h1>Logs</h1>
    </main>
  );
}
