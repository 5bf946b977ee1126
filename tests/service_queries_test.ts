/** Services, requests, calls and errors against sums made span by span. */

import assert from "node:assert/strict";
import type { Database } from "../src/postgres/database.ts";
import {
  compareTraces,
  countLogs,
  countRequests,
  findSimilarTraces,
  getServiceGraph,
  groupErrors,
  listAttributes,
  listOperations,
  listPartitions,
  listServices,
  QueryError,
  searchLogs,
  searchTraces,
} from "../src/query.ts";
import { encodeRequest } from "../src/otlp.ts";
import type { LogRecord, Span } from "../src/record.ts";
import { attribute, link, resource, span, traces } from "./one_record.ts";
import { observed, openStore } from "./open_store.ts";
import { drivers, type TestDriver } from "./postgres.ts";
import { END, FIRST, HOUR, LOGS, shopDatabase, SPANS, timeOf, type Told } from "./shop_world.ts";

const stores = new Map<TestDriver, Database>();
for (const driver of drivers) stores.set(driver, await shopDatabase(driver));

const RANGE = { since: FIRST + 7n * HOUR + 1n, until: END - 9n * HOUR };
const RANGE_OF_ALL = { since: FIRST - HOUR, until: END };
const KINDS = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];

function within({ record }: Told<Span>, { since, until } = RANGE): boolean {
  return timeOf(record) >= since && timeOf(record) < until;
}

function lengthOf({ startTimeUnixNano: start, endTimeUnixNano: end }: Span): bigint {
  return start === 0n || end < start ? 0n : end - start;
}

/** The smallest of the values that a fraction of them does not exceed. */
function quantile(values: readonly bigint[], fraction: number): bigint {
  const sorted = values.toSorted((a, b) => a < b ? -1 : a > b ? 1 : 0);
  return sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)]!;
}

function numbersOf(spans: readonly Span[]) {
  const lengths = spans.map(lengthOf);
  return {
    requests: spans.length,
    errors: spans.filter(({ status }) => status?.code === 2).length,
    p50Ns: quantile(lengths, 0.5),
    p95Ns: quantile(lengths, 0.95),
    p99Ns: quantile(lengths, 0.99),
  };
}

function isRequest({ record: { kind, parentSpanId, startTimeUnixNano } }: Told<Span>): boolean {
  return (kind === 2 || kind === 5 || parentSpanId === "") && startTimeUnixNano > 0n;
}

/** As the database orders texts: by their bytes. */
function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

