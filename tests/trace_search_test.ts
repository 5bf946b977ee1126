/** Searches of traces and log records against a look at every record, and traces as trees. */

import fc from "fast-check";
import assert from "node:assert/strict";
import {
  countLogs,
  getTraceTree,
  type LogSearch,
  QueryError,
  searchLogs,
  searchTraces,
  type TraceSearch,
  type TraceSummary,
} from "../src/query.ts";
import type { Database } from "../src/postgres/database.ts";
import type { LogRecord, Span } from "../src/record.ts";
import { drivers } from "./postgres.ts";
import {
  END,
  FIRST,
  HOUR,
  LOGS,
  METRICS,
  shopDatabase,
  SPANS,
  timeOf,
  type Told,
} from "./shop_world.ts";

const stores = new Map<string, Database>();
for (const driver of drivers) stores.set(driver, await shopDatabase(driver));

const KINDS = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
const MINUTE_15 = 900_000_000_000n;
const LAST = 2n ** 64n - 1n;

const spanSearches = fc.record({
  service: fc.constantFrom(undefined, "shop", "d'ata\";base", "nobody"),
  operation: fc.constantFrom(undefined, "charge", "émoji 🛒", "'; drop table otel_data.spans; --"),
  kind: fc.constantFrom(undefined, undefined, "SERVER" as const, "CLIENT" as const),
  status: fc.constantFrom(undefined, undefined, "ERROR" as const),
  minDurationNs: fc.constantFrom(undefined, undefined, 900_000_000n),
  order: fc.constantFrom("newest" as const, "slowest" as const),
  since: fc.constantFrom(0n, FIRST, FIRST + 20n * HOUR + 1n),
  until: fc.constantFrom(FIRST + 50n * HOUR, END, LAST),
  filter: fc.constantFrom(undefined, "http.route = /a", "tries >= 2", 'http.route ~ "b$"'),
  limit: fc.integer({ min: 1, max: 50 }),
});

function isMeant({ service, record }: Told<Span>, search: TraceSearch): boolean {
  const time = timeOf(record);
  const duration = record.endTimeUnixNano - record.startTimeUnixNano;
  const value = (key: string) => record.attributes.find((one) => one.key === key)?.value;
  const route = value("http.route")!.stringValue!;
  const tries = value("tries")?.intValue;
  return time >= search.since! && time < search.until! &&
    (search.service === undefined || service === search.service) &&
    (search.operation === undefined || record.name === search.operation) &&
    (search.kind === undefined || KINDS[record.kind] === search.kind) &&
    (search.status === undefined || record.status?.code === 2) &&
    (search.minDurationNs === undefined || duration >= search.minDurationNs) &&
    (search.order === "newest" || record.startTimeUnixNano > 0n) &&
    (search.filter === undefined || (
      search.filter === "http.route = /a"
        ? route === "/a"
        : search.filter === "tries >= 2"
        ? tries !== undefined && tries >= 2n
        : route.endsWith("b")
    ));
}

/** What a trace looks like in a list. */
function summaryOf(traceId: string, search: TraceSearch): TraceSummary {
  const from = search.since! < MINUTE_15 ? 0n : search.since! - MINUTE_15;
  const to = search.until! > LAST - MINUTE_15 ? LAST : search.until! + MINUTE_15;
  const spans = SPANS.filter(({ record }) =>
    record.traceId === traceId && timeOf(record) >= from && timeOf(record) < to
  ).sort((a, b) => {
    const byRoot = Number(a.record.parentSpanId !== "") - Number(b.record.parentSpanId !== "");
    const byTime = timeOf(a.record) < timeOf(b.record)
      ? -1
      : timeOf(a.record) > timeOf(b.record)
      ? 1
      : 0;
    const signed = (id: string) => BigInt.asIntN(64, BigInt(`0x${id}`));
    const byId = signed(a.record.spanId) < signed(b.record.spanId) ? -1 : 1;
    return byRoot || byTime || byId;
  });
  const start = spans.map(({ record }) => timeOf(record)).reduce((a, b) => a < b ? a : b);
  const end = spans.map(({ record }) => {
    const lasts = record.startTimeUnixNano === 0n
      ? 0n
      : record.endTimeUnixNano - record.startTimeUnixNano;
    return timeOf(record) + lasts;
  }).reduce((a, b) => a > b ? a : b);
  const services = Map.groupBy(spans, ({ service }) => service);
  return {
    traceId,
    rootService: spans[0]!.service,
    rootOperation: spans[0]!.record.name,
    startUnixNano: start,
    durationNs: end - start,
    spanCount: spans.length,
    errorCount: spans.filter(({ record }) => record.status?.code === 2).length,
    services: [...services].map(([service, own]) => ({
      service,
      spanCount: own.length,
      errorCount: own.filter(({ record }) => record.status?.code === 2).length,
    })).sort((a, b) => b.spanCount - a.spanCount || (a.service < b.service ? -1 : 1)),
  };
}

