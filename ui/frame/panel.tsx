/** What stands where an answer is awaited: the answer, and what can be said until then. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useEffect } from "preact/hooks";
import type { Answer } from "./answer.ts";
import type { ApiError } from "./api.ts";
import { Copy } from "./copy.tsx";
import { Icon } from "./icons.tsx";

const BAR_MS = 150;
const SLOW_MS = 3_000;
const VERY_SLOW_MS = 10_000;

/** Properties of {@linkcode Panel}. */
export interface PanelProps<T> {
  /** What is shown. */
  readonly answer: Answer<T>;
  /** What it is, for who does not see. */
  readonly label: string;
  /** What could be asked instead when it takes long. */
  readonly advice?: string;
  readonly class?: string;
  /** Shows it. */
  readonly children: (data: T) => ComponentChildren;
}

/** Shows an answer: dimmed while the next is awaited, with what went wrong above it. */
export function Panel<T>(props: PanelProps<T>): JSX.Element {
  const { answer, label, advice } = props;
  const data = answer.data.value;
  const error = answer.error.value;
  const askedMs = answer.askedMs.value;
  const isByItself = answer.isByItself.value;
  const waitedMs = useWaited(askedMs);
  return (
    <section
      class={`panel ${props.class ?? ""}`}
      aria-label={label}
      aria-busy={askedMs !== undefined}
    >
      {waitedMs >= BAR_MS && <div class="progress" />}
      {waitedMs >= SLOW_MS && (
        <p class="notice" role="status">
          Waiting for {(waitedMs / 1000).toFixed(0)} s.{" "}
          <button type="button" onClick={() => answer.cancel()}>Cancel</button>
          {waitedMs >= VERY_SLOW_MS && (
            <span>{advice ?? "A shorter time range or a service would make it faster."}</span>
          )}
        </p>
      )}
      {error !== undefined && (
        <ErrorNotice
          error={error}
          isStale={data !== undefined}
          retry={() => answer.ask()}
        />
      )}
      {data !== undefined && (
        <div class={waitedMs >= BAR_MS && !isByItself ? "panel-body dimmed" : "panel-body"}>
          {props.children(data)}
        </div>
      )}
    </section>
  );
}

/** What went wrong, and what can be done. */
export function ErrorNotice(
  { error, isStale = false, retry }: {
    readonly error: ApiError;
    /** Whether something older is still shown. */
    readonly isStale?: boolean;
    readonly retry?: () => void;
  },
): JSX.Element {
  const text = error.status === 0 ? error.message : `${error.status}: ${error.message}`;
  return (
    <div class="notice error-notice" role="alert">
      <Icon name="error" />
      <span class="grow">
        {text}
        {isStale && <em>What is shown is from before.</em>}
      </span>
      {retry && <button type="button" onClick={retry}>Retry</button>}
      <Copy text={text} label="Copy" />
    </div>
  );
}

/** How long it is since a moment, told a few times a second at most. */
function useWaited(since: number | undefined): number {
  const waited = useSignal(0);
  useEffect(() => {
    waited.value = 0;
    if (since === undefined) return;
    const look = () => waited.value = performance.now() - since;
    const soon = setTimeout(look, BAR_MS);
    const often = setInterval(look, 1_000);
    return () => {
      clearTimeout(soon);
      clearInterval(often);
    };
  }, [since]);
  return since === undefined ? 0 : waited.value;
}