for (const [driver, database] of stores) {
  Deno.test(`services and operations are listed: ${driver}`, async () => {
    const { services } = await listServices(database, { since: 0n, until: 2n ** 64n - 1n });
    const names = [...new Set(SPANS.map(({ service }) => service))].filter((name) => name !== "");
    assert.deepEqual(services.map(({ service }) => service), names.sort(byText));
    const [some] =
      (await listServices(database, { since: 0n, until: 2n ** 64n - 1n, name: 'A";B' }))
        .services;
    assert.equal(some!.service, "d'ata\";base");

    const { operations } = await listOperations(database, { ...RANGE, service: "shop" });
    const counts = Map.groupBy(
      SPANS.filter((told) => told.service === "shop" && within(told)),
      ({ record: { name, kind } }) => JSON.stringify([name, kind]),
    );
    assert.deepEqual(
      new Map(operations.map(({ operation, kind, spanCount }) => [
        JSON.stringify([operation, KINDS.indexOf(kind)]),
        spanCount,
      ])),
      new Map([...counts].map(([key, { length }]) => [key, length])),
    );
    assert.deepEqual((await listOperations(database, { service: "'--" })).operations, []);
  });

  Deno.test(`partitions are listed, latest first, the default ones before: ${driver}`, async () => {
    const tables = { traces: "spans", logs: "logs", metrics: "metric_points" };
    const { partitions, hasMorePartitions } = await listPartitions(database);
    assert.equal(hasMorePartitions, false);
    assert.deepEqual(
      partitions.filter(({ since }) => since === undefined).map(({ name }) => name),
      ["logs_default", "metric_points_default", "spans_default"],
    );
    const spans = partitions.filter(({ signal, since }) => signal === "traces" && since);
    assert.ok(spans.length > 1);
    for (const [at, { name, since, until, bytes }] of spans.entries()) {
      assert.ok(name.startsWith(`${tables.traces}_`) && since! < until! && bytes > 0);
      assert.ok(at === 0 || until! <= spans[at - 1]!.since!);
      // The range of the table itself, as its own rows have to keep to it.
      const [row] = await database.query<{ fits: boolean }>(
        `select otel_data.partition_range($1::regclass) = tstzrange(
           otel_data.to_timestamptz($2::bigint), otel_data.to_timestamptz($3::bigint)) as fits`,
        [`otel_data.${name}`, since!, until!],
      );
      assert.equal(row!.fits, true, name);
    }
    const latest = await listPartitions(database, { signal: "traces", limit: 2 });
    assert.deepEqual(latest.hasMorePartitions, true);
    assert.deepEqual(latest.partitions.map(({ name }) => name), ["spans_default", spans[0]!.name]);
    await assert.rejects(listPartitions(database, { limit: 0 }), QueryError);
  });

  Deno.test(`requests are counted by service and operation, over time: ${driver}`, async () => {
    for (const by of ["service", "operation"] as const) {
      for (const order of ["requests", "errors", "slowest", "total"] as const) {
        const { groups, stepMs, range } = await countRequests(database, {
          ...RANGE,
          by,
          order,
          overTime: true,
          stepMs: 11 * 3_600_000,
        });
        assert.deepEqual([range, stepMs], [RANGE, 11 * 3_600_000]);
        const expected = Map.groupBy(
          SPANS.filter((told) => within(told) && isRequest(told)),
          ({ service, record }) =>
            JSON.stringify(by === "service" ? [service] : [service, record.name]),
        );
        assert.equal(groups.length, expected.size);
        let last: number | bigint | undefined;
        for (const { service, operation, rate, totalNs, steps, ...numbers } of groups) {
          const key = JSON.stringify(by === "service" ? [service] : [service, operation]);
          const spans = expected.get(key)!.map(({ record }) => record);
          assert.deepEqual(numbers, numbersOf(spans));
          assert.equal(totalNs, spans.map(lengthOf).reduce((a, b) => a + b));
          assert.equal(rate, spans.length / (Number(RANGE.until - RANGE.since) / 1e9));
          const rank = {
            requests: numbers.requests,
            errors: numbers.errors,
            slowest: numbers.p99Ns,
            total: totalNs,
          }[order];
          assert.ok(last === undefined || rank <= last);
          last = rank;
          const width = BigInt(stepMs!) * 1_000_000n;
          const byStep = Map.groupBy(spans, (span) => (timeOf(span) - RANGE.since) / width);
          assert.deepEqual(
            steps,
            [...byStep].sort(([a], [b]) => Number(a - b)).map(([step, own]) => ({
              since: RANGE.since + step * width,
              ...numbersOf(own),
            })),
          );
        }
      }
    }
    const one = await countRequests(database, {
      ...RANGE,
      service: "shop",
      filter: "http.route = /a",
    });
    const meant = SPANS.filter((told) =>
      within(told) && isRequest(told) && told.service === "shop" &&
      told.record.attributes[0]!.value!.stringValue === "/a"
    );
    assert.deepEqual(one.groups.map(({ requests }) => requests), [meant.length]);
  });

  Deno.test(`the service graph has the calls and the links between services: ${driver}`, async () => {
    // One without a start is where it arrived.
    const isNear = ({ record }: Told<Span>) =>
      timeOf(record) >= RANGE.since - HOUR / 4n && timeOf(record) < RANGE.until + HOUR / 4n;
    const byId = new Map(
      SPANS.filter(isNear).map((told) => [`${told.record.traceId} ${told.record.spanId}`, told]),
    );
    for (const service of [undefined, "cart", "nobody"]) {
      const { edges } = await getServiceGraph(database, { ...RANGE, service });
      const calls = SPANS.filter((told) => within(told)).flatMap((child) => {
        const { record: { traceId, parentSpanId, links } } = child;
        const parent = `${traceId} ${parentSpanId}`;
        const linked = new Set(links.map((one) => `${one.traceId} ${one.spanId}`));
        linked.delete(parent);
        const ids = [[parent, "call"], ...[...linked].map((id) => [id, "link"])] as const;
        return ids.flatMap(([id, kind]) => {
          const from = byId.get(id!)?.service;
          return from === undefined || from === child.service
            ? []
            : [{ from, to: child.service, kind, record: child.record }];
        });
      }).filter(({ from, to }) => service === undefined || from === service || to === service);
      const expected = [
        ...Map.groupBy(calls, ({ from, to, kind }) => JSON.stringify([from, to, kind])),
      ]
        .map(([key, own]) => {
          const [from, to, kind] = JSON.parse(key);
          const { requests, errors, p50Ns, p99Ns } = numbersOf(own.map(({ record }) => record));
          return { from, to, kind, calls: requests, errors, p50Ns, p99Ns };
        })
        .sort((a, b) =>
          b.calls - a.calls || byText(a.from, b.from) || byText(a.to, b.to) ||
          byText(a.kind, b.kind)
        );
      if (service === undefined) {
        assert.deepEqual(new Set(expected.map(({ kind }) => kind)), new Set(["call", "link"]));
      }
      assert.deepEqual(edges, expected);
    }
  });

  Deno.test(`a consumer is linked to the producers of each message of its batch: ${driver}`, async () => {
    await using store = await openStore(driver as TestDriver);
    const traceId = (n: number) => String(n).padStart(32, "0");
    const from = (name: string) => ({ resource: resource([attribute("service.name", name)]) });
    const sent = (name: string, span: Span) =>
      store.adapter.write("traces", encodeRequest("traces", traces([span], from(name))));
    for (let n = 1; n <= 3; n++) {
      await sent(n === 3 ? "mail" : "shop", span({ traceId: traceId(n), kind: 4 }));
    }
    const { spanId } = span();
    const links = [1, 2, 3].map((n) => link({ traceId: traceId(n), spanId }));
    await sent(
      "stock",
      span({ traceId: traceId(9), kind: 5, links, status: { code: 2, message: "" } }),
    );
    await store.adapter.flush();
    const { edges } = await getServiceGraph(store.database, { since: 0n, until: 2n ** 64n - 1n });
    assert.deepEqual(
      edges.map(({ from, to, kind, calls, errors }) => [from, to, kind, calls, errors]),
      [["shop", "stock", "link", 2, 2], ["mail", "stock", "link", 1, 1]],
    );
  });

  Deno.test(`errors are grouped without what differs in their messages: ${driver}`, async () => {
    const { groups } = await groupErrors(database, RANGE);
    const errors = SPANS.filter((told) => within(told) && told.record.status?.code === 2)
      .flatMap(({ service, record }) => {
        const exceptions = record.events.filter(({ name }) => name === "exception");
        const text = (key: string, of: typeof exceptions[number]) =>
          of.attributes.find((one) => one.key === key)?.value?.stringValue ?? "";
        const told = exceptions.length === 0
          ? [["", record.status!.message]]
          : exceptions.map((one) => [text("exception.type", one), text("exception.message", one)]);
        return told.map(([type, message]) => ({
          service,
          type: type!,
          message: message!.replace("7", "<n>").replace("4<n>11", "<n>").replace("250", "<n>")
            .replace("42", "<n>"),
          record,
        }));
      });
    const expected = [
      ...Map.groupBy(
        errors,
        ({ service, type, message }) => JSON.stringify([service, type, message]),
      ),
    ].map(([key, own]) => {
      const [service, type, message] = JSON.parse(key);
      const times = own.map(({ record }) => timeOf(record));
      return {
        service,
        type,
        message,
        count: own.length,
        firstSeen: times.reduce((a, b) => a < b ? a : b),
        lastSeen: times.reduce((a, b) => a > b ? a : b),
        traces: new Set(own.map(({ record }) => record.traceId)),
      };
    }).sort((a, b) => b.count - a.count || byText(a.service, b.service) || byText(a.type, b.type));
    assert.deepEqual(
      groups.map(({ traceIds: _, ...group }) => JSON.stringify(group, bigints)).sort(),
      expected.map(({ traces: _, ...group }) => JSON.stringify(group, bigints)).sort(),
    );
    for (const { service, type, message, traceIds } of groups) {
      const { traces } = expected.find((one) =>
        one.service === service && one.type === type && one.message === message
      )!;
      assert.equal(traceIds.length, Math.min(traces.size, 5));
      assert.ok(traceIds.every((id) => traces.has(id)));
    }
  });

  Deno.test(`traces that are like one are found, and two are compared: ${driver}`, async () => {
    const { record } = SPANS.find(({ record, service }) =>
      record.attributes.length === 1 && service === "shop"
    )!;
    const { traces } = await findSimilarTraces(database, {
      ...RANGE,
      traceId: record.traceId,
      spanId: record.spanId,
      limit: 1_000,
    });
    const keys = (span: Span) => span.attributes.map(({ key }) => key).join();
    const alike = SPANS.filter((told) =>
      within(told) && told.service === "shop" && told.record.name === record.name &&
      keys(told.record) === keys(record) && told.record.traceId !== record.traceId
    );
    assert.ok(alike.length > 0);
    assert.deepEqual(
      traces.map(({ traceId }) => traceId).sort(),
      [...new Set(alike.map(({ record }) => record.traceId))].sort(),
    );

    const [before, after] = [...Map.groupBy(SPANS, ({ record }) => record.traceId)]
      .filter(([, told]) => told.length > 4).slice(0, 2);
    const self = (await compareTraces(database, { before: before![0], after: before![0] }))!;
    assert.equal(self.durationDifferenceNs, 0n);
    assert.ok(self.spans.every(({ before, after }) => before!.spanId === after!.spanId));
    const two = (await compareTraces(database, { before: before![0], after: after![0] }))!;
    const ids = (side: "before" | "after") => two.spans.flatMap((span) => span[side]?.spanId ?? []);
    assert.deepEqual(ids("before").sort(), before![1].map(({ record }) => record.spanId).sort());
    assert.deepEqual(ids("after").sort(), after![1].map(({ record }) => record.spanId).sort());
    for (const { service, operation, before: one, after: other } of two.spans) {
      for (const side of [one, other]) {
        if (side === undefined) continue;
        const told = SPANS.find(({ record }) => record.spanId === side.spanId)!;
        assert.deepEqual([told.service, told.record.name], [service, operation]);
        assert.equal(side.durationNs, lengthOf(told.record));
      }
    }
    const traceId = "f".repeat(32);
    assert.equal(await compareTraces(database, { before: before![0], after: traceId }), undefined);
  });

  Deno.test(`what cannot be asked of services is refused: ${driver}`, async () => {
    const refused = (parameter: string) => (error: unknown) =>
      error instanceof QueryError && error.parameter === parameter;
    await assert.rejects(listServices(database, { limit: 1_000_000 }), refused("limit"));
    await assert.rejects(
      countRequests(database, { ...RANGE, overTime: true, stepMs: 1 }),
      refused("stepMs"),
    );
    await assert.rejects(countRequests(database, { filter: "severity > warn" }), refused("filter"));
    await assert.rejects(groupErrors(database, { since: 5n, until: 5n - 1n }), QueryError);
    await assert.rejects(findSimilarTraces(database, { traceId: "5b8e" }), refused("traceId"));
    await assert.rejects(compareTraces(database, { before: "x", after: "y" }), refused("before"));
  });
}

