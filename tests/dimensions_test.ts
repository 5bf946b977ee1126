import assert from "node:assert/strict";
import { encodeRequest } from "../src/otlp.ts";
import { Batch } from "../src/postgres/batch.ts";
import type { Database } from "../src/postgres/database.ts";
import { Dimensions } from "../src/postgres/dimensions.ts";
import { Transcoder } from "../src/postgres/transcode.ts";
import type { KeyValue, Signal } from "../src/record.ts";
import {
  attribute,
  gauge,
  log,
  logs,
  metrics,
  type Origin,
  point,
  resource,
  scope,
  span,
  traces,
} from "./one_record.ts";
import { columnsOf } from "./batch_rows.ts";
import { drivers, migratedDatabase } from "./postgres.ts";
import { ARRIVAL, TranscodeStore } from "./transcode_store.ts";

const store = await TranscodeStore.open();
const TABLES = [
  "services",
  "resources",
  "scopes",
  "names",
  "attribute_sets",
  "metrics",
  "series",
];
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const NOON_MS = Date.UTC(2026, 0, 2, 12);

/** A writer with a clock of its own. */
class Writer {
  readonly clock = { ms: NOON_MS };
  readonly dimensions = new Dimensions(() => this.clock.ms);
  readonly transcoder = new Transcoder(this.dimensions);
  batch = new Batch();

  add(signal: Signal, body: Uint8Array): void {
    this.transcoder.transcode(signal, body, ARRIVAL, this.batch);
  }

  addSpans(names: readonly string[], origin: Origin = {}): void {
    this.add(
      "traces",
      encodeRequest("traces", traces(names.map((name) => span({ name })), origin)),
    );
  }

  /** Commits what the batch names, and begins another one. */
  async flush(database: Database = store.database): Promise<void> {
    await this.batch.dimensions.flush(database);
    this.batch = new Batch();
  }
}

async function forgetAll(): Promise<void> {
  await store.database.execute(TABLES.map((table) => `truncate otel_data.${table};`).join(""));
}

async function count(table: string): Promise<number> {
  const [row] = await store.rows<{ count: bigint }>(`select count(*) from otel_data.${table}`);
  return Number(row!.count);
}

function service(name: string): Origin {
  return { resource: resource([attribute("service.name", name)]) };
}

const origin = {
  resource: resource([attribute("service.name", "shop")]),
  scope: scope({ name: "lib" }),
};
const point1 = point({ asInt: 1n, attributes: [attribute("route", "/")] });

const attributes = [attribute("a"), attribute("b")];

/** A request of each signal. */
const BODIES: readonly [Signal, Uint8Array][] = [
  ["traces", encodeRequest("traces", traces([span({ name: "GET", attributes })], origin))],
  ["logs", encodeRequest("logs", logs([log({ attributes: [attribute("c")] })], origin))],
  ["metrics", encodeRequest("metrics", metrics([gauge([point1])], origin))],
];

Deno.test("the same content has the same ids in every writer", () => {
  const [one, other] = [new Writer(), new Writer()];
  // The other one has seen something else before, and sees it in another order.
  other.addSpans(["a", "b"], service("other"));
  other.batch = new Batch();
  for (const [signal, body] of BODIES) one.add(signal, body);
  for (const [signal, body] of BODIES.toReversed()) other.add(signal, body);
  for (const [signal] of BODIES) {
    const [a, b] = [one.batch.of(signal), other.batch.of(signal)];
    assert.deepEqual(columnsOf(a), columnsOf(b));
  }
});

