/** A metric over time with its exemplars. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { useAnswer } from "../../frame/answer.ts";
import type { FoundExemplars, MetricAnswer } from "../../frame/answers.ts";
import { get } from "../../frame/api.ts";
import { time } from "../../frame/format.ts";
import { parameter, setParameters, withParameters } from "../../frame/location.ts";
import { ErrorNotice, Panel } from "../../frame/panel.tsx";
import { nanosOf, range, rangeKey, setRange, widened } from "../../frame/range.ts";
import { zoomTo } from "../../frame/zoom.ts";
import { ZoomOut } from "../../frame/zoom_out.tsx";
import { Chart, type ChartMark } from "./chart.tsx";
import { linesOf } from "./metric_lines.ts";
import { group, kindParameters, metricParameters, metricPath } from "./metric_query.ts";
import { axisText, kindOf, valueText } from "./metric_value.ts";
import { SeriesTable } from "./series_table.tsx";

const HEIGHT = 240;
const MAX_EXEMPLARS = 200;
/** The functions whose values exemplars can be compared with. */
const OF_VALUES = new Set(["quantile", "avg", "min", "max", "last"]);

/** The chart and its table. */
export function MetricChart(): JSX.Element {
  const path = metricPath();
  const parameters = metricParameters();
  const about = ["type", "unit", "temporality", "function", "filter"].map(parameter);
  const key = [path, ...about, group.value, rangeKey()].join(" ");
  const answer = useAnswer<MetricAnswer>(key, (signal) => get(path, parameters, signal));
  const exemplars = useAnswer<FoundExemplars>(
    [path, ...about, rangeKey()].join(" "),
    (signal) =>
      get("/api/exemplars", {
        ...kindParameters(),
        metric: parameter("metric"),
        limit: MAX_EXEMPLARS,
      }, signal),
  );
  return (
    <>
      <Panel
        answer={answer}
        label="Chart"
        advice="A shorter time range, a filter or fewer groups would make it faster."
      >
        {(data) => <Lines data={data} exemplars={exemplars.data.value} />}
      </Panel>
      {exemplars.error.value && (
        <ErrorNotice
          error={exemplars.error.value}
          retry={() => exemplars.ask()}
        />
      )}
    </>
  );
}

function Lines(
  { data, exemplars }: {
    readonly data: MetricAnswer;
    readonly exemplars: FoundExemplars | undefined;
  },
): JSX.Element {
  const lines = useMemo(() => linesOf(data), [data]);
  const pointed = useSignal<number | undefined>(undefined);
  const values = data.metrics[0];
  const name = values?.function ?? "";
  const { type, unit } = values?.metric ?? { type: "", unit: "" };
  const marks = useMemo(() => marksOf(exemplars, name, unit), [exemplars, name, unit]);
  if (values === undefined || lines.lines.length === 0) return <NoValues />;
  const kind = kindOf(type, unit, name);
  const largest = Math.max(
    ...lines.lines.flatMap(({ values }) => values.map((value) => Math.abs(value ?? 0)))
      .filter(Number.isFinite),
  );
  return (
    <>
      <div class="beside-zoom">
        <p class="muted">
          {name}
          {values.series.length > 1 && !type.endsWith("histogram") &&
            `, ${values.across} across series`}, by {data.stepMs / 1000} s
          {marks.length > 0 && ` · ◆ ${marks.length} exemplars, each opens its trace`}
        </p>
        <ZoomOut />
      </div>
      <Chart
        label={`${name} of ${values.metric.name}; the table below has its values`}
        {...lines}
        marks={marks}
        height={HEIGHT}
        axisText={axisText(largest, kind)}
        isBinary={kind.unit === "By"}
        zoom={(since, until) =>
          zoomTo({ since: nanosOf(since * 1000), until: nanosOf(until * 1000) })}
        point={(index) => pointed.value = index}
      />
      <SeriesTable
        lines={lines}
        pointed={pointed.value}
        text={(value) => valueText(value, kind)}
      />
    </>
  );
}

/** Exemplars that have a trace. */
function marksOf(found: FoundExemplars | undefined, name: string, unit: string): ChartMark[] {
  return (found?.exemplars ?? []).flatMap((exemplar): ChartMark[] => {
    if (exemplar.traceId === "" || exemplar.time === "0") return [];
    const value = Number(exemplar.value);
    const text = Number.isNaN(value) ? "" : valueText(value, { unit, isRate: false });
    return [{
      time: Number(BigInt(exemplar.time) / 1_000n) / 1e6,
      value: OF_VALUES.has(name) && !Number.isNaN(value) ? value : undefined,
      href: withParameters(`/traces/${exemplar.traceId}`, { span: exemplar.spanId }),
      about: `Exemplar ${text} of ${time(exemplar.time)}: open trace ${
        exemplar.traceId.slice(0, 8)
      }`,
    }];
  });
}

function NoValues(): JSX.Element {
  const filter = parameter("filter");
  return (
    <div class="empty">
      <h2>No values in this time range</h2>
      {filter !== "" && (
        <>
          <p>
            Asked for: <span class="data">{filter}</span>
          </p>
          <button type="button" onClick={() => setParameters({ filter: "" })}>
            Clear the filter
          </button>
        </>
      )}
      <button type="button" onClick={() => setRange(widened(range.value))}>
        Widen the time range
      </button>
      <ZoomOut />
    </div>
  );
}
