/** What a picture shows, as a table: for those who read it, and to copy from. */

import type { ComponentChildren, JSX } from "preact";

/** Folded until it is asked for. */
export function AsTable(
  { label, children }: {
    /** What the table is of. */
    readonly label: string;
    /** The table. */
    readonly children: ComponentChildren;
  },
): JSX.Element {
  return (
    <details class="as-table">
      <summary>As a table</summary>
      <div class="as-table-body" tabIndex={0} role="group" aria-label={label}>{children}</div>
    </details>
  );
}
