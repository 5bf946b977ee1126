/** Keys: who listens to which. They are not heard while something is typed. */

import { signal } from "@preact/signals";
import { useLayoutEffect } from "preact/hooks";
import { preference } from "./preferences.ts";

/** What a key does. */
export interface Key {
  /** As `KeyboardEvent.key` names it; with `g ` before it for the second of two. */
  readonly key: string;
  readonly about: string;
  readonly act: (event: KeyboardEvent) => void;
}

/** All keys that are heard now; later ones win. */
export const keys = signal<readonly Key[]>([]);

/** Keys that are not to be heard. */
export const disabledKeys = preference<string[]>("disabledKeys", []);

/** Listens to keys as long as the component is there. */
export function useKeys(list: readonly Key[], when: readonly unknown[] = []): void {
  // What can be seen is heard: not only once the browser has painted it.
  useLayoutEffect(() => {
    keys.value = [...keys.peek(), ...list];
    return () => keys.value = keys.peek().filter((key) => !list.includes(key));
  }, when);
}

/** How long the second of two keys may take. */
const PAIR_MS = 1_500;
let paired = "";
let pairedMs = 0;

/** Begins to listen. */
export function listenToKeys(): void {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (isTyping(event.target as Element)) {
      // Who types leaves the field before the keys are heard.
      if (event.key === "Escape") (event.target as HTMLElement).blur();
      return;
    }
    if (event.key === "Enter" && isActivated(event.target as Element)) return;
    if (SCROLLING.has(event.key) && isScrolled(event.target as Element)) return;
    const before = performance.now() - pairedMs < PAIR_MS ? paired : "";
    paired = "";
    const name = before + event.key;
    const found = keys.value.findLast(({ key }) => key === name);
    if (found !== undefined && !disabledKeys.value.includes(found.key)) {
      event.preventDefault();
      found.act(event);
    } else if (keys.value.some(({ key }) => key.startsWith(`${event.key} `))) {
      paired = `${event.key} `;
      pairedMs = performance.now();
    }
  });
}

/** Keys that scroll. */
const SCROLLING = new Set(["ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End"]);

/** Whether it is read by scrolling. */
function isScrolled(element: Element): boolean {
  return Boolean(element.closest?.(".details-body"));
}

function isTyping(element: Element): boolean {
  return element.matches?.("input:not([type=checkbox]), textarea, select, [contenteditable]") ??
    false;
}

/** Whether it does something by itself when Enter is pressed. */
function isActivated(element: Element): boolean {
  return element.matches?.("a, button, summary") ?? false;
}
