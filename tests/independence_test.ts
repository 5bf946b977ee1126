/** One destination that hangs for ever, and another one that has to get everything all the same. */

import { OTelStorageAdapter, type OTelStorageOptions } from "@oneiric/otel-storage";
import assert from "node:assert/strict";
import { pg } from "../src/postgres/pg.ts";
import { misbehavingServer } from "./misbehaving_server.ts";
import { oracleDecode } from "./oracle.ts";
import { drivers, testDatabase } from "./postgres.ts";
import { numbers, spanId, spans } from "./requests.ts";
import { temporaryFolder } from "./temporary_folder.ts";

const REQUESTS = 50;
/** Of each request. */
const SPANS = 10;
const TOTAL = REQUESTS * SPANS;
const IDS = numbers(1, TOTAL).map(spanId);

/** An adapter for a database and one other destination. Disposing does not wait for who hangs. */
async function adapterFor(options: Partial<OTelStorageOptions>, url: string) {
  const adapter = new OTelStorageAdapter({
    ...options,
    forwards: [{ name: "far", url }],
    closeGraceMs: 0,
  });
  await adapter.init();
  return adapter;
}

async function writeAll(adapter: OTelStorageAdapter): Promise<void> {
  for (const n of numbers(0, REQUESTS)) {
    const { accepted } = await adapter.write("traces", spans(numbers(1 + n * SPANS, SPANS)));
    assert.equal(accepted, SPANS);
  }
}

/** What the database and the other one have, and what they are yet to get. */
async function terms(adapter: OTelStorageAdapter) {
  const { destinations } = await adapter.stats();
  return destinations.map(({ name, delivered, pending }) => [
    name,
    delivered.traces,
    pending.traces,
  ]);
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!await condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

if (drivers.includes("postgres")) {
  Deno.test("a forward that hangs for ever keeps nothing from the database", async () => {
    await using test = await testDatabase("postgres");
    await using data = await temporaryFolder();
    await using server = await misbehavingServer(() => "hangs");
    const options = { connectionString: test.url, dataDir: data.path };
    await using adapter = await adapterFor(options, server.url);
    await writeAll(adapter);
    await adapter.flush();
    await until(() => server.requests.length > 0);
    assert.deepEqual(await terms(adapter), [["postgres", TOTAL, 0], ["far", 0, TOTAL]]);
    const rows = await test.database.query<{ id: string }>(
      "select span_id as id from otel.spans order by 1",
    );
    assert.deepEqual(rows.map(({ id }) => id), IDS);
  });

  Deno.test("a database that hangs for ever keeps nothing from a forward", async () => {
    await using test = await testDatabase("postgres");
    await using data = await temporaryFolder();
    await using server = await misbehavingServer();
    const options = { connectionString: test.url, dataDir: data.path };
    await using adapter = await adapterFor(options, server.url);
    await using locking = pg(test.url, { maxConnections: 1 });
    const { promise: end, resolve: unlock } = Promise.withResolvers<void>();
    const locked = Promise.withResolvers<void>();
    const held = locking.transaction(async (transaction) => {
      await transaction.query("lock table otel_data.spans in access exclusive mode");
      locked.resolve();
      await end;
    });
    await locked.promise;
    await writeAll(adapter);
    await until(async () => (await terms(adapter))[1]![2] === 0);
    assert.deepEqual(await terms(adapter), [["postgres", 0, TOTAL], ["far", TOTAL, 0]]);
    const received = server.requests.flatMap(({ body }) =>
      oracleDecode("traces", body).resourceSpans.flatMap(({ scopeSpans }) =>
        scopeSpans.flatMap(({ spans }) => spans.map(({ spanId }) => spanId))
      )
    );
    assert.deepEqual(received, IDS);
    await adapter.close();
    unlock();
    await held;
  });
}
