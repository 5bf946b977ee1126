/** All keys, and which are heard. */

import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { Dialog } from "./dialog.tsx";
import { disabledKeys, keys, useKeys } from "./keys.ts";

/** Whether the help is open. */
export const showsHelp = signal(false);

/** The help, when it is open; listens to its key in any case. */
export function Help(): JSX.Element | null {
  useKeys([{ key: "?", about: "Keys and help", act: () => showsHelp.value = true }]);
  if (!showsHelp.value) return null;
  const close = () => showsHelp.value = false;
  const names = new Map(keys.value.map(({ key, about }) => [key, about]));
  return (
    <Dialog label="Keys" close={close}>
      <h2>Keys</h2>
      <p class="muted">They are not heard while you type. Clear a box to do without a key.</p>
      <ul class="keys">
        {[...names].map(([key, about]) => (
          <li key={key}>
            <label>
              <input
                type="checkbox"
                checked={!disabledKeys.value.includes(key)}
                onChange={({ currentTarget: { checked } }) => {
                  const others = disabledKeys.value.filter((one) => one !== key);
                  disabledKeys.value = checked ? others : [...others, key];
                }}
              />
              <kbd>{key}</kbd> {about}
            </label>
          </li>
        ))}
      </ul>
      <p>
        What the page shows comes from the <a href="/api/openapi.json" target="_blank">HTTP API</a>.
      </p>
      <button type="button" class="primary" onClick={close}>Close</button>
    </Dialog>
  );
}
