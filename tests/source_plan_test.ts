/**
 * What the plan behind this package wanted of its storage, under the names of its tests. The seven of the
 * breaker are in `breaker_test.ts`, the two of the retries in `retry_test.ts`.
 */

import { type MetricQuery, queryMetric } from "@oneiric/otel-storage";
import assert from "node:assert/strict";
import { openStore } from "./open_store.ts";
import { drivers } from "./postgres.ts";

const TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN_ID = "00f067aa0ba902b7";

for (const driver of drivers) {
  Deno.test(`the source plan on ${driver}`, async (t) => {
    await using store = await openStore(driver);
    const { adapter, database } = store;
    /** Rows with their attributes as objects: every driver gives jsonb as text. */
    const select = async (sql: string) =>
      (await database.query<{ attributes: string }>(sql)).map((row) => ({
        ...row,
        attributes: JSON.parse(row.attributes),
      }));

    await t.step(
      "test_store_log: a span-shaped log keeps level, message and other attributes",
      async () => {
        await adapter.storeLog({
          traceId: TRACE_ID,
          spanId: SPAN_ID,
          name: "log_entry",
          kind: "INTERNAL",
          startTime: "2026-01-31T12:00:00.123456+00:00",
          endTime: "2026-01-31T12:00:00.223456+00:00",
          status: "OK",
          service: "mahavishnu",
          operation: "log",
          durationMs: 100,
          attributes: {
            "log.level": "ERROR",
            "log.message": "workflow failed",
            workflow_id: "wf-1",
            attempt: 3,
          },
        });
        await adapter.flush();
        assert.deepEqual(
          await select(
            `select time = timestamptz '2026-01-31 12:00:00.123456Z' as is_exact,
             severity_number, severity_text, severity, message, event_name,
             trace_id::text as trace_id, span_id, service_name, attributes
           from otel.logs`,
          ),
          [{
            is_exact: true,
            severity_number: 17,
            severity_text: "ERROR",
            severity: "ERROR",
            message: "workflow failed",
            event_name: "log_entry",
            trace_id: "4bf92f35-77b3-4da6-a3ce-929d0e0e4736",
            span_id: SPAN_ID,
            service_name: "mahavishnu",
            attributes: {
              workflow_id: "wf-1",
              attempt: 3,
              operation: "log",
              "span.kind": "INTERNAL",
              status: "OK",
              duration_ms: 100,
            },
          }],
        );
      },
    );

    await t.step(
      "test_store_metrics: a counter, a gauge and a histogram come back as such",
      async () => {
        const timestamp = new Date("2026-01-31T12:00:00Z");
        const labels = { pool: "default" };
        await adapter.storeMetrics([
          { name: "workflows.started", type: "counter", value: 42, unit: "1", labels, timestamp },
          { name: "workers.busy", type: "gauge", value: 3.5, labels, timestamp },
          { name: "step.duration", type: "histogram", value: 12.5, unit: "ms", labels, timestamp },
        ]);
        await adapter.flush();
        const rows = await select(
          `select metric_name as name, type, value, unit, temporality, is_monotonic, count::text as count,
           sum, min, max, attributes, time = timestamptz '2026-01-31 12:00:00Z' as is_exact
         from otel.metric_points order by metric_name`,
        );
        const common = { attributes: labels, is_exact: true };
        const none = { count: null, sum: null, min: null, max: null };
        assert.deepEqual(rows, [
          {
            name: "step.duration",
            type: "histogram",
            value: null,
            unit: "ms",
            temporality: "DELTA",
            is_monotonic: null,
            count: "1",
            sum: 12.5,
            min: 12.5,
            max: 12.5,
            ...common,
          },
          {
            name: "workers.busy",
            type: "gauge",
            value: 3.5,
            unit: null,
            temporality: null,
            is_monotonic: null,
            ...none,
            ...common,
          },
          {
            name: "workflows.started",
            type: "sum",
            value: 42,
            unit: "1",
            temporality: "CUMULATIVE",
            is_monotonic: true,
            ...none,
            ...common,
          },
        ]);
      },
    );

    await t.step(
      "test_mahavishnu_flow: a workflow trace is stored, flushed and read back with its service",
      async () => {
        const startTime = new Date("2026-01-31T12:00:00.250Z");
        await adapter.storeTrace({
          traceId: "5b8efff798038103d269b633813fc60c",
          spanId: "eee19b7ec3c1b174",
          name: "workflow.execute",
          kind: "INTERNAL",
          startTime,
          durationMs: 1_250.5,
          status: "OK",
          service: "mahavishnu",
          operation: "test_workflow",
          attributes: { workflow_id: "wf-123" },
        });
        await adapter.flush();
        const [found, ...others] = await adapter.getTrace("5b8efff798038103d269b633813fc60c");
        assert.equal(others.length, 0);
        assert.deepEqual(found!.resource.attributes, [
          { key: "service.name", value: { stringValue: "mahavishnu" } },
        ]);
        assert.deepEqual(
          await select(
            `select service_name, name, kind, status, duration_ms, attributes, parent_span_id
           from otel.spans where trace_id = '5b8efff798038103d269b633813fc60c'`,
          ),
          [{
            service_name: "mahavishnu",
            name: "workflow.execute",
            kind: "INTERNAL",
            status: "OK",
            duration_ms: 1_250.5,
            attributes: { workflow_id: "wf-123", operation: "test_workflow" },
            parent_span_id: null,
          }],
        );
      },
    );

    await t.step(
      "test_store_metrics: what the queries make of counters and histograms",
      async () => {
        const minute = (n: number) => Date.UTC(2026, 0, 30, 12, n);
        const name = "jobs";
        await adapter.storeMetrics([10, 25, 5, 8].map((value, n) => ({
          name,
          type: "counter" as const,
          value,
          timestamp: minute(n),
        })));
        await adapter.storeMetrics([[1, 2, 3], [200]].map((value, n) => ({
          name: "took",
          type: "histogram" as const,
          value,
          timestamp: minute(n),
        })));
        await adapter.flush();
        const range = {
          since: BigInt(minute(0)) * 1_000_000n,
          until: BigInt(minute(4)) * 1_000_000n,
        };
        const ask = async (metric: string, options: Partial<MetricQuery>) => {
          const asked = { metric, ...range, stepMs: 240_000, ...options };
          const { metrics } = await queryMetric(database, asked);
          return metrics.map(({ series }) =>
            series.map(({ points }) => points.map(({ value }) => value))
          );
        };
        // 15 more, then a reset: 5 since then, and 3 more.
        assert.deepEqual(await ask(name, { function: "increase" }), [[[23]]]);
        const answer = await ask("took", { function: "quantile", quantiles: [0.5] });
        const [[[median]]] = answer as [[[number]]];
        assert.ok(median > 0 && median <= 5, `${median}`);
        assert.deepEqual(await ask("took", { function: "increase" }), [[[4]]]);
      },
    );
  });
}
