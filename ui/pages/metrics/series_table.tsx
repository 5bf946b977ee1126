/** The chart as text: the values of each line, those under the pointer first. */

import type { JSX } from "preact";
import { time } from "../../frame/format.ts";
import type { MetricLine, MetricLines } from "./metric_lines.ts";

/** The table. */
export function SeriesTable(
  { lines: { lines, times }, pointed, text }: {
    readonly lines: MetricLines;
    /** Which of the times. */
    readonly pointed: number | undefined;
    readonly text: (value: number) => string;
  },
): JSX.Element {
  const at = pointed === undefined ? undefined : times[pointed];
  const show = (value: number | null | undefined) =>
    value === null || value === undefined || Number.isNaN(value) ? "—" : text(value);
  return (
    <div class="series-table" tabIndex={0} role="group" aria-label="Values of the series">
      <table>
        <thead>
          <tr>
            <th scope="col">Series</th>
            <th scope="col" class="num">
              {at === undefined
                ? "At the pointer"
                : time(String(Math.round(at * 1000) * 1_000_000)).slice(11, 19)}
            </th>
            <th scope="col" class="num">Latest</th>
            <th scope="col" class="num">Min</th>
            <th scope="col" class="num">Mean</th>
            <th scope="col" class="num">Max</th>
          </tr>
        </thead>
        <tbody>
          {lines.map((line) => (
            <tr key={line.key}>
              <th scope="row">
                <Sample line={line} />
                {line.label}
              </th>
              <td class="num">{show(pointed === undefined ? null : line.values[pointed])}</td>
              <td class="num">{show(line.last)}</td>
              <td class="num">{show(line.min)}</td>
              <td class="num">{show(line.mean)}</td>
              <td class="num">{show(line.max)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** How the line looks. */
function Sample({ line }: { readonly line: MetricLine }): JSX.Element {
  return (
    <svg class="series-sample" viewBox="0 0 24 8" aria-hidden="true">
      <path
        d="M0 4h24"
        style={{ stroke: `var(${line.color})` }}
        stroke-dasharray={line.dash.join(" ")}
      />
    </svg>
  );
}
