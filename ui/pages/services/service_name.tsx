/** How a service is named: by its colour and its name. */

import type { JSX } from "preact";
import type { Slot } from "../../frame/colors.ts";

/** A service's name; resources may give none. */
export function shownName(service: string): string {
  return service === "" ? "(no name)" : service;
}

/** A button that chooses the service. */
export function ServiceName(
  { service, slot, choose }: {
    readonly service: string;
    readonly slot: Slot | undefined;
    readonly choose: () => void;
  },
): JSX.Element {
  return (
    <button type="button" class="quiet service-name" onClick={choose}>
      <span class="swatch" style={{ background: slot?.color ?? "var(--control)" }} />
      <span>{shownName(service)}</span>
    </button>
  );
}
