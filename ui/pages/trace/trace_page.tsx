/** The page of one trace. */

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { useAnswer } from "../../frame/answer.ts";
import type { TraceTree } from "../../frame/answers.ts";
import { get } from "../../frame/api.ts";
import { slotsOf } from "../../frame/colors.ts";
import { Copy } from "../../frame/copy.tsx";
import { count, duration, time, utc } from "../../frame/format.ts";
import { withParameters } from "../../frame/location.ts";
import { Panel } from "../../frame/panel.tsx";
import { Waterfall } from "./waterfall.tsx";
import { waterfallOf, type WaterfallSpan } from "./span_tree.ts";

/** The page. */
export function TracePage({ traceId }: { readonly traceId: string }): JSX.Element {
  const answer = useAnswer(
    traceId,
    (signal) => get<TraceTree>(`/api/traces/${traceId}`, {}, signal),
  );
  return (
    <main class="page">
      <Panel answer={answer} label="Trace" class="grow" advice="It has many spans.">
        {(tree) => <Trace tree={tree} />}
      </Panel>
    </main>
  );
}

function Trace({ tree }: { readonly tree: TraceTree }): JSX.Element {
  const spans = useMemo(() => waterfallOf(tree), [tree]);
  const slots = useMemo(() => slotsOf(tree.spans.map(({ service }) => service)), [tree]);
  return (
    <>
      <Head tree={tree} spans={spans} services={slots.size} />
      {spans.length === 0
        ? <p class="notice">No span of it is here, only {count(tree.logs.length)} log records.</p>
        : <Waterfall tree={tree} spans={spans} slots={slots} />}
    </>
  );
}

function Head(
  { tree, spans, services }: {
    readonly tree: TraceTree;
    readonly spans: readonly WaterfallSpan[];
    readonly services: number;
  },
): JSX.Element {
  const { traceId, startUnixNano, durationNs, hasMoreSpans, hasMoreLogs } = tree;
  const root = spans[0]?.span;
  const errors = spans.filter(({ isError }) => isError).length;
  return (
    <header class="trace-title">
      <a class="quiet button" href={withParameters("/traces", {})}>Traces</a>
      <h1>
        {root ? `${root.service || "no service"}: ${root.record.name || "no name"}` : "Trace"}
      </h1>
      <span class="data" title={utc(startUnixNano)}>{time(startUnixNano)}</span>
      <span title={`${durationNs} ns`}>{duration(Number(durationNs))}</span>
      <span>
        {hasMoreSpans
          ? `first ${count(spans.length)} spans of more`
          : `${count(spans.length)} spans`}
      </span>
      <span>{count(services)} {services === 1 ? "service" : "services"}</span>
      <span class={errors > 0 ? "error" : "muted"}>
        {count(errors)} {errors === 1 ? "error" : "errors"}
      </span>
      {hasMoreLogs && <span class="warn">more log records than {count(tree.logs.length)}</span>}
      <Copy text={traceId} label="Copy id" />
    </header>
  );
}
