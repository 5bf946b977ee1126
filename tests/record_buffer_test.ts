/** What waits to be stored in the background: batches, bounds, failures, the end. */

import {
  type AdapterEvent,
  OTelStorageAdapter,
  UnavailableError,
  UnstoredRecordsError,
} from "@oneiric/otel-storage";
import assert from "node:assert/strict";
import { inspect } from "node:util";
import type { Taken } from "../src/intake.ts";
import { decodeRequest } from "../src/otlp.ts";
import { OtlpTooLargeError } from "../src/otlp_error.ts";
import { type BufferRules, RecordBuffer } from "../src/record_buffer.ts";
import type { Signal } from "../src/record.ts";
import { errorOf } from "./driver_candidates.ts";
import { lockedTable } from "./locked_table.ts";
import { openStore } from "./open_store.ts";
import { drivers, storedSpanIds, testDatabase } from "./postgres.ts";
import { numbers, spanId, spans, TRACE_ID } from "./requests.ts";
import { temporaryFolder } from "./temporary_folder.ts";

const TAKEN: Taken = { result: { accepted: 1, rejected: 0, message: "" }, stored: undefined };

/** A buffer whose requests are written down. */
function bufferOf(rules: Partial<BufferRules> = {}) {
  const requests: { signal: Signal; ids: number[] }[] = [];
  const events: AdapterEvent[] = [];
  const take = rules.take ?? (() => Promise.resolve(TAKEN));
  const buffer = new RecordBuffer({
    batchSize: 10,
    batchIntervalMs: 2 ** 31 - 1,
    maxBytes: 1 << 20,
    maxWaitMs: 2 ** 31 - 1,
    onEvent: (event) => events.push(event),
    ...rules,
    take: async (signal, body, abort) => {
      const taken = await take(signal, body, abort);
      requests.push({ signal, ids: idsOf(body) });
      return taken;
    },
  });
  return { buffer, requests, events };
}

function idsOf(body: Uint8Array): number[] {
  return decodeRequest("traces", body).resourceSpans.flatMap(({ scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) => spans.map(({ spanId }) => parseInt(spanId, 16)))
  );
}

const each = (all: readonly number[]) => all.map((number) => spans([number]));

Deno.test("buffer hands on as many records as a batch has, and the rest when it is flushed", async () => {
  const { buffer, requests } = bufferOf();
  for (const one of each(numbers(1, 25))) await buffer.add("traces", [one]);
  await buffer.flush();
  assert.deepEqual(requests.map(({ ids }) => ids), [
    numbers(1, 10),
    numbers(11, 10),
    numbers(21, 5),
  ]);
  assert.deepEqual([buffer.stats.records, buffer.stats.bytes], [0, 0]);
  buffer.end();
  await buffer.tell();
});

Deno.test("buffer hands on what has waited for the interval, each signal for itself", async () => {
  const done = Promise.withResolvers<void>();
  const signals: Signal[] = [];
  const { buffer, requests } = bufferOf({
    batchIntervalMs: 1,
    take: (signal) => {
      if (signals.push(signal) === 2) done.resolve();
      return Promise.resolve(TAKEN);
    },
  });
  await buffer.add("traces", each([1, 2]));
  await buffer.add("logs", each([3]));
  await done.promise;
  await buffer.flush();
  assert.deepEqual(requests, [
    { signal: "traces", ids: [1, 2] },
    { signal: "logs", ids: [3] },
  ]);
  buffer.end();
});

Deno.test("buffer ends a request at 4 MiB, but for a record that is larger", async () => {
  const large = (number: number, mib: number) =>
    spans([number], { name: "x".repeat((mib << 20) - 1000) });
  const { buffer, requests } = bufferOf({ maxBytes: 64 << 20 });
  await buffer.add("traces", [large(1, 3), large(2, 1), large(3, 1), large(4, 5), large(5, 1)]);
  await buffer.flush();
  assert.deepEqual(requests.map(({ ids }) => ids), [[1, 2], [3], [4], [5]]);
  buffer.end();
});