Deno.test("ids differ when anything differs", async () => {
  await forgetAll();
  const writer = new Writer();
  const resources = [
    resource([]),
    resource([attribute("a", "b")]),
    resource([attribute("ab", "")]),
    resource([{ key: "n", value: { intValue: 1n } }]),
    resource([{ key: "n", value: { doubleValue: 1 } }]),
    resource([attribute("n", "1")]),
    resource([], { droppedAttributesCount: 1 }),
  ];
  for (const one of resources) {
    for (const schemaUrl of ["", "a", "\n\x06"]) {
      const request = traces([span()], { resource: one });
      request.resourceSpans[0]!.schemaUrl = schemaUrl;
      writer.add("traces", encodeRequest("traces", request));
    }
  }
  const scopes = [
    scope(),
    scope({ name: "a" }),
    scope({ version: "a" }),
    scope({ name: "a", version: "a" }),
  ];
  for (const one of scopes) writer.addSpans([""], { scope: one });
  writer.addSpans(["", "a", "b", "a\0", "a\ufffd"]);
  const gauges = [
    gauge([point1]),
    gauge([point1], { name: "other" }),
    gauge([point1], { unit: "s" }),
    gauge([point1], { description: "s" }),
    gauge([point1], { metadata: [attribute("s")] }),
    {
      ...gauge([]),
      gauge: undefined,
      sum: { dataPoints: [point1], aggregationTemporality: 0, isMonotonic: false },
    },
    {
      ...gauge([]),
      gauge: undefined,
      sum: { dataPoints: [point1], aggregationTemporality: 1, isMonotonic: false },
    },
    {
      ...gauge([]),
      gauge: undefined,
      sum: { dataPoints: [point1], aggregationTemporality: 1, isMonotonic: true },
    },
  ];
  writer.add("metrics", encodeRequest("metrics", metrics(gauges as never)));
  writer.add(
    "metrics",
    encodeRequest("metrics", metrics([gauge([point1])], { scope: scope({ name: "a" }) })),
  );
  writer.add("metrics", encodeRequest("metrics", metrics([gauge([point({ asInt: 1n })])])));
  await writer.flush();
  const counts = Object.fromEntries(
    await Promise.all(TABLES.map(async (table) => [table, await count(table)])),
  );
  assert.deepEqual(counts, {
    services: 0,
    resources: resources.length * 3,
    scopes: scopes.length,
    names: 5,
    attribute_sets: 0,
    metrics: gauges.length,
    series: gauges.length + 2,
  });
});

Deno.test("a service is named by text, or by the JSON of another value; none without a value", async () => {
  await forgetAll();
  const writer = new Writer();
  const names: KeyValue["value"][] = [
    { stringValue: "shop" },
    { stringValue: "" },
    { stringValue: "a\0b" },
    { intValue: 7n },
    { boolValue: true },
    { arrayValue: { values: [{ stringValue: "x" }] } },
    {},
    undefined,
  ];
  for (const value of names) {
    const pair = value === undefined ? { key: "service.name" } : { key: "service.name", value };
    writer.addSpans([""], { resource: resource([pair]) });
  }
  writer.addSpans([""], {
    resource: resource([attribute("service.namespace", "eu"), attribute("service.name", "shop")]),
  });
  writer.addSpans([""], { resource: resource([attribute("service.namespace", "alone")]) });
  // Of a doubled key the last counts.
  writer.addSpans([""], {
    resource: resource([attribute("service.name", "first"), attribute("service.name", "last")]),
  });
  await writer.flush();
  assert.deepEqual(
    await store.rows(
      `select name, namespace from otel_data.services order by name collate "C", namespace`,
    ),
    [
      { name: "", namespace: null },
      { name: "7", namespace: null },
      { name: '["x"]', namespace: null },
      { name: "a\ufffdb", namespace: null },
      { name: "last", namespace: null },
      { name: "shop", namespace: "eu" },
      { name: "shop", namespace: null },
      { name: "true", namespace: null },
    ],
  );
});

Deno.test("what is committed is not written again the same day", async () => {
  await forgetAll();
  const writer = new Writer();
  for (const [signal, body] of BODIES) writer.add(signal, body);
  assert.ok(writer.batch.dimensions.count >= 8);
  await writer.flush();
  writer.clock.ms += 59_999; // the same minute, too
  for (const [signal, body] of BODIES) writer.add(signal, body);
  assert.equal(writer.batch.dimensions.count, 0);
  assert.equal(writer.batch.dimensions.bytes, 0);
});

Deno.test("a service in use is written again each minute, and nothing else is", async () => {
  await forgetAll();
  const writer = new Writer();
  const seen = () =>
    store.rows(`select name, extract(epoch from first_seen)::int8 as first,
      extract(epoch from last_seen)::int8 as last from otel_data.services order by name`);
  const at = (ms: number) => BigInt(ms / 1000);
  writer.addSpans(["GET"], service("shop"));
  writer.addSpans(["GET"], service("idle"));
  await writer.flush();
  for (let minute = 1; minute <= 3; minute++) {
    writer.clock.ms = NOON_MS + minute * MINUTE_MS;
    writer.addSpans(["GET"], service("shop"));
    writer.addSpans(["GET"], service("shop"));
    assert.equal(writer.batch.dimensions.count, 1);
    await writer.flush();
    assert.deepEqual(await seen(), [
      { name: "idle", first: at(NOON_MS), last: at(NOON_MS) },
      { name: "shop", first: at(NOON_MS), last: at(writer.clock.ms) },
    ]);
  }
  // A writer whose clock is behind moves nothing back.
  const late = new Writer();
  late.clock.ms = NOON_MS - MINUTE_MS;
  late.addSpans(["GET"], service("shop"));
  await late.flush();
  assert.deepEqual((await seen())[1], {
    name: "shop",
    first: at(NOON_MS),
    last: at(NOON_MS + 3 * MINUTE_MS),
  });
});

