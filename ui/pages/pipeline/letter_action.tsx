/** Replays or discards all letters of a group: says how many, asks, and says how it went. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { useAnswer } from "../../frame/answer.ts";
import { ApiError } from "../../frame/api.ts";
import { Dialog } from "../../frame/dialog.tsx";
import { count } from "../../frame/format.ts";
import { ErrorNotice, Panel } from "../../frame/panel.tsx";
import {
  ask,
  keyOf,
  type LetterHead,
  lettersOf,
  type Likeness,
  recordsIn,
} from "./letter_groups.ts";

/** What is done. */
export type Action = "replay" | "discard";

const AND = new Intl.ListFormat("en");

/** What has to be typed. */
const WORD = "discard";

/** How far it is. */
interface Progress {
  readonly done: number;
  /** Letters that their destination refused again. */
  readonly refused: number;
  /** What it said to the last of them. */
  readonly reason: string;
  readonly isEnded: boolean;
  /** Why it ended early. */
  readonly error?: ApiError;
}

/** The dialog. */
export function LetterAction(
  { group, action, close, changed }: {
    readonly group: Likeness;
    readonly action: Action;
    readonly close: () => void;
    readonly changed: () => void;
  },
): JSX.Element {
  const letters = useAnswer(keyOf(group), (signal) => lettersOf(group, signal));
  const progress = useSignal<Progress | undefined>(undefined);
  const typed = useSignal("");
  const ending = useMemo(() => new AbortController(), []);
  useEffect(() => () => ending.abort(new Error("closed")), []);
  const start = async (list: readonly LetterHead[]) => {
    await run(list, action, ending.signal, (now) => progress.value = now);
    changed();
  };
  const title = action === "replay" ? "Replay dead letters" : "Discard dead letters";
  return (
    <Dialog label={title} close={close}>
      <h2>{title}</h2>
      <Panel answer={letters} label={title}>
        {(list) => {
          const now = progress.value;
          const what = `${count(list.length)} ${list.length === 1 ? "letter" : "letters"} with ${
            AND.format(recordsIn(list))
          }`;
          if (now !== undefined) {
            return <Told action={action} of={list.length} progress={now} close={close} />;
          }
          return (
            <form
              class="action"
              onSubmit={(event) => {
                event.preventDefault();
                if (action === "discard" && typed.value !== WORD) return;
                start(list);
              }}
            >
              <p>
                {action === "replay"
                  ? `This gives ${what} to ${group.destination} once more. What it takes is gone from here, what it refuses stays.`
                  : `This removes ${what} for ${group.destination} for good. Nothing brings that back.`}
              </p>
              <p class="muted reason">Reason: {group.reason || "(it said nothing)"}</p>
              {action === "discard" && (
                <label>
                  Type <strong>{WORD}</strong> to confirm{" "}
                  <input
                    autocomplete="off"
                    autofocus
                    value={typed.value}
                    onInput={({ currentTarget: { value } }) => typed.value = value}
                  />
                </label>
              )}
              <div class="actions">
                <button
                  type="submit"
                  class="primary"
                  disabled={list.length === 0 || (action === "discard" && typed.value !== WORD)}
                >
                  {action === "replay" ? "Replay" : "Discard"} {count(list.length)}
                </button>
                <button type="button" onClick={close}>Cancel</button>
              </div>
            </form>
          );
        }}
      </Panel>
    </Dialog>
  );
}

function Told(
  { action, of, progress, close }: {
    readonly action: Action;
    readonly of: number;
    readonly progress: Progress;
    readonly close: () => void;
  },
): JSX.Element {
  const { done, refused, reason, isEnded, error } = progress;
  const word = action === "replay" ? "replayed" : "discarded";
  return (
    <div class="action">
      <progress max={of} value={done} aria-label="How far it is" />
      <p role="status">
        {count(done - refused)} of {count(of)} {word}
        {refused > 0 && `, ${count(refused)} refused again: ${reason}`}.
      </p>
      {error && <ErrorNotice error={error} />}
      <div class="actions">
        <button type="button" class={isEnded ? "primary" : ""} onClick={close}>
          {isEnded ? "Close" : "Stop"}
        </button>
      </div>
    </div>
  );
}

/** One letter after the other; ends at the first that cannot be asked about. */
async function run(
  letters: readonly LetterHead[],
  action: Action,
  signal: AbortSignal,
  tell: (progress: Progress) => void,
): Promise<void> {
  let now: Progress = { done: 0, refused: 0, reason: "", isEnded: false };
  tell(now);
  try {
    for (const { name } of letters) {
      const command = { action: action === "replay" ? "replay" : "drop", name };
      const { outcome, reason = "" } = await (await ask(command, signal)).json();
      const isRefused = outcome === "refused";
      now = {
        ...now,
        done: now.done + 1,
        refused: now.refused + (isRefused ? 1 : 0),
        reason: isRefused ? reason : now.reason,
      };
      tell(now);
    }
    tell({ ...now, isEnded: true });
  } catch (error) {
    const why = error instanceof ApiError ? error : new ApiError(0, String(error));
    if (!signal.aborted) tell({ ...now, isEnded: true, error: why });
  }
}
