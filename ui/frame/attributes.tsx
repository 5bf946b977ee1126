/** Attributes as a table: each can be copied and searched for. */

import type { JSX } from "preact";
import type { KeyValue } from "./answers.ts";
import { Copy } from "./copy.tsx";
import { valueText } from "./value.ts";

/** So many letters fit beside a name; what is longer, or has lines of its own, stands below it. */
const LONG = 20;

function isLong(text: string): boolean {
  return text.length > LONG || text.includes("\n");
}

/** The table. */
export function Attributes(
  { title, attributes, dropped = 0, search, matches }: {
    readonly title: string;
    readonly attributes: readonly KeyValue[];
    /** How many were not sent. */
    readonly dropped?: number;
    /** Where more with the same value are. */
    readonly search?: (key: string, text: string) => string;
    /** Whether an attribute is one that was looked for. */
    readonly matches?: ((key: string, text: string) => boolean) | undefined;
  },
): JSX.Element {
  const sorted = attributes.toSorted((a, b) => a.key < b.key ? -1 : 1);
  return (
    <section class="attributes">
      <h3>
        {title} <span class="muted">{attributes.length}</span>
      </h3>
      {sorted.length > 0 && (
        <table>
          <tbody>
            {sorted.map(({ key, value }) => {
              const text = valueText(value);
              return (
                <tr
                  key={key}
                  class={`${matches?.(key, text) ? "match" : ""} ${isLong(text) ? "long" : ""}`}
                >
                  <th scope="row">{key}</th>
                  <td class="data">{text === "" ? <span class="muted">empty</span> : text}</td>
                  <td class="attribute-actions">
                    {search && (
                      <a
                        class="quiet button"
                        href={search(key, text)}
                        aria-label="Find more like this"
                        title="Find more like this"
                      >
                        Find more
                      </a>
                    )}
                    <Copy text={text} label="Copy" />
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      )}
      {dropped > 0 && <p class="muted">{dropped} more were dropped by the sender.</p>}
    </section>
  );
}
