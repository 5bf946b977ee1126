/** What `storeTrace`, `storeLog` and `storeMetrics` take is what the views have, for any of it. */

import type { LogData, MetricData, TraceData } from "@oneiric/otel-storage";
import fc from "fast-check";
import assert from "node:assert/strict";
import { openStore } from "./open_store.ts";
import { drivers } from "./postgres.ts";

const START = Date.UTC(2026, 0, 31);

const hex = (digits: number) =>
  fc.array(fc.constantFrom(..."0123456789abcdef"), { minLength: digits, maxLength: digits })
    .map((all) => all.join("").replace(/^0+$/, "1".repeat(digits)));
/** Text that Postgres can hold: nothing is replaced in it. */
const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 })
  .filter((value) => !value.includes("\0"));
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const time = fc.integer({ min: START, max: START + 86_400_000 });
const scalar = fc.oneof(
  text,
  fc.boolean(),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const attributes = fc.dictionary(
  text.filter((key) => !["operation", "span.kind", "status", "duration_ms"].includes(key)),
  fc.oneof(scalar, fc.array(scalar, { maxLength: 3 }), fc.record({ inner: scalar })),
  { maxKeys: 5 },
);

const TRACE: fc.Arbitrary<TraceData> = fc.record({
  traceId: hex(32),
  spanId: hex(16),
  parentSpanId: optional(hex(16)),
  name: text,
  kind: fc.constantFrom("INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"),
  startTime: time,
  durationMs: fc.integer({ min: 0, max: 1e6 }),
  status: fc.constantFrom("UNSET", "OK", "ERROR"),
  service: optional(text),
  operation: optional(text),
  attributes,
});

const LOG: fc.Arbitrary<LogData> = fc.record({
  traceId: optional(hex(32)),
  spanId: optional(hex(16)),
  timestamp: time,
  level: fc.constantFrom("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"),
  message: text,
  service: optional(text),
  operation: optional(text),
  attributes,
});

const METRIC: fc.Arbitrary<MetricData> = fc.record({
  name: text,
  type: fc.constantFrom("counter", "gauge"),
  value: fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
  unit: text,
  labels: attributes,
  timestamp: time,
  service: optional(text),
});

/** What jsonb makes of attributes: no -0, keys in any order. */
function inJsonb(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

/** The same in an order of its own, so that neither side's matters. */
function sorted(rows: readonly unknown[]): string[] {
  return rows.map((row) =>
    JSON.stringify(row, (_, value) => {
      if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
      return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1));
    })
  ).sort();
}

for (const driver of drivers) {
  Deno.test(`views on ${driver} have what plain objects said`, async () => {
    await using store = await openStore(driver);
    const { adapter, database } = store;
    const select = async (sql: string) =>
      (await database.query<{ attributes: string }>(sql)).map((row) => ({
        ...row,
        attributes: JSON.parse(row.attributes),
      }));
    let nothing = true;
    await fc.assert(
      fc.asyncProperty(
        fc.array(TRACE, { maxLength: 30 }),
        fc.array(LOG, { maxLength: 30 }),
        fc.array(METRIC, { maxLength: 30 }),
        async (traces, logs, metrics) => {
          await database.query("delete from otel_data.spans");
          await database.query("delete from otel_data.logs");
          await database.query("delete from otel_data.metric_points");
          await Promise.all([
            ...traces.map((one) => adapter.storeTrace(one)),
            ...logs.map((one) => adapter.storeLog(one)),
            adapter.storeMetrics(metrics),
          ]);
          await adapter.flush();
          nothing &&= traces.length + logs.length + metrics.length === 0;
          assert.deepEqual(
            sorted(
              await select(
                `select replace(trace_id::text, '-', '') as trace_id, span_id, parent_span_id, name, kind,
                   (extract(epoch from start_time) * 1000)::float8 as start_ms, duration_ms, status,
                   service_name, attributes
                 from otel.spans`,
              ),
            ),
            sorted(traces.map((one) => ({
              trace_id: one.traceId,
              span_id: one.spanId,
              parent_span_id: one.parentSpanId ?? null,
              name: one.name,
              kind: one.kind,
              start_ms: one.startTime,
              duration_ms: one.durationMs,
              status: one.status,
              service_name: one.service ?? null,
              attributes: inJsonb({ ...one.attributes, operation: one.operation }),
            }))),
          );
          assert.deepEqual(
            sorted(
              await select(
                `select replace(trace_id::text, '-', '') as trace_id, span_id, severity, message,
                   (extract(epoch from time) * 1000)::float8 as ms, service_name, attributes
                 from otel.logs`,
              ),
            ),
            sorted(logs.map((one) => ({
              trace_id: one.traceId ?? null,
              span_id: one.spanId ?? null,
              severity: one.level,
              message: one.message,
              ms: one.timestamp,
              service_name: one.service ?? null,
              attributes: inJsonb({ ...one.attributes, operation: one.operation }),
            }))),
          );
          assert.deepEqual(
            sorted(
              await select(
                `select metric_name as name, type, value, unit, service_name, attributes,
                   (extract(epoch from time) * 1000)::float8 as ms
                 from otel.metric_points`,
              ),
            ),
            sorted(metrics.map((one) => ({
              name: one.name,
              type: one.type === "counter" ? "sum" : "gauge",
              value: one.value,
              unit: one.unit,
              service_name: one.service ?? null,
              attributes: inJsonb(one.labels),
              ms: one.timestamp,
            }))),
          );
        },
      ),
      // A batch that comes again is not stored again: there is nothing to shrink.
      { numRuns: driver === "postgres" ? 40 : 15, endOnFailure: true },
    );
    assert.equal(nothing, false);
  });
}
