/**
 * The same records sent in another way, against the usual one: as JSON, compressed, with values that
 * never repeat, from more services, in other portions, over more connections. All the way, in turn.
 *
 * @module
 */

import type { Signal } from "../src/record.ts";
import type { Bench } from "./bench.ts";
import { inTurn, type Pairs } from "./in_turn.ts";
import { emptied, RECORDS } from "./layouts.ts";
import { Road, type Trip } from "./road.ts";
import { comparison, type Goal, type Line } from "./table.ts";

/** A way and what it may cost. */
interface Way {
  readonly what: string;
  readonly trip: Omit<Trip, "signal">;
  /** What it is compared with. @default as in the settings */
  readonly usual?: Omit<Trip, "signal">;
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

/** A service sends this many records at once where there are many services. */
const SERVICE_BATCH = 64;

/** Values that never repeat, and other numbers of services. */
export async function cardinality(bench: Bench): Promise<Line[]> {
  const services = [1, 100, 1_000].map((services): Way => {
    // Each service sends at least twice.
    const records = Math.max(bench.settings.records, 2 * services * SERVICE_BATCH);
    const usual = { batch: SERVICE_BATCH, records };
    return {
      what: `${services} service(s) : 10, in requests of ${SERVICE_BATCH}`,
      trip: { ...usual, shape: { services, distinct: false } },
      usual,
    };
  });
  const distinct = { services: 10, distinct: true };
  return await compare(bench, "cardinality", [
    { what: "all texts of attributes different : typical", trip: { shape: distinct }, goal: 0.6 },
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
    for (const way of ways) {
      const { what, trip, goal } = way;
      if (signal === "metrics" && trip.encoding === "json") continue;
      const { ours, baseline } = await alternate(bench, signal, way, `${row}: ${what}`);
      const limit: { goal?: Goal } = goal === undefined
        ? {}
        : { goal: { limit: goal, at: "least" } };
      lines.push(
        comparison({ row, what: `${RECORDS[signal]}, ${what}`, ...limit }, ours, baseline),
      );
    }
  }
  return lines;
}

async function alternate(
  bench: Bench,
  signal: Signal,
  { trip, usual = {} }: Way,
  what: string,
): Promise<Pairs> {
  await using road = await Road.open(bench);
  const run = async (way: Way["trip"]) => {
    await emptied(road.database, signal);
    return (await road.run({ ...way, signal })).sample;
  };
  return await inTurn(bench, `${what}, ${RECORDS[signal]}`, {
    ours: () => run(trip),
    baseline: () => run(usual),
  });
}
