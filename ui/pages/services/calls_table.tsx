/** A service graph as text. */

import type { JSX } from "preact";
import { count, duration } from "../../frame/format.ts";
import type { ServiceEdge } from "./neighbourhood.ts";
import { Errors } from "./red_table.tsx";
import { shownName } from "./service_name.tsx";

/** The table. */
export function CallsTable({ edges }: { readonly edges: readonly ServiceEdge[] }): JSX.Element {
  return (
    <div class="table-place calls-table" tabIndex={0} role="group" aria-label="Calls">
      <table class="table">
        <thead>
          <tr>
            <th scope="col">From</th>
            <th scope="col">To</th>
            <th scope="col" class="num">Calls</th>
            <th scope="col" class="num">Errors</th>
            <th scope="col" class="num">p50</th>
            <th scope="col" class="num">p99</th>
          </tr>
        </thead>
        <tbody>
          {edges.map((edge) => (
            <tr key={JSON.stringify([edge.from, edge.to])}>
              <td>{shownName(edge.from)}</td>
              <td>{shownName(edge.to)}</td>
              <td class="num">{count(edge.calls)}</td>
              <td class="num">
                <Errors errors={edge.errors} of={edge.calls} />
              </td>
              <td class="num" title={`${edge.p50Ns} ns`}>{duration(Number(edge.p50Ns))}</td>
              <td class="num" title={`${edge.p99Ns} ns`}>{duration(Number(edge.p99Ns))}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
