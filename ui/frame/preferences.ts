/** What a viewer likes, kept in this browser. What is shown is never kept here: it is in the address. */

import { effect, type Signal, signal } from "@preact/signals";

/** A preference; it is kept when it changes. */
export function preference<T>(name: string, otherwise: T): Signal<T> {
  const key = `otel-storage.${name}`;
  const kept = signal(otherwise);
  try {
    const text = localStorage.getItem(key);
    if (text !== null) kept.value = JSON.parse(text);
  } catch {
    // A browser may keep nothing, or something else: then it is as if nothing were kept.
  }
  effect(() => {
    const text = JSON.stringify(kept.value);
    try {
      localStorage.setItem(key, text);
    } catch {
      // The same.
    }
  });
  return kept;
}
