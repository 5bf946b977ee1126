/** Rate, errors and duration of requests, a row for each service or operation. */

import type { ComponentChildren, JSX } from "preact";
import { useRef } from "preact/hooks";
import type { RequestCounts } from "../../frame/answers.ts";
import { count, duration, number, percent } from "../../frame/format.ts";
import { Icon } from "../../frame/icons.tsx";
import {
  asBefore,
  clicked,
  type Column,
  COLUMNS,
  nameOf,
  orderOf,
  type RequestGroup,
  sorted,
} from "./red_order.ts";
import { Sparkline } from "./sparkline.tsx";

/** Properties of {@linkcode RedTable}. */
export interface RedTableProps {
  readonly counts: RequestCounts;
  /** What stands above the names. */
  readonly title: string;
  /** As {@linkcode orderOf} reads it. */
  readonly order: string;
  readonly setOrder: (order: string) => void;
  /** While it is the same, rows keep their places. */
  readonly view: string;
  /** The row that is chosen. */
  readonly selected?: string;
  /** What stands for the name. */
  readonly name: (group: RequestGroup) => ComponentChildren;
}

/** The table. */
export function RedTable(props: RedTableProps): JSX.Element {
  const { counts, title, selected, name } = props;
  const order = orderOf(props.order);
  const view = `${props.view} ${props.order}`;
  const places = useRef({ view: "", names: [] as string[] });
  const groups = places.current.view === view
    ? asBefore(counts.groups, places.current.names)
    : sorted(counts.groups, order);
  places.current = { view, names: groups.map(nameOf) };
  const max = Math.max(
    1,
    ...counts.groups.flatMap(({ steps = [] }) => steps.map((s) => s.requests)),
  );
  return (
    <div class="table-place" tabIndex={0} role="group" aria-label={`Requests by ${title}`}>
      <table class="table">
        <thead>
          <tr>
            {(Object.keys(COLUMNS) as Column[]).map((column) => {
              const isNow = order.column === column;
              const isDown = (column === "name") === order.isReversed;
              return (
                <th
                  key={column}
                  scope="col"
                  class={column === "name" ? "" : "num"}
                  aria-sort={isNow ? isDown ? "descending" : "ascending" : "none"}
                >
                  <button
                    type="button"
                    class="quiet"
                    onClick={() => props.setOrder(clicked(order, column))}
                  >
                    {column === "name" ? title : HEADS[column]}
                    {isNow && <Icon name={isDown ? "down" : "up"} />}
                  </button>
                </th>
              );
            })}
            {counts.stepMs !== undefined && <th scope="col">Over time</th>}
          </tr>
        </thead>
        <tbody>
          {groups.map((group) => (
            <tr key={nameOf(group)} aria-selected={nameOf(group) === selected ? true : undefined}>
              <th scope="row">{name(group)}</th>
              <td class="num">{count(group.requests)}</td>
              <td class="num">{number(Number(group.rate))}/s</td>
              <td class="num">
                <Errors errors={group.errors} of={group.requests} />
              </td>
              {[group.p50Ns, group.p90Ns, group.p99Ns].map((ns, at) => (
                <td key={at} class="num" title={`${ns} ns`}>{duration(Number(ns))}</td>
              ))}
              {group.steps && (
                <td>
                  <Sparkline steps={group.steps} counts={counts} max={max} />
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const HEADS: Readonly<Record<Exclude<Column, "name">, string>> = {
  requests: "Requests",
  rate: "Rate",
  errors: "Errors",
  p50: "p50",
  p90: "p90",
  p99: "p99",
};

/** A share of errors, and of how many it is. */
export function Errors(
  { errors, of }: { readonly errors: number; readonly of: number },
): JSX.Element {
  return (
    <span class={errors > 0 ? "error" : "muted"} title={`${errors} of ${of}`}>
      {errors > 0 && <Icon name="error" />} {percent(errors, of)}
    </span>
  );
}
