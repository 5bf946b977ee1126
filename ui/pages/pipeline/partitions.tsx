/** The partitions of the store: their ranges, sizes, and when they go. */

import type { JSX } from "preact";
import type { Answer } from "../../frame/answer.ts";
import type { PartitionList } from "../../frame/answers.ts";
import { bytes, count, time, utc } from "../../frame/format.ts";
import { parameter, setParameters } from "../../frame/location.ts";
import { Panel } from "../../frame/panel.tsx";

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
          const isAll = parameter("partitions") === "all";
          const shown = isAll ? partitions : partitions.slice(0, SHOWN);
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
              <Table partitions={shown} retentionDays={retentionDays} />
              {partitions.length > SHOWN && (
                <p>
                  {count(shown.length)} of {hasMorePartitions ? "≥" : ""}
                  {count(partitions.length)}, the latest.{" "}
                  <button
                    type="button"
                    onClick={() => setParameters({ partitions: isAll ? "" : "all" })}
                  >
                    {isAll ? "Show fewer" : "Show all"}
                  </button>
                </p>
              )}
            </>
          );
        }}
      </Panel>
    </section>
  );
}

function Table(
  { partitions, retentionDays }: {
    readonly partitions: readonly Partition[];
    readonly retentionDays: number | undefined;
  },
): JSX.Element {
  const dropsAt = ({ until }: Partition) =>
    until === undefined || retentionDays === undefined
      ? undefined
      : String(BigInt(until) + BigInt(retentionDays) * DAY_NS);
  return (
    <div class="table-place" tabIndex={0} role="group" aria-label="Partitions, latest first">
      <table class="table">
        <thead>
          <tr>
            <th scope="col">Signal</th>
            <th scope="col">From</th>
            <th scope="col">To</th>
            <th scope="col" class="num">Rows</th>
            <th scope="col" class="num">Size</th>
            <th scope="col">State</th>
            <th scope="col">Drops at</th>
          </tr>
        </thead>
        <tbody>
          {partitions.map((partition) => (
            <tr key={partition.name} title={partition.name}>
              <th scope="row">{partition.signal}</th>
              <Time nanos={partition.since} otherwise="any other time" />
              <Time nanos={partition.until} otherwise="" />
              <td class="num">≈{count(partition.rowsEstimate)}</td>
              <td class="num">{bytes(partition.bytes)}</td>
              <td>{stateOf(partition)}</td>
              <Time nanos={dropsAt(partition)} otherwise="never" />
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Time(
  { nanos, otherwise }: { readonly nanos: string | undefined; readonly otherwise: string },
): JSX.Element {
  if (nanos === undefined) return <td class="muted">{otherwise}</td>;
  return <td class="data" title={utc(nanos)}>{time(nanos, 0)}</td>;
}

function stateOf({ since, until, sealed }: Partition): string {
  if (sealed) return "sealed";
  if (since === undefined || until === undefined) return "catches what fits nowhere";
  const now = BigInt(Date.now()) * 1_000_000n;
  if (BigInt(since) > now) return "made ahead";
  return BigInt(until) > now ? "open" : "to be sealed";
}
