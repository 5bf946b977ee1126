/** What became of what was accepted, at each destination. */

import type { JSX } from "preact";
import type { StatsJson } from "../../frame/answers.ts";
import { Number } from "./accounting.tsx";
import { type Destination, differenceAt, RECORDS, SIGNALS } from "./balance.ts";
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

function differencesAt(destination: Destination) {
  return SIGNALS.map((signal) => ({ signal, difference: differenceAt(destination, signal) }));
}
