/** Icons, drawn in the colour of the text around them. */

import type { JSX } from "preact";

const PATHS = {
  sun:
    "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6M8 1v2M8 13v2M1 8h2M13 8h2M3 3l1.4 1.4M11.6 11.6 13 13M3 13l1.4-1.4M11.6 4.4 13 3",
  moon: "M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5z",
  close: "M4 4l8 8M12 4l-8 8",
  copy: "M6 6h7v8H6zM10 6V3H3v8h3",
  right: "M6 4l4 4-4 4",
  down: "M4 6l4 4 4-4",
  left: "M10 4 6 8l4 4",
  up: "M4 10l4-4 4 4",
  error: "M8 2 15 14H1zM8 7v3M8 12v.5",
  search: "M7 3a4 4 0 1 0 0 8 4 4 0 0 0 0-8M10 10l4 4",
  refresh: "M13 8a5 5 0 1 1-1.5-3.5M13 2v3h-3",
  link: "M7 9l2-2M6 7 4 9a2 2 0 0 0 3 3l2-2M10 9l2-2a2 2 0 0 0-3-3L7 6",
  pause: "M5 3v10M11 3v10",
  play: "M4 3l9 5-9 5z",
  check: "M3 8l4 4 6-8",
  filter: "M2 3h12L9.5 8.5V13l-3-1.5v-3z",
} as const;

/** One of them; it says nothing to who does not see. */
export function Icon({ name }: { readonly name: keyof typeof PATHS }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
