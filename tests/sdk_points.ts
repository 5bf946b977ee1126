/**
 * What SQL has to find of the metrics of `sdk_program.ts`.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { RecordingServer } from "./recording_server.ts";
import type { Sending } from "./sdk_exporters.ts";

/** Checks `otel.metric_points`. */
export async function checkPoints(server: RecordingServer, sending: Sending): Promise<void> {
  await checkNumbers(server);
  await checkOddNumbers(server, sending);
  await checkHistograms(server);
  await checkExponentialHistogram(server);
  await checkTheRest(server);
}

/** Counters, up-down counters and gauges: two collections by each of two readers. */
async function checkNumbers(server: RecordingServer): Promise<void> {
  const rows = await server.select(
    `select metric_name as name, type, temporality, is_monotonic, unit,
       array_agg(value order by value) as values,
       array_agg(value_int order by value_int) as ints
     from otel.metric_points
     where type in ('sum', 'gauge') and metric_name <> 'odd' and not attributes ? 'text'
     group by 1, 2, 3, 4, 5 order by 1, 3`,
  );
  const none = (length: number) => Array(length).fill(null);
  const sum = (
    name: string,
    temporality: string,
    is_monotonic: boolean,
    values: number[],
    ints: (number | null)[],
    unit: string | null = null,
  ) => ({ name, type: "sum", temporality, is_monotonic, unit, values, ints });
  const gauge = (
    name: string,
    values: number[],
    ints: (number | null)[],
    unit: string | null = null,
  ) => ({ name, type: "gauge", temporality: null, is_monotonic: null, unit, values, ints });
  assert.deepEqual(rows, [
    sum("balance", "CUMULATIVE", false, Array(4).fill(-0.5), none(4)),
    sum("carts", "CUMULATIVE", false, [-1, -1, 5, 5], [-1, -1, 5, 5]),
    sum("depth", "CUMULATIVE", false, Array(4).fill(-2.5), none(4)),
    // The reader of deltas forgets what was not recorded since.
    gauge("heat", [20.5, 20.5, 20.5], none(3), "Cel"),
    sum("orders", "CUMULATIVE", true, [5, 12], [5, 12], "{order}"),
    sum("orders", "DELTA", true, [5, 7], [5, 7], "{order}"),
    sum("revenue", "CUMULATIVE", true, [0.1, 0.1], none(2), "EUR"),
    sum("revenue", "DELTA", true, [0.1], none(1), "EUR"),
    sum("seen", "CUMULATIVE", true, [9, 9], [9, 9]),
    sum("seen", "DELTA", true, [0, 9], [0, 9]),
    gauge("stock", [-3, -3, 4, 4], [-3, -3, 4, 4]),
  ]);
}

async function checkOddNumbers(server: RecordingServer, { encoding }: Sending): Promise<void> {
  const rows = await server.select(
    `select attributes->>'is' as is, value::text, value_int, count(*) from otel.metric_points
     where metric_name = 'odd' group by 1, 2, 3 order by 1`,
  );
  const odd = (is: string, value: string) => ({ is, value, value_int: null, count: 4 });
  assert.deepEqual(
    rows,
    encoding === "json"
      // JavaScript's JSON has neither NaN nor infinities nor -0.
      ? [odd("large", "1e+300"), odd("minus zero", "0")]
      : [
        odd("infinite", "Infinity"),
        odd("large", "1e+300"),
        odd("minus zero", "-0"),
        odd("nan", "NaN"),
      ],
  );
}

async function checkHistograms(server: RecordingServer): Promise<void> {
  const rows = await server.select(
    `select metric_name as name, temporality, unit, count, sum, min, max, bucket_counts,
       explicit_bounds, attributes
     from otel.metric_points where type = 'histogram' order by 1, 2, 4`,
  );
  const size = (
    temporality: string,
    [count, sum, min, max]: number[],
    bucket_counts: number[],
  ) => ({
    name: "size",
    temporality,
    unit: "By",
    count,
    sum,
    min,
    max,
    bucket_counts,
    explicit_bounds: [0, 10, 100],
    attributes: { kind: "image" },
  });
  const duration = (temporality: string) => ({
    name: "duration",
    temporality,
    unit: "s",
    count: 2,
    sum: 2.51,
    min: 0.01,
    max: 2.5,
    bucket_counts: [0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    explicit_bounds: [0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000],
    attributes: {},
  });
  assert.deepEqual(rows, [
    duration("CUMULATIVE"),
    duration("CUMULATIVE"),
    duration("DELTA"),
    size("CUMULATIVE", [5, 1026, 0, 1000], [1, 2, 1, 1]),
    size("CUMULATIVE", [6, 1033, 0, 1000], [1, 3, 1, 1]),
    size("DELTA", [1, 7, 7, 7], [0, 1, 0, 0]),
    size("DELTA", [5, 1026, 0, 1000], [1, 2, 1, 1]),
  ]);
}

async function checkExponentialHistogram(server: RecordingServer): Promise<void> {
  const rows = await server.select(
    `select temporality, count, sum, min, max, scale, zero_count, zero_threshold, positive, negative
     from otel.metric_points where type = 'exponential_histogram' order by 1, 2`,
  );
  const point = (
    temporality: string,
    [count, sum, min, max]: number[],
    scale: number,
    zero_count: number,
    positive: { offset: number; bucketCounts: string[] },
  ) => ({
    temporality,
    count,
    sum,
    min,
    max,
    scale,
    zero_count,
    zero_threshold: 0,
    positive,
    negative: { offset: 0, bucketCounts: [] },
  });
  // 0, 1, 1.5, 4 and 1000 in buckets (4^i, 4^(i+1)]; with 0.001 they are of 16^i.
  const first = { offset: -1, bucketCounts: ["1", "2", "0", "0", "0", "1"] };
  const all = { offset: -3, bucketCounts: ["1", "0", "1", "2", "0", "1"] };
  const second = { offset: Math.ceil(Math.log2(0.001) * 2 ** 20) - 1, bucketCounts: ["1"] };
  assert.deepEqual(rows, [
    point("CUMULATIVE", [5, 1006.5, 0, 1000], -1, 1, first),
    point("CUMULATIVE", [6, 1006.501, 0, 1000], -2, 1, all),
    point("DELTA", [1, 0.001, 0.001, 0.001], 20, 0, second),
    point("DELTA", [5, 1006.5, 0, 1000], -1, 1, first),
  ]);
}

/** Columns that are the same for all. */
async function checkTheRest(server: RecordingServer): Promise<void> {
  assert.deepEqual(
    await server.select(
      `select distinct service_name, scope_name, resource_attributes->'host.cpus' as cpus,
         exemplars, flags, start_time <= time as is_ordered,
         time_unix_nano = extract(epoch from time) * 1000000000 as is_same_time
       from otel.metric_points order by scope_name`,
    ),
    ["plain", "shop.meter"].map((scope_name) => ({
      service_name: "shop-api",
      scope_name,
      cpus: 8,
      exemplars: [],
      flags: 0,
      is_ordered: true,
      is_same_time: true,
    })),
  );
  assert.deepEqual(
    await server.select(
      "select distinct metric_name, description from otel.metric_points where description <> ''",
    ),
    [{ metric_name: "orders", description: "Bestellt" }],
  );
  // Every delta begins where the one before it ended.
  assert.deepEqual(
    await server.select(
      `select min(a.time) = max(b.start_time) as is_joined
       from otel.metric_points a join otel.metric_points b using (metric_name, temporality)
       where metric_name = 'size' and temporality = 'DELTA' and a.count = 5 and b.count = 1`,
    ),
    [{ is_joined: true }],
  );
}
