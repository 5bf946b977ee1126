/**
 * The transcoder is held against the table-driven decoder: what the one stores, the other reads in
 * the same bytes; what the one refuses, so does the other.
 */

import fc from "fast-check";
import assert from "node:assert/strict";
import { Batch } from "../src/postgres/batch.ts";
import { Dimensions } from "../src/postgres/dimensions.ts";
import { Transcoder } from "../src/postgres/transcode.ts";
import { decodeRequest, encodeRequest } from "../src/otlp.ts";
import { OtlpDecodeError } from "../src/otlp_error.ts";
import type { AnyValue, ExportRequests, KeyValue, Signal } from "../src/record.ts";
import { arbitraryRequest } from "./arbitraries.ts";
import { canonicalise } from "./canonical.ts";
import {
  attribute,
  gauge,
  log,
  logs,
  metrics,
  point,
  resource,
  span,
  traces,
} from "./one_record.ts";
import { oracleDecode } from "./oracle.ts";
import { ARRIVAL, TranscodeStore } from "./transcode_store.ts";
import { randomNumbers, wireForm } from "./wire_forms.ts";

const SIGNALS: readonly Signal[] = ["traces", "logs", "metrics"];
const store = await TranscodeStore.open();

/** How many spans, log records or points a request has, whatever they are worth. */
function countRecords<S extends Signal>(signal: S, request: ExportRequests[S]): number {
  const counts: { [S in Signal]: (request: ExportRequests[S]) => number } = {
    traces: ({ resourceSpans }) =>
      sum(resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.map(({ spans }) => spans.length))),
    logs: ({ resourceLogs }) =>
      sum(
        resourceLogs.flatMap(({ scopeLogs }) =>
          scopeLogs.map(({ logRecords }) => logRecords.length)
        ),
      ),
    metrics: ({ resourceMetrics }) =>
      sum(
        resourceMetrics.flatMap(({ scopeMetrics }) =>
          scopeMetrics.flatMap(({ metrics }) => metrics)
        )
          .map(({ gauge, sum, histogram, exponentialHistogram, summary }) =>
            (gauge ?? sum ?? histogram ?? exponentialHistogram ?? summary)?.dataPoints.length ?? 0
          ),
      ),
  };
  return counts[signal](request);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** A value of 129 levels, one more than is kept. */
function tooDeep(): AnyValue {
  let value: AnyValue = { boolValue: true };
  for (let level = 1; level < 129; level++) {
    value = level % 2 === 0
      ? { arrayValue: { values: [value] } }
      : { kvlistValue: { values: [{ key: "k", value }] } };
  }
  return value;
}

/** Spoils some of the records so that they have to be rejected. */
function spoil(value: unknown, random: () => number): void {
  if (Array.isArray(value)) { for (const item of value) spoil(item, random); }
  else if (typeof value === "object" && value !== null && !(value instanceof Uint8Array)) {
    const record = value as Record<string, unknown>;
    const bad = () => random() < 0.04;
    if ("parentSpanId" in record) {
      if (bad()) {
        record.traceId = ["", "00".repeat(16), "ab".repeat(15), "ab".repeat(17)][
          Math.floor(random() * 4)
        ];
      }
      if (bad()) {
        record.spanId = ["", "00".repeat(8), "ab".repeat(7), "ab".repeat(9)][
          Math.floor(random() * 4)
        ];
      }
    }
    if ("asInt" in record || "asDouble" in record) {
      if (bad()) {
        delete record.asInt;
        delete record.asDouble;
      }
    }
    for (const name of ["attributes", "filteredAttributes", "metadata"]) {
      if (name in record && random() < 0.01) {
        (record[name] as KeyValue[]).push({ key: "deep", value: tooDeep() });
      }
    }
    for (const item of Object.values(record)) spoil(item, random);
  }
}

/** A body and its request, some of whose records are invalid. */
interface Case<S extends Signal> {
  readonly request: ExportRequests[S];
  readonly body: Uint8Array;
}

