/** A table: its head stays in sight, rows are sorted by each column, and columns can be made wider. */

import type { ComponentChildren, JSX } from "preact";
import { useRef } from "preact/hooks";
import { ColumnHead } from "./column_head.tsx";
import { widthsOf } from "./column_widths.ts";
import { count } from "./format.ts";
import { parameter, setParameters } from "./location.ts";
import { asBefore, clicked, inOrder, orderOf, type SortedBy } from "./order.ts";

const MOST = 200;
/** The parameter of the address that says whether all rows are shown. */
const ROWS = "rows";

/** A column. */
export interface Column<R> {
  /** Names it in the address. */
  readonly name: string;
  /** What stands above it. */
  readonly head: ComponentChildren;
  readonly cell: (row: R) => ComponentChildren;
  /** What rows are sorted by; without it they cannot be. */
  readonly by?: (row: R) => SortedBy;
  /** Whether it is one of numbers. */
  readonly isNumber?: boolean;
  /** What is said of a cell on hover. */
  readonly title?: (row: R) => string | undefined;
  /** The class of its cells. */
  readonly class?: string | ((row: R) => string);
}

/** Properties of {@linkcode Table}. */
export interface TableProps<R> {
  /** Names it in what is kept of its widths. */
  readonly name: string;
  /** What it shows, for who does not see. */
  readonly label: string;
  /** The first names the row. */
  readonly columns: readonly Column<R>[];
  readonly rows: readonly R[];
  readonly rowKey: (row: R) => string;
  /** The parameter of the address that says the order: `p99`, `-p99`. */
  readonly order: string;
  /** The order when the address says none. @default as the rows come */
  readonly usual?: string;
  /** While it is the same, rows keep their places. */
  readonly view?: string;
  /** The key of the row that is chosen. */
  readonly selected?: string;
  /** Rows that are shown unless the address says all: each is an element of the page. @default {200} */
  readonly most?: number;
  readonly class?: string;
}

/** The table. */
export function Table<R>(props: TableProps<R>): JSX.Element {
  const { name, label, columns, rowKey, usual = "", selected, most = MOST } = props;
  const order = orderOf(parameter(props.order) || usual);
  const all = useOrder(props);
  const isAll = parameter(ROWS) === "all";
  const rows = isAll ? all : all.slice(0, most);
  const widths = widthsOf(name);
  const setOrder = (text: string) => setParameters({ [props.order]: text === usual ? "" : text });
  const table = (
    <div class={`table-place ${props.class ?? ""}`} tabIndex={0} role="group" aria-label={label}>
      <table
        class="table"
        style={widths && {
          tableLayout: "fixed",
          maxWidth: "none",
          width: `${
            columns.reduce((sum, one) => sum + (widths[one.name] ?? 0), 0)
          }px`,
        }}
      >
        <thead>
          <tr>
            {columns.map(({ name: column, head, by, isNumber = false }) => {
              const isNow = by !== undefined && order.column === column;
              const sorted = isNumber === order.isReversed ? "ascending" : "descending";
              return (
                <th
                  key={column}
                  scope="col"
                  class={isNumber ? "num" : ""}
                  data-column={column}
                  style={widths && { width: `${widths[column] ?? 0}px` }}
                  aria-sort={by && (isNow ? sorted : "none")}
                >
                  <ColumnHead
                    table={name}
                    column={column}
                    sorted={isNow ? sorted : undefined}
                    sort={by && (() => setOrder(clicked(order, column)))}
                  >
                    {head}
                  </ColumnHead>
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => {
            const key = rowKey(row);
            return (
              <tr key={key} aria-selected={key === selected ? true : undefined}>
                {columns.map((column, at) => {
                  const own = typeof column.class === "function" ? column.class(row) : column.class;
                  const common = {
                    class: `${column.isNumber ? "num" : ""} ${own ?? ""}`,
                    title: column.title?.(row),
                    children: column.cell(row),
                  };
                  return at === 0
                    ? <th key={column.name} scope="row" {...common} />
                    : <td key={column.name} {...common} />;
                })}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
  if (all.length <= most) return table;
  return (
    <>
      {table}
      <p role="status">
        {count(rows.length)} of {count(all.length)} rows.{" "}
        <button type="button" onClick={() => setParameters({ [ROWS]: isAll ? "" : "all" })}>
          {isAll ? "Show fewer" : "Show all"}
        </button>
      </p>
    </>
  );
}

/** The rows in the order that the address says; a refresh changes no places. */
function useOrder<R>(props: TableProps<R>): readonly R[] {
  const { columns, rows, rowKey, usual = "", view = "" } = props;
  const text = parameter(props.order) || usual;
  const places = useRef({ view: "", keys: [] as string[] });
  const now = `${view} ${text}`;
  const { column, isReversed } = orderOf(text);
  const by = columns.find(({ name }) => name === column)?.by;
  const sorted = by === undefined
    ? rows
    : places.current.view === now
    ? asBefore(rows, rowKey, places.current.keys)
    : inOrder(rows, by, isReversed);
  places.current = { view: now, keys: sorted.map(rowKey) };
  return sorted;
}
