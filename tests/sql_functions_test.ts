/** The functions of schema `otel`, against what TypeScript says, and as the role that may only read. */

import fc from "fast-check";
import assert from "node:assert/strict";
import { encodeRequest } from "../src/otlp.ts";
import type { Database, Row, SqlValue } from "../src/postgres/database.ts";
import {
  bucketsOf,
  type ExponentialHistogram,
  exponentialHistogramQuantile,
} from "../src/query/exponential_histogram.ts";
import { histogramOf, histogramQuantile } from "../src/query/histogram.ts";
import { Increase } from "../src/query/increase.ts";
import type { Span } from "../src/record.ts";
import { metrics, point, resource, span, TIME, traces } from "./one_record.ts";
import { drivers, migratedDatabase } from "./postgres.ts";
import { TranscodeStore } from "./transcode_store.ts";

const stores = new Map<string, TranscodeStore>();
for (const driver of drivers) {
  const { database } = await migratedDatabase(driver);
  stores.set(driver, new TranscodeStore(database));
}

/** Asks as the role that may read the views and nothing else. */
async function asReader<R extends Row>(
  database: Database,
  sql: string,
  parameters: readonly SqlValue[] = [],
): Promise<R[]> {
  return await database.transaction(async (transaction) => {
    await transaction.query("set local role otel_reader");
    return await transaction.query<R>(sql, parameters);
  });
}

function assertSame(actual: number, expected: number, why: string): void {
  const isNear = Math.abs(actual - expected) <= 1e-9 * Math.abs(expected) + 1e-240;
  assert.ok(isNear || Object.is(actual, expected) || actual === expected, `${why}: ${actual}`);
}

const QS = [NaN, -1, 0, 0.001, 0.25, 0.5, 0.9, 0.99, 1, 1.5];
const anyBound = fc.oneof(
  fc.integer({ min: -10, max: 30 }),
  fc.constantFrom(-Infinity, Infinity, NaN, 5e-324, -1e308, 1e308, -0),
);
/** Whose sums are exact in whatever order. */
const anyCount = fc.oneof(fc.nat(30), fc.constantFrom(0, 2 ** 48));
const anyHistogram = fc.record({
  bounds: fc.oneof(
    fc.uniqueArray(fc.integer({ min: -10, max: 30 }), { maxLength: 6 })
      .map((bounds) => bounds.toSorted((a, b) => a - b)),
    fc.array(anyBound, { maxLength: 4 }).map((bounds) => bounds.toSorted((a, b) => a - b)),
    fc.array(anyBound, { maxLength: 4 }),
  ),
  counts: fc.array(anyCount, { minLength: 7, maxLength: 7 }),
  extra: fc.constantFrom(1, 1, 1, 0, 2),
}).map(({ bounds, counts, extra }) => ({ bounds, counts: counts.slice(0, bounds.length + extra) }));

const anySide = fc.option(
  fc.record({
    offset: fc.oneof(fc.integer({ min: -20, max: 20 }), fc.constantFrom(-(2 ** 31), 2 ** 31 - 1)),
    counts: fc.array(anyCount, { maxLength: 5 }),
  }),
);
const anyExponential = fc.record({
  scale: fc.oneof(
    fc.integer({ min: -4, max: 8 }),
    fc.constantFrom(-(2 ** 31), -11, 20, 2 ** 31 - 1),
  ),
  zeroThreshold: fc.constantFrom(0, 0, 0.001, 1, 1.3, 4, 1e308, 5e-324, Infinity, NaN, -1),
  zeroCount: anyCount,
  positive: anySide,
  negative: anySide,
});

function sideText(side: { offset: number; counts: number[] } | null): string | null {
  if (side === null) return null;
  const bucketCounts = side.counts.map((count) => BigInt(count).toString());
  return JSON.stringify({ offset: side.offset, bucketCounts });
}

const anySeries = fc.array(
  fc.record({
    value: fc.oneof(fc.integer({ min: 0, max: 50 }), fc.constantFrom(NaN, 0.5)),
    start: fc.constantFrom(0, 0, 1, 1, 5, 9),
    isUnknownStart: fc.constantFrom(false, false, false, true),
  }),
  { maxLength: 12 },
);

