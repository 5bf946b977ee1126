import assert from "node:assert/strict";
import { encodeRequest } from "../src/otlp.ts";
import type { Database } from "../src/postgres/database.ts";
import {
  type MetricFunction,
  type MetricLine,
  type MetricQuery,
  type MetricValues,
  queryMetric,
} from "../src/query.ts";
import {
  exponentialGrowths,
  exponentialQuantileOf,
  growths,
  numbersOf,
  type OracleSeries,
  oracleSeries,
  quantileOf,
  steps,
  sumOf,
  together,
  type Window,
  within,
} from "./metric_oracle.ts";
import { SINCE, STEP, UNTIL, WINDOWS } from "./metric_range.ts";
import { METRIC_REQUESTS } from "./metric_requests.ts";
import { drivers, migratedDatabase } from "./postgres.ts";
import { TranscodeStore } from "./transcode_store.ts";

const stores = new Map<string, Database>();
for (const driver of drivers) {
  const { database } = await migratedDatabase(driver);
  const store = new TranscodeStore(database);
  for (const request of METRIC_REQUESTS) {
    store.transcode("metrics", encodeRequest("metrics", request));
  }
  await store.flush();
  stores.set(driver, database);
}

type Asked = Omit<MetricQuery, "since" | "until" | "lastMs">;

async function ask(database: Database, asked: Asked): Promise<readonly MetricValues[]> {
  const answer = await queryMetric(database, {
    since: SINCE,
    until: UNTIL,
    stepMs: Number(STEP / 1_000_000n),
    ...asked,
  });
  assert.deepEqual(answer.range, { since: SINCE, until: UNTIL });
  return answer.metrics;
}

/** The series of a metric by the values of what groups them. */
function groups(
  series: readonly OracleSeries[],
  by: readonly ("service" | "http.route")[],
): Map<string, OracleSeries[]> {
  return Map.groupBy(
    series,
    ({ attributes, resource }) =>
      by.map((name) => String(name === "service" ? resource["service.name"] : attributes[name]))
        .join(" "),
  );
}

function nameOf({ attributes }: MetricLine): string {
  return attributes.map(({ value }) => value!.stringValue).join(" ");
}

/** Compares the values of each group and window; what the oracle has as NaN has to be missing. */
function assertLines(
  lines: readonly MetricLine[],
  wanted: ReadonlyMap<string, readonly number[]>,
): void {
  const expected = [...wanted].filter(([, values]) => values.some((value) => !Number.isNaN(value)));
  assert.deepEqual(lines.map(nameOf).sort(), expected.map(([name]) => name).sort());
  for (const line of lines) {
    const values = wanted.get(nameOf(line))!;
    const found = new Map(line.points.map(({ time, value }) => [time, value]));
    for (const [n, value] of values.entries()) {
      const { from } = WINDOWS[n]!;
      const what = `${nameOf(line)} ${line.quantile} in window ${n}`;
      assert.equal(found.has(from), !Number.isNaN(value), `${what}: ${found.get(from)} ${value}`);
      if (Number.isNaN(value)) continue;
      const error = Math.abs(found.get(from)! - value);
      assert.ok(
        error <= 1e-9 * Math.max(1, Math.abs(value)),
        `${what}: ${found.get(from)} instead of ${value}`,
      );
    }
  }
}

const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0);
const FOLDS: Partial<Record<MetricFunction, (values: readonly number[]) => number>> = {
  sum,
  avg: (values) => sum(values) / values.length,
  min: (values) => Math.min(...values),
  max: (values) => Math.max(...values),
  count: (values) => values.length,
  last: (values) => values.at(-1)!,
};

function secondsOf({ from, to }: Window): number {
  return Number(to - from) / 1e9;
}

/** The sum of what is known; NaN when nothing is. */
function sumOfKnown(values: readonly (number | undefined)[]): number {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? NaN : sum(known);
}

