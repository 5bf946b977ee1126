import fc from "fast-check";
import assert from "node:assert/strict";
import { encodeRequest } from "../src/otlp.ts";
import type { Database } from "../src/postgres/database.ts";
import {
  findExemplars,
  listMetrics,
  type MetricQuery,
  QueryError,
  queryMetric,
} from "../src/query.ts";
import { METRIC_FUNCTIONS } from "../src/query/metric_function.ts";
import type { Metric } from "../src/record.ts";
import { METRIC_REQUESTS } from "./metric_requests.ts";
import { attribute, exemplar, gauge, metrics, point, resource, TIME } from "./one_record.ts";
import { observed } from "./open_store.ts";
import { drivers, migratedDatabase } from "./postgres.ts";
import { TranscodeStore } from "./transcode_store.ts";

const HOUR = 3_600_000_000_000n;
const RANGE = { since: TIME - HOUR, until: TIME + HOUR };
const TRACE = "5b8efff798038103d269b633813fc60c";
const SPAN = "eee19b7ec3c1b174";

/** A point that came with what was measured. */
function measured(time: bigint, value: { asInt: bigint } | { asDouble: number }, route: string) {
  return point({
    asInt: 1n,
    timeUnixNano: time,
    attributes: [attribute("http.route", route)],
    exemplars: [
      exemplar({ ...value, timeUnixNano: time - 5n, traceId: TRACE, spanId: SPAN }),
      exemplar({ asDouble: 0.5, timeUnixNano: time - 9n, filteredAttributes: [attribute("user")] }),
    ],
  });
}

const SAMPLED: Metric = gauge([
  measured(TIME, { asInt: 2n ** 60n }, "/a"),
  measured(TIME + 10n, { asDouble: -0 }, "/b"),
  point({ asInt: 1n, timeUnixNano: TIME + 20n }),
], { name: "sampled", unit: "ms" });

const anyText = fc.oneof(
  fc.constantFrom(
    ...["service", "http.route", 'resource."a b"', "a = 1 or b", "';--", "$1", "\0", "\ud800", ""],
    ...['http.route ~ "("', 'http.route ~ "(a+)+$"', "n < 1e999", "n < 5", "severity > warn"],
  ),
  fc.string({ unit: "binary", maxLength: 20 }),
);
const anyTime = fc.oneof(
  fc.constantFrom(0n, 2n ** 63n, 2n ** 64n - 1n, TIME - HOUR, TIME, TIME + HOUR, -1n, 2n ** 64n),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);
/** What is right but for a few options. */
const anyQuery: fc.Arbitrary<MetricQuery> = fc.tuple(
  fc.record({
    metric: fc.constantFrom("queue.size", "http.requests", "latency", "size", "old.latency"),
    filter: fc.constantFrom('http.route ~ "(a+)+$"', "n < 1e999 or service = shop", ""),
    groupBy: fc.subarray(["service", "http.route", 'resource."a b"']),
    stepMs: fc.constantFrom(60_000, 2 ** 40, 2 ** 53 - 1),
    since: fc.constantFrom(0n, TIME - HOUR),
    until: fc.constantFrom(TIME + HOUR, 2n ** 63n, 2n ** 64n - 1n),
  }, { requiredKeys: ["metric", "since", "stepMs"] }),
  fc.record({
    metric: anyText,
    filter: anyText,
    unit: anyText,
    type: fc.constantFrom("gauge", "sum", "histogram", "exponential_histogram", "summary"),
    temporality: fc.constantFrom("UNSPECIFIED", "DELTA", "CUMULATIVE"),
    function: fc.constantFrom(...METRIC_FUNCTIONS),
    quantiles: fc.array(fc.double({ min: -0.1, max: 1.1 }), { maxLength: 3 }),
    groupBy: fc.array(anyText, { maxLength: 3 }),
    across: fc.constantFrom("sum", "avg", "min", "max", "count"),
    stepMs: fc.oneof(fc.nat(), fc.maxSafeInteger()),
    since: anyTime,
    until: anyTime,
  }, { requiredKeys: [] }).chain((options) =>
    fc.subarray(Object.entries(options), { maxLength: 2 }).map(Object.fromEntries)
  ),
).map(([right, wrong]) => ({ ...right, ...wrong }));

