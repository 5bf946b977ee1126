/** The page of one trace. */

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { useAnswer } from "../../frame/answer.ts";
import type { TraceTree } from "../../frame/answers.ts";
import { get } from "../../frame/api.ts";
import { slotsOf } from "../../frame/colors.ts";
import { Panel } from "../../frame/panel.tsx";
import { useArrivals } from "./arrivals.ts";
import { TraceLogs } from "./span_logs.tsx";
import { maxLogs, maxSpans } from "./trace_extent.ts";
import { TraceHead } from "./trace_head.tsx";
import { useTraceView } from "./trace_view.ts";
import { Waterfall } from "./waterfall.tsx";

/** The page. */
export function TracePage({ traceId }: { readonly traceId: string }): JSX.Element {
  const extent = { maxSpans: maxSpans(), maxLogs: maxLogs() };
  const load = (signal: AbortSignal) => get<TraceTree>(`/api/traces/${traceId}`, extent, signal);
  const answer = useAnswer(`${traceId} ${extent.maxSpans} ${extent.maxLogs}`, load);
  const arrived = useArrivals(answer.data.value, load);
  return (
    <main class="page">
      <Panel answer={answer} label="Trace" class="grow" advice="It has many spans.">
        {(tree) => <Trace tree={tree} arrived={arrived} refresh={() => answer.ask()} />}
      </Panel>
    </main>
  );
}

function Trace(
  { tree, arrived, refresh }: {
    readonly tree: TraceTree;
    readonly arrived: ReturnType<typeof useArrivals>;
    readonly refresh: () => void;
  },
): JSX.Element {
  const view = useTraceView(tree);
  const slots = useMemo(() => slotsOf(tree.spans.map(({ service }) => service)), [tree]);
  return (
    <>
      <TraceHead
        tree={tree}
        view={view}
        services={slots.size}
        arrived={arrived}
        refresh={refresh}
      />
      {tree.spans.length > 0 ? <Waterfall tree={tree} view={view} slots={slots} /> : (
        <>
          <p class="notice">No span of this trace is stored, only log records.</p>
          <TraceLogs logs={tree.logs} hasMore={tree.hasMoreLogs} />
        </>
      )}
    </>
  );
}
