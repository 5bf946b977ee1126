import fc from "fast-check";
import assert from "node:assert/strict";
import { traceBodies } from "../bench/telemetry.ts";
import { parseFilter } from "../src/filter.ts";
import { FilterFieldError } from "../src/filter_sql.ts";
import {
  countHistory,
  type HistoryOptions,
  type HistoryRequest,
  readHistory,
} from "../src/history.ts";
import { PAGE_ROWS } from "../src/history_pages.ts";
import { decodeRequest, encodeRequest } from "../src/otlp.ts";
import { pg } from "../src/postgres/pg.ts";
import type { Database } from "../src/postgres/database.ts";
import type { LogRecord, Resource, Signal } from "../src/record.ts";
import { arbitraryRequest } from "./arbitraries.ts";
import { canonicalise } from "./canonical.ts";
import {
  attribute,
  gauge,
  log,
  logs,
  metrics,
  point,
  resource,
  span,
  TIME,
  traces,
} from "./one_record.ts";
import { observed, type OpenStore, openStore } from "./open_store.ts";
import { asAdmin, drivers } from "./postgres.ts";

const SIGNALS: readonly Signal[] = ["traces", "logs", "metrics"];
const LAST = 2n ** 64n - 1n;

function read(
  database: Database,
  signal: Signal,
  options?: HistoryOptions,
): Promise<HistoryRequest[]> {
  return Array.fromAsync(readHistory(database, signal, options));
}

/** A log record that is called by its event name. */
function called(eventName: string, fields: Partial<LogRecord> = {}): LogRecord {
  return log({ eventName, ...fields });
}

async function storeLogs({ adapter }: OpenStore, records: LogRecord[], from?: Resource) {
  const body = encodeRequest("logs", logs(records, from && { resource: from }));
  assert.equal((await adapter.write("logs", body)).accepted, records.length);
}

/** Event names of the log records of requests, in their order within each container. */
function namesIn(requests: readonly HistoryRequest[]): string[] {
  return requests.flatMap(({ body }) =>
    decodeRequest("logs", body).resourceLogs.flatMap(({ scopeLogs }) =>
      scopeLogs.flatMap(({ logRecords }) => logRecords.map(({ eventName }) => eventName))
    )
  );
}

