/** A service graph as text. */

import type { JSX } from "preact";
import { count } from "../../frame/format.ts";
import { type Column, Table } from "../../frame/table.tsx";
import { edgeKey, type ServiceEdge } from "./neighbourhood.ts";
import { durationColumn, Errors } from "./red_table.tsx";
import { shownName } from "./service_name.tsx";

const COLUMNS: readonly Column<ServiceEdge>[] = [
  serviceColumn("from", "From", ({ from }) => from),
  serviceColumn("to", "To", ({ to }) => to),
  { name: "kind", head: "Kind", cell: ({ kind }) => kind, by: ({ kind }) => kind },
  {
    name: "calls",
    head: "Calls",
    isNumber: true,
    cell: ({ calls }) => count(calls),
    by: ({ calls }) => calls,
  },
  {
    name: "errors",
    head: "Errors",
    isNumber: true,
    cell: ({ errors, calls }) => <Errors errors={errors} of={calls} />,
    by: ({ errors, calls }) => errors / calls,
  },
  durationColumn("p50", ({ p50Ns }) => p50Ns),
  durationColumn("p99", ({ p99Ns }) => p99Ns),
];

function serviceColumn(
  name: string,
  head: string,
  of: (edge: ServiceEdge) => string,
): Column<ServiceEdge> {
  const text = (edge: ServiceEdge) => shownName(of(edge));
  return { name, head, cell: text, by: text, title: text };
}

/** The table. */
export function CallsTable({ edges }: { readonly edges: readonly ServiceEdge[] }): JSX.Element {
  return (
    <Table
      name="calls"
      label="Calls"
      class="calls-table"
      columns={COLUMNS}
      rows={edges}
      rowKey={edgeKey}
      order="callsBy"
    />
  );
}
