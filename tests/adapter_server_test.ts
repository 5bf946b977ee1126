/** The adapter on a server: others that write, hang or hold it up. */

import { type DestinationStats, OTelStorageAdapter, UnavailableError } from "@oneiric/otel-storage";
import assert from "node:assert/strict";
import { backdoor, errorOf } from "./driver_candidates.ts";
import { drivers, testDatabase } from "./postgres.ts";
import { logs, numbers, spans, TRACE_ID } from "./requests.ts";
import { adapterOn } from "./adapter_on.ts";

if (drivers.includes("postgres")) {
  /** Waits until somebody waits for a lock. */
  const somebodyWaits = async (url: string) => {
    await backdoor(url, async (observer) => {
      const waiting = "select from pg_stat_activity where wait_event_type = 'Lock' and " +
        "datname = current_database()";
      while ((await observer.query(waiting)).rows.length === 0) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    });
  };

  Deno.test("adapters that write to one database at once lose and double nothing", async () => {
    await using test = await testDatabase("postgres");
    await Promise.all([1, 2, 3].map(async (which) => {
      await using adapter = new OTelStorageAdapter({ connectionString: test.url });
      await adapter.init();
      for (let round = 0; round < 10; round++) {
        await Promise.all(
          numbers(0, 20).map((n) => {
            const number = which * 10_000 + round * 100 + n;
            const options = { name: `name ${n}`, service: `service ${(n + which) % 5}` };
            return n % 2 === 0
              ? adapter.write("traces", spans([number], options))
              : adapter.write("logs", logs([number], options));
          }),
        );
      }
    }));
    assert.deepEqual(
      await test.database.query(
        `select (select count(*) from otel.spans where name is not null and service_name is not null)
             as spans,
           (select count(distinct span_id) from otel.spans) as span_ids,
           (select count(*) from otel.logs where service_name is not null) as logs,
           (select count(distinct span_id) from otel.logs) as log_ids,
           (select value from otel.stats where name = 'spans') as counted`,
      ),
      [{ spans: 300n, span_ids: 300n, logs: 300n, log_ids: 300n, counted: 300n }],
    );
  });

  Deno.test("adapter gives up an attempt that takes too long, and stores the batch once later", async () => {
    await using opened = await adapterOn("postgres", {
      attemptTimeoutMs: 100,
      maxBufferAgeMs: 500,
      circuitBreakerCooldownMs: 10,
    });
    const { adapter, url } = opened;
    await adapter.init();
    const again = spans([2]);
    await adapter.write("traces", spans([1]));
    await backdoor(url, async (rival) => {
      await rival.query("begin; lock table otel_data.spans in access exclusive mode");
      const error = await errorOf(adapter.write("traces", again));
      assert(error instanceof UnavailableError);
      assert.equal(
        error.message,
        "Cannot store the request: the database has not stored it within 500 ms; " +
          "send it again later",
      );
      const [{ lastError }] = (await adapter.stats()).destinations as [DestinationStats];
      assert.equal(lastError?.message, "no answer within 100 ms");
      await rival.query("rollback");
    });
    await adapter.write("traces", again);
    assert.deepEqual((await adapter.getTrace(TRACE_ID)).length, 2);
  });

  Deno.test("adapter that is closed while the database hangs refuses what is not stored in time", async () => {
    await using opened = await adapterOn("postgres", { closeGraceMs: 50 });
    const { adapter, url } = opened;
    await adapter.init();
    await adapter.write("traces", spans([1]));
    await backdoor(url, async (rival) => {
      await rival.query("begin; lock table otel_data.spans in access exclusive mode");
      const storing = errorOf(adapter.write("traces", spans([2])));
      await somebodyWaits(url);
      const waiting = errorOf(adapter.write("traces", spans([3])));
      const reading = errorOf(adapter.getTrace(TRACE_ID));
      await adapter.close();
      for (const error of [await storing, await waiting]) {
        assert(error instanceof UnavailableError);
        assert.equal(
          error.message,
          "Cannot store the request: shutting down; send it again later",
        );
      }
      assert.equal((await reading).name, "AbortError");
      await rival.query("rollback");
    });
  });

  Deno.test("adapter that is closed while it is being initialised gives that up", async () => {
    await using opened = await adapterOn("postgres");
    const { adapter, url } = opened;
    await adapter.init();
    await using second = new OTelStorageAdapter({ connectionString: url });
    await backdoor(url, async (rival) => {
      // As another migration that takes long.
      await rival.query("begin; select pg_advisory_xact_lock(8242470154867533925)");
      const init = errorOf(second.init());
      await somebodyWaits(url);
      await second.close();
      const error = await init;
      assert.equal(error.name, "TypeError");
      assert.equal(error.message, "Cannot open the adapter: it was closed meanwhile");
      await rival.query("rollback");
    });
  });

  Deno.test("adapter that is closed gives its upkeep up", async () => {
    await using opened = await adapterOn("postgres");
    const { adapter, url } = opened;
    await adapter.init();
    await backdoor(url, async (rival) => {
      await rival.query("begin; lock table otel_data.spans_default in access exclusive mode");
      const upkeep = errorOf(adapter.maintain());
      await somebodyWaits(url);
      await adapter.close();
      assert.equal((await upkeep).name, "AbortError");
      await rival.query("rollback");
    });
  });
}
