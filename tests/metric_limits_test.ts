/** What is too much to read or to hold is refused, and says how much it is. */

import assert from "node:assert/strict";
import { encodeRequest } from "../src/otlp.ts";
import type { Row } from "../src/postgres/database.ts";
import { queryMetric } from "../src/query.ts";
import { computationOf } from "../src/query/metric_function.ts";
import { MAX_SERIES, type MetricDescriptor } from "../src/query/metric_series.ts";
import { MAX_POINTS, windowsOf } from "../src/query/metric_windows.ts";
import { gauge, metrics, point, TIME } from "./one_record.ts";
import { TranscodeStore } from "./transcode_store.ts";

const RANGE = { since: TIME - 60_000_000_000n, until: TIME + 60_000_000_000n };
const DESCRIPTOR = { name: "m", unit: "", description: "" };

/** Folds rows that no database has: `make` gives the n-th. */
async function fold(
  metric: MetricDescriptor,
  count: number,
  make: (n: number) => Row,
): Promise<unknown> {
  let next = 0;
  const query = <R extends Row>(sql: string): Promise<R[]> => {
    const size = Number(/^fetch (\d+)/.exec(sql)?.[1] ?? 0);
    const rows = Array.from({ length: Math.min(size, count - next) }, () => make(next++));
    return Promise.resolve(rows as R[]);
  };
  const { computation } = computationOf(metric, undefined, undefined, 0n);
  const series = [{ ids: [1n], attributes: [], group: "" }];
  const windows = { range: { since: 0n, until: 10n ** 15n }, stepNanos: 1_000_000n };
  return await windowsOf({ query }, "m", series, computation, windows);
}

const POINT = { n: 0, time_frac: 0, start_unix_nano: null };

Deno.test("a million points are read, and not one more", async () => {
  const metric = { ...DESCRIPTOR, type: "gauge" } as const;
  const make = () => ({ ...POINT, micros: 5n, value: 1, value_int: null });
  await fold(metric, MAX_POINTS, make);
  await assert.rejects(fold(metric, MAX_POINTS + 1, make), {
    name: "QueryError",
    message: /'metric': 'm' \(more than 1000000 points to read/,
  });
});

Deno.test("buckets of all windows are held up to a bound", async () => {
  const metric = { ...DESCRIPTOR, type: "histogram", temporality: "DELTA" } as const;
  const bounds = Array.from({ length: 1_999 }, (_, n) => n);
  const make = (n: number) => ({
    ...POINT,
    micros: BigInt(n) * 1_000n,
    count: 2_000n,
    sum: 1,
    min: null,
    max: null,
    bucket_counts: Array(2_000).fill(1n),
    explicit_bounds: bounds,
  });
  await fold(metric, 1_000, make);
  await assert.rejects(fold(metric, 1_001, make), {
    name: "QueryError",
    message: /more than 2000000 buckets to read/,
  });
});

Deno.test("a point with thousands of buckets is counted, but has no quantiles", async () => {
  const store = await TranscodeStore.open();
  const point_ = {
    attributes: [],
    startTimeUnixNano: 0n,
    timeUnixNano: TIME,
    exemplars: [],
    flags: 0,
  };
  const counts = Array<bigint>(2_001).fill(1n);
  const explicit = { ...point_, count: 2_001n, bucketCounts: counts };
  const exponential = {
    ...point_,
    count: 2_001n,
    scale: 0,
    zeroCount: 0n,
    zeroThreshold: 0,
    positive: { offset: 0, bucketCounts: counts },
  };
  const named = { name: "wide", unit: "", description: "", metadata: [] };
  const sent = metrics([
    {
      ...named,
      histogram: {
        dataPoints: [{ ...explicit, explicitBounds: counts.slice(1).map((_, n) => n) }],
        aggregationTemporality: 1,
      },
    },
    {
      ...named,
      exponentialHistogram: { dataPoints: [exponential], aggregationTemporality: 1 },
    },
  ]);
  store.transcode("metrics", encodeRequest("metrics", sent));
  await store.flush();
  for (const type of ["histogram", "exponential_histogram"] as const) {
    const asked = { metric: "wide", type, groupBy: [], ...RANGE };
    await assert.rejects(queryMetric(store.database, asked), {
      name: "QueryError",
      message: /'function': 'quantile' \(a point has 2001 buckets, more than 2000\)/,
    });
    const { metrics } = await queryMetric(store.database, { ...asked, function: "count" });
    assert.equal(metrics[0]!.series[0]!.points[0]!.value, 2_001);
  }
});

Deno.test("ten thousand series are read, and not one more", async () => {
  const store = await TranscodeStore.open();
  store.transcode(
    "metrics",
    encodeRequest("metrics", metrics([gauge([point({ asInt: 1n })], { name: "many" })])),
  );
  await store.flush();
  const grow = (from: number, to: number) =>
    store.database.transaction(async (transaction) => {
      const numbers = [from, to];
      await transaction.query(
        `insert into otel_data.series
         select n, metric_id, resource_id, scope_id, service_id, jsonb_build_object('n', n), otlp, last_used
         from generate_series($1::int, $2::int) n, (select * from otel_data.series limit 1) s`,
        numbers,
      );
      await transaction.query(
        `insert into otel_data.metric_points (time, series_id, value, flags, time_frac)
         select time, n, 1, 0, 0
         from generate_series($1::int, $2::int) n, (select * from otel_data.metric_points limit 1) p`,
        numbers,
      );
    });
  await grow(1, MAX_SERIES - 1);
  const asked = { metric: "many", function: "sum", groupBy: [], ...RANGE } as const;
  const { metrics: all } = await queryMetric(store.database, asked);
  assert.equal(all[0]!.series[0]!.points[0]!.value, MAX_SERIES);
  await grow(MAX_SERIES, MAX_SERIES);
  await assert.rejects(queryMetric(store.database, asked), {
    name: "QueryError",
    message: /'metric': 'many' \(more than 10000 series: narrow the filter\)/,
  });
  const { metrics: few } = await queryMetric(store.database, { ...asked, filter: "n < 5" });
  assert.equal(few[0]!.series[0]!.points[0]!.value, 4);
});
