/** Where records go: how each destination is, how far behind, and what failed last. */

import type { JSX } from "preact";
import type { StatsJson } from "../../frame/answers.ts";
import { ago, bytes, count, duration, number, time, utc } from "../../frame/format.ts";
import { Icon } from "../../frame/icons.tsx";
import { nanosOf } from "../../frame/range.ts";
import { type Column, Table } from "../../frame/table.tsx";
import type { Destination } from "./balance.ts";
import { totalOf, useRates } from "./rates.ts";

/** The destinations. */
export function Destinations({ stats }: { readonly stats: StatsJson }): JSX.Element {
  const rates = useRates(stats);
  const rateOf = ({ name }: Destination) => rates.get(name);
  const columns: Column<Destination>[] = [
    ...COLUMNS,
    {
      name: "rate",
      head: "Rate",
      isNumber: true,
      cell: (destination) => {
        const rate = rateOf(destination);
        return rate === undefined ? "—" : `${number(rate)}/s`;
      },
      by: (destination) => rateOf(destination) ?? 0,
    },
    {
      name: "error",
      head: "Last error",
      class: "last-error",
      cell: ({ lastError }) => <LastError error={lastError} />,
      by: ({ lastError }) => lastError === null ? 0 : Date.parse(lastError.at),
    },
  ];
  return (
    <section class="part" aria-label="Destinations">
      <h2>Destinations</h2>
      <Table
        name="destinations"
        label="Destinations, how they are"
        columns={columns}
        rows={stats.destinations}
        rowKey={({ name }) => name}
        order="destinationsBy"
      />
    </section>
  );
}

const COLUMNS: readonly Column<Destination>[] = [
  {
    name: "name",
    head: "Name",
    class: "destination",
    cell: ({ name, url }) => (
      <>
        {name}
        <span class="data muted">{url}</span>
      </>
    ),
    by: ({ name }) => name,
    title: ({ url }) => url,
  },
  {
    name: "breaker",
    head: "Breaker",
    cell: ({ breaker }) => <Breaker state={breaker} />,
    by: ({ breaker }) => breaker,
  },
  {
    name: "since",
    head: "Since",
    class: "data",
    cell: ({ breakerSinceMs }) => ago(breakerSinceMs),
    by: ({ breakerSinceMs }) => breakerSinceMs,
    title: ({ breakerSinceMs }) => time(nanosOf(breakerSinceMs)),
  },
  {
    name: "state",
    head: "Doing",
    cell: ({ paused, state }) => paused ? "paused" : state,
    by: ({ paused, state }) => paused ? "paused" : state,
  },
  {
    name: "next",
    head: "Next try",
    class: "data",
    cell: ({ nextAttemptMs }) => nextAttemptMs > 0 ? `in ${duration(nextAttemptMs * 1e6)}` : "—",
    by: ({ nextAttemptMs }) => nextAttemptMs,
  },
  {
    name: "behind",
    head: "Behind",
    isNumber: true,
    cell: ({ pending, lagBytes, gapBytes }) => (
      <>
        {count(totalOf(pending))}
        {lagBytes > 0 && <span class="muted">{` · ${bytes(lagBytes)}`}</span>}
        {gapBytes > 0 && <span class="error">{` · ${bytes(gapBytes)} lost`}</span>}
      </>
    ),
    by: ({ lagBytes }) => lagBytes,
    title: ({ pending, lagBytes }) =>
      `${totalOf(pending).toLocaleString("en")} records, ${lagBytes} bytes`,
  },
  {
    name: "oldest",
    head: "Oldest",
    isNumber: true,
    cell: ({ lagSeconds }) => lagSeconds > 0 ? duration(lagSeconds * 1e9) : "—",
    by: ({ lagSeconds }) => lagSeconds,
  },
];

function LastError({ error }: { readonly error: Destination["lastError"] }): JSX.Element {
  if (error === null) return <span class="muted">none</span>;
  const ms = Date.parse(error.at);
  return (
    <>
      {error.message}
      <span class="muted" title={utc(nanosOf(ms))}>{ago(ms)}</span>
    </>
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
