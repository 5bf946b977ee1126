/** The adapter: what it stores, counts, finds and exports. */

import { PGlite } from "@electric-sql/pglite";
import {
  type DestinationStats,
  OTelStorageAdapter,
  type OTelStorageOptions,
} from "@oneiric/otel-storage";
import assert from "node:assert/strict";
import { decodeRequest, jsonToProtobuf } from "../src/otlp.ts";
import { canonicalise } from "./canonical.ts";
import { errorOf } from "./driver_candidates.ts";
import { drivers, emptySnapshot } from "./postgres.ts";
import { logs, numbers, points, spanId, spans, TRACE_ID } from "./requests.ts";
import { adapterOn, PGLITE } from "./adapter_on.ts";

/** What a member of the adapter rejects with, every one of them. */
async function refusals(adapter: OTelStorageAdapter): Promise<Record<string, string>> {
  const range = { since: 0n, until: 1n };
  const calls: Record<string, () => Promise<unknown>> = {
    write: () => adapter.write("traces", spans([1])),
    room: () => adapter.room(),
    flush: () => adapter.flush(),
    storeTrace: () => adapter.storeTrace({ name: "work", startTime: new Date(), durationMs: 1 }),
    storeLog: () => adapter.storeLog({ message: "hello" }),
    storeMetrics: () => adapter.storeMetrics([{ name: "load", type: "gauge", value: 1 }]),
    database: () => adapter.database(),
    maintain: () => adapter.maintain(),
    health: () => adapter.health(),
    stats: () => adapter.stats(),
    getTrace: () => adapter.getTrace(TRACE_ID),
    getLogs: () => adapter.getLogs({}),
    getMetricPoints: () => adapter.getMetricPoints({ metric: "work", ...range }),
    exportStored: () => adapter.exportStored("traces", range),
  };
  const messages: Record<string, string> = {};
  for (const [name, call] of Object.entries(calls)) {
    messages[name] = await call().then(() => "resolved", ({ message }) => message);
  }
  return messages;
}

Deno.test("adapter that is not initialised says so, whatever is asked of it", async () => {
  const adapter = new OTelStorageAdapter(PGLITE);
  const messages = await refusals(adapter);
  assert.deepEqual(
    new Set(Object.values(messages)),
    new Set(["Cannot use the adapter: await init() first"]),
  );
  await adapter.close();
});

