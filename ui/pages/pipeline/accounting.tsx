/** What came in, and what became of it. */

import type { JSX } from "preact";
import type { StatsJson } from "../../frame/answers.ts";
import { bytes, count } from "../../frame/format.ts";
import { type Column, Table } from "../../frame/table.tsx";
import { type Account, accountsOf, RECORDS } from "./balance.ts";
import { Verdict } from "./verdict.tsx";

/** The account. */
export function Accounting({ stats }: { readonly stats: StatsJson }): JSX.Element {
  const accounts = accountsOf(stats);
  const { journal } = stats;
  return (
    <section class="part" aria-label="Accounting">
      <h2>Accounting</h2>
      <Verdict
        subject="The account"
        good="every record that was received is stored, waits, or was turned away with a reason."
        differences={accounts}
      />
      <Table
        name="accounting"
        label="What became of what came in"
        columns={COLUMNS}
        rows={accounts}
        rowKey={({ signal }) => signal}
        order="accountsBy"
      />
      <p class="muted">
        The {journal.kind === "disk" ? "journal on disk" : "journal in memory"} has{" "}
        {bytes(journal.bytes)} of {bytes(journal.maxBytes)}
        {journal.freeBytes !== null && `, ${bytes(journal.freeBytes)} of the disk are free`}
        {journal.waiting > 0 && `; ${count(journal.waiting)} requests wait for space`}
        {journal.refused > 0 && `; ${count(journal.refused)} requests were refused`}
        {journal.damaged > 0 && `; ${count(journal.damaged)} places could not be read`}
        {journal.failedWrites > 0 && `; ${count(journal.failedWrites)} writes failed`}.
      </p>
    </section>
  );
}

const COLUMNS: readonly Column<Account>[] = [
  {
    name: "signal",
    head: "Records",
    class: "record-name",
    cell: ({ signal }) => RECORDS[signal],
    by: ({ signal }) => RECORDS[signal],
  },
  countColumn("received", "Received", ({ received }) => received),
  countColumn("stored", "= Stored", ({ stored }) => stored),
  countColumn("waiting", "+ Waiting", ({ waiting }) => waiting),
  countColumn("rejected", "+ Rejected", ({ rejected }) => rejected),
  countColumn("duplicates", "+ Sent again", ({ duplicates }) => duplicates),
  countColumn("dropped", "+ Dropped", ({ dropped }) => dropped),
  differenceColumn(({ difference }) => difference),
];

/** A column of counts, in full on hover, faint where there are none. */
export function countColumn<R>(name: string, head: string, of: (row: R) => number): Column<R> {
  return {
    name,
    head,
    isNumber: true,
    class: (row) => of(row) === 0 ? "muted" : "",
    cell: (row) => count(of(row)),
    by: of,
    title: (row) => of(row).toLocaleString("en"),
  };
}

/** What is missing. */
export function differenceColumn<R>(of: (row: R) => number): Column<R> {
  return {
    name: "difference",
    head: "Difference",
    isNumber: true,
    class: (row) => of(row) === 0 ? "muted" : "error",
    cell: of,
    by: (row) => Math.abs(of(row)),
  };
}
