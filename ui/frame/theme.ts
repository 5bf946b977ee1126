/** Light or dark: as the system has it, until one is chosen. */

import { computed, effect, signal } from "@preact/signals";
import { preference } from "./preferences.ts";

/** What was chosen. */
export const chosenTheme = preference<"system" | "light" | "dark">("theme", "system");

const query = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(query.matches);
query.addEventListener("change", () => systemIsDark.value = query.matches);

/** Which one it is. What is drawn on a canvas has to be drawn anew when it changes. */
export const theme = computed<"light" | "dark">(() => {
  if (chosenTheme.value !== "system") return chosenTheme.value;
  return systemIsDark.value ? "dark" : "light";
});

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});

/** Changes to the other one. */
export function toggleTheme(): void {
  chosenTheme.value = theme.peek() === "dark" ? "light" : "dark";
}

/** A colour of the palette, `--accent`, as a canvas takes it. */
export function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