for (const [driver, database] of stores) {
  Deno.test(`a search of traces gives each trace once, in order, page by page: ${driver}`, async () => {
    await fc.assert(
      fc.asyncProperty(spanSearches, async (search) => {
        const meant = SPANS.filter((told) => isMeant(told, search));
        const rank = ({ record }: Told<Span>) =>
          search.order === "newest"
            ? timeOf(record)
            : record.endTimeUnixNano - record.startTimeUnixNano;
        const best = new Map<string, bigint>();
        for (const told of meant) {
          const { traceId } = told.record;
          const known = best.get(traceId);
          if (known === undefined || rank(told) > known) best.set(traceId, rank(told));
        }
        const found: TraceSummary[] = [];
        let cursor: string | undefined;
        do {
          const page = await searchTraces(database, { ...search, cursor });
          assert.deepEqual(page.range, { since: search.since, until: search.until });
          assert.ok(page.traces.length <= search.limit);
          found.push(...page.traces);
          cursor = page.cursor;
        } while (cursor !== undefined);
        assert.deepEqual(
          found.map(({ traceId }) => traceId).sort(),
          [...best.keys()].sort(),
        );
        for (const [n, { traceId }] of found.slice(1).entries()) {
          assert.ok(best.get(traceId)! <= best.get(found[n]!.traceId)!);
        }
        for (const summary of found) assert.deepEqual(summary, summaryOf(summary.traceId, search));
      }),
      { numRuns: 40 },
    );
  });

  Deno.test(`a trace is a tree with its log records and points: ${driver}`, async () => {
    for (const [traceId, told] of Map.groupBy(SPANS, ({ record }) => record.traceId)) {
      const tree = (await getTraceTree(database, { traceId }))!;
      assert.equal(tree.spans.length, told.length);
      const ids = new Set(told.map(({ record }) => record.spanId));
      for (const [n, span] of tree.spans.entries()) {
        const { record, depth, parent, isOrphan, service } = span;
        const sent = told.find((one) => one.record.spanId === record.spanId)!;
        assert.equal(service, sent.service);
        assert.equal(record.name, sent.record.name);
        if (parent === undefined) {
          assert.equal(depth, 0);
          assert.equal(isOrphan, record.parentSpanId !== "");
        } else {
          assert.ok(parent < n);
          assert.equal(tree.spans[parent]!.record.spanId, record.parentSpanId);
          assert.equal(tree.spans[parent]!.depth, depth - 1);
        }
        // One whose parent is there is a root only where a circle was cut.
        if (parent === undefined && ids.has(record.parentSpanId)) {
          assert.ok(isInCircle(record, told));
        }
      }
      const expected = LOGS.filter(({ record }) => record.traceId === traceId);
      assert.equal(tree.logs.length, expected.length);
      const points = METRICS.filter(({ gauge }) =>
        gauge?.dataPoints[0]?.exemplars[0]?.traceId === traceId
      );
      assert.equal(tree.points.length, points.length);
    }
    assert.equal(await getTraceTree(database, { traceId: "0".repeat(31) + "1" }), undefined);
    const [first, own] = [...Map.groupBy(SPANS, ({ record }) => record.traceId)]
      .find(([, told]) => told.length > 3)!;
    const cut = (await getTraceTree(database, { traceId: first, maxSpans: 2 }))!;
    assert.deepEqual([cut.spans.length, cut.hasMoreSpans], [2, true]);
    const rest = (await getTraceTree(database, { traceId: first, cursor: cut.cursor }))!;
    assert.deepEqual([rest.spans.length, rest.hasMoreSpans], [own.length - 2, false]);
  });

  Deno.test(`a search of log records gives each once, newest first: ${driver}`, async () => {
    const traceIds = [...new Set(SPANS.map(({ record }) => record.traceId))];
    const searches = fc.record({
      service: fc.constantFrom(undefined, "shop", "nobody"),
      minSeverity: fc.constantFrom(undefined, undefined, 13),
      text: fc.constantFrom(undefined, "timeout", "ORDER of", "ошибка", "4711 timed"),
      traceId: fc.option(fc.constantFrom(...traceIds.slice(0, 20)), { nil: undefined }),
      since: fc.constantFrom(0n, FIRST + 20n * HOUR + 1n),
      until: fc.constantFrom(FIRST + 50n * HOUR, LAST),
      filter: fc.constantFrom(undefined, "thread = 1"),
      limit: fc.integer({ min: 1, max: 60 }),
    });
    await fc.assert(
      fc.asyncProperty(searches, async (search) => {
        const found: LogRecord[] = [];
        let cursor: string | undefined;
        do {
          const page = await searchLogs(database, { ...search, cursor });
          found.push(...page.logs.map(({ record }) => record));
          cursor = page.cursor;
        } while (cursor !== undefined);
        const meant = LOGS.filter((told) => isMeantLog(told, search)).map(({ record }) => record);
        const text = (record: LogRecord) =>
          JSON.stringify(record, (_, value) => typeof value === "bigint" ? `${value}` : value);
        assert.deepEqual(found.map(text).sort(), meant.map(text).sort());
        for (const [n, record] of found.slice(1).entries()) {
          assert.ok(timeOf(record) <= timeOf(found[n]!));
        }
        const { limit: _, ...counting } = search;
        const { steps, stepMs } = await countLogs(database, {
          ...counting,
          since: FIRST,
          until: END,
          stepMs: 7_200_000,
        });
        const counted = LOGS.filter((told) =>
          isMeantLog(told, { ...search, since: FIRST, until: END })
        );
        const severities = ["UNSPECIFIED", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
        assert.equal(steps.length, 36);
        for (const { since, counts } of steps) {
          const here = counted.filter(({ record }) =>
            timeOf(record) >= since && timeOf(record) < since + BigInt(stepMs) * 1_000_000n
          );
          const expected: Record<string, number> = {};
          for (const { record: { severityNumber } } of here) {
            const name = severities[Math.ceil(severityNumber / 4)]!;
            expected[name] = (expected[name] ?? 0) + 1;
          }
          assert.deepEqual(counts, expected);
        }
      }),
      { numRuns: 25 },
    );
  });

  Deno.test(`a search refuses what it cannot mean: ${driver}`, async () => {
    const refused = (parameter: string) => (error: unknown) =>
      error instanceof QueryError && error.parameter === parameter;
    const page = await searchTraces(database, { since: 0n, until: LAST, limit: 1 });
    const foreign = page.cursor!;
    await assert.rejects(searchTraces(database, { limit: 1_000_000 }), refused("limit"));
    await assert.rejects(searchTraces(database, { since: 2n, until: 1n }), QueryError);
    await assert.rejects(searchTraces(database, { filter: "a = " }), refused("filter"));
    await assert.rejects(
      searchTraces(database, { filter: 'http.route ~ "("', since: 0n, until: LAST }),
      refused("filter"),
    );
    await assert.rejects(searchTraces(database, { text: "…" }), refused("text"));
    await assert.rejects(searchLogs(database, { cursor: foreign }), refused("cursor"));
    await assert.rejects(
      searchTraces(database, { cursor: foreign, order: "slowest" }),
      refused("cursor"),
    );
    await assert.rejects(searchLogs(database, { traceId: "abc" }), refused("traceId"));
    await assert.rejects(getTraceTree(database, { traceId: "5b8e" }), refused("traceId"));
    const { traceId } = page.traces[0]!;
    await assert.rejects(getTraceTree(database, { traceId, cursor: foreign }), refused("cursor"));
    await assert.rejects(
      countLogs(database, { since: 0n, until: LAST, stepMs: 1 }),
      refused("stepMs"),
    );
    const nobody = await searchTraces(database, { service: "'; drop table otel_data.spans; --" });
    assert.deepEqual(nobody.traces, []);
  });
}

function isInCircle(record: Span, told: readonly Told<Span>[]): boolean {
  const byId = new Map(told.map((one) => [one.record.spanId, one.record]));
  let at: Span | undefined = byId.get(record.parentSpanId);
  for (let n = 0; n < told.length && at !== undefined; n++, at = byId.get(at.parentSpanId)) {
    if (at.spanId === record.spanId) return true;
  }
  return false;
}

function isMeantLog({ service, record }: Told<LogRecord>, search: LogSearch): boolean {
  const body = record.body!.stringValue!.toLowerCase();
  const time = timeOf(record);
  const has = (word: string) => body.split(/[^\p{L}\p{N}_]+/u).includes(word.toLowerCase());
  return time >= search.since! && time < search.until! &&
    (search.service === undefined || service === search.service) &&
    (search.minSeverity === undefined || record.severityNumber >= search.minSeverity) &&
    (search.text === undefined || search.text.split(" ").every(has)) &&
    (search.traceId === undefined || record.traceId === search.traceId) &&
    (search.filter === undefined || record.attributes[0]!.value!.stringValue === "1");
}
