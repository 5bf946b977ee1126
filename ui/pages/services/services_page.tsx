/** The page of services. */

import type { JSX } from "preact";

/** The page. */
export function ServicesPage(): JSX.Element {
  return (
    <main class="page">
      <h1>Services</h1>
    </main>
  );
}
