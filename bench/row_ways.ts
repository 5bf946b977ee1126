/**
 * The same records sent in another way, against the usual one: as JSON, compressed, with values that
 * never repeat, from more services, in other portions, over more connections. All the way, in turn.
 *
 * @module
 */

import type { Signal } from "../src/record.ts";
import { type Bench, say } from "./bench.ts";
import { emptied, RECORDS } from "./layouts.ts";
import { Road, type Trip } from "./road.ts";
import { comparison, type Goal, type Line, type Sample } from "./table.ts";

/** A way and what it may cost. */
interface Way {
  readonly what: string;
  readonly trip: Omit<Trip, "signal">;
  readonly goal?: number;
}

/** A run has at most so many requests: small ones take long. */
const MAX_REQUESTS = 10_000;

/** JSON against protobuf, gzip against identity. */
export async function encodings(bench: Bench): Promise<Line[]> {
  const ways: readonly Way[] = [
    { what: "JSON : protobuf", trip: { encoding: "json" }, goal: 0.3 },
    { what: "gzip : identity", trip: { compression: "gzip" }, goal: 0.7 },
  ];
  return await compare(bench, "encodings", ways);
}

/** Values that never repeat, and more services. */
export async function cardinality(bench: Bench): Promise<Line[]> {
  const services = [1, 100, 1_000].map((services): Way => ({
    what: `${services} service(s) : 10`,
    trip: { shape: { services, distinct: false } },
  }));
  const distinct = { services: 10, distinct: true };
  return await compare(bench, "cardinality", [
    { what: "all attributes different : typical", trip: { shape: distinct }, goal: 0.6 },
    ...services,
  ]);
}

/** Requests of other sizes, and other numbers of connections. */
export async function shape(bench: Bench): Promise<Line[]> {
  const { batch: usualBatch, connections: usual, records } = bench.settings;
  return await compare(bench, "shape", [
    ...[1, 8, 64, 512, 8_192].filter((batch) => batch !== usualBatch).map((batch): Way => ({
      what: `${batch} record(s) a request : ${usualBatch}`,
      trip: { batch, records: Math.min(records, batch * MAX_REQUESTS) },
    })),
    ...[1, 4, 16, 64, 200].filter((connections) => connections !== usual)
      .map((connections): Way => ({
        what: `${connections} connection(s) : ${usual}`,
        trip: { connections },
      })),
  ]);
}

async function compare(bench: Bench, row: string, ways: readonly Way[]): Promise<Line[]> {
  const lines: Line[] = [];
  for (const signal of bench.settings.signals) {
    for (const { what, trip, goal } of ways) {
      if (signal === "metrics" && trip.encoding === "json") continue;
      const { ours, usual } = await alternate(bench, signal, trip, `${row}: ${what}`);
      const limit: { goal?: Goal } = goal === undefined
        ? {}
        : { goal: { limit: goal, at: "least" } };
      lines.push(comparison({ row, what: `${RECORDS[signal]}, ${what}`, ...limit }, ours, usual));
    }
  }
  return lines;
}

async function alternate(
  bench: Bench,
  signal: Signal,
  trip: Omit<Trip, "signal">,
  what: string,
): Promise<{ ours: Sample[]; usual: Sample[] }> {
  const { alternations } = bench.settings;
  await using road = await Road.open(bench);
  const ours: Sample[] = [];
  const usual: Sample[] = [];
  const steps = [
    async () => ours.push((await road.run({ ...trip, signal })).sample),
    async () => usual.push((await road.run({ signal })).sample),
  ];
  say(`${what}, ${RECORDS[signal]}: warming up`);
  // The first round warms up both.
  for (let n = 0; n <= alternations; n++) {
    for (let step = 0; step < steps.length; step++) {
      await emptied(road.database, signal);
      await steps[(n + step) % steps.length]!();
    }
    say(`${what}, ${RECORDS[signal]}: ${n} of ${alternations}`);
  }
  return { ours: ours.slice(1), usual: usual.slice(1) };
}
