/** The page of one trace. */

import type { JSX } from "preact";
import { useMemo, useRef } from "preact/hooks";
import { useAnswer } from "../../frame/answer.ts";
import type { TraceTree } from "../../frame/answers.ts";
import { slotsOf } from "../../frame/colors.ts";
import { Panel } from "../../frame/panel.tsx";
import { refreshes } from "../../frame/range.ts";
import { useArrivals } from "./arrivals.ts";
import { TraceReading } from "./read_trace.ts";
import { TraceLogs } from "./span_logs.tsx";
import { maxLogs, maxSpans } from "./trace_extent.ts";
import { TraceHead } from "./trace_head.tsx";
import { useTraceView } from "./trace_view.ts";
import { Waterfall } from "./waterfall.tsx";

/** The page. */
export function TracePage({ traceId }: { readonly traceId: string }): JSX.Element {
  const [spans, logs] = [maxSpans(), maxLogs()];
  const key = `${traceId} ${logs} ${refreshes.value}`;
  const begin = () => new TraceReading(traceId, logs);
  const reading = useRef(begin());
  useMemo(() => reading.current = begin(), [key]);
  const answer = useAnswer(`${key} ${spans}`, (signal) => reading.current.upTo(spans, signal));
  const arrived = useArrivals(answer.data.value, (signal) => begin().upTo(spans, signal));
  const refresh = () => {
    reading.current = begin();
    answer.ask();
  };
  return (
    <main class="page">
      {answer.data.value === undefined && <h1 class="hidden">Trace</h1>}
      <Panel answer={answer} label="Trace" class="grow" advice="It has many spans.">
        {(tree) => <Trace tree={tree} arrived={arrived} refresh={refresh} />}
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
