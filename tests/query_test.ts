import assert from "node:assert/strict";
import { encodeRequest } from "../src/otlp.ts";
import { exportStored, getLogs, getMetricPoints, getTrace } from "../src/query.ts";
import type { LogRecord, Resource, Span } from "../src/record.ts";
import {
  attribute,
  event,
  gauge,
  log,
  logs,
  metrics,
  point,
  resource,
  scope,
  span,
  TIME,
  traces,
} from "./one_record.ts";
import { ARRIVAL, TranscodeStore } from "./transcode_store.ts";

const store = await TranscodeStore.open();
const { database } = store;

const ONE = "5b8efff798038103d269b633813fc60c";
const OTHER = "00000000000000000000000000000001";
/** The year 2243, from where times are no longer whole microseconds in a double. */
const FAR = 0x78000000n << 32n;
const LAST = 2n ** 64n - 1n;

function service(name: string, namespace?: string): Resource {
  return resource([
    attribute("service.name", name),
    ...(namespace === undefined ? [] : [attribute("service.namespace", namespace)]),
  ]);
}

async function storeSpans(spans: Span[], from: Resource = service("shop")): Promise<void> {
  store.transcode("traces", encodeRequest("traces", traces(spans, { resource: from })));
  await store.flush();
}

async function storeLogs(records: LogRecord[], from: Resource = service("shop")): Promise<void> {
  store.transcode("logs", encodeRequest("logs", logs(records, { resource: from })));
  await store.flush();
}

/** A log record that is called by its event name. */
function called(eventName: string, fields: Partial<LogRecord> = {}): LogRecord {
  return log({ eventName, ...fields });
}

async function logNames(filter: Parameters<typeof getLogs>[1]): Promise<string[]> {
  return (await getLogs(database, filter)).map(({ record }) => record.eventName);
}

Deno.test("a trace comes with all its spans and nothing else, by start time to the nanosecond", async () => {
  await store.clear();
  const spans = [
    span({ spanId: "0000000000000003", startTimeUnixNano: TIME + 2n }),
    span({ spanId: "ffffffffffffffff", startTimeUnixNano: TIME + 1n }),
    span({ spanId: "0000000000000001", startTimeUnixNano: TIME + 2n }),
    span({ spanId: "0000000000000004", startTimeUnixNano: FAR }),
    span({ spanId: "0000000000000005", startTimeUnixNano: 1n }),
  ];
  await storeSpans([...spans, span({ traceId: OTHER })]);
  const stored = await getTrace(database, ONE);
  assert.deepEqual(stored.map(({ record }) => record.spanId), [
    "0000000000000005",
    "ffffffffffffffff",
    "0000000000000001",
    "0000000000000003",
    "0000000000000004",
  ]);
  assert.deepEqual((await getTrace(database, OTHER)).length, 1);
  assert.deepEqual(await getTrace(database, "0".repeat(31) + "2"), []);
});

Deno.test("a trace comes as it was sent, with what it belongs to", async () => {
  await store.clear();
  const sent = span({
    name: "GET",
    kind: 2,
    attributes: [attribute("a"), { key: "n", value: { doubleValue: 1 } }],
    events: [event({ name: "e" })],
    status: { code: 2, message: "no" },
  });
  const from = service("shop", "eu");
  const by = scope({ name: "lib", version: "1" });
  const request = traces([sent], { resource: from, scope: by });
  request.resourceSpans[0]!.schemaUrl = "https://example.org/1";
  request.resourceSpans[0]!.scopeSpans[0]!.schemaUrl = "https://example.org/2";
  store.transcode("traces", encodeRequest("traces", request));
  await store.flush();
  assert.deepEqual(await getTrace(database, ONE), [{
    record: sent,
    resource: from,
    resourceSchemaUrl: "https://example.org/1",
    scope: by,
    scopeSchemaUrl: "https://example.org/2",
  }]);
});

Deno.test("a trace id may have dashes and capitals; what is none is refused", async () => {
  await store.clear();
  await storeSpans([span()]);
  for (const id of [ONE, ONE.toUpperCase(), "5b8efff7-9803-8103-d269-b633813fc60c"]) {
    assert.equal((await getTrace(database, id)).length, 1);
  }
  for (const id of ["", "5b8e", ONE + "0", "g".repeat(32), `${ONE}'`, ` ${ONE}`]) {
    await assert.rejects(getTrace(database, id), {
      name: "RangeError",
      message: `Cannot look up a trace: its id has to be 32 hex digits: ${id}`,
    });
    await assert.rejects(getLogs(database, { traceId: id }), { name: "RangeError" });
  }
});

