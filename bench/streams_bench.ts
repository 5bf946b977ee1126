/**
 * Records of a journal stored in two streams against one, by the same sink on the same server: one
 * stream leaves a core of ours or of the server idle half of the time. Goal: at least a fifth faster
 * where there are two cores.
 */

import assert from "node:assert/strict";
import { DatabaseSink } from "../src/postgres/database_sink.ts";
import { Dimensions } from "../src/postgres/dimensions.ts";
import { migrate } from "../src/postgres/migrate.ts";
import { Partitions } from "../src/postgres/partitions.ts";
import { pg } from "../src/postgres/pg.ts";
import { PostgresSink } from "../src/postgres/sink.ts";
import { PreparedRows } from "../src/postgres/prepared_rows.ts";
import { Transcoder } from "../src/postgres/transcode.ts";
import { noCounts } from "../src/sink.ts";
import { ownPostgresServer } from "../tools/postgres_server.ts";
import { traceBodies } from "./telemetry.ts";

const SPANS_EACH = 512;
/** Requests of a slice. */
const REQUESTS_EACH = 8;
const NEVER = new AbortController().signal;

const server = await ownPostgresServer();
if (server === undefined) throw new Error("Cannot measure: there is no Postgres to start");
const database = pg(server.url);
await migrate(database);
const partitions = new Partitions(database, { width: "day", retentionDays: 30 });
await partitions.makeAhead();

for (const requests of [16, 64]) {
  const bodies = traceBodies(requests, SPANS_EACH, BigInt(Date.now()) * 1_000_000n);
  for (const streams of [1, 2]) {
    const sink = new DatabaseSink(
      new PostgresSink(database, partitions, crypto.randomUUID()),
      new PreparedRows(new Transcoder(new Dimensions())),
      { streams },
    );
    let position = 0n;
    Deno.bench({
      name: streams === 1 ? "one stream" : "two streams",
      group: `${requests} requests of ${SPANS_EACH} spans`,
      baseline: streams === 1,
    }, async (context) => {
      await database.query("truncate otel_data.spans");
      const records = bodies.map((body) => ({
        position,
        next: ++position,
        signal: "traces" as const,
        arrivalUnixNano: 0n,
        key: new Uint8Array(32),
        count: SPANS_EACH,
        before: noCounts(),
        body,
      }));
      context.start();
      let [stored, at] = [0, 0];
      const next = () => records.slice(at, at += REQUESTS_EACH);
      const { delivered } = await sink.deliver(
        next(),
        NEVER,
        () => Promise.resolve(),
        (settled) => {
          stored += settled?.delivered.traces ?? 0;
          return Promise.resolve(next());
        },
      );
      context.end();
      assert.equal(stored + delivered.traces, requests * SPANS_EACH);
    });
  }
}