for (const [driver, database] of stores) {
  for (const [name, fold] of Object.entries(FOLDS)) {
    Deno.test(`${name} of a gauge is that of its points, then that of the series (${driver})`, async () => {
      const series = oracleSeries(METRIC_REQUESTS, "queue.size");
      const [values] = await ask(database, {
        metric: "queue.size",
        function: name as MetricFunction,
        groupBy: ["service"],
      });
      assert.equal(values!.metric.type, "gauge");
      assert.equal(values!.metric.unit, "{item}");
      const across = FOLDS[values!.across]!;
      const isOwn = name === "avg" || name === "min" || name === "max";
      assert.equal(values!.across, isOwn ? name : "sum");
      const wanted = new Map<string, number[]>();
      for (const [group, members] of groups(series, ["service"])) {
        wanted.set(
          group,
          WINDOWS.map((window) =>
            across(members.map((one) => fold!(numbersOf(within(one, window)))))
          ),
        );
      }
      assertLines(values!.series, wanted);
    });
  }

  for (const name of ["increase", "rate"] as const) {
    Deno.test(`${name} of sums goes on across resets, and keeps deltas and totals apart (${driver})`, async () => {
      const series = oracleSeries(METRIC_REQUESTS, "http.requests");
      const metrics = await ask(database, {
        metric: "http.requests",
        function: name,
        groupBy: ["service", "http.route"],
      });
      assert.deepEqual(metrics.map(({ metric }) => metric.temporality), ["CUMULATIVE", "DELTA"]);
      for (const { metric, series: lines } of metrics) {
        const isDelta = metric.temporality === "DELTA";
        const wanted = new Map<string, number[]>();
        const own = series.filter(({ temporality }) => temporality === (isDelta ? 1 : 2));
        for (const [group, members] of groups(own, ["service", "http.route"])) {
          const [one] = members;
          // Large totals lose what they grow by in a double.
          const base = group === "billing /pay" && !isDelta ? 2n ** 60n : 0n;
          const grown = steps(one!, SINCE, ({ asInt = 0n }) => Number(asInt - base), false);
          wanted.set(
            group,
            WINDOWS.map((window) => {
              const points = within(one!, window);
              const total = isDelta
                ? sumOfKnown(numbersOf(points))
                : sumOfKnown(points.map((point) => grown.get(point)));
              return name === "rate" ? total / secondsOf(window) : total;
            }),
          );
        }
        assertLines(lines, wanted);
      }
    });
  }

  Deno.test(`a sum that may fall grows and falls, and its last values add up (${driver})`, async () => {
    const series = oracleSeries(METRIC_REQUESTS, "connections");
    const [increase] = await ask(database, {
      metric: "connections",
      function: "increase",
      groupBy: [],
    });
    const [last] = await ask(database, { metric: "connections", groupBy: [] });
    assert.equal(last!.function, "last");
    const grown = series.map((one) => steps(one, SINCE, ({ asDouble }) => asDouble!, true));
    assertLines(
      increase!.series,
      new Map([[
        "",
        WINDOWS.map((window) =>
          sumOfKnown(
            series.flatMap((one, n) => within(one, window).map((point) => grown[n]!.get(point))),
          )
        ),
      ]]),
    );
    assertLines(
      last!.series,
      new Map([[
        "",
        WINDOWS.map((window) => sum(series.map((one) => within(one, window).at(-1)!.asDouble!))),
      ]]),
    );
  });

  Deno.test(`histograms of both temporalities have the quantiles of their sums (${driver})`, async () => {
    const series = oracleSeries(METRIC_REQUESTS, "latency");
    const quantiles = [0, 0.25, 0.5, 0.9, 0.99, 1];
    for (const by of [["service", "http.route"], ["service"], []] as const) {
      const metrics = await ask(database, {
        metric: "latency",
        function: "quantile",
        quantiles,
        groupBy: by,
      });
      assert.equal(metrics.length, 2);
      for (const { metric, series: lines } of metrics) {
        const temporality = metric.temporality === "DELTA" ? 1 : 2;
        const own = series.filter((one) => one.temporality === temporality);
        for (const q of quantiles) {
          const wanted = new Map<string, number[]>();
          for (const [group, members] of groups(own, by)) {
            wanted.set(
              group,
              WINDOWS.map((window) => {
                const parts = members.flatMap((one) => growths(one, window));
                return parts.length === 0 ? NaN : quantileOf(q, together(parts));
              }),
            );
          }
          assertLines(lines.filter(({ quantile }) => quantile === q), wanted);
        }
      }
    }
  });

  for (const name of ["count", "sum", "avg", "rate", "min", "max"] as const) {
    Deno.test(`${name} of a histogram is that of its measurements (${driver})`, async () => {
      const series = oracleSeries(METRIC_REQUESTS, "latency")
        .filter(({ temporality }) => temporality === 1);
      const [values] = await ask(database, {
        metric: "latency",
        temporality: "DELTA",
        function: name,
        groupBy: ["service"],
      });
      const wanted = new Map<string, number[]>();
      for (const [group, members] of groups(series, ["service"])) {
        wanted.set(
          group,
          WINDOWS.map((window) => {
            const points = members.flatMap((one) => within(one, window));
            const count = sum(points.map((point) => Number(point.count)));
            const total = sum(points.map((point) => point.sum!));
            return {
              count,
              sum: total,
              avg: total / count,
              rate: count / secondsOf(window),
              min: Math.min(...points.map(({ min }) => min!)),
              max: Math.max(...points.map(({ max }) => max!)),
            }[name];
          }),
        );
      }
      assertLines(values!.series, wanted);
    });
  }

  Deno.test(`count, sum and average of a cumulative histogram are what it has grown by (${driver})`, async () => {
    const series = oracleSeries(METRIC_REQUESTS, "latency")
      .filter(({ temporality }) => temporality === 2);
    const grown = (what: "count" | "sum") =>
      series.map((one) => {
        const found = steps(one, SINCE, (point) => Number(point[what]), false);
        return WINDOWS.map((window) =>
          sumOfKnown(within(one, window).map((point) => found.get(point)))
        );
      });
    const counts = grown("count");
    const sums = grown("sum");
    for (const name of ["count", "sum", "avg"] as const) {
      const [values] = await ask(database, {
        metric: "latency",
        temporality: "CUMULATIVE",
        function: name,
        groupBy: ["service", "http.route"],
      });
      const wanted = new Map(series.map(({ resource, attributes }, n) => [
        `${resource["service.name"]} ${attributes["http.route"]}`,
        WINDOWS.map((_, at) => {
          const [count, total] = [counts[n]![at]!, sums[n]![at]!];
          return { count, sum: total, avg: total / count }[name];
        }),
      ]));
      assertLines(values!.series, wanted);
    }
  });

  Deno.test(`exponential histograms of scales 5 to -2 have the quantiles of their sums (${driver})`, async () => {
    const series = oracleSeries(METRIC_REQUESTS, "size");
    const quantiles = [0, 0.1, 0.5, 0.95, 1];
    for (const by of [["service", "http.route"], ["service"], []] as const) {
      const metrics = await ask(database, { metric: "size", quantiles, groupBy: by });
      assert.equal(metrics.length, 2);
      for (const { metric, function: wantedFunction, series: lines } of metrics) {
        assert.equal(wantedFunction, "quantile");
        const temporality = metric.temporality === "DELTA" ? 1 : 2;
        const own = series.filter((one) => one.temporality === temporality);
        for (const q of quantiles) {
          const wanted = new Map<string, number[]>();
          for (const [group, members] of groups(own, by)) {
            const scale = Math.min(...members.map(({ points }) => points[0]!.scale!));
            wanted.set(
              group,
              WINDOWS.map((window) => {
                const parts = members.flatMap((one) => exponentialGrowths(one, window, scale));
                return exponentialQuantileOf(q, sumOf(parts), scale);
              }),
            );
          }
          assertLines(lines.filter(({ quantile }) => quantile === q), wanted);
        }
      }
    }
  });

  Deno.test(`quantiles of a summary come as they were sent, the latest of a window (${driver})`, async () => {
    const series = oracleSeries(METRIC_REQUESTS, "old.latency");
    const [values] = await ask(database, {
      metric: "old.latency",
      groupBy: ["service", "http.route"],
    });
    assert.equal(values!.function, "quantile");
    for (const [at, q] of [0.5, 0.99].entries()) {
      const wanted = new Map(series.map((one) => [
        `${one.resource["service.name"]} ${one.attributes["http.route"]}`,
        WINDOWS.map((window) => within(one, window).at(-1)!.quantileValues![at]!.value),
      ]));
      assertLines(values!.series.filter(({ quantile }) => quantile === q), wanted);
    }
    assert.equal(values!.series.length, 8);
    const [none] = await ask(database, { metric: "old.latency", quantiles: [0.9] });
    assert.deepEqual(none!.series, []);
    await assert.rejects(ask(database, { metric: "old.latency", groupBy: ["service"] }), {
      name: "QueryError",
      message: /quantiles of several summaries cannot be combined/,
    });
    const [avg] = await ask(database, { metric: "old.latency", function: "avg", groupBy: [] });
    assert.ok(avg!.series[0]!.points.every(({ value }) => value === 2));
  });
}