for (const driver of drivers) {
  const test = (
    sentence: string,
    run: (adapter: OTelStorageAdapter, url: string) => Promise<void>,
    options: Partial<OTelStorageOptions> = {},
  ) =>
    Deno.test(`adapter on ${driver} ${sentence}`, async () => {
      await using opened = await adapterOn(driver, options);
      await run(opened.adapter, opened.url);
    });

  test("initialises once, however often and however many at once ask for it", async (adapter) => {
    await Promise.all([adapter.init(), adapter.init(), adapter.init()]);
    const database = await adapter.database();
    await adapter.init();
    assert.equal(await adapter.database(), database);
    assert.deepEqual(
      await database.query("select count(*) as n from otel_data.migrations"),
      [{ n: 1n }],
    );
    const partitions = await database.query("select from otel.partitions where signal = 'traces'");
    assert.ok(partitions.length >= 3, `${partitions.length}`);
  });

  test("that is closed says so, whatever is asked of it", async (adapter) => {
    await adapter.init();
    await adapter.write("traces", spans([1]));
    await Promise.all([adapter.close(), adapter.close()]);
    await adapter.close();
    const { write, room, flush, storeTrace, storeLog, storeMetrics, ...others } = await refusals(
      adapter,
    );
    const refused = "Cannot store the request: shutting down; send it again later";
    assert.deepEqual([write, room, flush], [refused, refused, "resolved"]);
    assert.deepEqual([storeTrace, storeLog, storeMetrics], [refused, refused, refused]);
    assert.deepEqual(
      new Set(Object.values(others)),
      new Set(["Cannot use the adapter: it is closed"]),
    );
    await assert.rejects(adapter.init(), {
      name: "TypeError",
      message: "Cannot open the adapter: it is closed",
    });
  });

  test("stores what was written before it is closed", async (adapter) => {
    await adapter.init();
    const written = numbers(1, 20).map((n) => adapter.write("traces", spans([n])));
    const closed = adapter.close();
    const outcomes = await Promise.all(written);
    assert.ok(outcomes.every(({ accepted }) => accepted === 1));
    await closed;
  });

  test("says that it is well, and what is wrong when it is not", async (adapter) => {
    await adapter.init();
    const well = {
      ok: true,
      driver: driver === "pglite" ? "pglite" : "pg",
      schemaVersion: 1,
      error: "",
      breaker: "CLOSED",
      accepting: true,
      pendingRecords: 0,
      bufferedRecords: 0,
    };
    assert.deepEqual(await adapter.health(), well);
    const database = await adapter.database();
    await database.query("delete from otel_data.migrations");
    assert.deepEqual(await adapter.health(), {
      ...well,
      ok: false,
      accepting: false,
      schemaVersion: 0,
      error: "The schema has version 0, not 1: migrate it",
    });
    await database.query("alter table otel_data.migrations rename to other");
    assert.deepEqual(await adapter.health(), {
      ...well,
      ok: false,
      accepting: false,
      schemaVersion: 0,
      error: 'relation "otel_data.migrations" does not exist',
    });
  });

  test("counts what it stores, rejects and refuses", async (adapter) => {
    await adapter.init();
    await adapter.write("traces", spans([1, 2, 0]));
    await adapter.write("logs", logs([3]));
    await assert.rejects(adapter.write("traces", new Uint8Array([1])), { name: "OtlpDecodeError" });
    const database = await adapter.database();
    await database.query("alter table otel_data.spans add check (span_id <> 7)");
    const again = spans([6, 7]);
    for (const _ of [1, 2]) {
      const { accepted, rejected, message } = await adapter.write("traces", again);
      assert.deepEqual([accepted, rejected], [1, 1]);
      assert.match(
        message,
        /^1 refused by the database, .* check constraint "spans_span_id_check"$/,
      );
    }
    const { received, rejected, duplicates, accepted, destinations } = await adapter.stats();
    const counts = (traces: number, logs: number) => ({ traces, logs, metrics: 0 });
    assert.deepEqual([received, rejected, duplicates, accepted], [
      counts(7, 1),
      counts(1, 0),
      counts(2, 0),
      counts(4, 1),
    ]);
    const [{ name, delivered, pending, dead, skipped, breaker }] = destinations as [
      DestinationStats,
    ];
    assert.deepEqual([name, delivered, pending, dead, skipped, breaker], [
      "postgres",
      counts(3, 1),
      counts(0, 0),
      counts(1, 0),
      counts(0, 0),
      "CLOSED",
    ]);
  });

  test("goes on after its position in the database was lost", async (adapter) => {
    await adapter.init();
    await adapter.write("traces", spans([1]));
    const database = await adapter.database();
    // As a database looks that was restored from before.
    for (const table of ["spans", "names", "resources", "services", "journal_position"]) {
      await database.query(`delete from otel_data.${table}`);
    }
    await adapter.write("traces", spans([2]));
    await adapter.write("traces", spans([3]));
    assert.deepEqual(
      await database.query(
        "select span_id, name, service_name from otel.spans order by span_id",
      ),
      [2, 3].map((n) => ({ span_id: spanId(n), name: "work", service_name: "shop" })),
    );
  });

  test("keeps itself up, and lets that be given up", async (adapter) => {
    await adapter.init();
    const report = await adapter.maintain();
    assert.deepEqual([report.created, report.expired, report.postponed], [[], [], []]);
    const reason = new Error("stop");
    assert.equal(
      await errorOf(adapter.maintain({ signal: AbortSignal.abort(reason) })),
      reason,
    );
  });

  // Reading

  test("stores a workflow trace and reads it back by its id, with its service", async (adapter) => {
    await adapter.init();
    const text = (key: string, stringValue: string) => ({ key, value: { stringValue } });
    const body = jsonToProtobuf(
      "traces",
      JSON.stringify({
        resourceSpans: [{
          resource: { attributes: [text("service.name", "mahavishnu")] },
          scopeSpans: [{
            spans: [{
              traceId: TRACE_ID,
              spanId: spanId(1),
              name: "test_workflow",
              startTimeUnixNano: "1700000000000000000",
              endTimeUnixNano: "1700000000250000000",
              attributes: [text("workflow_id", "wf-1")],
            }],
          }],
        }],
      }),
    );
    void adapter.write("traces", body);
    void adapter.write("traces", spans([2], { traceId: "f".repeat(32) }));
    await adapter.flush();
    const [found, ...others] = await adapter.getTrace(TRACE_ID);
    assert.equal(others.length, 0);
    assert.deepEqual(found!.resource.attributes, [text("service.name", "mahavishnu")]);
    assert.equal(found!.record.name, "test_workflow");
    assert.deepEqual(found!.record.attributes, [text("workflow_id", "wf-1")]);
    assert.equal(found!.record.endTimeUnixNano - found!.record.startTimeUnixNano, 250_000_000n);
    assert.deepEqual(await adapter.getTrace("0".repeat(31) + "1"), []);
  });

  test("finds logs by trace, level, service and time", async (adapter) => {
    await adapter.init();
    const at = 1_800_000_000_000_000_000n;
    const other = "a".repeat(32);
    const write = (number: number, severityNumber: number, traceId: string, service: string) =>
      adapter.write(
        "logs",
        logs([number], {
          traceId,
          service,
          severityNumber,
          time: at + BigInt(number),
        }),
      );
    await Promise.all([
      write(1, 5, TRACE_ID, "shop"),
      write(2, 9, TRACE_ID, "shop"),
      write(3, 17, TRACE_ID, "bank"),
      write(4, 17, other, "shop"),
    ]);
    const found = async (filter: Parameters<typeof adapter.getLogs>[0]) =>
      (await adapter.getLogs(filter)).map(({ record }) => Number(record.body?.intValue));
    assert.deepEqual(await found({}), [4, 3, 2, 1]);
    assert.deepEqual(await found({ traceId: TRACE_ID }), [3, 2, 1]);
    assert.deepEqual(await found({ minSeverity: 17 }), [4, 3]);
    assert.deepEqual(await found({ traceId: TRACE_ID, minSeverity: 9 }), [3, 2]);
    assert.deepEqual(await found({ service: "bank" }), [3]);
    assert.deepEqual(await found({ limit: 2 }), [4, 3]);
    assert.deepEqual(await found({ until: at }), []);
    assert.deepEqual(await found({ since: at, until: at + 1_000n }), [4, 3, 2, 1]);
  });

  test("finds the points of a metric in a range of time", async (adapter) => {
    await adapter.init();
    const minute = 60_000_000_000n;
    const at = 1_800_000_000_000_000_000n;
    for (const n of [1, 2, 3]) {
      await adapter.write("metrics", points([n], { name: "cpu", time: at + BigInt(n) * minute }));
    }
    await adapter.write("metrics", points([4], { name: "memory", time: at + minute }));
    const found = async (since: bigint, until: bigint, service?: string) =>
      (await adapter.getMetricPoints({
        metric: "cpu",
        since,
        until,
        ...service !== undefined && { service },
      })).map(({ record }) => Number(record.gauge!.dataPoints[0]!.asInt));
    assert.deepEqual(await found(at, at + 10n * minute), [1, 2, 3]);
    assert.deepEqual(await found(at + 2n * minute, at + 3n * minute), [2]);
    assert.deepEqual(await found(at, at + 10n * minute, "shop"), [1, 2, 3]);
    assert.deepEqual(await found(at, at + 10n * minute, "bank"), []);
  });

  test("exports what it was given, and of it what lies in a range", async (adapter) => {
    await adapter.init();
    const bodies = { traces: spans([1, 2]), logs: logs([3]), metrics: points([4, 5]) } as const;
    for (const signal of ["traces", "logs", "metrics"] as const) {
      await adapter.write(signal, bodies[signal]);
      assert.deepEqual(
        canonicalise(signal, await adapter.exportStored(signal)),
        canonicalise(signal, decodeRequest(signal, bodies[signal])),
      );
      const before = await adapter.exportStored(signal, { until: 1_000_000_000n });
      assert.deepEqual(canonicalise(signal, before), []);
    }
  });

  // Aborting

  test("rejects an aborted write with the signal's reason", async (adapter) => {
    await adapter.init();
    const reason = new Error("stop");
    const options = { signal: AbortSignal.abort(reason) };
    assert.equal(await errorOf(adapter.write("traces", spans([1]), options)), reason);
    assert.equal(await errorOf(adapter.room(options)), reason);
    assert.equal((await adapter.stats()).accepted.traces, 0);
  });
}

