/** Log records as they arrive; scrolling away from the newest, or opening one, pauses. */

import { type Signal, useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { useKeys } from "../../frame/keys.ts";
import { parameter, setParameters } from "../../frame/location.ts";
import { ErrorNotice } from "../../frame/panel.tsx";
import { LogDetails } from "./log_details.tsx";
import { logKey, logQuery, logQueryKey } from "./log_query.ts";
import { logOf, type LogRow, LogRows } from "./log_rows.tsx";
import { Tail } from "./log_tail.ts";
import { useRowKeys } from "../../frame/row_keys.ts";
import { TailBar } from "./tail_bar.tsx";

/** They, newest first. */
export function LiveLogs(
  { isFollowing }: {
    /** Gets whether what arrives is shown. */
    readonly isFollowing: Signal<boolean>;
  },
): JSX.Element {
  const key = logQueryKey.value;
  const tail = useMemo(() => new Tail(logQuery.value), [key]);
  useEffect(() => {
    tail.start();
    return () => tail.stop();
  }, [tail]);
  const isPaused = tail.paused.value;
  useEffect(() => {
    isFollowing.value = !isPaused;
    return () => isFollowing.value = false;
  }, [isPaused]);
  const scroller = useRef<HTMLDivElement>(null);
  const active = useSignal(-1);
  const shown = tail.shown.value;
  const rows = useMemo(
    () => shown.map((row): LogRow => row.kind === "log" ? row.log : row),
    [shown],
  );
  const chosen = parameter("log");
  const open = (index: number) => {
    const log = logOf(rows[index]);
    active.value = index;
    if (log === undefined) return;
    tail.pause();
    setParameters({ log: logKey(log) }, { replace: chosen !== "" });
  };
  const resume = () => {
    active.value = -1;
    if (scroller.current) scroller.current.scrollTop = 0;
    setParameters({ log: "", context: "" }, { replace: true });
    tail.resume();
  };
  useKeys([{
    key: "p",
    about: "Pause or resume the live tail",
    act: () => tail.paused.peek() ? resume() : tail.pause(),
  }], [tail]);
  useRowKeys({
    count: rows.length,
    at: active.value,
    move: (index) => {
      tail.pause();
      if (chosen === "") active.value = index;
      else open(index);
    },
    open,
  });
  return (
    <>
      <TailBar tail={tail} resume={resume} />
      {tail.refusal.value && <ErrorNotice error={tail.refusal.value} retry={() => tail.retry()} />}
      <div class="columns">
        <div
          class="panel"
          onScrollCapture={() => (scroller.current?.scrollTop ?? 0) > 0 && tail.pause()}
        >
          {rows.length === 0
            ? <p class="empty muted">What arrives from now on is shown here.</p>
            : (
              <LogRows
                label="Log records as they arrive"
                rows={rows}
                rowKey={(index) => shown[index]!.number}
                active={active.value}
                chosen={chosen}
                open={open}
                scroller={scroller}
              />
            )}
        </div>
        {chosen !== "" && (
          <LogDetails
            chosen={chosen}
            known={rows.map(logOf).find((log) => log !== undefined && logKey(log) === chosen)}
            close={() => setParameters({ log: "", context: "" }, { replace: true })}
          />
        )}
      </div>
    </>
  );
}
