/** How many measurements there were of which size, against a count by hand. */

import assert from "node:assert/strict";
import { encodeRequest } from "../src/otlp.ts";
import type { Database } from "../src/postgres/database.ts";
import { type BucketCounts, type BucketQuery, countBuckets } from "../src/query.ts";
import type { ExponentialHistogramDataPoint, HistogramDataPoint, Metric } from "../src/record.ts";
import {
  type ByBucket,
  type Cumulative,
  exponentialGrowths,
  growths,
  type OracleSeries,
  oracleSeries,
  sumOf,
  together,
} from "./metric_oracle.ts";
import { SINCE, STEP, UNTIL, WINDOWS } from "./metric_range.ts";
import { METRIC_REQUESTS } from "./metric_requests.ts";
import { metrics, TIME } from "./one_record.ts";
import { drivers, migratedDatabase } from "./postgres.ts";
import { TranscodeStore } from "./transcode_store.ts";

const RANGE = { since: SINCE, until: UNTIL, stepMs: Number(STEP / 1_000_000n) };

/** Chooses a series of scale 5. */
const FINE = 'service = shop and http.route = "/cart"';

async function storeOf(driver: typeof drivers[number], requests: typeof METRIC_REQUESTS) {
  const test = await migratedDatabase(driver);
  const store = new TranscodeStore(test.database);
  for (const request of requests) store.transcode("metrics", encodeRequest("metrics", request));
  await store.flush();
  return test;
}

/** The series that a filter by service, or none, means. */
const of = (name: string, temporality: number, service?: string): OracleSeries[] =>
  oracleSeries(METRIC_REQUESTS, name).filter((one) =>
    one.temporality === temporality &&
    (service === undefined || one.resource["service.name"] === service)
  );

type Buckets = BucketCounts["metrics"][number];

/** Each bucket's counts by window, under its bounds. */
function byBounds({ buckets, steps }: Buckets): Map<string, number[]> {
  return new Map(buckets.map(({ above, upTo }, n) => [
    `${above} to ${upTo}`,
    WINDOWS.map(({ from }) => steps.find(({ since }) => since === from)?.counts[n] ?? 0),
  ]));
}

/** What windows hold between the bounds that all of them have. */
function explicitOracle(series: readonly OracleSeries[]): Map<string, number[]> {
  const windows: Cumulative[] = WINDOWS.map((window) =>
    together(series.flatMap((one) => growths(one, window)))
  );
  const bounds = [...together(windows).keys()].sort((a, b) => a - b);
  return new Map(bounds.map((bound, n) => [
    `${n === 0 ? -Infinity : bounds[n - 1]} to ${bound}`,
    windows.map((one) => one.get(bound)! - (n === 0 ? 0 : one.get(bounds[n - 1]!)!)),
  ]));
}

function exponentialOracle(series: readonly OracleSeries[], scale: number): Map<string, number[]> {
  const windows: ByBucket[] = WINDOWS.map((window) =>
    sumOf(series.flatMap((one) => exponentialGrowths(one, window, scale)))
  );
  const edge = (index: number) => 2 ** (index * 2 ** -scale);
  const boundsOf = (key: string) => {
    const index = Number(key.slice(1));
    if (key === "0") return "0 to 0";
    return key.startsWith("+")
      ? `${edge(index)} to ${edge(index + 1)}`
      : `${-edge(index + 1)} to ${-edge(index)}`;
  };
  const keys = [...sumOf(windows)].filter(([, count]) => count > 0).map(([key]) => key);
  return new Map(keys.map((key) => [boundsOf(key), windows.map((one) => one.get(key) ?? 0)]));
}

function assertSame(found: Map<string, number[]>, wanted: Map<string, number[]>): void {
  assert.ok(wanted.size > 0);
  assert.deepEqual(new Map([...found].sort()), new Map([...wanted].sort()));
}

const SMALL = metrics(
  [{
    name: "odd",
    unit: "",
    description: "",
    metadata: [],
    histogram: {
      aggregationTemporality: 2,
      dataPoints: [[4n, 4n], [6n, 3n]].map((bucketCounts, n): HistogramDataPoint => ({
        attributes: [],
        startTimeUnixNano: TIME,
        timeUnixNano: TIME + BigInt(n + 1) * 1_000_000_000n,
        count: bucketCounts[0]! + bucketCounts[1]!,
        bucketCounts,
        explicitBounds: [1],
        exemplars: [],
        flags: 0,
      })),
    },
  }, {
    name: "near.zero",
    unit: "",
    description: "",
    metadata: [],
    exponentialHistogram: {
      aggregationTemporality: 1,
      dataPoints: [0.5, 2].map((zeroThreshold, n): ExponentialHistogramDataPoint => ({
        attributes: [],
        startTimeUnixNano: TIME,
        timeUnixNano: TIME + BigInt(n + 1) * 1_000_000_000n,
        count: 7n,
        scale: 0,
        zeroCount: 1n,
        zeroThreshold,
        // From 0.5 to 1, to 2, to 4.
        positive: { offset: -1, bucketCounts: [1n, 2n, 3n] },
        negative: { offset: 0, bucketCounts: [] },
        exemplars: [],
        flags: 0,
      })),
    },
  }] satisfies Metric[],
);