for (const [driver, database] of stores) {
  Deno.test(`attributes are listed by key: ${driver}`, async () => {
    const keysOf = (records: readonly Told<Span | LogRecord>[]) =>
      [...new Set(records.flatMap(({ record }) => record.attributes.map(({ key }) => key)))]
        .sort(byText).map((key) => ({ of: "record", key }));
    const ofResource = [{ of: "resource", key: "service.name" }];
    const within = ({ record }: Told<Span | LogRecord>) =>
      timeOf(record) >= RANGE.since && timeOf(record) < RANGE.until;

    const all = await listAttributes(database, RANGE);
    assert.deepEqual(all.attributes, [...keysOf(SPANS.filter(within)), ...ofResource]);
    const of = (service: string) => (one: Told<Span | LogRecord>) => one.service === service;
    for (const service of ["shop", "d'ata\";base"]) {
      const { attributes } = await listAttributes(database, { ...RANGE, service });
      assert.deepEqual(
        attributes,
        [...keysOf(SPANS.filter(within).filter(of(service))), ...ofResource],
      );
    }
    const logs = await listAttributes(database, { ...RANGE, signal: "logs", service: "shop" });
    assert.deepEqual(logs.attributes, [...keysOf(LOGS.filter(within)), ...ofResource]);
    const { attributes: [first, ...others] } = await listAttributes(database, {
      ...RANGE,
      limit: 1,
    });
    assert.deepEqual([first, others], [all.attributes[0], []]);
    const nobody = await listAttributes(database, { ...RANGE, service: "'--" });
    assert.deepEqual(nobody.attributes, []);
    const earlier = await listAttributes(database, { since: 0n, until: FIRST });
    assert.deepEqual(earlier.attributes, []);
  });

  Deno.test(`attributes of a service that has none of the newest spans are listed too: ${driver}`, async () => {
    await using store = await openStore(driver);
    const write = async (service: string, key: string, count: number, time: bigint) => {
      const from = { resource: resource([attribute("service.name", service)]) };
      const spans = Array.from({ length: count }, (_, n) =>
        span({
          startTimeUnixNano: time + BigInt(n) * 1_000_000n,
          attributes: [attribute(key, String(n))],
        }));
      await store.adapter.write("traces", encodeRequest("traces", traces(spans, from)));
    };
    await write("seldom", "seldom.key", 3, FIRST);
    for (let n = 0; n < 6; n++) await write("often", "often.key", 2_000, FIRST + HOUR);
    await store.adapter.flush();
    const { attributes } = await listAttributes(store.database, RANGE_OF_ALL);
    assert.deepEqual(
      attributes.map(({ of, key }) => `${of} ${key}`),
      ["record often.key", "record seldom.key", "resource service.name"],
    );
  });

  Deno.test(`queries with a range touch the partitions in it, and at most the default one: ${driver}`, async () => {
    const range = { since: FIRST + 25n * HOUR, until: FIRST + 26n * HOUR };
    const questions: Record<string, (database: Database) => Promise<unknown>> = {
      searchTraces: (database) => searchTraces(database, range),
      countRequests: (database) => countRequests(database, { ...range, overTime: true }),
      listOperations: (database) => listOperations(database, { ...range, service: "shop" }),
      listAttributes: (database) => listAttributes(database, range),
      groupErrors: (database) => groupErrors(database, range),
      getServiceGraph: (database) => getServiceGraph(database, range),
      findSimilarTraces: (database) =>
        findSimilarTraces(database, { ...range, traceId: SPANS[0]!.record.traceId }),
      searchLogs: (database) => searchLogs(database, { ...range, text: "timeout" }),
      countLogs: (database) => countLogs(database, range),
    };
    for (const [name, ask] of Object.entries(questions)) {
      const { database: watched, asked } = observed(database);
      await ask(watched);
      const touched = new Set<string>();
      for (const { sql, parameters } of asked) {
        // What is found by the id of a trace has no range.
        if (!/otel_data\.(spans|logs) t/.test(sql) || /where t\.trace_id = \$1::uuid/.test(sql)) {
          continue;
        }
        const plan = await database.query(`explain ${sql}`, parameters);
        const text = plan.map((row) => Object.values(row)[0]).join("\n");
        for (const [, partition] of text.matchAll(/\b(?:spans|logs)_(default|\d+)\b/g)) {
          touched.add(partition!);
        }
      }
      touched.delete("default");
      assert.deepEqual([...touched], ["20251010"], name);
    }
  });
}

function bigints(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}
