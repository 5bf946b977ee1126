/** The adapter: its options, its life, what it stores and reads back. */

import { PGlite } from "@electric-sql/pglite";
import {
  type DestinationStats,
  OTelStorageAdapter,
  type OTelStorageOptions,
  UnavailableError,
} from "@oneiric/otel-storage";
import assert from "node:assert/strict";
import { adapterSettings } from "../src/adapter_options.ts";
import { decodeRequest, jsonToProtobuf } from "../src/otlp.ts";
import { canonicalise } from "./canonical.ts";
import { backdoor, errorOf } from "./driver_candidates.ts";
import { drivers, emptySnapshot, testDatabase, type TestDriver } from "./postgres.ts";
import { logs, numbers, points, spanId, spans, TRACE_ID } from "./requests.ts";

const PGLITE = { pgliteDir: "memory://" };

/** An adapter on a database of its own, not initialised yet. */
async function adapterOn(
  driver: TestDriver,
  options: Partial<OTelStorageOptions> = {},
): Promise<AsyncDisposable & { adapter: OTelStorageAdapter; url: string }> {
  if (driver === "pglite") {
    const client = await PGlite.create({ loadDataDir: await emptySnapshot() });
    const adapter = new OTelStorageAdapter({ client, ...options });
    return {
      adapter,
      url: "",
      [Symbol.asyncDispose]: async () => {
        await adapter.close();
        await client.close();
      },
    };
  }
  const test = await testDatabase(driver);
  const adapter = new OTelStorageAdapter({ connectionString: test.url, ...options });
  return {
    adapter,
    url: test.url,
    [Symbol.asyncDispose]: async () => {
      await adapter.close();
      await test[Symbol.asyncDispose]();
    },
  };
}

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

// Options

const FORWARD = { name: "vendor", url: "https://otlp.example.org" };

Deno.test("adapter has the defaults that are documented", () => {
  const { onEvent, ...settings } = adapterSettings(PGLITE);
  assert.equal(onEvent({ level: "info", message: "", fields: {} }), undefined);
  assert.deepEqual(settings, {
    pgliteDir: "memory://",
    journalMaxBytes: 1_073_741_824,
    forwards: [],
    retainJournal: false,
    retentionDays: 30,
    maxRetries: 3,
    attemptTimeoutMs: 30_000,
    circuitBreakerThreshold: 5,
    circuitBreakerCooldownMs: 60_000,
    batchSize: 100,
    batchIntervalMs: 5_000,
    maxBufferBytes: 67_108_864,
    maxBufferAgeMs: 30_000,
    maxRoomWaitMs: 5_000,
    closeGraceMs: 8_000,
  });
});

Deno.test("adapter refuses bad options with a RangeError that names option and value", () => {
  const bad: Record<string, readonly unknown[]> = {
    pgliteDir: ["", 5],
    partition: ["year", 1],
    retentionDays: [0, -1, 1.5, 3651, NaN, "30", 30n, null],
    maxRetries: [0, 11, 2.5, Infinity],
    attemptTimeoutMs: [99, 600_001],
    circuitBreakerThreshold: [0, 101],
    circuitBreakerCooldownMs: [0, 3_600_001],
    batchSize: [9, 1_001, 10.5, "100"],
    batchIntervalMs: [999, 60_001],
    maxBufferBytes: [0, (1 << 20) - 1],
    dataDir: ["", 5],
    journalMaxBytes: [0, (1 << 20) - 1],
    maxBufferAgeMs: [0, 2 ** 31],
    maxRoomWaitMs: [-1, 2 ** 31],
    closeGraceMs: [-1, 600_001],
  };
  const shown = (value: unknown) =>
    typeof value === "string" ? `'${value}'` : typeof value === "bigint" ? `${value}n` : `${value}`;
  for (const [name, values] of Object.entries(bad)) {
    for (const value of values) {
      const options = { ...(name === "pgliteDir" ? {} : PGLITE), [name]: value };
      assert.throws(() => new OTelStorageAdapter(options as OTelStorageOptions), (error) => {
        assert(error instanceof RangeError);
        const start = `Cannot create OTelStorageAdapter with '${name}': ${shown(value)} (`;
        assert.equal(error.message.slice(0, start.length), start);
        return true;
      });
    }
  }
});

