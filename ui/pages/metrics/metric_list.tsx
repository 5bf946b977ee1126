/** The metrics that have points in the range. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { useAnswer } from "../../frame/answer.ts";
import type { MetricPage } from "../../frame/answers.ts";
import { get } from "../../frame/api.ts";
import { useKeys } from "../../frame/keys.ts";
import { go, parameter, setParameters } from "../../frame/location.ts";
import { Panel } from "../../frame/panel.tsx";
import { range, rangeKey, rangeParameters, setRange, widened } from "../../frame/range.ts";
import { useRowKeys } from "../../frame/row_keys.ts";
import { Rows } from "../../frame/rows.tsx";
import { isShown, type ListedMetric, metricAddress } from "./metric_query.ts";
import { MetricSparkline } from "./metric_sparkline.tsx";

const HEIGHT = 44;
const LIMIT = 1_000;

/** The list, with a search by name. */
export function MetricList(): JSX.Element {
  const name = parameter("name");
  const input = useRef<HTMLInputElement>(null);
  const parameters = { name, ...rangeParameters(), limit: LIMIT };
  const answer = useAnswer<MetricPage>(
    `${name} ${rangeKey()}`,
    (signal) => get("/api/metrics", parameters, signal),
  );
  useKeys([{ key: "/", about: "Search", act: () => input.current!.select() }]);
  return (
    <div class="metric-list">
      <input
        ref={input}
        type="search"
        aria-label="A part of the name"
        placeholder="Name"
        value={name}
        onInput={(event) => setParameters({ name: event.currentTarget.value }, { replace: true })}
      />
      <Panel answer={answer} label="Metrics" class="grow">
        {({ metrics, cursor }) =>
          metrics.length === 0 ? <NoMetric /> : (
            <>
              <Items metrics={metrics} />
              {cursor !== undefined && (
                <p class="muted">
                  {metrics.length} of ≥{metrics.length + 1} metrics: search by name for others.
                </p>
              )}
            </>
          )}
      </Panel>
    </div>
  );
}

function Items({ metrics }: { readonly metrics: readonly ListedMetric[] }): JSX.Element {
  const moved = useSignal(-1);
  const at = moved.value >= 0 ? moved.value : metrics.findIndex(isShown);
  useRowKeys({
    count: metrics.length,
    at,
    move: (index) => moved.value = index,
    open: (index) => metrics[index] && go(metricAddress(metrics[index])),
  });
  return (
    <Rows
      label="Metrics"
      count={metrics.length}
      height={HEIGHT}
      rowKey={(index) => index}
      active={at}
      row={(index) => {
        const metric = metrics[index]!;
        const { name, type, unit, series, services, temporality } = metric;
        // Sent in both ways it stands there twice.
        const isTwice = [metrics[index - 1], metrics[index + 1]].some((one) => one?.name === name);
        return (
          <div role="listitem">
            <a
              class="metric-item"
              href={metricAddress(metric)}
              aria-current={isShown(metric) ? "true" : undefined}
              data-active={index === at}
              title={`${name}\n${metric.description}\n${services.join(", ")}`}
            >
              <span class="data">{name}</span>
              <span class="metric-kind">
                <span class="muted grow">
                  {type.replace("_", " ")}
                  {unit !== "" && ` · ${unit}`}
                  {isTwice && temporality && ` · ${temporality.toLowerCase()}`} ·{" "}
                  {series.toLocaleString("en")} series
                </span>
                <MetricSparkline
                  key={`${name} ${type} ${unit} ${temporality}`}
                  metric={metric}
                />
              </span>
            </a>
          </div>
        );
      }}
    />
  );
}

function NoMetric(): JSX.Element {
  const name = parameter("name");
  return (
    <div class="empty">
      <h2>No metrics</h2>
      {name !== "" && (
        <button type="button" onClick={() => setParameters({ name: "" })}>
          Clear “{name}”
        </button>
      )}
      <button type="button" onClick={() => setRange(widened(range.value))}>
        Widen the time range
      </button>
    </div>
  );
}