for (const driver of drivers) {
  for (const signal of SIGNALS) {
    Deno.test(`history of ${signal} in ${driver} is what went in, in order of time, whatever the size of requests`, async () => {
      await using store = await openStore(driver);
      const expected: string[] = [];
      const requests = fc.sample(arbitraryRequest(signal), { numRuns: 60, seed: 7 });
      for (const request of requests) {
        const body = encodeRequest(signal, request);
        await store.adapter.write(signal, body);
        expected.push(...canonicalise(signal, decodeRequest(signal, body)));
      }
      expected.sort();
      for (const maxBytes of [1, 5_000, 1 << 20]) {
        const history = await read(store.database, signal, { maxBytes });
        const lines = history.flatMap(({ body }) =>
          canonicalise(signal, decodeRequest(signal, body))
        );
        assert.deepEqual(lines.sort(), expected);
        for (const { body, count } of history) assert.ok(body.length <= maxBytes || count === 1);
        const times = history.map(({ lastUnixNano }) => lastUnixNano);
        assert.deepEqual(times, times.toSorted((a, b) => a < b ? -1 : a > b ? 1 : 0));
        assert.equal(history.reduce((sum, { count }) => sum + count, 0), expected.length);
      }
      assert.equal(await countHistory(store.database, signal), BigInt(expected.length));
    });
  }

  Deno.test(`history of many records of one time has each once, across pages: ${driver}`, async () => {
    await using store = await openStore(driver);
    const all: LogRecord[] = [];
    const add = (count: number, timeUnixNano: bigint) => {
      for (let n = 0; n < count; n++) all.push(called(`${all.length}`, { timeUnixNano }));
    };
    // Of one microsecond, of one nanosecond of it, and exactly a page.
    add(700, TIME);
    add(2 * PAGE_ROWS + 1, TIME + 1n);
    add(PAGE_ROWS, TIME + 1000n);
    add(PAGE_ROWS, TIME + 2000n);
    add(30, TIME + 2001n);
    // Places in the table are in another order than times.
    for (let end = all.length; end > 0; end -= 500) {
      await storeLogs(store, all.slice(Math.max(0, end - 500), end));
    }
    const names = all.map(({ eventName }) => eventName).sort();
    assert.deepEqual(namesIn(await read(store.database, "logs")).sort(), names);
    const small = await read(store.database, "logs", { maxBytes: 700 });
    assert.ok(small.length > 100);
    assert.deepEqual(namesIn(small).sort(), names);
  });

  Deno.test(`history takes what lies at its begin and not what lies at its end, to the nanosecond: ${driver}`, async () => {
    await using store = await openStore(driver);
    const far = 0x78000000n << 32n;
    const times = [1n, 999n, 1000n, 1001n, TIME, TIME + 1n, TIME + 999n, TIME + 1000n, TIME + 1001n]
      .concat([far - 1n, far, far + 1n, 2n ** 63n - 1n, 2n ** 63n, LAST - 1000n, LAST - 1n, LAST]);
    await storeLogs(store, times.map((time) => called(String(time), { timeUnixNano: time })));
    const bounds = [undefined, 0n, ...times, 500n, TIME + 500n, LAST - 1500n];
    for (const since of bounds) {
      for (const until of bounds) {
        // One to a page, so that each is once the last.
        const names = namesIn(await read(store.database, "logs", { since, until, maxBytes: 1 }));
        const expected = times.filter((time) =>
          time >= (since ?? 0n) && time < (until ?? LAST + 1n)
        );
        assert.deepEqual(names, expected.map(String), `${since} to ${until}`);
        assert.equal(
          await countHistory(store.database, "logs", { since, until }),
          BigInt(expected.length),
        );
      }
    }
  });

  Deno.test(`history goes on behind the last page when its rows have moved to a new partition: ${driver}`, async () => {
    await using store = await openStore(driver);
    // So far ahead that nothing makes a partition for it.
    const time = 4_000_000_000_000_000_000n;
    const names = Array.from({ length: 2 * PAGE_ROWS }, (_, n) => String(n));
    await storeLogs(store, names.map((name) => called(name, { timeUnixNano: time })));
    const history = readHistory(store.database, "logs", { since: time, maxBytes: 10_000 });
    const first = (await history.next()).value as HistoryRequest;
    assert.ok(first.count < PAGE_ROWS);
    const made = await store.database.query(
      `select otel_data.ensure('logs', t, t + interval '1 second', 'day')
       from otel_data.to_timestamptz($1::bigint) t`,
      [time],
    );
    assert.equal(made.length, 1);
    const seen = namesIn([first, ...await Array.fromAsync(history)]);
    assert.deepEqual([...new Set(seen)].sort(), names.toSorted());
  });

  Deno.test(`history has what a filter chooses, and its count: ${driver}`, async () => {
    await using store = await openStore(driver);
    const times = (n: number) => ({ timeUnixNano: TIME + BigInt(n) });
    const shop = resource([attribute("service.name", "shop")]);
    await storeLogs(store, [
      called("a", { ...times(1), severityNumber: 17 }),
      called("b", { ...times(3), severityNumber: 9, attributes: [attribute("user", "kim")] }),
    ], shop);
    await storeLogs(store, [called("c", { ...times(2), severityNumber: 18 })]);
    const chosen = async (text: string, range = {}) => {
      const options = { filter: parseFilter(text), ...range, maxBytes: 1 };
      const names = namesIn(await read(store.database, "logs", options));
      assert.equal(await countHistory(store.database, "logs", options), BigInt(names.length));
      return names.join(" ");
    };
    assert.equal(await chosen("severity >= error"), "a c");
    assert.equal(await chosen("service = shop"), "a b");
    assert.equal(await chosen("service = shop or severity > 17"), "a c b");
    assert.equal(await chosen("service = shop or severity > 17", { since: TIME + 2n }), "c b");
    assert.equal(await chosen("user = kim", { until: TIME + 3n }), "");
    assert.equal(await chosen("not user exists"), "a c");
    const filter = parseFilter("duration > 1s");
    await assert.rejects(read(store.database, "logs", { filter }), FilterFieldError);
    await assert.rejects(countHistory(store.database, "logs", { filter }), FilterFieldError);
  });

  Deno.test(`history of services that alternate shares their containers: ${driver}`, async () => {
    await using store = await openStore(driver);
    const services = Array.from(
      { length: 10 },
      (_, n) =>
        resource([attribute("service.name", `shop-${n}`), attribute("host.name", "a".repeat(100))]),
    );
    for (const [n, from] of services.entries()) {
      const spans = Array.from(
        { length: 50 },
        (_, k) => span({ startTimeUnixNano: TIME + BigInt(k * 10 + n), name: `${n}` }),
      );
      await store.adapter.write(
        "traces",
        encodeRequest("traces", traces(spans, { resource: from })),
      );
      const points = Array.from(
        { length: 50 },
        (_, k) => point({ asInt: BigInt(n), timeUnixNano: TIME + BigInt(k * 10 + n) }),
      );
      const request = metrics([gauge(points), gauge(points, { name: "other" })], {
        resource: from,
      });
      await store.adapter.write("metrics", encodeRequest("metrics", request));
    }
    const [spans] = await read(store.database, "traces");
    const { resourceSpans } = decodeRequest("traces", spans!.body);
    assert.equal(resourceSpans.length, 10);
    assert.ok(resourceSpans.every(({ scopeSpans: [scope] }) => scope!.spans.length === 50));
    const [points] = await read(store.database, "metrics");
    assert.equal(points!.count, 1000);
    const { resourceMetrics } = decodeRequest("metrics", points!.body);
    assert.equal(resourceMetrics.length, 10);
    for (const { scopeMetrics } of resourceMetrics) {
      assert.equal(scopeMetrics.length, 1);
      const sizes = scopeMetrics[0]!.metrics.map(({ gauge }) => gauge!.dataPoints.length);
      assert.deepEqual(sizes, [50, 50]);
    }
  });

  Deno.test(`history of ordinary telemetry is about as large as what came in: ${driver}`, async () => {
    await using store = await openStore(driver);
    const bodies = traceBodies(20, 250, TIME);
    for (const body of bodies) await store.adapter.write("traces", body);
    const size = (parts: readonly Uint8Array[]) =>
      parts.reduce((sum, { length }) => sum + length, 0);
    const history = await read(store.database, "traces");
    const ratio = size(history.map(({ body }) => body)) / size(bodies);
    assert.ok(ratio < 1.3, `${ratio} times`);
  });

  Deno.test(`history is read by the page, and nothing of it ahead: ${driver}`, async () => {
    await using store = await openStore(driver);
    for (let n = 0; n < 12; n++) {
      await storeLogs(
        store,
        Array.from({ length: 500 }, (_, k) => called(`x${n}`, { timeUnixNano: TIME + BigInt(k) })),
      );
    }
    const { database, asked } = observed(store.database);
    let given = 0;
    for await (const { count } of readHistory(database, "logs")) {
      given += count;
      const fetched = asked.reduce(
        (sum, { sql, rows }) => sum + (sql.startsWith("fetch") ? rows : 0),
        0,
      );
      assert.equal(fetched, given);
    }
    assert.equal(given, 6000);
    assert.ok(asked.every(({ rows }) => rows <= 400));
    assert.equal(asked.filter(({ rows }) => rows === 400).length > 0, true);
  });

  Deno.test(`history of large records is read in small pages: ${driver}`, async () => {
    await using store = await openStore(driver);
    const body = { stringValue: "large ".repeat(300) };
    for (let n = 0; n < 10; n++) {
      await storeLogs(
        store,
        Array.from(
          { length: 30 },
          (_, k) => called(`x${n}`, { body, timeUnixNano: TIME + BigInt(k) }),
        ),
      );
    }
    const { database, asked } = observed(store.database);
    const history = await read(database, "logs", { maxBytes: 250_000 });
    assert.deepEqual(history.map(({ count }) => count).reduce((a, b) => a + b), 300);
    assert.ok(history.every(({ body }) => body.length <= 250_000));
    // A hundred, and as many as there is room for behind them.
    assert.ok(asked.every(({ rows }) => rows <= 100));
    assert.ok(asked.some(({ rows }) => rows > 0 && rows < 60));
  });

  Deno.test(`history that is aborted ends, also between pages: ${driver}`, async () => {
    await using store = await openStore(driver);
    await storeLogs(store, [called("a"), called("b", { timeUnixNano: TIME + 1n })]);
    const controller = new AbortController();
    const history = readHistory(store.database, "logs", { maxBytes: 1, abort: controller.signal });
    assert.equal((await history.next()).done, false);
    controller.abort(new Error("enough"));
    await assert.rejects(Array.fromAsync(history), /enough/);
  });
}