Deno.test("on another day all that is in use is written again, and says so", async () => {
  await forgetAll();
  const writer = new Writer();
  const lastUsed = async () => {
    const parts = TABLES.map((table) =>
      `select '${table}' as t, last_used::text as day from otel_data.${table}`
    );
    const rows = await store.rows<{ day: string }>(parts.join(" union all "));
    return new Set(rows.map(({ day }) => day));
  };
  for (const [signal, body] of BODIES) writer.add(signal, body);
  const { count: rows } = writer.batch.dimensions;
  await writer.flush();
  await store.database.execute(
    TABLES.map((table) => `update otel_data.${table} set last_used = '2020-01-01';`).join(""),
  );
  assert.deepEqual(await lastUsed(), new Set(["2020-01-01"]));
  writer.clock.ms += DAY_MS;
  for (const [signal, body] of BODIES) writer.add(signal, body);
  assert.equal(writer.batch.dimensions.count, rows);
  await writer.flush();
  assert.equal((await lastUsed()).has("2020-01-01"), false);
});

/** A database whose transactions do something else first. */
function before(act: () => void | Promise<void>): Database {
  return {
    ...store.database,
    transaction: async (run, options) => {
      await act();
      return await store.database.transaction(run, options);
    },
  } as Database;
}

Deno.test("rows whose commit failed are written with the next batch that names them", async () => {
  await forgetAll();
  const writer = new Writer();
  writer.addSpans(["GET"], service("shop"));
  const { batch } = writer;
  await assert.rejects(
    writer.flush(before(() => {
      throw new Error("down");
    })),
    /down/,
  );
  assert.equal(await count("names"), 0);
  writer.batch = new Batch();
  writer.addSpans(["GET"], service("shop"));
  assert.equal(writer.batch.dimensions.count, batch.dimensions.count);
  await writer.flush();
  assert.equal(await count("names"), 1);
  assert.equal(await count("services"), 1);
  // The first batch, tried again, has nothing left to write.
  await batch.dimensions.flush(before(() => assert.fail("there was a transaction")));
});

Deno.test("rows that come up while others are being committed are not lost", async () => {
  await forgetAll();
  const writer = new Writer();
  writer.addSpans(["GET"], service("shop"));
  const { batch } = writer;
  const next = new Batch();
  await batch.dimensions.flush(before(() => {
    writer.batch = next;
    writer.clock.ms += MINUTE_MS; // the service has to be written anew
    writer.addSpans(["GET", "POST"], service("shop"));
  }));
  assert.equal(await count("names"), 1);
  assert.ok(next.dimensions.count >= 3);
  await next.dimensions.flush(store.database);
  assert.deepEqual(
    await store.rows("select name from otel_data.names order by name"),
    [{ name: "GET" }, { name: "POST" }],
  );
  assert.deepEqual(
    await store.rows("select extract(epoch from last_seen)::int8 as last from otel_data.services"),
    [{ last: BigInt((NOON_MS + MINUTE_MS) / 1000) }],
  );
  writer.batch = new Batch();
  writer.addSpans(["GET", "POST"], service("shop"));
  assert.equal(writer.batch.dimensions.count, 0);
});

Deno.test("a flush that has nothing to write asks nothing of the database", async () => {
  await new Batch().dimensions.flush(before(() => assert.fail("there was a transaction")));
});

Deno.test("a cache that is full forgets, and the same ids are made again", () => {
  const writer = new Writer();
  const names = Array.from({ length: 70_000 }, (_, n) => `name ${n}`);
  writer.addSpans(names);
  assert.equal(writer.dimensions.forgotten, 1);
  const rows = writer.batch.traces;
  const first = columnsOf(rows);
  assert.equal(writer.batch.dimensions.count, names.length + 2);
  writer.batch.traces.clear();
  writer.addSpans(names);
  assert.ok(writer.dimensions.forgotten > 1);
  assert.deepEqual(columnsOf(rows), first);
  // What was made anew does not stand there twice.
  assert.equal(writer.batch.dimensions.count, names.length + 2);
});

for (const driver of drivers) {
  Deno.test(`writers that commit the same rows in opposite order do not deadlock (${driver})`, async () => {
    await using test = await migratedDatabase(driver);
    for (let round = 0; round < 4; round++) {
      const names = Array.from({ length: 3000 }, (_, n) => `name ${round} ${n}`);
      const writers = Array.from({ length: 4 }, () => new Writer());
      for (const [n, writer] of writers.entries()) {
        writer.addSpans(n % 2 === 0 ? names : names.toReversed(), service(`shop ${round}`));
      }
      await Promise.all(writers.map((writer) => writer.flush(test.database)));
    }
    const [row] = await test.database.query("select count(*) as names from otel_data.names");
    assert.deepEqual(row, { names: 12_000n });
  });
}