for (const driver of drivers) {
  Deno.test(`buckets of histograms (${driver})`, async (test) => {
    await using store = await storeOf(driver, METRIC_REQUESTS);
    const ask = async (asked: Omit<BucketQuery, "since" | "until">, database: Database) =>
      await countBuckets(database, { ...RANGE, ...asked });
    const { database } = store;

    for (const [name, temporality] of [["DELTA", 1], ["CUMULATIVE", 2]] as const) {
      await test.step(`explicit ones hold what their points measured, at the bounds they share: ${name}`, async () => {
        for (const service of [undefined, "shop", "billing"]) {
          const filter = service && `service = ${service}`;
          const asked = { metric: "latency", temporality: name, filter };
          const answer = await ask(asked, database);
          assert.deepEqual([answer.range, answer.stepMs], [
            { since: SINCE, until: UNTIL },
            RANGE.stepMs,
          ]);
          const [one, ...others] = answer.metrics;
          assert.deepEqual([one!.metric.temporality, others], [name, []]);
          assertSame(byBounds(one!), explicitOracle(of("latency", temporality, service)));
        }
      });

      await test.step(`exponential ones hold theirs at the lowest of the scales: ${name}`, async () => {
        for (const [service, scale] of [[undefined, -2], ["shop", -2], ["billing", 0]] as const) {
          const filter = service && `service = ${service}`;
          const { metrics } = await ask({ metric: "size", temporality: name, filter }, database);
          const series = of("size", temporality, service);
          assertSame(byBounds(metrics[0]!), exponentialOracle(series, scale));
          const uppers = metrics[0]!.buckets.map(({ upTo }) => upTo);
          assert.deepEqual(uppers, uppers.toSorted((a, b) => a - b));
        }
      });
    }

    await test.step("more than 160 exponential buckets are joined until there are no more", async () => {
      const asked = { metric: "size", temporality: "DELTA", filter: FINE } as const;
      const { metrics } = await ask(asked, database);
      const series = of("size", 1, "shop").filter((one) =>
        one.attributes["http.route"] === "/cart"
      );
      assert.equal(series.length, 1);
      assert.ok(exponentialOracle(series, 5).size > 160);
      const scale = [5, 4, 3, 2, 1, 0].find((scale) =>
        exponentialOracle(series, scale).size <= 160
      )!;
      assertSame(byBounds(metrics[0]!), exponentialOracle(series, scale));
    });

    await test.step("both temporalities of a name are told apart", async () => {
      const { metrics } = await ask({ metric: "latency" }, database);
      const temporalities = metrics.map(({ metric }) => metric.temporality);
      assert.deepEqual(temporalities.sort(), ["CUMULATIVE", "DELTA"]);
      assert.deepEqual((await ask({ metric: "unheard of" }, database)).metrics, []);
    });

    await test.step("what has no buckets, or too many counts, is refused", async () => {
      const refused = (asked: Omit<BucketQuery, "since" | "until">, message: RegExp) =>
        assert.rejects(ask(asked, database), { name: "QueryError", message });
      await refused(
        { metric: "queue.size" },
        /it is a gauge: delta and cumulative histograms have/,
      );
      await refused({ metric: "old.latency" }, /it is a summary/);
      await refused(
        { metric: "size", stepMs: 100, filter: FINE },
        /\d{6} counts, at most 100000: choose longer/,
      );
      await refused({ metric: "latency", stepMs: 1 }, /windows, at most 11000/);
      await refused({ metric: "latency", filter: "duration > 1s" }, /filter/);
    });
  });

  Deno.test(`buckets of producers that are odd (${driver})`, async (test) => {
    await using store = await storeOf(driver, [SMALL]);
    const range = { since: TIME, until: TIME + 10_000_000_000n, stepMs: 2_000 };

    await test.step("less than none is none", async () => {
      const { metrics: [one] } = await countBuckets(store.database, { metric: "odd", ...range });
      assert.deepEqual(one!.buckets, [{ above: -Infinity, upTo: 1 }, { above: 1, upTo: Infinity }]);
      // 8 measurements, then 9: of the larger ones there are fewer than before.
      assert.deepEqual(one!.steps.map(({ counts }) => counts), [[4, 4], [2, 0]]);
    });

    await test.step("the zero bucket is as wide as the widest", async () => {
      const { metrics: [one] } = await countBuckets(store.database, {
        metric: "near.zero",
        ...range,
      });
      assert.deepEqual(one!.buckets, [{ above: 0, upTo: 2 }, { above: 2, upTo: 4 }]);
      assert.deepEqual(one!.steps.map(({ counts }) => counts), [[4, 3], [4, 3]]);
    });
  });
}
