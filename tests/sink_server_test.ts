/** The sink on a server: killed backends, cut connections, and others that write at once. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import { Batch } from "../src/postgres/batch.ts";
import { Dimensions } from "../src/postgres/dimensions.ts";
import { Partitions } from "../src/postgres/partitions.ts";
import { pg } from "../src/postgres/pg.ts";
import { PostgresSink } from "../src/postgres/sink.ts";
import { Transcoder } from "../src/postgres/transcode.ts";
import { classify } from "../src/retry.ts";
import { backdoor, errorOf } from "./driver_candidates.ts";
import { drivers } from "./postgres.ts";
import { numbers, spans } from "./requests.ts";
import { tcpProxy } from "./tcp_proxy.ts";
import { DAY_NANOS, faulty, openStorage, stats, storedSpans, traces } from "./sink_storage.ts";
import { waitAt } from "./wait_at.ts";

if (drivers.includes("postgres")) {
  /** Waits until somebody waits for the advisory lock 42. */
  const somebodyWaits = async (query: (sql: string) => Promise<{ rows: unknown[] }>) => {
    const waiting = "select from pg_locks where locktype = 'advisory' and objid = 42 and " +
      "not granted and database = (select oid from pg_database where datname = current_database())";
    while ((await query(waiting)).rows.length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  Deno.test("sink stores a batch once when its backend is killed in mid-copy", async () => {
    await using storage = await openStorage("postgres");
    const { database, url, sink } = storage;
    await waitAt(database, 500);
    const batch = storage.batch(traces(numbers(1, 1000)));
    await backdoor(url, async (rival) => {
      await rival.query("select pg_advisory_lock(42)");
      const stored = errorOf(sink.store(batch, 1n));
      await somebodyWaits((sql) => rival.query(sql));
      await rival.query(
        `select pg_terminate_backend(pid) from pg_locks
         where locktype = 'advisory' and objid = 42 and not granted`,
      );
      const error = await stored;
      assert.equal(classify(error).kind, "transient", String(error));
      await rival.query("select pg_advisory_unlock(42)");
    });
    assert.deepEqual(await storedSpans(database), []);
    await sink.store(batch, 1n);
    assert.deepEqual(await storedSpans(database), numbers(1, 1000));
  });

  Deno.test("sink stores a batch once when a signal ends it in mid-copy", async () => {
    await using storage = await openStorage("postgres");
    const { database, url, sink } = storage;
    await waitAt(database, 500);
    const batch = storage.batch(traces(numbers(1, 1000)));
    const reason = new DOMException("too late", "TimeoutError");
    await backdoor(url, async (rival) => {
      await rival.query("select pg_advisory_lock(42)");
      const late = new AbortController();
      const stored = errorOf(sink.store(batch, 1n, late.signal));
      await somebodyWaits((sql) => rival.query(sql));
      late.abort(reason);
      assert.equal(await stored, reason);
      await rival.query("select pg_advisory_unlock(42)");
    });
    await sink.store(batch, 1n);
    assert.deepEqual(await storedSpans(database), numbers(1, 1000));
  });

  Deno.test("sink copies again when a partition is made under its rows", async () => {
    await using storage = await openStorage("postgres");
    const { database, url, faults } = storage;
    await waitAt(database, 500);
    // It knows of no partition to make, as if the lock had been busy when it asked.
    const partitions: Partitions = Object.assign(Object.create(storage.partitions), {
      ensureFor: () => Promise.resolve({ created: [], postponed: [] }),
    });
    const sink = new PostgresSink(faulty(database).database, partitions, storage.journalId);
    const late = BigInt(Date.now()) * 1_000_000n - 10n * DAY_NANOS;
    const batch = storage.batch(traces([1, 500]), traces([2, 3], { time: late }));
    await backdoor(url, async (rival) => {
      await rival.query("select pg_advisory_lock(42)");
      const stored = sink.store(batch, 1n);
      await somebodyWaits((sql) => rival.query(sql));
      const { created } = await storage.partitions.ensureFor("traces", [
        Number(late / 3_600_000_000_000n),
      ]);
      assert.equal(created.length, 1);
      await rival.query("select pg_advisory_unlock(42)");
      await stored;
      assert.deepEqual(
        await database.query(
          "select count(*) as n from otel_data.spans where tableoid = $1::regclass",
          [`otel_data.${created[0]}`],
        ),
        [{ n: 2n }],
      );
    });
    assert.equal(faults.transactions, 0);
    assert.deepEqual(await storedSpans(database), [1, 2, 3, 500]);
  });

  for (const cut of ["cut before", "cut after"] as const) {
    Deno.test(`sink stores a batch once when the connection is ${cut} its commit`, async () => {
      await using storage = await openStorage("postgres");
      const { database, url, journalId, partitions } = storage;
      await using proxy = await tcpProxy(Number(new URL(url).port));
      const through = new URL(url);
      through.port = String(proxy.port);
      await using proxied = pg(through.href);
      const sink = new PostgresSink(proxied, partitions, journalId);
      // So that the next commit is that of the records.
      await sink.store(storage.batch(traces([1])), 1n);
      let cuts = 0;
      proxy.onSent = (bytes) => {
        if (!Buffer.from(bytes).toString("latin1").includes("commit")) return "pass";
        return cuts++ === 0 ? cut : "pass";
      };
      const batch = storage.batch(traces(numbers(2, 100)));
      const error = await errorOf(sink.store(batch, 2n));
      assert.equal(classify(error).kind, "transient", String(error));
      await sink.store(batch, 2n);
      await sink.store(storage.batch(traces([102])), 3n);
      assert.ok(cuts > 0);
      assert.deepEqual(await storedSpans(database), numbers(1, 102));
      assert.equal((await stats(database)).spans, 102);
    });
  }

  Deno.test("sink waits for a transaction of its own whose outcome is still open", async () => {
    await using storage = await openStorage("postgres");
    const { database, url, journalId, partitions } = storage;
    const sink = new PostgresSink(database, partitions, journalId);
    await sink.store(storage.batch(traces([1])), 1n);
    // An orphan: it has moved the position and not committed yet.
    await backdoor(url, async (orphan) => {
      await orphan.query("begin");
      await orphan.query("update otel_data.journal_position set at = 2");
      const stored = sink.store(storage.batch(traces([2])), 2n);
      const waiting = "select from pg_stat_activity where wait_event_type = 'Lock' and " +
        "datname = current_database() and query like '%update otel_data.journal_position%'";
      await backdoor(url, async (observer) => {
        while ((await observer.query(waiting)).rows.length === 0) {
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      });
      await orphan.query("commit");
      await stored;
    });
    // The orphan was this very batch, and what it copied is what counts.
    assert.deepEqual(await storedSpans(database), [1]);
    await sink.store(storage.batch(traces([3])), 3n);
    assert.deepEqual(await storedSpans(database), [1, 3]);
  });

  Deno.test("sinks that name the same at once do not deadlock, and lose and double nothing", async () => {
    await using storage = await openStorage("postgres");
    const { database, url } = storage;
    const names = numbers(1, 3000);
    await Promise.all([1, 2, 3, 4].map(async (writer) => {
      await using own = pg(url);
      const partitions = new Partitions(own, { width: "day", retentionDays: 30 });
      const sink = new PostgresSink(own, partitions, randomUUID());
      const transcoder = new Transcoder(new Dimensions());
      for (let round = 0; round < 3; round++) {
        const batch = new Batch();
        const order = writer % 2 === 0 ? names : names.toReversed();
        for (const n of order) {
          const number = (writer * 10 + round) * 10_000 + n;
          transcoder.transcode("traces", spans([number], { name: `${round} ${n}` }), 0n, batch);
        }
        await sink.store(batch, BigInt(round + 1));
      }
    }));
    assert.deepEqual(
      await database.query(
        `select count(*) as spans, count(distinct span_id) as ids, count(distinct name) as names,
           count(*) filter (where name is null or service_name is null) as nameless
         from otel.spans`,
      ),
      [{ spans: 36_000n, ids: 36_000n, names: 9_000n, nameless: 0n }],
    );
    assert.equal((await stats(database)).spans, 36_000);
  });
}
