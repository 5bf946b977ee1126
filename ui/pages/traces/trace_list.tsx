/** The traces as rows, of which each is a link. */

import type { JSX } from "preact";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import type { TraceSummary } from "../../frame/answers.ts";
import type { Slot } from "../../frame/colors.ts";
import { count, duration, time, utc } from "../../frame/format.ts";
import { Icon } from "../../frame/icons.tsx";
import { go, parameter, setParameters, withParameters } from "../../frame/location.ts";
import { useRowKeys } from "../../frame/row_keys.ts";
import { Rows } from "../../frame/rows.tsx";
import { columnStyle, TraceHeads } from "./trace_columns.tsx";

const ROW_HEIGHT = 28;

/** The list. */
export function TraceList(
  { traces, slots }: {
    readonly traces: readonly TraceSummary[];
    readonly slots: ReadonlyMap<string, Slot>;
  },
): JSX.Element {
  const selected = parameter("selected");
  const at = traces.findIndex(({ traceId }) => traceId === selected);
  const moved = useRef(false);
  const move = (index: number) => {
    moved.current = true;
    setParameters({ selected: traces[index]!.traceId }, { replace: true });
  };
  useRowKeys({
    count: traces.length,
    at,
    move,
    open: (index) => go(addressOf(traces[index]!)),
  });
  useLayoutEffect(() => {
    if (!moved.current) return;
    moved.current = false;
    document.querySelector<HTMLElement>(".trace-list [aria-current]")
      ?.focus({ preventScroll: true });
  }, [at]);
  // There may be more of them than a function takes arguments.
  const longestNs = useMemo(
    () => traces.reduce((longest, { durationNs }) => Math.max(longest, Number(durationNs)), 1),
    [traces],
  );
  return (
    <Rows
      class="trace-list"
      label="Traces"
      count={traces.length}
      height={ROW_HEIGHT}
      active={at}
      rowKey={(index) => traces[index]!.traceId}
      head={<TraceHeads />}
      row={(index) => (
        <Row
          trace={traces[index]!}
          isSelected={index === at}
          longestNs={longestNs}
          slots={slots}
        />
      )}
    />
  );
}

function Row(
  { trace, isSelected, longestNs, slots }: {
    readonly trace: TraceSummary;
    readonly isSelected: boolean;
    readonly longestNs: number;
    readonly slots: ReadonlyMap<string, Slot>;
  },
): JSX.Element {
  const { rootService, rootOperation, startUnixNano, spanCount, errorCount } = trace;
  const durationNs = Number(trace.durationNs);
  const written = time(startUnixNano);
  return (
    <div role="listitem">
      <a
        class={errorCount > 0 ? "trace-row has-errors" : "trace-row"}
        style={columnStyle()}
        href={addressOf(trace)}
        aria-current={isSelected ? "true" : undefined}
      >
        <span class="data" title={utc(startUnixNano)}>
          <span class="wide-only">{written.slice(0, 11)}</span>
          {written.slice(11)}
        </span>
        <span class="trace-name">
          {errorCount > 0 && <Icon name="error" />}
          <strong>{rootService || "no service"}</strong>: {rootOperation || "no name"}
        </span>
        <span class="trace-duration" title={`${durationNs.toLocaleString("en")} ns`}>
          <span class="num">{duration(durationNs)}</span>
          <span class="trace-bar">
            <span
              style={{
                width: `${durationNs / longestNs * 100}%`,
                background: slots.get(rootService)?.color ?? "",
              }}
            />
          </span>
        </span>
        <span class="num">{count(spanCount)}</span>
        <span class={errorCount > 0 ? "num error" : "num muted"}>
          {count(errorCount)}
          <span class="hidden">errors</span>
        </span>
        <span class="trace-services" title={servicesText(trace)}>
          {trace.services.map(({ service }) => (
            <span key={service}>
              <i style={{ background: slots.get(service)?.color ?? "" }} />
              {service || "no service"}
            </span>
          ))}
        </span>
      </a>
    </div>
  );
}

function addressOf({ traceId }: TraceSummary): string {
  return withParameters(`/traces/${traceId}`, {});
}

function servicesText({ services }: TraceSummary): string {
  return services.map(({ service, spanCount, errorCount }) =>
    `${service}: ${spanCount} spans${errorCount > 0 ? `, ${errorCount} errors` : ""}`
  ).join("\n");
}