function unusual<S extends Signal>(signal: S, damage = 0): fc.Arbitrary<Case<S>> {
  return fc.record({
    request: arbitraryRequest(signal),
    seed: fc.integer(),
    oddity: fc.double({ min: 0, max: 0.4, noNaN: true }),
    isSpoilt: fc.boolean(),
  }).map(({ request, seed, oddity, isSpoilt }) => {
    if (isSpoilt) spoil(request, randomNumbers(seed));
    return { request, body: amidst(wireForm(signal, request, { seed, oddity, damage })) };
  });
}

/** The same bytes with others before and after them, as bodies come from a pool of buffers. */
function amidst(bytes: Uint8Array): Uint8Array {
  const pool = new Uint8Array(bytes.length + 8).fill(0x0a);
  pool.set(bytes, 3);
  return pool.subarray(3, bytes.length + 3);
}

for (const signal of SIGNALS) {
  Deno.test(`${signal}: unusual wire forms mean what they were made from`, () => {
    fc.assert(
      fc.property(unusual(signal), ({ request, body }) => {
        assert.deepEqual(
          canonicalise(signal, decodeRequest(signal, body)),
          canonicalise(signal, request),
        );
        assert.deepEqual(
          canonicalise(signal, oracleDecode(signal, body)),
          canonicalise(signal, request),
        );
      }),
      { numRuns: 200 },
    );
  });

  Deno.test(`${signal}: any wire form is stored as the decoder reads it`, async () => {
    const property = fc.asyncProperty(
      fc.array(unusual(signal), { minLength: 60, maxLength: 60 }),
      async (cases) => {
        await store.clear();
        const expected: string[] = [];
        for (const { body } of cases) {
          const decoded = decodeRequest(signal, body);
          const records = canonicalise(signal, decoded);
          expected.push(...records);
          const { accepted, rejected, message } = store.transcode(signal, body);
          assert.equal(accepted, records.length);
          assert.equal(rejected, countRecords(signal, decoded) - records.length);
          assert.equal(message === "", rejected === 0);
        }
        assert.deepEqual(canonicalise(signal, await store.stored(signal)), expected.sort());
      },
    );
    await fc.assert(property, { numRuns: 8 });
  });
}

/** Bytes damaged anywhere, which mostly breaks the lengths around as well. */
function damaged(bytes: Uint8Array, random: () => number): Uint8Array {
  const at = Math.floor(random() * (bytes.length + 1));
  const byte = Math.floor(random() * 256);
  switch (Math.floor(random() * 4)) {
    case 0:
      return Uint8Array.of(...bytes.subarray(0, at), byte, ...bytes.subarray(at));
    case 1:
      return Uint8Array.of(...bytes.subarray(0, at), ...bytes.subarray(at + 1));
    case 2:
      return Uint8Array.of(
        ...bytes.subarray(0, at),
        ...bytes.subarray(at, at + 20),
        ...bytes.subarray(at),
      );
    default: {
      const copy = bytes.slice();
      if (at < copy.length) copy[at] = byte;
      return copy;
    }
  }
}

/** Adds a body that the two may refuse, but only both. Returns what it holds, if it was taken. */
function takeOrRefuse<S extends Signal>(signal: S, body: Uint8Array): string[] {
  const { batch } = store;
  const rows = batch.of(signal);
  let decoded: ExportRequests[S] | undefined;
  try {
    decoded = decodeRequest(signal, body);
  } catch (error) {
    assert.ok(error instanceof OtlpDecodeError);
  }
  const before = { at: rows.at, count: rows.count, replaced: rows.replaced, size: batch.bytes };
  const written = rows.bytes.slice(0, rows.at);
  const hours = [...rows.hours];
  if (decoded !== undefined) {
    const records = canonicalise(signal, decoded);
    const { accepted, rejected } = store.transcode(signal, body);
    assert.equal(accepted, records.length);
    assert.equal(accepted + rejected, countRecords(signal, decoded));
    assert.equal(rows.count, before.count + accepted);
    return records;
  }
  assert.throws(() => store.transcode(signal, body), OtlpDecodeError);
  assert.deepEqual(
    { at: rows.at, count: rows.count, replaced: rows.replaced, size: batch.bytes },
    before,
  );
  assert.deepEqual(rows.bytes.slice(0, rows.at), written);
  assert.deepEqual([...rows.hours], hours);
  return [];
}

