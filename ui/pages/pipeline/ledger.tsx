/** What became of what was accepted, at each destination. */

import type { JSX } from "preact";
import type { StatsJson } from "../../frame/answers.ts";
import { Number } from "./accounting.tsx";
import { differenceAt, RECORDS, SIGNALS } from "./balance.ts";
import { Verdict } from "./verdict.tsx";

/** The ledger. */
export function LedgerTable({ stats }: { readonly stats: StatsJson }): JSX.Element {
  const { destinations } = stats;
  return (
    <section class="part" aria-label="Ledger">
      <h2>Ledger</h2>
      {destinations.map((destination) => (
        <Verdict
          key={destination.name}
          subject={`The ledger of ${destination.name}`}
          good={`${destination.name} has, awaits, refused or skipped every record that was accepted.`}
          differences={SIGNALS.map((signal) => ({
            signal,
            difference: differenceAt(destination, signal),
          }))}
        />
      ))}
      <div class="table-place" tabIndex={0} role="group" aria-label="Ledger by destination">
        <table class="table">
          <thead>
            <tr>
              <th scope="col">Destination</th>
              <th scope="col">Records</th>
              <th scope="col" class="num">Accepted</th>
              <th scope="col" class="num">= Delivered</th>
              <th scope="col" class="num">+ Waiting</th>
              <th scope="col" class="num">+ Dead letters</th>
              <th scope="col" class="num">+ Skipped</th>
              <th scope="col" class="num">Difference</th>
            </tr>
          </thead>
          <tbody>
            {destinations.flatMap((destination) =>
              SIGNALS.map((signal, at) => {
                const difference = differenceAt(destination, signal);
                return (
                  <tr key={`${destination.name} ${signal}`}>
                    <th scope="row">
                      <span class={at === 0 ? "" : "hidden"}>{destination.name}</span>
                    </th>
                    <td>{RECORDS[signal]}</td>
                    <Number value={destination.accepted[signal]} />
                    <Number value={destination.delivered[signal]} />
                    <Number value={destination.pending[signal]} />
                    <Number value={destination.dead[signal]} />
                    <Number value={destination.skipped[signal]} />
                    <td class={`num ${difference === 0 ? "muted" : "error"}`}>{difference}</td>
                  </tr>
                );
              })
            )}
          </tbody>
        </table>
      </div>
    </section>
  );
}
