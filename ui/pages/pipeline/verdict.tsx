/** Whether a ledger balances, in words. */

import type { JSX } from "preact";
import { Icon } from "../../frame/icons.tsx";
import { differenceText, type Signal } from "./balance.ts";

/** Properties of {@linkcode Verdict}. */
export interface VerdictProps {
  /** Whose ledger it is, as the words begin when it does not balance. */
  readonly subject: string;
  /** What is said when it does. */
  readonly good: string;
  readonly differences: readonly { readonly signal: Signal; readonly difference: number }[];
}

/** The words. */
export function Verdict({ subject, good, differences }: VerdictProps): JSX.Element {
  const wrong = differences.filter(({ difference }) => difference !== 0);
  if (wrong.length === 0) {
    return (
      <p class="verdict">
        <span class="ok">
          <Icon name="check" /> Balanced:
        </span>{" "}
        {good}
      </p>
    );
  }
  return (
    <p class="verdict notice error-notice" role="alert">
      <Icon name="error" />
      <span>
        <strong>{subject} does not balance:</strong>{" "}
        {wrong.map(({ signal, difference }) => differenceText(signal, difference)).join(", ")}.
      </span>
    </p>
  );
}