const stores = new Map<string, Database>();
for (const driver of drivers) {
  const { database } = await migratedDatabase(driver);
  // The data, and a day before, and after.
  const day = 24n * HOUR;
  for (const time of [TIME - day, TIME, TIME + day]) {
    const at = new Date(Number(time / 1_000_000n)).toISOString();
    await database.query(
      "select otel_data.ensure('metric_points', $1::timestamptz, $1::timestamptz + interval '1 s', 'day')",
      [at],
    );
  }
  const store = new TranscodeStore(database);
  const from = { resource: resource([attribute("service.name", "shop")]) };
  const elsewhere = [TIME - day, TIME + day].map((timeUnixNano) =>
    point({ asInt: 1n, timeUnixNano })
  );
  for (
    const request of [
      ...METRIC_REQUESTS,
      metrics([SAMPLED], from),
      metrics([gauge(elsewhere, { name: "elsewhere" })], from),
      metrics([gauge([point({ asInt: 1n })], { name: 'a"; drop' })]),
    ]
  ) store.transcode("metrics", encodeRequest("metrics", request));
  await store.flush();
  stores.set(driver, database);
}

/** What stands for each point that was taken of a metric: its name, and how to tell it from others. */
const LISTED = [
  ['a"; drop', "gauge"],
  ["connections", "sum", "CUMULATIVE"],
  ["http.requests", "sum", "DELTA"],
  ["http.requests", "sum", "CUMULATIVE"],
  ["latency", "histogram", "DELTA"],
  ["latency", "histogram", "CUMULATIVE"],
  ["old.latency", "summary"],
  ["queue.size", "gauge"],
  ["sampled", "gauge"],
  ["size", "exponential_histogram", "DELTA"],
  ["size", "exponential_histogram", "CUMULATIVE"],
];

