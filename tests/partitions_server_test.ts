/** The time partitions on a server, while others read and write. */

import assert from "node:assert/strict";
import type { Database } from "../src/postgres/database.ts";
import { pg } from "../src/postgres/pg.ts";
import { drivers, migratedDatabase } from "./postgres.ts";
import {
  count,
  ensure,
  HOUR_MS,
  hourOf,
  insertSpans,
  listed,
  NOW,
  observed,
  upkeep,
} from "./partition_upkeep.ts";

const onServer = { ignore: !drivers.includes("postgres") };

/** A transaction that is under way until it is told to end. */
async function underWay(
  database: Database,
  sql: string,
): Promise<{ end(): Promise<void> } & AsyncDisposable> {
  const begun = Promise.withResolvers<void>();
  const ending = Promise.withResolvers<void>();
  const done = database.transaction(async (transaction) => {
    await transaction.query(sql);
    begun.resolve();
    await ending.promise;
  });
  await Promise.race([begun.promise, done]);
  const end = async () => {
    ending.resolve();
    await done;
  };
  return { end, [Symbol.asyncDispose]: end };
}

Deno.test("partitions made by eight processes at once are made once", onServer, async () => {
  await using test = await migratedDatabase("postgres");
  await using databases = new AsyncDisposableStack();
  const reports = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const database = databases.use(pg(test.url, { maxConnections: 1 }));
      return await upkeep(database).partitions.makeAhead();
    }),
  );
  assert.deepEqual(reports.flatMap(({ postponed }) => postponed), []);
  const created = reports.flatMap(({ created }) => created).sort();
  assert.deepEqual(created, [...new Set(created)]);
  assert.equal(created.length, 9);
  assert.equal((await listed(test.database)).length, 3);
});

Deno.test("rows move out of the default partition while writers go on", onServer, async () => {
  await using test = await migratedDatabase("postgres");
  const { database } = test;
  let writing = true;
  let written = 0;
  const writers = Array.from({ length: 3 }, async (_, writer) => {
    await using own = pg(test.url, { maxConnections: 1 });
    for (let n = 0; writing || n < 40; n++) {
      const time = new Date(NOW + (writer + n % 40) * HOUR_MS).toISOString();
      await insertSpans(own, time, time);
      written += 2;
    }
  });
  const report = await (async () => {
    while (written < 60) await database.query("select pg_sleep(0.01)");
    assert.notEqual(await count(database, "otel_data.spans_default"), 0);
    return await upkeep(database, { width: "hour" }).partitions.maintain();
  })().finally(() => writing = false);
  await Promise.all(writers);
  assert.deepEqual(report.postponed, []);
  assert.equal(report.created.filter((name) => name.startsWith("spans_")).length, 48);
  assert.equal(await count(database, "otel_data.spans"), written);
  assert.equal(await count(database, "otel_data.spans_default"), 0);
});

Deno.test(
  "partitions are made ahead while a writer's transaction is under way",
  onServer,
  async () => {
    await using test = await migratedDatabase("postgres");
    await ensure(test.database, "2026-11-23T00:00Z", "2026-11-24T00:00Z", "day");
    await using _writer = await underWay(
      test.database,
      `insert into otel_data.spans (trace_id, span_id, time, duration_ns, resource_id, scope_id, name_id,
       flags, time_frac, kind) values (gen_random_uuid(), 1, '2026-11-23T05:00Z', 1, 1, 1, 1, 0, 0, 1)`,
    );
    const { partitions } = upkeep(test.database, { lockAttempts: 1 });
    const report = await partitions.makeAhead();
    assert.deepEqual(report.postponed, []);
    assert.equal(report.created.length, 8);
  },
);

Deno.test("expire tries again when a reader held it up", onServer, async () => {
  await using test = await migratedDatabase("postgres");
  const { database } = test;
  await ensure(database, "2026-09-01T00:00Z", "2026-09-02T00:00Z", "day");
  await ensure(database, "2026-11-23T00:00Z", "2026-11-26T00:00Z", "day");
  await using reader = await underWay(database, "select count(*) from otel_data.spans");
  let attempts = 0;
  const { partitions } = upkeep(
    observed(database, async (sql) => {
      if (!sql.includes("otel_data.expire(")) return;
      if (++attempts === 2) await reader.end();
    }),
    { lockAttempts: 2 },
  );
  const report = await partitions.maintain();
  assert.deepEqual(report.expired, ["spans_20260901"]);
  assert.deepEqual(report.postponed, []);
  assert.equal(attempts, 2);
});

