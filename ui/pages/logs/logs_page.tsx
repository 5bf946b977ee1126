/** The page of logs: a search over a time range, or what arrives. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useCallback } from "preact/hooks";
import { parameter } from "../../frame/location.ts";
import { FoundLogs } from "./found_logs.tsx";
import { LiveLogs } from "./live_logs.tsx";
import { LogBar } from "./log_bar.tsx";
import { LogHistogram } from "./log_histogram.tsx";

/** The page. */
export function LogsPage(): JSX.Element {
  const total = useSignal<number | undefined>(undefined);
  const told = useCallback((count: number) => total.value = count, []);
  const isFollowing = useSignal(false);
  return (
    <main class="page">
      <h1 class="hidden">Logs</h1>
      <LogBar />
      <LogHistogram told={told} isFollowing={isFollowing.value} />
      {parameter("live") === ""
        ? <FoundLogs total={total.value} />
        : <LiveLogs isFollowing={isFollowing} />}
    </main>
  );
}