Deno.test("buffer that is full hands on at once, lets callers wait, and lets them in one by one", async () => {
  const gates: PromiseWithResolvers<Taken>[] = [];
  const { buffer, requests } = bufferOf({
    maxBytes: 1,
    take: () => {
      const gate = Promise.withResolvers<Taken>();
      gates.push(gate);
      return gate.promise;
    },
  });
  await buffer.add("traces", each([1]));
  const added: number[] = [];
  const waiting = [2, 3, 4].map((n) => buffer.add("traces", each([n])).then(() => added.push(n)));
  for (let n = 0; n < 4; n++) {
    while (gates.length === n) await new Promise((resolve) => setTimeout(resolve, 1));
    assert.equal(buffer.stats.records, 1);
    assert.equal(added.length, n);
    gates[n]!.resolve(TAKEN);
  }
  await Promise.all(waiting);
  await buffer.flush();
  assert.deepEqual(requests.flatMap(({ ids }) => ids).sort(), [1, 2, 3, 4]);
  assert.equal(buffer.stats.waiting, 0);
  buffer.end();
});

Deno.test("buffer refuses who has waited for room long enough, and counts it", async () => {
  const gate = Promise.withResolvers<Taken>();
  const { buffer, requests } = bufferOf({ maxBytes: 1, maxWaitMs: 1, take: () => gate.promise });
  await buffer.add("traces", each([1]));
  const error = await errorOf(buffer.add("traces", each([2, 3])));
  assert(error instanceof UnavailableError);
  assert.match(
    error.message,
    /^Cannot buffer the record: there has been no room for 1 ms, \d+ of 1 /,
  );
  assert.equal(buffer.stats.refused, 2);
  gate.resolve(TAKEN);
  await buffer.flush();
  assert.deepEqual(requests.map(({ ids }) => ids), [[1]]);
  buffer.end();
});

Deno.test("buffer keeps nothing of a caller that gives up waiting for room", async () => {
  const gate = Promise.withResolvers<Taken>();
  const { buffer, requests } = bufferOf({ maxBytes: 1, take: () => gate.promise });
  await buffer.add("traces", each([1]));
  const given = new AbortController();
  const adding = errorOf(buffer.add("traces", each([2]), given.signal));
  const reason = new Error("enough");
  given.abort(reason);
  assert.equal(await adding, reason);
  gate.resolve(TAKEN);
  await buffer.flush();
  assert.deepEqual(requests.map(({ ids }) => ids), [[1]]);
  buffer.end();
});

Deno.test("buffer tries a request again until it is taken, with the same bytes, and says so", async () => {
  const bodies: Uint8Array[] = [];
  const { buffer, requests, events } = bufferOf({
    take: (_, body) => {
      bodies.push(body.slice());
      return bodies.length < 3
        ? Promise.reject(new UnavailableError("the journal is full", 1))
        : Promise.resolve(TAKEN);
    },
  });
  await buffer.add("traces", each([1, 2]));
  await buffer.flush();
  assert.deepEqual([bodies[1], bodies[2]], [bodies[0], bodies[0]]);
  assert.deepEqual(requests.map(({ ids }) => ids), [[1, 2]]);
  const { failures, lastError, records } = buffer.stats;
  assert.deepEqual([failures, lastError?.message, records], [2, "the journal is full", 0]);
  assert.deepEqual(events.map(({ level, fields }) => [level, fields]), [
    ["warn", { signal: "traces", error: "the journal is full" }],
    ["warn", { signal: "traces", error: "the journal is full" }],
  ]);
  buffer.end();
  await buffer.tell();
});

Deno.test("buffer tells once of records that will never be taken, and goes on", async () => {
  const { buffer, events } = bufferOf({
    take: (_, body) =>
      idsOf(body).includes(1)
        ? Promise.reject(new OtlpTooLargeError("rows of 256 MiB"))
        : Promise.resolve({ ...TAKEN, result: { accepted: 1, rejected: 1, message: "no id" } }),
  });
  await buffer.add("traces", each([1, 2]));
  await buffer.flush();
  await buffer.add("traces", each([3, 4]));
  await buffer.flush();
  const error = await errorOf(buffer.tell());
  assert(error instanceof UnstoredRecordsError);
  assert.equal(error.records, 3);
  assert.equal(
    error.message,
    "Cannot store 3 records: 3 are refused for good; last error: no id",
  );
  await buffer.tell();
  assert.equal(buffer.stats.rejected, 3);
  assert.deepEqual(events.map(({ level, fields }) => [level, fields.records]), [
    ["error", 2],
    ["error", 1],
  ]);
  buffer.end();
});

