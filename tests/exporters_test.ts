/**
 * The exporters under the SDK's own processors and readers: all that is exported is stored, and the SDK
 * is told so only then.
 */

import assert from "node:assert/strict";
import { PGlite } from "@electric-sql/pglite";
import { AggregationTemporality, type InstrumentType } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { Pool } from "pg";
import postgres from "postgres";
import { OTelStorageAdapter, type OTelStorageOptions, UnavailableError } from "../src/adapter.ts";
import {
  type ExportStore,
  type Signal,
  StorageLogRecordExporter,
  StorageMetricExporter,
  StorageSpanExporter,
  type WriteResult,
} from "../src/exporters.ts";
import { canonicalise } from "./canonical.ts";
import { denoPostgres, denoPostgresShape, type Given } from "./driver_candidates.ts";
import { openStore } from "./open_store.ts";
import { oracleDecode } from "./oracle.ts";
import { drivers, emptySnapshot, testDatabase } from "./postgres.ts";
import { runProgram } from "./sdk_program.ts";

const SIGNALS = ["traces", "logs", "metrics"] as const;
const RECORDS = { traces: 6, logs: 54, metrics: 60 };

/** A store that writes down what it is given. */
function recording(store: ExportStore): ExportStore & { readonly bodies: [Signal, Uint8Array][] } {
  const bodies: [Signal, Uint8Array][] = [];
  return {
    bodies,
    write(signal, body, options) {
      bodies.push([signal, body]);
      return store.write(signal, body, options);
    },
  };
}

for (const driver of drivers) {
  Deno.test(`all that real processors and readers export is in ${driver}`, async () => {
    await using opened = await openStore(driver);
    const { adapter } = opened;
    const store = recording(adapter);
    await runProgram("shop-api", {
      spans: new StorageSpanExporter(store),
      logs: new StorageLogRecordExporter(store),
      cumulative: new StorageMetricExporter(store),
      delta: Object.assign(new StorageMetricExporter(store), {
        selectAggregationTemporality: (type: InstrumentType) =>
          type.endsWith("UP_DOWN_COUNTER")
            ? AggregationTemporality.CUMULATIVE
            : AggregationTemporality.DELTA,
      }),
    });
    for (const signal of SIGNALS) {
      const sent = store.bodies.filter(([of]) => of === signal)
        .flatMap(([, body]) => canonicalise(signal, oracleDecode(signal, body))).sort();
      assert.equal(sent.length, RECORDS[signal]);
      assert.deepEqual(canonicalise(signal, await adapter.exportStored(signal)), sent);
    }
  });
}

/** Clients that a program may have already. */
const CLIENTS: readonly {
  readonly name: string;
  readonly ignore: boolean;
  readonly make: (url: string) => Given | Promise<Given>;
}[] = [
  {
    name: "a Pool of npm:pg",
    ignore: !drivers.includes("postgres"),
    make(connectionString) {
      const pool = new Pool({ connectionString });
      // The database is dropped while the server still says good-bye to connections that were ended.
      pool.on("error", () => {});
      return { target: pool, end: () => pool.end() };
    },
  },
  {
    name: "a client of npm:postgres",
    ignore: !drivers.includes("postgres"),
    make(url) {
      const client = postgres(url, { max: 4, onnotice: () => {} });
      return { target: client, end: () => client.end({ timeout: 1 }) };
    },
  },
  {
    name: "the shape of a Pool of @db/postgres",
    ignore: !drivers.includes("postgres"),
    make: denoPostgresShape,
  },
  {
    name: "a Pool of @db/postgres (skipped where it does not resolve)",
    ignore: denoPostgres === undefined || !drivers.includes("postgres"),
    make(url) {
      const pool = new denoPostgres!(url, 3, true);
      return { target: pool, end: () => pool.end() };
    },
  },
  {
    name: "a PGlite",
    ignore: false,
    async make() {
      const instance = await PGlite.create({ loadDataDir: await emptySnapshot() });
      return { target: instance, end: () => instance.close() };
    },
  },
];

for (const { name, ignore, make } of CLIENTS) {
  Deno.test({
    name: `spans are exported through ${name} that was handed in, which stays open`,
    ignore,
    async fn() {
      const driver = name === "a PGlite" ? undefined : await testDatabase("postgres");
      const { target, end } = await make(driver?.url ?? "");
      const adapter = new OTelStorageAdapter({ client: target } as OTelStorageOptions);
      await adapter.init();
      const exporter = new StorageSpanExporter(adapter);
      const provider = new TracerProvider({
        spanProcessors: [new BatchSpanProcessor({ exporter })],
      });
      const span = provider.getTracer("shop").startSpan("checkout");
      span.end();
      await provider.shutdown();
      const stored = await adapter.getTrace(span.spanContext().traceId);
      assert.deepEqual(stored.map(({ record }) => record.name), ["checkout"]);
      await adapter.close();
      // Once more, by a new adapter on the same client.
      await using again = new OTelStorageAdapter({ client: target } as OTelStorageOptions);
      await again.init();
      assert.equal((await again.getTrace(span.spanContext().traceId)).length, 1);
      await again.close();
      await end();
      await driver?.[Symbol.asyncDispose]();
    },
  });
}

