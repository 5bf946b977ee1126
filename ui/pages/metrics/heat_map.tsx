/** A histogram over time as a heat map; a box drawn over it shows the traces in it. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useCallback } from "preact/hooks";
import { useAnswer } from "../../frame/answer.ts";
import type { MetricAnswer } from "../../frame/answers.ts";
import { get } from "../../frame/api.ts";
import { Brush, type Part } from "../../frame/brush.tsx";
import { Drawing } from "../../frame/drawing.tsx";
import { count, time } from "../../frame/format.ts";
import { go, parameter, withParameters } from "../../frame/location.ts";
import { Panel } from "../../frame/panel.tsx";
import { rangeKey } from "../../frame/range.ts";
import { color } from "../../frame/theme.ts";
import { zoomTo } from "../../frame/zoom.ts";
import { cellsOf, type HeatCells, QUANTILES, ROWS } from "./heat_cells.ts";
import { kindParameters, metricPath, stepMs } from "./metric_query.ts";
import { nsOf, valueText } from "./metric_value.ts";

const HEIGHT = 168;
const COLORS = ["--h0", "--h1", "--h2", "--h3", "--h4", "--h5"];
/** Fewer measurements than this, on average, are none. */
const LEAST = 0.05;

/** The map of the metric that is shown. */
export function HeatMap(): JSX.Element {
  const path = metricPath();
  const parameters = { ...kindParameters(), groupBy: [""], stepMs: stepMs() };
  const about = ["type", "unit", "temporality", "filter"].map(parameter);
  const answer = useAnswer<HeatCells | null>(
    [path, ...about, rangeKey()].join(" "),
    async (signal) => {
      const ask = (more: Parameters) => get<MetricAnswer>(path, { ...parameters, ...more }, signal);
      const [quantiles, counts] = await Promise.all([
        ask({ function: "quantile", quantiles: QUANTILES.map(String) }),
        ask({ function: "count" }),
      ]);
      return cellsOf(quantiles, counts) ?? null;
    },
  );
  return (
    <Panel answer={answer} label="Heat map">
      {(cells) => cells && <Cells cells={cells} unit={parameter("unit")} />}
    </Panel>
  );
}

type Parameters = Readonly<Record<string, string | readonly string[]>>;

function Cells({ cells, unit }: { readonly cells: HeatCells; readonly unit: string }): JSX.Element {
  const pointed = useSignal("");
  const { columns, most, low, high, since, until, stepNs } = cells;
  const kind = { unit, isRate: false };
  const valueAt = (part: number) => low * (high / low) ** part;
  const nanosAt = (part: number) =>
    String(since + BigInt(Math.round(part * Number(until - since))));
  const draw = useCallback(
    (context: CanvasRenderingContext2D, width: number, height: number) => {
      const columnWidth = width * Number(stepNs) / Number(until - since);
      COLORS.forEach((name, level) => {
        context.fillStyle = color(name);
        columns.forEach((column, x) =>
          column?.forEach((count, row) => {
            if (levelOf(count, most) !== level) return;
            const left = Math.round(x * columnWidth);
            const top = Math.round(height * (1 - (row + 1) / ROWS));
            const right = Math.round((x + 1) * columnWidth);
            const bottom = Math.round(height * (1 - row / ROWS));
            context.fillRect(left, top, right - left, bottom - top);
          })
        );
      });
    },
    [cells],
  );
  const point = (x: number | undefined, y: number | undefined) => {
    if (x === undefined || y === undefined) {
      pointed.value = "";
      return;
    }
    const column = Math.min(
      columns.length - 1,
      Math.floor(x * Number(until - since) / Number(stepNs)),
    );
    const row = Math.min(ROWS - 1, Math.floor((1 - y) * ROWS));
    const [from, to] = [row, row + 1].map((at) => valueText(valueAt(at / ROWS), kind));
    const begin = time(String(since + BigInt(column) * stepNs)).slice(11, 19);
    pointed.value = `${begin}, ${from} to ${to}: about ${count(columns[column]?.[row] ?? 0)}`;
  };
  const choose = ({ left, right, top, bottom }: Part) => {
    const range = { since: nanosAt(left), until: nanosAt(right) };
    const ns = nsOf(unit);
    if (ns === undefined) return zoomTo(range);
    const ms = (part: number) => `${Number((valueAt(part) * ns / 1e6).toPrecision(4))}ms`;
    go(withParameters("/traces", { ...range, min: ms(1 - bottom), max: ms(1 - top) }));
  };
  return (
    <div class="heat">
      <h3>How many of which size</h3>
      <div class="heat-body">
        <div class="heat-axis data muted">
          {[1, 0.75, 0.5, 0.25, 0].map((part) => (
            <span key={part}>{valueText(valueAt(part), kind)}</span>
          ))}
        </div>
        <Brush isBox choose={choose} point={point}>
          <Drawing
            draw={draw}
            height={HEIGHT}
            label={`Heat map of sizes from ${valueText(low, kind)} to ${
              valueText(high, kind)
            }, at most ${count(most)} in a cell`}
          />
        </Brush>
      </div>
      <div class="heat-legend muted">
        <span class="data">{pointed.value || " "}</span>
        <span class="grow" />
        {COLORS.map((name, level) => (
          <span key={name} class="heat-step">
            <i style={{ background: `var(${name})` }} />
            {count(leastOf(level, most))}
          </span>
        ))}
      </div>
      <p class="muted">
        Estimated from quantiles.{" "}
        {nsOf(unit) === undefined ? "Drag to zoom." : "Drag a box to see the traces in it."}
      </p>
    </div>
  );
}

/** Which colour a count has: its logarithm counts; -1 for none. */
function levelOf(value: number, most: number): number {
  if (value < LEAST) return -1;
  if (most <= 1) return COLORS.length - 1;
  const level = Math.floor(Math.log(Math.max(1, value)) / Math.log(most) * COLORS.length);
  return Math.min(COLORS.length - 1, level);
}

/** The least count of a colour. */
function leastOf(level: number, most: number): number {
  return Math.max(1, most) ** (level / COLORS.length);
}
