/** A histogram over time as a heat map; a box drawn over it shows the traces in it. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useCallback } from "preact/hooks";
import { useAnswer } from "../../frame/answer.ts";
import type { BucketCounts } from "../../frame/answers.ts";
import { get } from "../../frame/api.ts";
import { Brush, type Part } from "../../frame/brush.tsx";
import { Drawing } from "../../frame/drawing.tsx";
import { count, time } from "../../frame/format.ts";
import { go, parameter } from "../../frame/location.ts";
import { Panel } from "../../frame/panel.tsx";
import { rangeKey } from "../../frame/range.ts";
import { color } from "../../frame/theme.ts";
import { zoomTo } from "../../frame/zoom.ts";
import { cellsOf, type HeatCells, type HeatRow } from "./heat_cells.ts";
import { levelOf, levelsOf } from "./heat_levels.ts";
import { sizesText, tracesOf } from "./heat_sizes.ts";
import { HeatTable } from "./heat_table.tsx";
import { kindParameters, stepMs } from "./metric_query.ts";
import { nsOf, valueText } from "./metric_value.ts";

const MIN_HEIGHT = 168;
const MAX_HEIGHT = 336;
const ROW_PIXELS = 4;
/** Sizes that are written beside it, about. */
const LABELS = 6;

/** The map of the metric that is shown. */
export function HeatMap(): JSX.Element {
  const metric = parameter("metric");
  const parameters = { ...kindParameters(), metric, stepMs: stepMs() };
  const about = ["type", "unit", "temporality", "filter"].map(parameter);
  const answer = useAnswer<HeatCells | null>(
    [metric, ...about, rangeKey()].join(" "),
    async (signal) =>
      cellsOf(await get<BucketCounts>("/api/metric-buckets", parameters, signal)) ?? null,
  );
  return (
    <Panel answer={answer} label="Heat map">
      {(cells) => cells && <Cells cells={cells} unit={parameter("unit")} />}
    </Panel>
  );
}

function Cells({ cells, unit }: { readonly cells: HeatCells; readonly unit: string }): JSX.Element {
  const pointed = useSignal("");
  const filter = parameter("filter");
  const { rows, columns, most, since, until, stepNs } = cells;
  const lengthNs = Number(until - since);
  const levels = levelsOf(most);
  const height = Math.max(MIN_HEIGHT, Math.min(MAX_HEIGHT, rows.length * ROW_PIXELS));
  const nanosAt = (part: number) => String(since + BigInt(Math.round(part * lengthNs)));
  const rowAt = (y: number) => Math.max(0, Math.min(rows.length - 1, Math.floor(y * rows.length)));
  const draw = useCallback(
    (context: CanvasRenderingContext2D, width: number, height: number) => {
      const columnWidth = width * Number(stepNs) / lengthNs;
      const top = (row: number) => Math.round(height * (1 - row / rows.length));
      for (const level of levels) {
        context.fillStyle = color(level.color);
        columns.forEach((column, x) => {
          const left = Math.round(x * columnWidth);
          const right = Math.round((x + 1) * columnWidth);
          column?.forEach((count, row) => {
            if (levelOf(count, levels) !== level) return;
            context.fillRect(left, top(row + 1), right - left, top(row) - top(row + 1));
          });
        });
      }
    },
    [cells],
  );
  const point = (x: number | undefined, y: number | undefined) => {
    if (x === undefined || y === undefined) {
      pointed.value = "";
      return;
    }
    const at = Math.min(columns.length - 1, Math.floor(x * lengthNs / Number(stepNs)));
    const row = rowAt(1 - y);
    const column = columns[at];
    const begin = time(String(since + BigInt(at) * stepNs)).slice(11, 19);
    const what = column === undefined ? "nothing known" : column[row]!.toLocaleString("en");
    pointed.value = `${begin}, ${sizesText(rows[row]!, unit)}: ${what}`;
  };
  const choose = ({ left, right, top, bottom }: Part) => {
    const range = { since: nanosAt(left), until: nanosAt(right) };
    // Which part of a bucket is meant makes no difference to what is in it.
    const sizes = { above: rows[rowAt(1 - bottom)]!.above, upTo: rows[rowAt(1 - top)]!.upTo };
    const traces = tracesOf(range, sizes, unit, filter);
    if (traces === undefined) zoomTo(range);
    else go(traces);
  };
  const whole = { since: nanosAt(0), until: nanosAt(1) };
  return (
    <div class="heat">
      <h3>How many of which size</h3>
      <div class="heat-body">
        <Axis rows={rows} unit={unit} />
        <Brush isBox choose={choose} point={point}>
          <Drawing
            draw={draw}
            height={height}
            label={`Heat map of sizes, ${sizesText(rows[0]!, unit)} at the foot, ${
              sizesText(rows.at(-1)!, unit)
            } at the top, at most ${count(most)} in a cell; the table below has its sums`}
          />
        </Brush>
      </div>
      <p class="axis heat-times muted">
        <span>{time(whole.since).slice(0, 19)}</span>
        <span class="data">{pointed}</span>
        <span>{time(whole.until).slice(0, 19)}</span>
      </p>
      <div class="heat-legend muted">
        <span>
          {nsOf(unit) === undefined
            ? "Drag to zoom."
            : `Drag a box to see the traces that took so long${
              filter === "" ? "" : `, of ${filter}`
            }.`}
        </span>
        <span class="grow" />
        <span>Measurements from</span>
        {[{ color: "--bg", least: 0 }, ...levels].map(({ color, least }) => (
          <span key={color} class="heat-step data">
            <i style={{ background: `var(${color})` }} />
            {count(least)}
          </span>
        ))}
      </div>
      <HeatTable rows={rows} unit={unit} traces={(row) => tracesOf(whole, row, unit, filter)} />
    </div>
  );
}

/** Sizes at the edges of some rows. */
function Axis(
  { rows, unit }: { readonly rows: readonly HeatRow[]; readonly unit: string },
): JSX.Element {
  const every = Math.ceil(rows.length / LABELS);
  const edges = [rows[0]!.above, ...rows.map(({ upTo }) => upTo)];
  return (
    <div class="heat-axis data muted" aria-hidden="true">
      {edges.map((edge, at) =>
        at % every === 0 && Number.isFinite(edge) && (
          <span key={at} style={{ bottom: `${at / rows.length * 100}%` }}>
            {valueText(edge, { unit, isRate: false })}
          </span>
        )
      )}
    </div>
  );
}