Deno.test("buffer that is ended says how many records it still had, and takes no more", async () => {
  const { buffer } = bufferOf({
    take: (_, __, abort) =>
      new Promise((_, reject) => abort.addEventListener("abort", () => reject(abort.reason))),
  });
  await buffer.add("traces", each(numbers(1, 12)));
  const flushing = errorOf(buffer.flush());
  buffer.end();
  buffer.end();
  assert.equal((await flushing).name, "AbortError");
  const error = await errorOf(buffer.tell());
  assert(error instanceof UnstoredRecordsError);
  assert.equal(error.records, 12);
  assert.match(error.message, /^Cannot store 12 records: 12 were left when it was closed/);
  assert((await errorOf(buffer.add("traces", each([1])))) instanceof UnavailableError);
});

// In the adapter

const span = (number: number) => ({
  traceId: TRACE_ID,
  spanId: spanId(number),
  name: "work",
  startTime: new Date(),
  durationMs: 1,
});

/** Asks until it is so. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!await condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

for (const driver of drivers) {
  Deno.test(`adapter on ${driver} tells of buffered records that the database refuses, and stores the others`, async () => {
    await using store = await openStore(driver);
    const { adapter, database } = store;
    await database.query("alter table otel_data.spans add check (span_id <> 2)");
    for (const number of [1, 2, 3]) await adapter.storeTrace(span(number));
    const { buffer } = await adapter.stats();
    assert.deepEqual([buffer.records, (await adapter.health()).bufferedRecords], [3, 3]);
    const error = await errorOf(adapter.flush());
    assert(error instanceof UnstoredRecordsError, inspect(error));
    assert.equal(error.records, 1);
    assert.match(
      error.message,
      /^Cannot store 1 record: 1 are refused for good; last error: .*check/,
    );
    await adapter.flush();
    assert.equal((await adapter.stats()).buffer.rejected, 1);
    assert.deepEqual(
      await database.query("select span_id from otel.spans order by 1"),
      [{ span_id: spanId(1) }, { span_id: spanId(3) }],
    );
  });

  Deno.test(`adapter on ${driver} stores a batch that is full, and one that has waited, without being flushed`, async () => {
    const settings = { batchSize: 10, batchIntervalMs: 1_000 };
    await using test = await testDatabase(driver);
    await using adapter = new OTelStorageAdapter(
      driver === "postgres"
        ? { connectionString: test.url, ...settings }
        : { pgliteDir: "memory://", ...settings },
    );
    await adapter.init();
    const stored = async () => (await adapter.getTrace(TRACE_ID)).length;
    for (const number of numbers(1, 11)) await adapter.storeTrace(span(number));
    await until(async () => await stored() === 10);
    await until(async () => await stored() === 11);
    const bad = { name: "load", type: "gauge", value: NaN } as const;
    const error = await errorOf(adapter.storeMetrics([bad, { ...bad, value: 1 }]));
    assert(error instanceof AggregateError);
    assert.equal(
      error.message,
      "Cannot store 1 of 2 metrics, the others are buffered: Cannot store metric 0 with 'value': " +
        "NaN (has to be a finite number, a bigint of 64 bits, or 1 to 100000 numbers)",
    );
    await adapter.flush();
    assert.equal((await adapter.stats()).accepted.metrics, 1);
  });
}

if (drivers.includes("postgres")) {
  const patience = () => AbortSignal.timeout(50);

  Deno.test("adapter holds what it buffered while its database hangs, and stores it once", async () => {
    await using test = await testDatabase("postgres");
    await using adapter = new OTelStorageAdapter({
      connectionString: test.url,
      attemptTimeoutMs: 100,
      circuitBreakerCooldownMs: 10,
    });
    await adapter.init();
    {
      await using _ = await lockedTable(test.url, "spans");
      for (const number of numbers(1, 20)) await adapter.storeTrace(span(number));
      const signal = patience();
      const error = await errorOf(adapter.flush({ signal }));
      assert(error instanceof UnstoredRecordsError, inspect(error));
      assert.deepEqual([error.records, error.cause], [20, signal.reason]);
      assert.match(error.message, /^Cannot store 20 records: not stored yet: /);
      await until(async () => (await adapter.stats()).destinations[0]!.failures > 0);
      assert.equal((await adapter.stats()).buffer.unstored, 20);
    }
    await adapter.flush();
    assert.deepEqual(await storedSpanIds(test.url), numbers(1, 20).map(spanId));
    assert.equal((await adapter.stats()).buffer.unstored, 0);
  });

  Deno.test("adapter whose buffer is full while its database hangs lets wait, refuses, counts, and loses nothing it took", async () => {
    await using test = await testDatabase("postgres");
    await using adapter = new OTelStorageAdapter({
      connectionString: test.url,
      maxBufferBytes: 1 << 20,
      maxRoomWaitMs: 20,
      batchSize: 10,
    });
    await adapter.init();
    let taken = 0;
    let refused = 0;
    {
      await using _ = await lockedTable(test.url, "spans");
      const attributes = { large: "x".repeat(100_000) };
      while (refused < 3) {
        try {
          await adapter.storeTrace({ ...span(taken + 1), attributes });
          taken++;
        } catch (error) {
          assert(error instanceof UnavailableError, inspect(error));
          refused++;
        }
      }
      const { buffer, journal } = await adapter.stats();
      assert.equal(buffer.refused, 3);
      assert.ok(buffer.bytes < (1 << 20) + 200_000, `${buffer.bytes}`);
      assert.ok(journal.bytes < (1 << 20) + 2_000_000, `${journal.bytes}`);
      assert.ok(taken >= 20, `${taken}`);
    }
    await adapter.flush();
    assert.deepEqual(await storedSpanIds(test.url), numbers(1, taken).map(spanId));
  });

  Deno.test("adapter that is closed while its database hangs says how many records are lost", async () => {
    await using test = await testDatabase("postgres");
    const adapter = new OTelStorageAdapter({ connectionString: test.url, closeGraceMs: 50 });
    await adapter.init();
    await using _ = await lockedTable(test.url, "spans");
    for (const number of numbers(1, 5)) await adapter.storeTrace(span(number));
    const error = await errorOf(adapter.close());
    assert(error instanceof UnstoredRecordsError, inspect(error));
    assert.equal(error.records, 5);
    assert.equal(await errorOf(adapter.close()), error);
  });

  Deno.test("adapter with a dataDir keeps what it buffered when it is closed while its database hangs", async () => {
    await using test = await testDatabase("postgres");
    await using folder = await temporaryFolder();
    const settings = { connectionString: test.url, dataDir: folder.path, closeGraceMs: 50 };
    {
      await using first = new OTelStorageAdapter(settings);
      await first.init();
      await using _ = await lockedTable(test.url, "spans");
      for (const number of numbers(1, 5)) await first.storeTrace(span(number));
      await first.close();
    }
    await using second = new OTelStorageAdapter(settings);
    await second.init();
    await second.flush();
    assert.deepEqual(await storedSpanIds(test.url), numbers(1, 5).map(spanId));
  });

  Deno.test("adapter takes postgres:// and postgresql:// alike", async () => {
    await using test = await testDatabase("postgres");
    for (const [n, scheme] of ["postgres:", "postgresql:"].entries()) {
      const connectionString = test.url.replace(/^postgres(ql)?:/, scheme);
      await using adapter = new OTelStorageAdapter({ connectionString });
      await adapter.init();
      await adapter.storeTrace(span(n + 1));
    }
    assert.deepEqual(await storedSpanIds(test.url), [spanId(1), spanId(2)]);
  });
}

Deno.test("adapter tells no password while its database cannot be reached", async () => {
  const places = [
    "postgres://app:hunter2@127.0.0.1:1/otel",
    "postgresql://app@127.0.0.1:1/otel?password=hunter2",
    "postgres://app:12/hunter2@127.0.0.1:1/otel",
    "postgres://app:p%40hunter2@127.0.0.1:1/otel?sslpassword=hunter2",
  ];
  for (const connectionString of places) {
    await using folder = await temporaryFolder();
    const told: unknown[] = [];
    const adapter = new OTelStorageAdapter({
      connectionString,
      dataDir: folder.path,
      closeGraceMs: 20,
      maxRetries: 1,
      onEvent: (event) => told.push(event),
    });
    const opened = await adapter.init().then(() => true, (error) => {
      told.push(error);
      return false;
    });
    if (opened) {
      await adapter.storeLog({ message: "hello" });
      told.push(await errorOf(adapter.flush({ signal: AbortSignal.timeout(50) })));
      told.push(await errorOf(adapter.database()));
      told.push(await adapter.health(), await adapter.stats());
    }
    told.push(adapter);
    await adapter.close();
    const text = inspect(told, { depth: Infinity, showHidden: true, maxStringLength: null });
    assert.doesNotMatch(text, /hunter2/, connectionString);
    assert.ok(told.length > 1);
  }
});
