/** The partitions of the store: their ranges, sizes, and when they go. */

import type { JSX } from "preact";
import type { Answer } from "../../frame/answer.ts";
import type { PartitionList } from "../../frame/answers.ts";
import { bytes, count, time, utc } from "../../frame/format.ts";
import { Panel } from "../../frame/panel.tsx";
import { type Column, Table } from "../../frame/table.tsx";

type Partition = PartitionList["partitions"][number];

/** Rows that are shown unless all are asked for. */
const SHOWN = 30;
const DAY_NS = 86_400_000_000_000n;

/** The partitions. */
export function Partitions(
  { answer, retentionDays }: {
    readonly answer: Answer<PartitionList>;
    /** How long what is stored is kept; undefined when that is not known. */
    readonly retentionDays: number | undefined;
  },
): JSX.Element {
  return (
    <section class="part" aria-label="Partitions">
      <h2>Partitions</h2>
      <Panel answer={answer} label="Partitions of the store">
        {({ partitions, hasMorePartitions }) => {
          const rows = partitions.reduce((sum, { rowsEstimate }) => sum + rowsEstimate, 0);
          const size = partitions.reduce((sum, one) => sum + one.bytes, 0);
          return (
            <>
              <p class="muted">
                {hasMorePartitions ? "≥" : ""}
                {count(partitions.length)} partitions with about {count(rows)} rows in {bytes(size)}
                {retentionDays !== undefined &&
                  `; what is stored is kept for ${retentionDays} days`}.
              </p>
              <PartitionTable partitions={partitions} retentionDays={retentionDays} />
            </>
          );
        }}
      </Panel>
    </section>
  );
}

function PartitionTable(
  { partitions, retentionDays }: {
    readonly partitions: readonly Partition[];
    readonly retentionDays: number | undefined;
  },
): JSX.Element {
  const dropsAt = ({ until }: Partition) =>
    until === undefined || retentionDays === undefined
      ? undefined
      : String(BigInt(until) + BigInt(retentionDays) * DAY_NS);
  const columns: Column<Partition>[] = [
    { name: "signal", head: "Signal", cell: ({ signal }) => signal, by: ({ signal }) => signal },
    timeColumn("since", "From", "any other time", ({ since }) => since),
    timeColumn("until", "To", "", ({ until }) => until),
    {
      name: "rows",
      head: "Rows",
      isNumber: true,
      cell: ({ rowsEstimate }) => `≈${count(rowsEstimate)}`,
      by: ({ rowsEstimate }) => rowsEstimate,
    },
    {
      name: "size",
      head: "Size",
      isNumber: true,
      cell: (partition) => bytes(partition.bytes),
      by: (partition) => partition.bytes,
    },
    { name: "state", head: "State", cell: stateOf, by: stateOf },
    timeColumn("drops", "Drops at", "never", dropsAt),
  ];
  return (
    <Table
      name="partitions"
      label="Partitions, latest first"
      columns={columns}
      rows={partitions}
      rowKey={({ name }) => name}
      order="partitionsBy"
      most={SHOWN}
    />
  );
}

/** A column of times, the latest first. */
function timeColumn(
  name: string,
  head: string,
  otherwise: string,
  of: (partition: Partition) => string | undefined,
): Column<Partition> {
  return {
    name,
    head,
    class: (partition) => of(partition) === undefined ? "muted" : "data",
    cell: (partition) => {
      const nanos = of(partition);
      return nanos === undefined ? otherwise : time(nanos, 0);
    },
    by: (partition) => BigInt(of(partition) ?? 0),
    title: (partition) => {
      const nanos = of(partition);
      return nanos === undefined ? undefined : utc(nanos);
    },
  };
}

function stateOf({ since, until, sealed }: Partition): string {
  if (sealed) return "sealed";
  if (since === undefined || until === undefined) return "catches what fits nowhere";
  const now = BigInt(Date.now()) * 1_000_000n;
  if (BigInt(since) > now) return "made ahead";
  return BigInt(until) > now ? "open" : "to be sealed";
}
