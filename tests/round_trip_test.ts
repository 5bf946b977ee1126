/**
 * The invariant of the store: OTLP in equals OTLP out, for any valid request, on every database.
 */

import fc from "fast-check";
import assert from "node:assert/strict";
import { decodeRequest, encodeRequest } from "../src/otlp.ts";
import type { Signal } from "../src/record.ts";
import { arbitraryRequest } from "./arbitraries.ts";
import { canonicalise } from "./canonical.ts";
import { openStore } from "./open_store.ts";
import { drivers } from "./postgres.ts";

/** Requests a run stores before it reads all of them back, and how many runs there are. */
const REQUESTS = 50;
const RUNS = 20;

const TABLES: Readonly<Record<Signal, string>> = {
  traces: "spans",
  logs: "logs",
  metrics: "metric_points",
};

for (const driver of drivers) {
  for (const signal of ["traces", "logs", "metrics"] as const) {
    Deno.test(`round trip: ${signal} come back from ${driver} as they went in`, async () => {
      await using store = await openStore(driver);
      const { database } = store;
      const property = fc.asyncProperty(
        fc.array(arbitraryRequest(signal), { minLength: REQUESTS, maxLength: REQUESTS }),
        async (requests) => {
          await database.query(`truncate otel_data.${TABLES[signal]}`);
          const expected: string[] = [];
          await Promise.all(requests.map(async (request) => {
            const body = encodeRequest(signal, request);
            const records = canonicalise(signal, decodeRequest(signal, body));
            expected.push(...records);
            const { accepted } = await store.adapter.write(signal, body);
            assert.equal(accepted, records.length);
          }));
          const stored = canonicalise(signal, await store.adapter.exportStored(signal));
          assert.deepEqual(stored, expected.sort());
        },
      );
      await fc.assert(property, { numRuns: RUNS });
    });
  }
}
