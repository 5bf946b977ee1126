/** What came in, and what became of it. */

import type { JSX } from "preact";
import type { StatsJson } from "../../frame/answers.ts";
import { bytes, count } from "../../frame/format.ts";
import { accountsOf, RECORDS } from "./balance.ts";
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
      <div class="table-place" tabIndex={0} role="group" aria-label="What became of what came in">
        <table class="table">
          <thead>
            <tr>
              <th scope="col" />
              <th scope="col" class="num">Received</th>
              <th scope="col" class="num">= Stored</th>
              <th scope="col" class="num">+ Waiting</th>
              <th scope="col" class="num">+ Rejected</th>
              <th scope="col" class="num">+ Sent again</th>
              <th scope="col" class="num">+ Dropped</th>
              <th scope="col" class="num">Difference</th>
            </tr>
          </thead>
          <tbody>
            {accounts.map((account) => (
              <tr key={account.signal}>
                <th scope="row" class="record-name">{RECORDS[account.signal]}</th>
                {[
                  account.received,
                  account.stored,
                  account.waiting,
                  account.rejected,
                  account.duplicates,
                  account.dropped,
                ].map((value, at) => <Number key={at} value={value} />)}
                <td class={`num ${account.difference === 0 ? "muted" : "error"}`}>
                  {account.difference}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
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

/** A count, in full on hover, faint when it is none. */
export function Number({ value }: { readonly value: number }): JSX.Element {
  return (
    <td class={`num ${value === 0 ? "muted" : ""}`} title={value.toLocaleString("en")}>
      {count(value)}
    </td>
  );
}