for (const [driver, store] of stores) {
  const { database } = store;

  Deno.test(`histogram_quantile says in SQL what it says in TypeScript (${driver})`, async () => {
    for (const one of fc.sample(anyHistogram, 150)) {
      const rows = await asReader<{ value: number }>(
        database,
        `select otel.histogram_quantile(q, $2::numeric[], $3::float8[]) as value
         from unnest($1::float8[]) with ordinality u (q, n) order by n`,
        [QS, one.counts.map((count) => BigInt(count)), one.bounds],
      );
      const histogram = histogramOf(one.counts, one.bounds);
      for (const [n, q] of QS.entries()) {
        const wanted = histogram === undefined && q >= 0 && q <= 1
          ? NaN
          : histogramQuantile(q, histogram ?? { bounds: [], counts: [] });
        assertSame(rows[n]!.value, wanted, `${JSON.stringify(one)} ${q} is ${wanted}`);
      }
    }
  });

  Deno.test(`exponential_histogram_quantile says in SQL what it says in TypeScript (${driver})`, async () => {
    for (const one of fc.sample(anyExponential, 300)) {
      const rows = await asReader<{ value: number }>(
        database,
        `select otel.exponential_histogram_quantile(q, $2::int, $3::numeric, $4::float8, $5::jsonb, $6::jsonb) as value
         from unnest($1::float8[]) with ordinality u (q, n) order by n`,
        [
          QS,
          one.scale,
          BigInt(one.zeroCount),
          one.zeroThreshold,
          sideText(one.positive),
          sideText(one.negative),
        ],
      );
      const side = (of: { offset: number; counts: number[] } | null) =>
        of === null ? new Map<number, number>() : bucketsOf(of.offset, of.counts);
      const histogram: ExponentialHistogram = {
        ...one,
        positive: side(one.positive),
        negative: side(one.negative),
      };
      for (const [n, q] of QS.entries()) {
        const wanted = exponentialHistogramQuantile(q, histogram);
        assertSame(rows[n]!.value, wanted, `${JSON.stringify(one)} ${q} is ${wanted}`);
      }
    }
  });

  Deno.test(`counts of 64 bits and null arguments are no errors (${driver})`, async () => {
    const side = '{"offset":0,"bucketCounts":["18446744073709551615","18446744073709551615"]}';
    const [row] = await asReader(
      database,
      `select otel.histogram_quantile(0.5, array[18446744073709551615, 18446744073709551615], array[8]) as explicit,
         otel.exponential_histogram_quantile(0.5, 0, 18446744073709551615, 0, $1, $1) as both,
         otel.exponential_histogram_quantile(0.5, 0, null, null, $1, null) as positive,
         otel.exponential_histogram_quantile(0.5, 0, null, null, null, null) as nothing,
         otel.histogram_quantile(0.5, null, array[8]) as none,
         otel.exponential_histogram_quantile(0.5, null, null, null, null, null) as no_scale`,
      [side],
    );
    assert.deepEqual(row, {
      explicit: 8,
      both: 0,
      positive: 2,
      nothing: NaN,
      none: null,
      no_scale: null,
    });
  });

  Deno.test(`increase says in SQL what it says in TypeScript, and rate that by the second (${driver})`, async () => {
    for (const series of fc.sample(anySeries, 100)) {
      const points = series.map(({ value, start, isUnknownStart }, n) => {
        const time = (n + 1) * 10;
        return { value, time, start: isUnknownStart ? time : start * 10 };
      });
      const [row] = await asReader<{ increase: number | null; rate: number | null }>(
        database,
        `select otel.increase(value, start, time order by time) as increase,
           otel.rate(value, start, time order by time) as rate
         from (
           select value, to_timestamp(nullif(start, 0)) as start, to_timestamp(time) as time
           from unnest($1::float8[], $2::float8[], $3::float8[]) u (value, start, time)
         ) p`,
        [
          points.map(({ value }) => value),
          points.map(({ start }) => start),
          points.map(({ time }) => time),
        ],
      );
      const increase = new Increase<number, number>({
        difference: (later, earlier = 0) => later - earlier,
        add: (a, b) => a + b,
        isLess: (later, earlier) => later < earlier,
      }, 2n ** 63n);
      const known = points.filter(({ value }) => !Number.isNaN(value));
      for (const { value, time, start } of known) {
        increase.add({ time: BigInt(time), start: BigInt(start), value });
      }
      const wanted = increase.take();
      const seconds = known.length > 1 ? known.at(-1)!.time - known[0]!.time : 0;
      const why = JSON.stringify(points);
      // Where TypeScript says that nothing is known, SQL says that nothing came.
      assert.equal(row!.increase, known.length > 1 ? wanted ?? 0 : null, why);
      assert.equal(row!.rate, known.length > 1 ? (wanted ?? 0) / seconds : null, why);
    }
  });

  Deno.test(`the examples of the functions run on what is stored (${driver})`, async () => {
    await store.clear();
    const second = 1_000_000_000n;
    const base = BigInt(Date.now()) * 1_000_000n - 60n * second;
    const dataPoints = [5n, 8n, 2n].map((asInt, n) =>
      point({ asInt, timeUnixNano: base + BigInt(n) * second })
    );
    const sum = { dataPoints, aggregationTemporality: 2, isMonotonic: true };
    const metric = { name: "http.requests", description: "", unit: "", metadata: [], sum };
    const from = { resource: resource([]) };
    store.transcode("metrics", encodeRequest("metrics", metrics([metric], from)));
    store.transcode("traces", encodeRequest("traces", traces([span({ name: "root" })])));
    await store.flush();
    const rows = await asReader<{ name: string; comment: string }>(
      database,
      `select p.proname::text as name, obj_description(p.oid, 'pg_proc') as comment from pg_proc p
       where p.pronamespace = (select n.oid from pg_namespace n where n.nspname = 'otel') order by 1`,
    );
    assert.deepEqual(rows.map(({ name }) => name), [
      "exponential_histogram_quantile",
      "histogram_quantile",
      "increase",
      "rate",
      "trace",
    ]);
    const answers = new Map<string, Row[]>();
    for (const { name, comment } of rows) {
      answers.set(name, await asReader(database, comment.slice(comment.indexOf("select"))));
    }
    assert.deepEqual(answers.get("rate"), [{ attributes: "{}", rate: 2.5 }]);
    assert.equal(answers.get("increase")!.reduce((all, { sum }) => all + Number(sum), 0), 5);
    assert.deepEqual(answers.get("trace")!.map((row) => row.span), ["root"]);
  });

  Deno.test(`a trace is a tree, whatever is wrong with its parents (${driver})`, async () => {
    await store.clear();
    const id = (n: number) => n.toString(16).padStart(16, "0");
    const child = (
      n: number,
      parent: number | undefined,
      after: number,
      fields: Partial<Span> = {},
    ) =>
      span({
        spanId: id(n),
        parentSpanId: parent === undefined ? "" : id(parent),
        startTimeUnixNano: TIME + BigInt(after),
        name: String(n),
        ...fields,
      });
    const sent = [
      child(1, undefined, 0),
      child(2, 1, 30),
      child(3, 1, 20),
      // Begins before its parent, as clocks differ.
      child(4, 2, 10),
      // Its parent is not there.
      child(5, 99, 5),
      child(6, 5, 50),
      // A circle of two with a tail, and a span that is its own parent.
      child(7, 8, 70),
      child(8, 7, 60),
      child(9, 7, 80),
      child(10, 10, 90),
      // The same id again, as client and server have it in some protocols.
      child(3, 1, 25, { name: "3 again" }),
      child(11, 3, 26),
      child(12, undefined, 0, { traceId: "0".repeat(31) + "1" }),
    ];
    store.transcode("traces", encodeRequest("traces", traces(sent)));
    await store.flush();
    const rows = await asReader<{ line: string }>(
      database,
      `select repeat('.', depth) || name as line from otel.trace($1)`,
      [sent[0]!.traceId],
    );
    assert.deepEqual(rows.map(({ line }) => line), [
      "1",
      ".3",
      "..11",
      ".3 again",
      ".2",
      "..4",
      "5",
      ".6",
      "8",
      ".7",
      "..9",
      "10",
    ]);
    assert.deepEqual(
      await asReader(database, `select * from otel.trace($1)`, ["0".repeat(32)]),
      [],
    );
  });

  Deno.test(`a trace is found by the index on its id (${driver})`, async () => {
    await database.transaction(async (transaction) => {
      const scans = async () => {
        const [row] = await transaction.query<{ by_index: number; whole: number }>(
          `select sum(idx_scan)::int as by_index, sum(seq_scan)::int as whole
           from pg_stat_xact_user_tables where relname like 'spans%'`,
        );
        return row!;
      };
      await transaction.query("set local enable_seqscan = off");
      await transaction.query("set local enable_bitmapscan = off");
      const { by_index, whole } = await scans();
      await transaction.query("select * from otel.trace($1)", ["0".repeat(32)]);
      assert.deepEqual(await scans(), { by_index: by_index + 1, whole });
    });
  });
}
