/** The address as state: what is shown is what it says. */

import { signal } from "@preact/signals";

/** The address now. */
export const here = signal(new URL(location.href));

addEventListener("popstate", () => here.value = new URL(location.href));

/** How an address is changed: `replace` leaves no step to go back to, for typing and scrolling. */
export interface Change {
  readonly replace?: boolean;
}

/** Goes to a path of the page, with its query. */
export function go(path: string, { replace = false }: Change = {}): void {
  const url = new URL(path, location.href);
  if (url.href === here.peek().href) return;
  if (replace) history.replaceState(null, "", url);
  else history.pushState(null, "", url);
  here.value = url;
}

/** A parameter of the address; empty when it has none. */
export function parameter(name: string): string {
  return here.value.searchParams.get(name) ?? "";
}

/** Changes parameters; an empty one goes. */
export function setParameters(changes: Readonly<Record<string, string>>, how?: Change): void {
  go(withParameters(here.peek().pathname, changes, here.peek().searchParams), how);
}

/** An address with parameters; those that pages share stay when none are given. */
export function withParameters(
  path: string,
  changes: Readonly<Record<string, string>>,
  from: URLSearchParams = shared(),
): string {
  const parameters = new URLSearchParams(from);
  for (const [name, value] of Object.entries(changes)) {
    if (value === "") parameters.delete(name);
    else parameters.set(name, value);
  }
  const text = parameters.toString();
  return text === "" ? path : `${path}?${text}`;
}

/** What stays from page to page: the range. */
function shared(): URLSearchParams {
  const parameters = new URLSearchParams();
  for (const name of ["since", "until"]) {
    const value = here.value.searchParams.get(name);
    if (value !== null) parameters.set(name, value);
  }
  return parameters;
}

/** Follows links within the page without loading it anew. */
export function followLinks(): void {
  addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element).closest?.("a");
    if (!link || link.target !== "" || link.origin !== location.origin) return;
    if (link.hasAttribute("download") || link.pathname.startsWith("/api/")) return;
    event.preventDefault();
    go(link.href);
  });
}
