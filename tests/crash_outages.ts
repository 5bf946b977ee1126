/**
 * A Postgres server on which everything goes wrong: killed, cut off at COMMIT, standing still, its
 * disk full.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { delay } from "@std/async/delay";
import { type OwnPostgresServer, ownPostgresServer } from "../tools/postgres_server.ts";
import type { Trouble } from "./crash_harness.ts";
import { smallDisk } from "./small_disk.ts";
import { tcpProxy } from "./tcp_proxy.ts";

/** An unreliable server. Disposing ends it. */
export interface UnreliablePostgres extends AsyncDisposable {
  /** Of its database, through connections that are cut now and then at COMMIT. */
  readonly url: string;
  /** Of the same, through connections that are not. */
  readonly reliable: string;
  /** Whether its disk can be full. */
  readonly hasSmallDisk: boolean;
  /** Connections cut until now. */
  readonly cuts: number;
  /** What the server has logged. */
  log(): Promise<string>;
  /** Kills the server and starts it again. */
  killed(): Trouble;
  /** Makes it stand still for so long. */
  paused(ms: number): Trouble;
  /** Fills its disk for so long. */
  full(ms: number): Trouble;
}

/** Of all commits so many are cut off, half of them before the server gets to know of it. */
const CUT = 0.3;
/** A commit is in a small packet; a large one that says so is data. */
const COMMIT_BYTES = 1024;
/** Of the disk: for the server itself, and for what a round may store. */
const SERVER_MEGABYTES = 300;
const ROUND_MEGABYTES = 20;

/**
 * Starts one; undefined where there are no binaries.
 *
 * @param rounds How many there will be: its disk is to be full when a test says so, and not before.
 */
export async function unreliablePostgres(
  random: () => number,
  rounds: number,
): Promise<UnreliablePostgres | undefined> {
  await using resources = new AsyncDisposableStack();
  const disk = await smallDisk(SERVER_MEGABYTES + rounds * ROUND_MEGABYTES);
  if (disk !== undefined) resources.use(disk);
  const server = await ownPostgresServer({
    ...disk !== undefined && { parent: disk.path },
    settings: { max_wal_size: "64MB", min_wal_size: "32MB" },
  });
  if (server === undefined) return undefined;
  resources.use(server);
  const proxy = resources.use(await tcpProxy(Number(new URL(server.url).port)));
  let cuts = 0;
  proxy.onSent = (bytes) => {
    if (bytes.length > COMMIT_BYTES || !/commit/i.test(Buffer.from(bytes).toString("latin1"))) {
      return "pass";
    }
    if (random() >= CUT) return "pass";
    cuts++;
    return random() < 0.5 ? "cut before" : "cut after";
  };
  const url = new URL(server.url);
  url.port = String(proxy.port);
  const kept = resources.move();
  return {
    url: url.href,
    reliable: server.url,
    hasSmallDisk: disk !== undefined,
    get cuts() {
      return cuts;
    },
    log: () => server.log(),
    killed: () => ({
      outlived: random() < 0.5,
      async run() {
        await delay(random() * 800);
        await server.stop("QUIT");
        await delay(random() * 800);
        await server.start();
      },
    }),
    paused: (ms) => ({
      outlived: true,
      async run() {
        await delay(500 + random() * 500);
        await server.signal("SIGSTOP");
        await delay(ms);
        await server.signal("SIGCONT");
      },
    }),
    full: (ms) => ({
      outlived: true,
      async run() {
        await delay(500 + random() * 500);
        await disk!.fill();
        await delay(ms);
        await disk!.free();
        await revive(server);
      },
    }),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A server whose disk is full may end; who runs it starts it again. */
async function revive(server: OwnPostgresServer): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    if (await server.answers()) return;
    if (!await server.runs()) {
      await server.stop("INT");
      return await server.start();
    }
    await delay(100);
  }
  throw new Error("The server did not come back after its disk had space again");
}
