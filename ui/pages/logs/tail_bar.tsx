/** What the live tail does, and what can be done with it. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { count } from "../../frame/format.ts";
import { Icon } from "../../frame/icons.tsx";
import type { Tail } from "./log_tail.ts";

/** How often changes are told to who does not see. */
const TELL_MS = 5_000;

/** The bar. */
export function TailBar(
  { tail, resume }: {
    readonly tail: Tail;
    /** Shows the latest again. */
    readonly resume: () => void;
  },
): JSX.Element {
  const paused = tail.paused.value;
  const dropped = tail.dropped.value;
  return (
    <div class="tail-bar">
      <Connection tail={tail} />
      <span class="data">{count(tail.rate.value)} rows/s</span>
      <span class="data muted">{tail.received.value.toLocaleString("en")} received</span>
      <span
        class={dropped > 0 || tail.dropsUncounted.value ? "data warn" : "data muted"}
        title="Came too fast to be shown; all of them are stored"
      >
        {dropped.toLocaleString("en")}
        {tail.dropsUncounted.value && " and more"} dropped
      </span>
      <span class="grow" />
      {paused
        ? (
          <button type="button" class="primary" onClick={resume}>
            <Icon name="play" />Paused · {tail.pending.value.toLocaleString("en")} new · Resume
          </button>
        )
        : (
          <button type="button" onClick={() => tail.pause()}>
            <Icon name="pause" />Pause
          </button>
        )}
      <button type="button" onClick={() => tail.clear()}>Clear</button>
      <Announcement tail={tail} />
    </div>
  );
}

function Connection({ tail }: { readonly tail: Tail }): JSX.Element {
  const nowMs = useSignal(Date.now());
  const retryAtMs = tail.retryAtMs.value;
  useEffect(() => {
    if (retryAtMs === undefined) return;
    nowMs.value = Date.now();
    const timer = setInterval(() => nowMs.value = Date.now(), 1_000);
    return () => clearInterval(timer);
  }, [retryAtMs]);
  if (tail.connected.value) return <span class="ok live">● Live</span>;
  if (tail.refusal.value?.status === 400) return <span class="error live">○ Not followed</span>;
  if (retryAtMs === undefined) return <span class="muted live">○ Connecting</span>;
  const seconds = Math.max(0, Math.ceil((retryAtMs - nowMs.value) / 1000));
  return <span class="error live">○ Disconnected, next try in {seconds} s</span>;
}

/** Says what has come, now and then. */
function Announcement({ tail }: { readonly tail: Tail }): JSX.Element {
  const text = useSignal("");
  useEffect(() => {
    let before = 0;
    const timer = setInterval(() => {
      const received = tail.received.peek();
      if (received !== before) text.value = `${received - before} new log records`;
      before = received;
    }, TELL_MS);
    return () => clearInterval(timer);
  }, [tail]);
  return <span class="hidden" aria-live="polite">{text}</span>;
}
