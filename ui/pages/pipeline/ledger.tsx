/** What became of what was accepted, at each destination. */

import type { JSX } from "preact";
import type { StatsJson } from "../../frame/answers.ts";
import { type Column, Table } from "../../frame/table.tsx";
import { countColumn, differenceColumn } from "./accounting.tsx";
import { type Destination, differenceAt, RECORDS, type Signal, SIGNALS } from "./balance.ts";
import { Verdict } from "./verdict.tsx";

/** The ledger. */
export function LedgerTable({ stats }: { readonly stats: StatsJson }): JSX.Element {
  const { destinations } = stats;
  const wrong = destinations.filter((one) =>
    differencesAt(one).some(({ difference }) => difference !== 0)
  );
  // What is well with all of them is said once.
  const shown = wrong.length > 0 ? wrong : destinations.slice(0, 1);
  return (
    <section class="part" aria-label="Ledger">
      <h2>Ledger</h2>
      {shown.map((destination) => (
        <Verdict
          key={destination.name}
          subject={`The ledger of ${destination.name}`}
          good="each destination has, awaits, refused or skipped every record that was accepted."
          differences={differencesAt(destination)}
        />
      ))}
      <Table
        name="ledger"
        label="Ledger by destination"
        columns={COLUMNS}
        rows={destinations.flatMap((destination) =>
          SIGNALS.map((signal) => ({ destination, signal }))
        )}
        rowKey={({ destination, signal }) => `${destination.name} ${signal}`}
        order="ledgerBy"
      />
    </section>
  );
}

interface Entry {
  readonly destination: Destination;
  readonly signal: Signal;
}

const COLUMNS: readonly Column<Entry>[] = [
  {
    name: "destination",
    head: "Destination",
    cell: ({ destination }) => destination.name,
    by: ({ destination }) => destination.name,
  },
  {
    name: "records",
    head: "Records",
    cell: ({ signal }) => RECORDS[signal],
    by: ({ signal }) => RECORDS[signal],
  },
  countColumn("accepted", "Accepted", ({ destination, signal }) => destination.accepted[signal]),
  countColumn(
    "delivered",
    "= Delivered",
    ({ destination, signal }) => destination.delivered[signal],
  ),
  countColumn("waiting", "+ Waiting", ({ destination, signal }) => destination.pending[signal]),
  countColumn("dead", "+ Dead letters", ({ destination, signal }) => destination.dead[signal]),
  countColumn("skipped", "+ Skipped", ({ destination, signal }) => destination.skipped[signal]),
  differenceColumn(({ destination, signal }) => differenceAt(destination, signal)),
];

function differencesAt(destination: Destination) {
  return SIGNALS.map((signal) => ({ signal, difference: differenceAt(destination, signal) }));
}
