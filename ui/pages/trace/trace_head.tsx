/** What is known of a trace as a whole, and what of it is not as it should be. */

import type { ReadonlySignal } from "@preact/signals";
import type { JSX } from "preact";
import type { TraceTree } from "../../frame/answers.ts";
import { Copy } from "../../frame/copy.tsx";
import { count, duration, time, utc } from "../../frame/format.ts";
import { setParameters, withParameters } from "../../frame/location.ts";
import type { Arrivals } from "./arrivals.ts";
import { MAX_LOGS, MAX_SPANS, maxLogs, SPANS } from "./trace_extent.ts";
import type { TraceView } from "./trace_view.ts";

/** The head. */
export function TraceHead(
  { tree, view, services, arrived, refresh }: {
    readonly tree: TraceTree;
    readonly view: TraceView;
    readonly services: number;
    readonly arrived: ReadonlySignal<Arrivals>;
    /** Reads the trace anew. */
    readonly refresh: () => void;
  },
): JSX.Element {
  const { traceId, startUnixNano } = tree;
  const root = view.spans[0]?.span;
  const errors = view.spans.reduce((sum, { isError }) => sum + Number(isError), 0);
  return (
    <header class="trace-title">
      <a class="quiet button" href={withParameters("/traces", {})}>‹ Traces</a>
      <h1>
        {root ? `${root.service || "no service"}: ${root.record.name || "no name"}` : "Trace"}
      </h1>
      {root && (
        <>
          <span class="data" title={utc(startUnixNano)}>{time(startUnixNano)}</span>
          <span title={`${view.durationNs} ns`}>{duration(view.durationNs)}</span>
        </>
      )}
      <Spans tree={tree} />
      <span>{plural(services, "service")}</span>
      <span class={errors > 0 ? "error" : "muted"}>{plural(errors, "error")}</span>
      <Logs tree={tree} />
      <Roots view={view} isPartial={tree.hasMoreSpans} />
      <Clocks view={view} />
      <Copy text={traceId} label="Copy ID" />
      <Arrived arrived={arrived} refresh={refresh} />
    </header>
  );
}

function Spans({ tree }: { readonly tree: TraceTree }): JSX.Element {
  const read = tree.spans.length;
  if (!tree.hasMoreSpans) return <span>{plural(read, "span")}</span>;
  const next = Math.min(MAX_SPANS, read + SPANS);
  return (
    <span class="warn">
      The first {exact(read)} of ≥{exact(read + 1)} spans {read < MAX_SPANS
        ? (
          <button
            type="button"
            onClick={() => setParameters({ spans: String(next) })}
          >
            Load {exact(next - read)} more
          </button>
        )
        : "by time: the page shows no more"}
    </span>
  );
}

function Logs({ tree }: { readonly tree: TraceTree }): JSX.Element | null {
  const read = tree.logs.length;
  if (read === 0 && !tree.hasMoreLogs) return null;
  return (
    <span class={tree.hasMoreLogs ? "warn" : ""}>
      {tree.spans.length > 0 && (
        <button
          type="button"
          class="quiet trace-link"
          onClick={() => setParameters({ panel: "logs", span: "" })}
        >
          {tree.hasMoreLogs
            ? `The first ${exact(read)} of ≥${exact(read + 1)} log records`
            : plural(read, "log record")}
        </button>
      )}
      {tree.hasMoreLogs && maxLogs() < MAX_LOGS && (
        <button
          type="button"
          onClick={() => setParameters({ logs: String(MAX_LOGS) })}
        >
          Load more
        </button>
      )}
    </span>
  );
}

/** Spans whose parents are missing. */
function Roots(
  { view, isPartial }: { readonly view: TraceView; readonly isPartial: boolean },
): JSX.Element | null {
  const orphans = view.spans.reduce((sum, { mark }) => sum + Number(mark === "orphan"), 0);
  if (orphans === 0) return null;
  return (
    <span
      class="warn"
      title={isPartial
        ? "Their parents are not here: they may be among the spans that were not read"
        : "Their parents are not here: they may have been sampled away, be late, or be lost"}
    >
      {plural(orphans, "extra root")}
    </span>
  );
}

/** Clocks that differ, and whether that is evened out. */
function Clocks({ view }: { readonly view: TraceView }): JSX.Element | null {
  const { clocks, isAdjusted } = view;
  if (clocks.size === 0) return null;
  const mostNs = [...clocks.values()].reduce((most, ns) => Math.max(most, Math.abs(ns)), 0);
  const choose = (times: string) => () => setParameters({ times, window: "" }, { replace: true });
  return (
    <span class="trace-clocks" role="group" aria-label="Times">
      <span class="warn" title="Spans that do not fit their parents by their times">
        Clocks differ by up to {duration(mostNs)}
      </span>
      <button type="button" aria-pressed={!isAdjusted} onClick={choose("")}>Raw</button>
      <button type="button" aria-pressed={isAdjusted} onClick={choose("adjusted")}>Adjusted</button>
    </span>
  );
}

/** What has come in the meantime. It is shown when that is wanted: nothing moves under the pointer. */
function Arrived(
  { arrived, refresh }: {
    readonly arrived: ReadonlySignal<Arrivals>;
    readonly refresh: () => void;
  },
): JSX.Element {
  const { spans, logs } = arrived.value;
  return (
    <span role="status">
      {(spans > 0 || logs > 0) && (
        <button type="button" class="primary" onClick={refresh}>
          {[
            ...spans > 0 ? [`${exact(spans)} new ${spans === 1 ? "span" : "spans"}`] : [],
            ...logs > 0 ? [`${exact(logs)} new ${logs === 1 ? "log record" : "log records"}`] : [],
          ].join(", ")}
        </button>
      )}
    </span>
  );
}

function plural(number: number, what: string): string {
  return `${count(number)} ${number === 1 ? what : `${what}s`}`;
}

function exact(number: number): string {
  return number.toLocaleString("en");
}