Deno.test(
  "expire reports what a long reader kept it from, and does it the next time",
  onServer,
  async () => {
    await using test = await migratedDatabase("postgres");
    const { database } = test;
    await ensure(database, "2026-09-01T00:00Z", "2026-09-03T00:00Z", "day");
    const { partitions } = upkeep(database, { lockAttempts: 1 });
    await partitions.makeAhead();
    await using reader = await underWay(database, "select count(*) from otel_data.spans");
    const report = await partitions.maintain();
    assert.deepEqual(report.expired, []);
    const [first, second, ...others] = report.postponed;
    assert.deepEqual([first?.action, first?.name], ["expire", "spans_20260901"]);
    assert.deepEqual([second?.action, second?.name], ["expire", "spans_20260902"]);
    assert.equal((first?.error as { code?: string }).code, "55P03");
    assert.deepEqual(others, []);
    assert.equal((await listed(database)).length, 5);
    await reader.end();
    const next = await partitions.maintain();
    assert.deepEqual(next.expired, ["spans_20260901", "spans_20260902"]);
    assert.deepEqual(next.postponed, []);
  },
);

Deno.test(
  "records go to the default partition while a long reader is in the way of their own",
  onServer,
  async () => {
    await using test = await migratedDatabase("postgres");
    const { database } = test;
    const { partitions } = upkeep(database);
    await partitions.makeAhead();
    await using reader = await underWay(database, "select count(*) from otel_data.spans");
    const report = await partitions.ensureFor("traces", [hourOf("2026-11-20T10:00Z")]);
    assert.deepEqual(report.created, []);
    assert.equal(report.postponed.length, 1);
    await insertSpans(database, "2026-11-20T10:00Z");
    assert.equal(await count(database, "otel_data.spans_default"), 1);
    await reader.end();
    assert.deepEqual((await partitions.maintain()).created, ["spans_20261120"]);
    assert.equal(await count(database, "otel_data.spans_20261120"), 1);
  },
);

Deno.test("seal removes the index that an interrupted rebuild left behind", onServer, async () => {
  await using test = await migratedDatabase("postgres");
  const { database } = test;
  await ensure(database, "2026-11-20T00:00Z", "2026-11-21T00:00Z", "day");
  await insertSpans(database, "2026-11-20T10:00Z", "2026-11-20T10:00Z");
  await assert.rejects(
    database.query(
      "create unique index concurrently spans_20261120_ccnew on otel_data.spans_20261120 (span_id)",
    ),
    { code: "23505" },
  );
  assert.equal(await count(database, "pg_index where not indisvalid"), 1);
  const report = await upkeep(database).partitions.maintain();
  assert.ok(report.sealed.includes("spans_20261120"));
  assert.deepEqual(report.postponed, []);
  assert.equal(await count(database, "pg_class where relname = 'spans_20261120_ccnew'"), 0);
});

Deno.test("a dimension that a writer is renewing is left to it", onServer, async () => {
  await using test = await migratedDatabase("postgres");
  const { database } = test;
  await database.query(
    "insert into otel_data.names values (1, 'renewed', '2020-01-01'), (2, 'old', '2020-01-01')",
  );
  await using _writer = await underWay(
    database,
    "update otel_data.names set last_used = '2026-11-23' where id = 1",
  );
  const report = await upkeep(database).partitions.maintain();
  assert.equal(report.expiredDimensions, 1);
  assert.deepEqual(await database.query("select id from otel_data.names"), [{ id: 1n }]);
});

Deno.test("no function waits longer than a second for a lock", onServer, async () => {
  await using test = await migratedDatabase("postgres");
  const locking = await test.database.query(`
    select proname::text as name, 'lock_timeout=1s' = any (proconfig) as bounded from pg_proc
    where pronamespace = 'otel_data'::regnamespace and prosrc ~ 'lock table|execute step;' order by 1`);
  assert.deepEqual(locking, [
    { name: "ensure", bounded: true },
    { name: "expire", bounded: true },
    { name: "seal", bounded: true },
  ]);
});

Deno.test("maintain fails when the database cannot be reached", onServer, async () => {
  await using database = pg("postgres://nobody@127.0.0.1:1/none", { connectTimeoutMs: 2_000 });
  await assert.rejects(upkeep(database, { lockAttempts: 1 }).partitions.maintain());
  await assert.rejects(
    upkeep(database).partitions.ensureFor("logs", [hourOf("2026-11-23T12:00Z")]),
  );
});
