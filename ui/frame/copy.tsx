/** A button that copies, and says so. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { Icon } from "./icons.tsx";

/** How long it says that it has. */
const SAID_MS = 1_500;

/** Copies a text; `label` says which. */
export function Copy(
  { text, label }: { readonly text: string | (() => string); readonly label: string },
): JSX.Element {
  const done = useSignal("");
  const copy = async () => {
    const copied = await copyText(typeof text === "string" ? text : text());
    done.value = copied ? "Copied" : "Not allowed";
    setTimeout(() => done.value = "", SAID_MS);
  };
  return (
    <button type="button" class="quiet" onClick={copy}>
      <Icon name={done.value === "Copied" ? "check" : "copy"} />
      <span aria-live="polite">{done.value || label}</span>
    </button>
  );
}

/** Copies; pages that did not come over HTTPS or from this machine have to do it by selecting. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
}
