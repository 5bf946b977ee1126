/** The columns of the list of traces: what stands above them, and what they are sorted by. */

import { computed } from "@preact/signals";
import type { JSX } from "preact";
import type { TraceSummary } from "../../frame/answers.ts";
import { ColumnHead } from "../../frame/column_head.tsx";
import { widthsOf } from "../../frame/column_widths.ts";
import { clicked, inOrder, orderOf, type SortedBy } from "../../frame/order.ts";
import { setSort, sort } from "./search.ts";

const TABLE = "traces";

interface TraceColumn {
  /** As the address names the order by it. */
  readonly name: string;
  readonly head: string;
  readonly by: (trace: TraceSummary) => SortedBy;
  readonly isNumber?: boolean;
}

const COLUMNS: readonly TraceColumn[] = [
  { name: "newest", head: "Time", by: ({ startUnixNano }) => BigInt(startUnixNano) },
  {
    name: "root",
    head: "Service: root",
    by: ({ rootService, rootOperation }) => `${rootService}: ${rootOperation}`,
  },
  { name: "slowest", head: "Duration", by: ({ durationNs }) => Number(durationNs) },
  { name: "spans", head: "Spans", by: ({ spanCount }) => spanCount, isNumber: true },
  { name: "errors", head: "Errors", by: ({ errorCount }) => errorCount, isNumber: true },
  { name: "services", head: "Services", by: ({ services }) => services.length },
];

/** Whether the order is one of all traces, not only of those that were loaded. */
export const isOfAll = computed(() => sort.value === "newest" || sort.value === "slowest");

/** Traces in the order that the address says; the API has put them in those of all already. */
export function sortedTraces(traces: readonly TraceSummary[]): readonly TraceSummary[] {
  const { column, isReversed } = orderOf(sort.value);
  const by = COLUMNS.find(({ name }) => name === column)?.by;
  return by === undefined || isOfAll.value ? traces : inOrder(traces, by, isReversed);
}

/** What a row needs to have its cells below the heads, where a viewer has changed their widths. */
export function columnStyle(): Record<string, string> | undefined {
  const widths = widthsOf(TABLE);
  if (widths === undefined) return undefined;
  const columns = COLUMNS.map(({ name }) => `${widths[name] ?? 0}px`).join(" ");
  return { "--trace-columns": columns };
}

/** The heads. */
export function TraceHeads(): JSX.Element {
  const order = orderOf(sort.value);
  return (
    <div class="trace-row trace-head" style={columnStyle()}>
      {COLUMNS.map(({ name, head, isNumber = false }) => {
        const isNow = order.column === name;
        const isText = name === "root";
        const sorted = isText === order.isReversed ? "descending" : "ascending";
        return (
          <span key={name} data-column={name} class={isNumber ? "num" : ""}>
            <ColumnHead
              table={TABLE}
              column={name}
              sorted={isNow ? sorted : undefined}
              sort={() => setSort(clicked(order, name))}
            >
              {head}
              {isNow && <span class="hidden">, {sorted}</span>}
            </ColumnHead>
          </span>
        );
      })}
    </div>
  );
}