Deno.test("logs are found by trace, severity and service, joined by and, newest first", async () => {
  await store.clear();
  await storeLogs([
    called("a", { timeUnixNano: TIME, severityNumber: 9, traceId: ONE }),
    called("b", { timeUnixNano: TIME + 2n, severityNumber: 17, traceId: ONE }),
    called("c", { timeUnixNano: TIME + 1n, severityNumber: 17 }),
    called("d", { timeUnixNano: TIME + 3n }),
  ]);
  await storeLogs(
    [called("e", { timeUnixNano: TIME + 4n, severityNumber: 24 })],
    service("shop", "eu"),
  );
  await storeLogs([called("f", { timeUnixNano: TIME + 5n, traceId: ONE })], service("other"));
  await storeLogs([called("g", { timeUnixNano: TIME + 6n })], resource([]));

  assert.deepEqual(await logNames({}), ["g", "f", "e", "d", "b", "c", "a"]);
  assert.deepEqual(await logNames({ traceId: ONE }), ["f", "b", "a"]);
  assert.deepEqual(await logNames({ minSeverity: 17 }), ["e", "b", "c"]);
  assert.deepEqual(await logNames({ minSeverity: 18 }), ["e"]);
  assert.deepEqual(await logNames({ minSeverity: 0 }), ["g", "f", "e", "d", "b", "c", "a"]);
  assert.deepEqual(await logNames({ service: "shop" }), ["e", "d", "b", "c", "a"]);
  assert.deepEqual(await logNames({ service: "none" }), []);
  assert.deepEqual(await logNames({ service: "shop", traceId: ONE, minSeverity: 10 }), ["b"]);
  assert.deepEqual(
    await logNames({ service: "shop", since: TIME + 1n, until: TIME + 4n, minSeverity: 1 }),
    ["b", "c"],
  );
  assert.deepEqual(await logNames({ limit: 2 }), ["g", "f"]);
  assert.deepEqual(await logNames({ limit: 0 }), []);
});

Deno.test("logs are 1,000 unless more are asked for", async () => {
  await store.clear();
  await storeLogs(
    Array.from(
      { length: 1001 },
      (_, n) => called(String(n), { timeUnixNano: TIME + BigInt(n) * 7n }),
    ),
  );
  assert.equal((await logNames({})).length, 1000);
  assert.equal((await logNames({})).at(-1), "1");
  assert.equal((await logNames({ limit: 2000 })).length, 1001);
});

Deno.test("a range takes what lies at its begin and not what lies at its end, to the nanosecond", async () => {
  await store.clear();
  const times = [
    1n,
    999n,
    1000n,
    1001n,
    TIME,
    TIME + 1n,
    TIME + 999n,
    TIME + 1000n,
    TIME + 1001n,
    FAR - 1n,
    FAR,
    FAR + 1n,
    2n ** 63n - 1n,
    2n ** 63n,
    LAST - 1000n,
    LAST - 1n,
    LAST,
  ];
  await storeLogs(times.map((time) => called(String(time), { timeUnixNano: time })));
  await storeSpans(times.map((time) => span({ name: String(time), startTimeUnixNano: time })));
  const dataPoints = times.map((time) => point({ asInt: 1n, timeUnixNano: time }));
  store.transcode("metrics", encodeRequest("metrics", metrics([gauge(dataPoints)])));
  await store.flush();

  const bounds = [0n, ...times, 500n, TIME - 1n, TIME + 500n, LAST - 1500n];
  for (const since of bounds) {
    for (const until of [undefined, bounds[5]!, bounds[8]!, LAST]) {
      const range = until === undefined ? { since } : { since, until };
      const wanted = times.filter((time) => time >= since && (until === undefined || time < until));
      const why = `${since} to ${until}`;
      assert.deepEqual((await logNames(range)).map(BigInt).reverse(), wanted, why);
    }
  }
  for (const until of bounds) {
    const range = { since: 500n, until };
    const wanted = times.filter((time) => time >= 500n && time < until);
    const points = await getMetricPoints(database, { metric: "gauge", ...range });
    assert.deepEqual(
      points.map(({ record }) => record.gauge!.dataPoints[0]!.timeUnixNano),
      wanted,
    );
    const { resourceSpans } = await exportStored(database, "traces", range);
    assert.deepEqual(
      resourceSpans.map(({ scopeSpans }) => scopeSpans[0]!.spans[0]!.startTimeUnixNano),
      wanted,
    );
  }
});