for (const [driver, database] of stores) {
  const shown = async (search: Parameters<typeof listMetrics>[1]) =>
    (await listMetrics(database, { ...RANGE, ...search })).metrics
      .map(({ name, type, temporality }) => [name, type, temporality].filter(Boolean));

  Deno.test(`metrics of a range are listed by name, each type and temporality apart (${driver})`, async () => {
    assert.deepEqual(await shown({}), LISTED);
    const { metrics, cursor, range } = await listMetrics(database, RANGE);
    assert.equal(cursor, undefined);
    assert.deepEqual(range, RANGE);
    assert.deepEqual(metrics.find(({ name }) => name === "queue.size"), {
      name: "queue.size",
      type: "gauge",
      unit: "{item}",
      description: "what queue.size is",
      services: ["billing", "shop"],
      // Attributes come in two orders.
      series: 8,
      lastSeen: TIME - 10_000_000_000n,
    });
    assert.deepEqual(metrics.find(({ name }) => name === "connections")!.isMonotonic, false);
    assert.deepEqual(metrics[0]!.services, []);
  });

  Deno.test(`metrics are chosen by part of a name, kind and filter (${driver})`, async () => {
    assert.deepEqual(await shown({ name: "LATENCY", temporality: "DELTA" }), [LISTED[4]]);
    assert.deepEqual(await shown({ type: "summary" }), [LISTED[6]]);
    assert.deepEqual(await shown({ unit: "By" }), LISTED.slice(9));
    assert.deepEqual(await shown({ unit: "" }), [LISTED[0]]);
    assert.deepEqual(await shown({ filter: "http.route = /a" }), [LISTED[8]]);
    assert.deepEqual(await shown({ filter: "service = nobody" }), []);
    assert.deepEqual(await shown({ filter: 'metric = "a\\"; drop"' }), [LISTED[0]]);
    assert.deepEqual(await shown({ name: "%" }), []);
    assert.deepEqual(await shown({ since: TIME + HOUR, until: TIME + 48n * HOUR }), [
      ["elsewhere", "gauge"],
    ]);
  });

  Deno.test(`the list goes on behind its cursor, which no other list takes (${driver})`, async () => {
    const all: string[][] = [];
    let cursor: string | undefined;
    do {
      // The cursor knows the range.
      const range = cursor === undefined ? RANGE : {};
      const page = await listMetrics(database, { ...range, limit: 3, cursor });
      assert.ok(page.metrics.length <= 3);
      for (const { name, type, temporality } of page.metrics) {
        all.push([name, type, ...temporality === undefined ? [] : [temporality]]);
      }
      cursor = page.cursor;
      if (cursor === undefined) break;
      await assert.rejects(listMetrics(database, { ...RANGE, name: "l", cursor }), {
        name: "QueryError",
        message: /'cursor'/,
      });
    } while (all.length < 100);
    assert.deepEqual(all, LISTED);
  });

  Deno.test(`exemplars come with trace, span and value as sent, the latest first (${driver})`, async () => {
    const { exemplars, range } = await findExemplars(database, { metric: "sampled", ...RANGE });
    assert.deepEqual(range, RANGE);
    const route = (value: string) => [attribute("http.route", value)];
    const common = { resource: resource([attribute("service.name", "shop")]), unit: "ms" };
    const other = { value: 0.5, traceId: "", spanId: "", filteredAttributes: [attribute("user")] };
    const traced = { traceId: TRACE, spanId: SPAN, filteredAttributes: [] };
    assert.deepEqual(exemplars, [
      { time: TIME + 5n, value: -0, ...traced, attributes: route("/b"), ...common },
      { time: TIME + 1n, ...other, attributes: route("/b"), ...common },
      { time: TIME - 5n, value: 2n ** 60n, ...traced, attributes: route("/a"), ...common },
      { time: TIME - 9n, ...other, attributes: route("/a"), ...common },
    ]);
    const one = { metric: "sampled", filter: "http.route = /a", limit: 1, ...RANGE };
    assert.deepEqual((await findExemplars(database, one)).exemplars, [exemplars[2]]);
    assert.deepEqual(
      (await findExemplars(database, { ...one, unit: "s" })).exemplars,
      [],
    );
  });

  Deno.test(`series without groups say every attribute, in the words of filters (${driver})`, async () => {
    const { metrics } = await queryMetric(database, { metric: "sampled", ...RANGE });
    assert.deepEqual(metrics[0]!.series.map(({ attributes }) => attributes).slice(0, 2), [
      [attribute("http.route", "/a"), attribute("resource.service.name", "shop")],
      [attribute("http.route", "/b"), attribute("resource.service.name", "shop")],
    ]);
  });

  Deno.test(`a question that has no answer is refused, and says why (${driver})`, async () => {
    const refusals: [Partial<MetricQuery>, RegExp][] = [
      [{ metric: "" }, /'metric'/],
      [{ function: "rate" }, /'function': 'rate' \(for queue.size, a gauge: avg, min, max/],
      [{ function: "median" as "avg" }, /'function'/],
      [{ metric: "latency", temporality: "CUMULATIVE", function: "min" }, /'function': 'min'/],
      [{ metric: "latency", across: "avg" }, /'across': 'avg' \(sum for latency, a histogram/],
      [{ quantiles: [1.5] }, /'quantiles.0': 1.5/],
      [{ quantiles: [NaN] }, /'quantiles.0': NaN/],
      [{ groupBy: ["a = 1 or b"] }, /'groupBy': 'a = 1 or b'/],
      [{ groupBy: ["duration"] }, /'groupBy': 'duration'/],
      [{ groupBy: Array(11).fill("a") }, /'groupBy'/],
      [{ stepMs: 0 }, /'stepMs': 0/],
      [{ stepMs: 1 }, /'stepMs': 1 \(7200000 windows, at most 11000\)/],
      [{ stepMs: 1_000 }, /7200 windows of 4 series are 28800 values, at most 11000/],
      [{ filter: "duration > 5ms" }, /'filter'/],
      [{ filter: "a = '" + "x".repeat(5_000) }, /'filter'/],
      [{ filter: 'http.route ~ "("' }, /'filter'/],
      [{ since: RANGE.until, until: RANGE.since }, /'since'/],
      [{ since: 0n, until: 2n ** 64n }, /'until'/],
    ];
    for (const [asked, message] of refusals) {
      await assert.rejects(
        queryMetric(database, { metric: "queue.size", ...RANGE, ...asked }),
        { name: "QueryError", message },
      );
    }
  });

  Deno.test(`what is unknown or full of quotes finds nothing, and does no harm (${driver})`, async () => {
    for (
      const metric of ["none", "queue.size'; drop table otel_data.series; --", "%", "\u{1F600}"]
    ) {
      assert.deepEqual((await queryMetric(database, { metric, ...RANGE })).metrics, []);
      assert.deepEqual((await findExemplars(database, { metric, ...RANGE })).exemplars, []);
    }
    const odd = await queryMetric(database, {
      metric: 'a"; drop',
      groupBy: ['resource."x\'; drop"', "y'"],
      ...RANGE,
    });
    assert.deepEqual(odd.metrics[0]!.series[0]!.attributes, []);
    const all = { since: 0n, until: 2n ** 64n - 1n };
    for (const metric of ["queue.size", "http.requests", "size"]) {
      const whole = await queryMetric(database, { metric, groupBy: [], ...all });
      assert.deepEqual(whole.range, all);
      assert.ok(whole.metrics.every(({ series }) => series[0]!.points.length === 1));
    }
  });

  Deno.test(`whatever is asked gets an answer or a refusal (${driver})`, async () => {
    let answers = 0;
    await fc.assert(
      fc.asyncProperty(anyQuery, async (query) => {
        for (
          const ask of [
            () => queryMetric(database, query),
            () => findExemplars(database, { ...query, limit: 5 }),
            () => listMetrics(database, { ...query, name: query.metric }),
          ]
        ) {
          try {
            await ask();
            answers++;
          } catch (error) {
            assert.ok(error instanceof QueryError, String(error));
          }
        }
      }),
      { numRuns: 150 },
    );
    assert.ok(answers > 30, `${answers} answers`);
  });

  Deno.test(`a read that is aborted rejects with the reason (${driver})`, async () => {
    const options = { signal: AbortSignal.abort(new Error("enough")) };
    const asked = { metric: "queue.size", ...RANGE };
    await assert.rejects(queryMetric(database, asked, options), /enough/);
    await assert.rejects(findExemplars(database, asked, options), /enough/);
    await assert.rejects(listMetrics(database, RANGE, options), /enough/);
  });

  Deno.test(`only the partitions of the range are read, by the index on series and time (${driver})`, async () => {
    await database.query("analyze otel_data.metric_points");
    const watch = observed(database);
    await queryMetric(watch.database, { metric: "queue.size", ...RANGE });
    await listMetrics(watch.database, RANGE);
    await findExemplars(watch.database, { metric: "sampled", ...RANGE });
    const read = watch.asked.filter(({ sql }) => sql.includes("metric_points"));
    assert.equal(read.length, 4);
    for (const { sql, parameters } of read) {
      const plan = await database.transaction(async (transaction) => {
        // The tables of the test are small: what matters is what can be used.
        await transaction.query("set local enable_seqscan = off");
        await transaction.query("set local enable_bitmapscan = off");
        const rows = await transaction.query(
          `explain (costs off) ${sql.replace(/^declare .* for\n/, "")}`,
          parameters,
        );
        return rows.map((row) => Object.values(row)[0]).join("\n");
      });
      const tables = new Set(plan.match(/metric_points_(\d+|default)\b/g));
      assert.deepEqual([...tables], ["metric_points_20251009"], plan);
      assert.match(plan, /metric_points_20251009_series_id_time_idx/);
      assert.match(plan, /Index Cond: \(\(series_id = .*\) AND \("?time"? >= /);
    }
  });
}
