/** The heat map as a table: how many of each size, in the whole range. */

import type { JSX } from "preact";
import { AsTable } from "../../frame/as_table.tsx";
import type { HeatRow } from "./heat_cells.ts";
import { sizesText } from "./heat_sizes.ts";

/** The table, the largest first. */
export function HeatTable(
  { rows, unit, traces }: {
    readonly rows: readonly HeatRow[];
    readonly unit: string;
    /** Where the traces of a size are, if there may be any. */
    readonly traces: (row: HeatRow) => string | undefined;
  },
): JSX.Element {
  return (
    <AsTable label="Measurements by size">
      <table>
        <thead>
          <tr>
            <th scope="col">Size</th>
            <th scope="col" class="num">Measurements</th>
            <th />
          </tr>
        </thead>
        <tbody>
          {rows.toReversed().map((row) => {
            const href = traces(row);
            return row.total > 0 && (
              <tr key={row.upTo}>
                <th scope="row" class="data">{sizesText(row, unit)}</th>
                <td class="num">{row.total.toLocaleString("en")}</td>
                <td>{href && <a href={href}>Traces that took so long</a>}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </AsTable>
  );
}