if (drivers.includes("postgres")) {
  Deno.test("history holds no transaction open while its reader takes his time", async () => {
    await using store = await openStore("postgres");
    const now = BigInt(Date.now()) * 1_000_000n;
    const hour = 3_600_000_000_000n;
    // In the partition behind that of b, so in no window of it.
    const later = now + 25n * hour;
    await storeLogs(store, [
      called("a", { timeUnixNano: now }),
      called("b", { timeUnixNano: now + hour }),
    ]);
    const history = readHistory(store.database, "logs", { maxBytes: 1 });
    await history.next();
    const open = await store.database.query(
      `select state from pg_stat_activity
       where datname = current_database() and state like 'idle in transaction%'`,
    );
    assert.deepEqual(open, []);
    await storeLogs(store, [called("c", { timeUnixNano: later })]);
    assert.deepEqual(namesIn(await Array.fromAsync(history)), ["b", "c"]);
  });

  Deno.test("the count of a large history is what the planner expects", async () => {
    await using store = await openStore("postgres");
    const records = Array.from(
      { length: 1000 },
      (_, n) => called("", { timeUnixNano: TIME + BigInt(n) * 1_000_000n }),
    );
    await storeLogs(store, records);
    await store.database.query("analyze otel_data.logs");
    // No history here is large enough: pages are made dear instead.
    const name = new URL(store.url).pathname.slice(1);
    await asAdmin(`alter database ${name} set seq_page_cost = 1e9`);
    await asAdmin(`alter database ${name} set random_page_cost = 1e9`);
    await using dear = pg(store.url);
    const { database, asked } = observed(dear);
    const half = { until: TIME + 500_000_000n };
    const [all, some] = [
      await countHistory(database, "logs"),
      await countHistory(database, "logs", half),
    ];
    assert.deepEqual(asked.map(({ sql }) => sql.split(" ")[0]), ["explain", "explain"]);
    assert.ok(all > 900n && all < 1100n, `${all} of 1000`);
    assert.ok(some > 400n && some < 600n, `${some} of 500`);
  });
}

Deno.test("history with an option out of range says which", async () => {
  await using store = await openStore("pglite");
  await assert.rejects(read(store.database, "logs", { maxBytes: 0 }), {
    name: "RangeError",
    message: /'maxBytes': 0/,
  });
  await assert.rejects(read(store.database, "logs", { since: -1n }), {
    name: "RangeError",
    message: /a bound has to be 0 to 2\^64-1 nanoseconds: -1/,
  });
  await assert.rejects(read(store.database, "logs", { until: 2n ** 64n }), RangeError);
});
