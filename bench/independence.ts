/**
 * Whether one destination delays another: how fast a forward gets everything with Postgres up and with
 * Postgres down for the whole run, and how fast Postgres does with the forward up and down. Down is once
 * a port that refuses, once one that takes connections and says nothing.
 *
 * The collector is a process of its own on a new folder and a new database each time, and syncs its
 * journal. The time goes from the first request sent to the last record received. Rounds take turns, so
 * that what else the machine does falls on all alike. The goal: at least 0.9 times as fast; it is faster,
 * as a destination that is down costs no time of the processor.
 *
 *     deno task bench:independence [rounds] [requests]
 */

import assert from "node:assert/strict";
import { pg } from "../src/postgres/pg.ts";
import { startCollector } from "../tests/collector_process.ts";
import { ownPostgresServer } from "../tools/postgres_server.ts";
import type { Order, Told as SenderTold } from "./sender.ts";
import type { Expected, Told as DestinationTold } from "./slow_destination.ts";

const GOAL = 0.9;
const SPANS_EACH = 100;
const [rounds = 5, requests = 1000] = Deno.args.map(Number);
const total = requests * SPANS_EACH;

/** How a destination is. */
type Way = "up" | "refuses" | "hangs";

/** Postgres and the forward in one round. */
type Arm = readonly [postgres: Way, forward: Way];

const ARMS: readonly Arm[] = [
  ["up", "up"],
  ["refuses", "up"],
  ["up", "refuses"],
  ["hangs", "up"],
  ["up", "hangs"],
];

/** Spans a second that a destination got; undefined for one that is down. */
interface Rates {
  readonly postgres: number | undefined;
  readonly forward: number | undefined;
}

/** A worker, and what it says next. */
class Colleague<Told extends object, Order> implements Disposable {
  readonly #worker: Worker;

  constructor(file: string) {
    this.#worker = new Worker(import.meta.resolve(file), { type: "module" });
  }

  order(order: Order): void {
    this.#worker.postMessage(order);
  }

  /** What it says next. Rejects when it fails. */
  async told(): Promise<Told> {
    const { promise, resolve, reject } = Promise.withResolvers<Told>();
    this.#worker.onmessage = ({ data }) => resolve(data);
    this.#worker.onerror = ({ message }) => reject(new Error(message));
    return await promise;
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

await using server = await ownPostgresServer();
if (server === undefined) throw new Error("Cannot measure: there is no Postgres to start");
await using admin = pg(server.url);
using destination = new Colleague<DestinationTold, Expected>("./slow_destination.ts");
const { url: destinationUrl } = await destination.told();
using sender = new Colleague<SenderTold, Order>("./sender.ts");
const made = sender.told();
sender.order({ requests, spans: SPANS_EACH });
const { bytes } = await made;

/** Takes connections and says nothing. */
using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
const connections: Deno.Conn[] = [];
const accepting = (async () => {
  for await (const connection of silent) connections.push(connection);
})();

/** A port on which nobody listens. */
function deadPort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

function addressOf(way: Way): string {
  return `127.0.0.1:${way === "hangs" ? silent.addr.port : deadPort()}`;
}

let databases = 0;

/** One round. */
async function measure([postgres, forward]: Arm): Promise<Rates> {
  const name = `independence_${++databases}`;
  await admin.query(`create database ${name} template template0 encoding 'UTF8'`);
  const own = Object.assign(new URL(server!.url), { pathname: `/${name}` }).href;
  const dataDir = await Deno.makeTempDir({ prefix: "otel-storage-" });
  try {
    await using database = pg(own, { maxConnections: 1 });
    await using collector = await startCollector({
      dataDir,
      env: { DATABASE_URL: postgres === "up" ? own : `postgres://otel@${addressOf(postgres)}/a` },
      args: [
        "--forward",
        `far=${forward === "up" ? destinationUrl : `http://${addressOf(forward)}`}`,
      ],
    });
    destination.order({ spans: total });
    const received = destination.told();
    const sent = sender.told();
    const begin = performance.now();
    const rate = () => total / ((performance.now() - begin) / 1e3);
    sender.order({ url: collector.url });
    const [, ...rates] = await Promise.all([
      sent.then(({ error }) => assert.equal(error, undefined)),
      postgres === "up" ? stored(database).then(rate) : undefined,
      forward === "up" ? received.then(rate) : undefined,
    ]);
    if (postgres === "up") {
      assert.equal(await one(database, "select count(*) as n from otel_data.spans"), total);
    }
    if (forward === "up") assert.equal((await received).received, total);
    collector.signal("SIGTERM");
    await collector.ended;
    return { postgres: rates[0], forward: rates[1] };
  } finally {
    await Deno.remove(dataDir, { recursive: true });
    await admin.query(`drop database ${name} with (force)`);
  }
}

type Reachable = ReturnType<typeof pg>;

/** Waits until all is stored. */
async function stored(database: Reachable): Promise<void> {
  const sql = "select coalesce(sum(spans), 0)::bigint as n from otel_data.journal_position";
  while (await one(database, sql) < total) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function one(database: Reachable, sql: string): Promise<number> {
  const [row] = await database.query<{ n: bigint }>(sql);
  return Number(row!.n);
}

/** The middle one, and the lowest and the highest. */
function inWords(rates: readonly number[]): string {
  const [least, most] = [Math.min(...rates), Math.max(...rates)].map((rate) => rate.toFixed(0));
  return `${median(rates).toFixed(0)} spans/s (${least} to ${most})`;
}

function median(rates: readonly number[]): number {
  const sorted = rates.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

console.log(`${requests} requests of ${SPANS_EACH} spans, ${bytes} bytes, ${rounds} rounds`);
const measured = new Map<Arm, Rates[]>(ARMS.map((arm) => [arm, []]));
for (let round = 0; round < rounds; round++) {
  for (const [arm, rates] of measured) {
    const [postgres, forward] = arm;
    const rate = await measure(arm);
    rates.push(rate);
    const of = (rate: number | undefined) => rate === undefined ? "-" : rate.toFixed(0);
    console.log(
      `round ${round + 1}: Postgres ${postgres}, forward ${forward}: ` +
        `to Postgres ${of(rate.postgres)}, to the forward ${of(rate.forward)} spans/s`,
    );
  }
}

let isFine = true;
for (const one of ["forward", "postgres"] as const) {
  const ratesIn = (arm: Arm) => measured.get(arm)!.map((rates) => rates[one]!);
  const both = ratesIn(ARMS[0]!);
  const other = one === "forward" ? "Postgres" : "the forward";
  console.log(`\nto ${one === "forward" ? "the forward" : "Postgres"}, with ${other}`);
  console.log(`  up       ${inWords(both)}`);
  for (const arm of ARMS.slice(1)) {
    const way = arm[one === "forward" ? 0 : 1];
    if (way === "up") continue;
    const ratio = median(ratesIn(arm)) / median(both);
    isFine &&= ratio >= GOAL;
    console.log(`  ${way.padEnd(8)} ${inWords(ratesIn(arm))}, ratio ${ratio.toFixed(2)}`);
  }
}

silent.close();
await accepting.catch(() => {});
for (const connection of connections) connection.close();
if (!isFine) {
  console.log(`\nA ratio is below ${GOAL}.`);
  Deno.exitCode = 1;
}