/** Spans of a program, to be exported by hand. */
function someSpans(count: number) {
  const tracer = new TracerProvider().getTracer("shop");
  return Array.from({ length: count }, (_, i) => {
    const span = tracer.startSpan(`span ${i}`);
    span.end();
    return span as unknown as Parameters<StorageSpanExporter["export"]>[0][number];
  });
}

const TAKEN: WriteResult = { accepted: 1, rejected: 0, message: "" };

/** Exports and says how that ended. */
function exported(exporter: StorageSpanExporter, spans = someSpans(1)) {
  return new Promise<{ code: number; error?: Error }>((done) => exporter.export(spans, done));
}

Deno.test("the SDK is told that a batch is exported when it is durable, and not before", async () => {
  const written = Promise.withResolvers<WriteResult>();
  const exporter = new StorageSpanExporter({ write: () => written.promise });
  const told: number[] = [];
  exporter.export(someSpans(2), ({ code }) => told.push(code));
  const flushed = exporter.forceFlush();
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(told, []);
  written.resolve(TAKEN);
  await flushed;
  assert.deepEqual(told, [0]);
});

Deno.test("the SDK is told why a batch was not exported", async () => {
  const cause = new Error("the disk is gone");
  const rejecting = new StorageSpanExporter({ write: () => Promise.reject(cause) });
  assert.deepEqual(await exported(rejecting), { code: 1, error: cause });
  const throwing = new StorageSpanExporter({
    write() {
      throw cause;
    },
  });
  assert.deepEqual(await exported(throwing), { code: 1, error: cause });
  const unreadable = [undefined] as unknown as ReturnType<typeof someSpans>;
  const { code, error } = await exported(rejecting, unreadable);
  assert.ok(code === 1 && error instanceof Error);
});

Deno.test("a batch that may be sent again is, until it is taken", async () => {
  let calls = 0;
  const bodies = new Set<Uint8Array>();
  const exporter = new StorageSpanExporter({
    write(_signal, body) {
      bodies.add(body);
      return ++calls < 4 ? Promise.reject(new UnavailableError("full", 0)) : Promise.resolve(TAKEN);
    },
  });
  assert.deepEqual(await exported(exporter), { code: 0 });
  assert.deepEqual([calls, bodies.size], [4, 1]);
});

for (const answer of ["nothing", "come again"] as const) {
  Deno.test(`a batch is given up when its store says ${answer} for too long`, async () => {
    const exporter = new StorageSpanExporter({
      write: () =>
        answer === "nothing"
          ? new Promise<never>(() => {})
          : Promise.reject(new UnavailableError("full", 60_000)),
    }, { timeoutMs: 20 });
    const { code, error } = await exported(exporter);
    assert.equal(code, 1);
    assert.match(error!.message, /not durable after 20 ms/);
  });
}

Deno.test("flush and shutdown end though the store hangs, and may be called again", async () => {
  const exporter = new StorageSpanExporter({ write: () => new Promise<never>(() => {}) }, {
    timeoutMs: 20,
  });
  const ended = exported(exporter);
  await exporter.forceFlush();
  const shutdown = exporter.shutdown();
  assert.equal(exporter.shutdown(), shutdown);
  await shutdown;
  await exporter.forceFlush();
  assert.equal((await ended).code, 1);
  const { code, error } = await exported(exporter);
  assert.equal(code, 1);
  assert.match(error!.message, /it was shut down/);
});

Deno.test("what is on its way is bounded: more is refused at once, and taken again later", async () => {
  const written = Promise.withResolvers<WriteResult>();
  const exporter = new StorageSpanExporter({ write: () => written.promise }, {
    maxPendingBytes: 1,
  });
  const first = exported(exporter);
  const { code, error } = await exported(exporter);
  assert.equal(code, 1);
  assert.match(error!.message, /maxPendingBytes/);
  written.resolve(TAKEN);
  assert.equal((await first).code, 0);
  assert.equal((await exported(exporter)).code, 0);
});

Deno.test("an option of an exporter that is wrong is refused by name and value", () => {
  const store = { write: () => Promise.resolve(TAKEN) };
  for (
    const [options, names] of [
      [{ timeoutMs: 0 }, /'timeoutMs': 0/],
      [{ timeoutMs: 600_001 }, /'timeoutMs': 600001/],
      [{ maxPendingBytes: 1.5 }, /'maxPendingBytes': 1.5/],
      [{ patience: 1 }, /patience/],
    ] as const
  ) {
    for (const Exporter of [StorageSpanExporter, StorageLogRecordExporter, StorageMetricExporter]) {
      assert.throws(() => new Exporter(store, options as { timeoutMs?: number }), (error) => {
        assert.ok(error instanceof RangeError);
        assert.match(error.message, names);
        return true;
      });
    }
  }
});
