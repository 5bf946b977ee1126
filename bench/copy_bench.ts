/**
 * Storing rows by COPY, as the adapter does, against array inserts of the same rows into the same
 * partitioned tables of the same server, which is the usual way of a client without COPY. Goal: at least
 * twice as fast. And how many spans a second the adapter stores, from request to commit.
 */

import assert from "node:assert/strict";
import { OTelStorageAdapter } from "../src/adapter.ts";
import { Batch } from "../src/postgres/batch.ts";
import { arrayInsert } from "../src/postgres/client.ts";
import { SPANS } from "../src/postgres/columns.ts";
import { copiedColumns } from "../src/postgres/copy_format.ts";
import { Dimensions } from "../src/postgres/dimensions.ts";
import { Partitions } from "../src/postgres/partitions.ts";
import { PostgresSink } from "../src/postgres/sink.ts";
import { Transcoder } from "../src/postgres/transcode.ts";
import { ownPostgresServer } from "../tools/postgres_server.ts";
import { traceBodies } from "./telemetry.ts";

const REQUESTS = 16;
const SPANS_EACH = 512;
const TOTAL = REQUESTS * SPANS_EACH;

const server = await ownPostgresServer();
if (server === undefined) throw new Error("Cannot measure: there is no Postgres to start");

const adapter = new OTelStorageAdapter({ connectionString: server.url });
await adapter.init();
const database = await adapter.database();

const bodies = traceBodies(REQUESTS, SPANS_EACH, BigInt(Date.now()) * 1_000_000n);
const transcoder = new Transcoder(new Dimensions());
const batch = new Batch();
for (const body of bodies) transcoder.transcode("traces", body, 0n, batch);

// What the rows name is in the database before either begins.
const partitions = new Partitions(database, { width: "day", retentionDays: 30 });
const sink = new PostgresSink(database, partitions, crypto.randomUUID());
let position = 0n;
await sink.store(batch, ++position);

const { bytes, at } = batch.traces;
const columns = copiedColumns(SPANS, bytes.subarray(0, at));

/** Empties the table before, and looks at it after what is measured. */
async function measure(context: Deno.BenchContext, store: () => Promise<unknown>): Promise<void> {
  await database.query("truncate otel_data.spans");
  context.start();
  await store();
  context.end();
  const [row] = await database.query<{ n: bigint }>("select count(*) as n from otel_data.spans");
  assert.equal(row!.n, BigInt(TOTAL));
}

const group = `${TOTAL} spans, ${at} bytes of rows`;

Deno.bench({ name: "COPY", group, baseline: true }, async (context) => {
  await measure(context, () => sink.store(batch, ++position));
});

Deno.bench({ name: "array insert", group }, async (context) => {
  await measure(context, () =>
    database.transaction(async (transaction) => {
      const { sql, values } = arrayInsert(SPANS, columns);
      await transaction.query(sql, values);
    }));
});

let stored = 0;
let took = 0;

Deno.bench({ name: `adapter.write of ${REQUESTS} requests at once` }, async (context) => {
  await measure(context, async () => {
    const start = performance.now();
    await Promise.all(bodies.map((body) => adapter.write("traces", body)));
    took += performance.now() - start;
    stored += TOTAL;
  });
});

addEventListener("unload", () => {
  if (stored === 0) return;
  console.log(`adapter.write: ${Math.round(stored / took * 1000).toLocaleString("en")} spans/s`);
});
