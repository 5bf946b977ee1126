/** Where records go: how each destination is, how far behind, and what failed last. */

import type { JSX } from "preact";
import type { StatsJson } from "../../frame/answers.ts";
import { ago, bytes, count, duration, number, time, utc } from "../../frame/format.ts";
import { Icon } from "../../frame/icons.tsx";
import { nanosOf } from "../../frame/range.ts";
import type { Destination } from "./balance.ts";
import { totalOf, useRates } from "./rates.ts";

/** The destinations. */
export function Destinations({ stats }: { readonly stats: StatsJson }): JSX.Element {
  const rates = useRates(stats);
  return (
    <section class="part" aria-label="Destinations">
      <h2>Destinations</h2>
      <div class="table-place" tabIndex={0} role="group" aria-label="Destinations, how they are">
        <table class="table">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Breaker</th>
              <th scope="col">Since</th>
              <th scope="col">Doing</th>
              <th scope="col">Next try</th>
              <th scope="col" class="num">Behind</th>
              <th scope="col" class="num">Oldest</th>
              <th scope="col" class="num">Rate</th>
              <th scope="col">Last error</th>
            </tr>
          </thead>
          <tbody>
            {stats.destinations.map((destination) => (
              <Row
                key={destination.name}
                destination={destination}
                rate={rates.get(destination.name)}
              />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Row(
  { destination, rate }: { readonly destination: Destination; readonly rate: number | undefined },
): JSX.Element {
  const { name, url, state, nextAttemptMs, lagBytes, lagSeconds, gapBytes, lastError, pending } =
    destination;
  const waiting = totalOf(pending);
  return (
    <tr>
      <th scope="row" class="destination" title={url}>
        {name}
        <span class="data muted">{url}</span>
      </th>
      <td>
        <Breaker state={destination.breaker} />
      </td>
      <td class="data">
        <Since ms={destination.breakerSinceMs} />
      </td>
      <td>{destination.paused ? "paused" : state}</td>
      <td class="data">{nextAttemptMs > 0 ? `in ${duration(nextAttemptMs * 1e6)}` : "—"}</td>
      <td class="num" title={`${waiting.toLocaleString("en")} records, ${lagBytes} bytes`}>
        {count(waiting)}
        {lagBytes > 0 && <span class="muted">{` · ${bytes(lagBytes)}`}</span>}
        {gapBytes > 0 && <span class="error">{` · ${bytes(gapBytes)} lost`}</span>}
      </td>
      <td class="num">{lagSeconds > 0 ? duration(lagSeconds * 1e9) : "—"}</td>
      <td class="num">{rate === undefined ? "—" : `${number(rate)}/s`}</td>
      <td class="last-error">
        {lastError === null ? <span class="muted">none</span> : (
          <>
            {lastError.message}
            <span class="muted" title={utc(nanosOf(Date.parse(lastError.at)))}>
              {ago(Date.parse(lastError.at))}
            </span>
          </>
        )}
      </td>
    </tr>
  );
}

const BREAKERS: Readonly<
  Record<string, readonly [icon: "check" | "error" | "refresh", style: string, word: string]>
> = {
  CLOSED: ["check", "ok", "Closed: it delivers"],
  OPEN: ["error", "error", "Open: it is left alone"],
  HALF_OPEN: ["refresh", "warn", "Half open: it is tried"],
};

function Breaker({ state }: { readonly state: string }): JSX.Element {
  const [icon, style, word] = BREAKERS[state] ?? ["error", "warn", state];
  return (
    <span class={style}>
      <Icon name={icon} /> {word}
    </span>
  );
}

function Since({ ms }: { readonly ms: number }): JSX.Element {
  return <span title={time(nanosOf(ms))}>{ago(ms)}</span>;
}