Deno.test("what came without a time is found by when it was observed, else by when it arrived", async () => {
  await store.clear();
  await storeLogs([
    called("observed", { timeUnixNano: 0n, observedTimeUnixNano: TIME + 5n }),
    called("arrived", { timeUnixNano: 0n }),
  ]);
  await storeSpans([span({ startTimeUnixNano: 0n, endTimeUnixNano: 7n })]);
  assert.deepEqual(await logNames({ since: TIME, until: TIME + 1000n }), ["observed"]);
  assert.deepEqual(await logNames({ since: ARRIVAL, until: ARRIVAL + 1n }), ["arrived"]);
  assert.deepEqual(await logNames({ since: ARRIVAL + 1n }), []);
  assert.deepEqual(await logNames({ since: TIME + 1000n, until: ARRIVAL }), []);
  const [stored] = await getTrace(database, ONE);
  assert.equal(stored!.record.startTimeUnixNano, 0n);
  assert.equal(stored!.record.endTimeUnixNano, 7n);
  const [arrived, observed] = await getLogs(database, {});
  assert.equal(arrived!.record.timeUnixNano, 0n);
  assert.equal(arrived!.record.observedTimeUnixNano, 0n);
  assert.equal(observed!.record.timeUnixNano, 0n);
  assert.equal(observed!.record.observedTimeUnixNano, TIME + 5n);
});

Deno.test("a bound that is no time is refused", async () => {
  for (const bound of [-1n, 2n ** 64n]) {
    const error = {
      name: "RangeError",
      message: `Cannot read a time range: a bound has to be 0 to 2^64-1 nanoseconds: ${bound}`,
    };
    await assert.rejects(getLogs(database, { since: bound }), error);
    await assert.rejects(getLogs(database, { until: bound }), error);
    await assert.rejects(
      getMetricPoints(database, { metric: "m", since: bound, until: 1n }),
      error,
    );
    await assert.rejects(exportStored(database, "traces", { since: bound }), error);
  }
});

Deno.test("starts and ends of spans are exact, whichever comes first and however far", async () => {
  await store.clear();
  const times = [0n, 1n, TIME, FAR - 1n, FAR, 2n ** 63n - 1n, 2n ** 63n, LAST];
  const pairs = times.flatMap((start) => times.map((end) => ({ start, end })));
  await storeSpans(
    pairs.map(({ start, end }) =>
      span({ name: `${start} ${end}`, startTimeUnixNano: start, endTimeUnixNano: end })
    ),
  );
  const stored = await getTrace(database, ONE);
  assert.equal(stored.length, pairs.length);
  for (const { record } of stored) {
    assert.equal(`${record.startTimeUnixNano} ${record.endTimeUnixNano}`, record.name);
  }
});

Deno.test("points of a metric are found by name and service, oldest first, each with its metric", async () => {
  await store.clear();
  const at = (n: bigint) => point({ asInt: n, timeUnixNano: TIME + n });
  const add = async (name: string, unit: string, points: bigint[], from: Resource) => {
    const metric = gauge(points.map(at), { name, unit });
    store.transcode("metrics", encodeRequest("metrics", metrics([metric], { resource: from })));
    await store.flush();
  };
  await add("load", "s", [5n, 1n, 3n], service("shop"));
  await add("load", "ms", [2n], service("shop", "eu"));
  await add("load", "s", [4n], service("other"));
  await add("loads", "s", [6n], service("shop"));
  const values = async (
    filter: { service?: string; until?: bigint; limit?: number; metric?: string },
  ) =>
    (await getMetricPoints(database, { metric: "load", since: TIME, until: LAST, ...filter }))
      .map(({ record }) => [record.unit, record.gauge!.dataPoints[0]!.asInt]);
  assert.deepEqual(await values({}), [["s", 1n], ["ms", 2n], ["s", 3n], ["s", 4n], ["s", 5n]]);
  assert.deepEqual(await values({ service: "shop" }), [["s", 1n], ["ms", 2n], ["s", 3n], [
    "s",
    5n,
  ]]);
  assert.deepEqual(await values({ service: "shop", until: TIME + 3n }), [["s", 1n], ["ms", 2n]]);
  assert.deepEqual(await values({ limit: 1 }), [["s", 1n]]);
  assert.deepEqual(await values({ metric: "none" }), []);
  assert.deepEqual(await values({ metric: "lo%" }), []);
});

Deno.test("a read that is aborted rejects with the reason", async () => {
  const signal = AbortSignal.abort(new Error("enough"));
  const reads = [
    getTrace(database, ONE, { signal }),
    getLogs(database, {}, { signal }),
    getMetricPoints(database, { metric: "m", since: 0n, until: 1n }, { signal }),
    exportStored(database, "logs", {}, { signal }),
  ];
  for (const read of reads) await assert.rejects(read, /enough/);
});

Deno.test("what is stored without its dimensions reads as belonging to nothing", async () => {
  await store.clear();
  await storeSpans([span({ name: "expired" })], service("expired"));
  await database.execute(
    "truncate otel_data.resources; truncate otel_data.names; truncate otel_data.scopes;",
  );
  const [stored] = await getTrace(database, ONE);
  assert.deepEqual(stored!.resource, resource([]));
  assert.deepEqual(stored!.scope, scope());
  assert.equal(stored!.record.name, "");
});