Deno.test("adapter is not disturbed by an observer that throws: the console is told", () => {
  const thrown = new Error("observer");
  const { onEvent } = adapterSettings({
    ...PGLITE,
    onEvent: () => {
      throw thrown;
    },
  });
  const { error } = console;
  const told: unknown[] = [];
  console.error = (...words: unknown[]) => told.push(...words);
  try {
    onEvent({ level: "info", message: "", fields: {} });
  } finally {
    console.error = error;
  }
  assert.deepEqual(told, ["OTelStorageAdapter: onEvent threw", thrown]);
});

Deno.test("adapter refuses options that it does not know, and what are no options", () => {
  const cases: [unknown, RegExp][] = [
    [{ ...PGLITE, retention: 5 }, /^Cannot create OTelStorageAdapter \(.*"retention"\)$/],
    [undefined, /^Cannot create OTelStorageAdapter \(/],
    [null, /^Cannot create OTelStorageAdapter \(/],
    ["postgres://user:secret@host/db", /^Cannot create OTelStorageAdapter \([^@]*$/],
    [{ ...PGLITE, forwards: [FORWARD] }, /\(forwards need a dataDir/],
    [
      { ...PGLITE, dataDir: "d", forwards: [{ ...FORWARD, name: "a b" }] },
      /^Cannot create OTelStorageAdapter with 'forwards\.0\.name': 'a b' \(/,
    ],
    [
      { ...PGLITE, dataDir: "d", forwards: [{ ...FORWARD, name: "postgres" }] },
      /^Cannot create OTelStorageAdapter with 'forwards\.0\.name': 'postgres' \(/,
    ],
    [
      { ...PGLITE, dataDir: "d", forwards: [FORWARD, { ...FORWARD, url: "http://there" }] },
      /^Cannot create OTelStorageAdapter with 'forwards\.1\.name' \(there is one of this name/,
    ],
    [
      { ...PGLITE, dataDir: "d", forwards: [{ ...FORWARD, headers: { key: 5 } }] },
      /^Cannot create OTelStorageAdapter with 'forwards\.0\.headers\.key' \([^5]*$/,
    ],
  ];
  for (const [options, message] of cases) {
    const make = () => new OTelStorageAdapter(options as OTelStorageOptions);
    assert.throws(make, { name: "RangeError", message });
  }
});

Deno.test("adapter wants one database", () => {
  const url = "postgres://user:secret@host/db";
  for (
    const [options, count] of [
      [{}, "none"],
      [{ connectionString: url, ...PGLITE }, "2"],
      [{ connectionString: url, client: {}, ...PGLITE }, "3"],
    ] as const
  ) {
    assert.throws(() => new OTelStorageAdapter(options as OTelStorageOptions), {
      name: "RangeError",
      message: "Cannot create OTelStorageAdapter (give one of connectionString, pgliteDir and " +
        `client, not ${count})`,
    });
  }
});

Deno.test("adapter does not repeat a bad connection string, nor a client", () => {
  for (const connectionString of ["mysql://user:secret@host/db", "user:secret@host", 5]) {
    const options = { connectionString } as OTelStorageOptions;
    assert.throws(() => new OTelStorageAdapter(options), (error: Error) => {
      assert.match(error.message, /^Cannot create OTelStorageAdapter with 'connectionString' \(/);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
  }
  for (const client of [null, 5, "postgres://user:secret@host/db"]) {
    const options = { client } as unknown as OTelStorageOptions;
    assert.throws(() => new OTelStorageAdapter(options), {
      message: "Cannot create OTelStorageAdapter with 'client' (has to be a client)",
    });
  }
});

Deno.test("adapter warns of partitions that are too narrow for what is kept", () => {
  assert.equal(new OTelStorageAdapter(PGLITE).warning, "");
  const narrow = new OTelStorageAdapter({ ...PGLITE, partition: "hour", retentionDays: 30 });
  assert.notEqual(narrow.warning, "");
});

// Its life

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