for (const signal of SIGNALS) {
  const bodies: [kind: string, fc.Arbitrary<Uint8Array>][] = [
    ["random bytes", fc.uint8Array({ maxLength: 40 })],
    ["bodies damaged inside", unusual(signal, 0.03).map(({ body }) => body)],
    [
      "bodies damaged anywhere",
      fc.tuple(unusual(signal), fc.integer()).map(([{ body }, seed]) =>
        damaged(body, randomNumbers(seed))
      ),
    ],
  ];
  for (const [kind, arbitrary] of bodies) {
    Deno.test(`${signal}: of ${kind} the transcoder takes what the decoder takes`, async () => {
      await store.clear();
      const expected: string[] = [];
      const property = fc.property(arbitrary, (body) => {
        expected.push(...takeOrRefuse(signal, body));
      });
      fc.assert(property, { numRuns: 600, endOnFailure: true });
      assert.deepEqual(canonicalise(signal, await store.stored(signal)), expected.sort());
    });
  }
}

const unseen = { resource: resource([attribute("service.name", "unseen")]) };

/** A request that is kept, and one with a resource of its own of which nothing is kept. */
const REJECTED: Readonly<Record<Signal, { good: Uint8Array; bad: Uint8Array }>> = {
  traces: {
    good: encodeRequest("traces", traces([span()])),
    bad: encodeRequest("traces", traces([span({ traceId: "", name: "unseen" })], unseen)),
  },
  logs: {
    good: encodeRequest("logs", logs([log()])),
    bad: encodeRequest("logs", logs([log({ body: tooDeep() })], unseen)),
  },
  metrics: {
    good: encodeRequest("metrics", metrics([gauge([point({ asInt: 1n })])])),
    bad: encodeRequest("metrics", metrics([gauge([point()], { name: "unseen" })], unseen)),
  },
};

for (const signal of SIGNALS) {
  Deno.test(`${signal}: of a body cut at any byte the transcoder takes what the decoder takes`, async () => {
    await store.clear();
    const expected: string[] = [];
    const bodies = fc.sample(unusual(signal), { seed: 7, numRuns: 100 })
      .map(({ body }) => body)
      .filter(({ length }) => length > 300 && length < 1200);
    assert.ok(bodies.length > 5);
    for (const body of bodies) {
      for (let length = 0; length <= body.length; length++) {
        expected.push(...takeOrRefuse(signal, body.subarray(0, length)));
      }
    }
    assert.deepEqual(canonicalise(signal, await store.stored(signal)), expected.sort());
    assert.ok(expected.length >= bodies.length);
  });

  Deno.test(`${signal}: a body of which nothing is kept leaves nothing in the batch`, () => {
    const batch = new Batch();
    const transcoder = new Transcoder(new Dimensions());
    const transcode = (body: Uint8Array) => transcoder.transcode(signal, body, ARRIVAL, batch);
    const { good, bad } = REJECTED[signal];
    assert.equal(transcode(good).accepted, 1);
    const before = batch.bytes;
    assert.equal(transcode(bad).rejected, 1);
    assert.equal(batch.bytes, before);
    assert.throws(() => transcode(Uint8Array.of(...bad, 0x0a, 0xff)), OtlpDecodeError);
    assert.equal(batch.bytes, before);
    // What it named can still be named.
    assert.equal(transcode(good).accepted, 1);
    assert.equal(batch.of(signal).count, 2);
  });
}