Deno.test("adapter keeps no timer of an attempt that has ended", async () => {
  await using opened = await adapterOn("pglite", { attemptTimeoutMs: 123_456 });
  await opened.adapter.init();
  const running = new Set<unknown>();
  const real = { setTimeout, clearTimeout };
  globalThis.setTimeout = ((run: () => void, ms?: number) => {
    const id = real.setTimeout(run, ms);
    if (ms === 123_456) running.add(id);
    return id;
  }) as typeof setTimeout;
  globalThis.clearTimeout = (id) => {
    running.delete(id);
    real.clearTimeout(id);
  };
  try {
    const stored = opened.adapter.write("traces", spans([1]));
    const database = await opened.adapter.database();
    await stored;
    await database.query("alter table otel_data.spans rename to other");
    const given = new AbortController();
    const failing = errorOf(opened.adapter.write("traces", spans([2]), { signal: given.signal }));
    while (((await opened.adapter.stats()).destinations[0]?.failures ?? 0) === 0) {
      await new Promise((resolve) => real.setTimeout(resolve, 5));
    }
    given.abort(new Error("enough"));
    assert.equal((await failing).message, "enough");
    await opened.adapter.close();
  } finally {
    Object.assign(globalThis, real);
  }
  assert.equal(running.size, 0);
});

Deno.test("adapter leaves a client open that was handed in", async () => {
  const client = await PGlite.create({ loadDataDir: await emptySnapshot() });
  await using adapter = new OTelStorageAdapter({ client });
  await adapter.init();
  await adapter.write("traces", spans([1]));
  await adapter.close();
  const { rows } = await client.query("select span_id from otel.spans");
  assert.deepEqual(rows, [{ span_id: spanId(1) }]);
  await client.close();
});

Deno.test("adapter refuses a client that it cannot use when it is initialised", async () => {
  const client = {} as NonNullable<OTelStorageOptions["client"]>;
  await using adapter = new OTelStorageAdapter({ client });
  await assert.rejects(adapter.init(), { name: "TypeError", message: /^Cannot connect to what/ });
});
