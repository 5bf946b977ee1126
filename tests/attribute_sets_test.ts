/**
 * Attributes come back the same whichever of them are shared, and the dictionary of what is shared
 * stays small whatever is sent.
 */

import assert from "node:assert/strict";
import { encodeRequest } from "../src/otlp.ts";
import { Batch } from "../src/postgres/batch.ts";
import { SPANS } from "../src/postgres/columns.ts";
import { copiedColumns } from "../src/postgres/copy_format.ts";
import { Dimensions } from "../src/postgres/dimensions.ts";
import { Transcoder } from "../src/postgres/transcode.ts";
import type { AnyValue, KeyValue } from "../src/record.ts";
import { canonicalise } from "./canonical.ts";
import { attribute, log, logs, type Origin, resource, span, traces } from "./one_record.ts";
import { openStore } from "./open_store.ts";
import { drivers } from "./postgres.ts";
import { ARRIVAL, TranscodeStore } from "./transcode_store.ts";
import { randomNumbers } from "./wire_forms.ts";

const store = await TranscodeStore.open();

function pair(key: string, value: AnyValue): KeyValue {
  return { key, value };
}

/** A span of a number, which is its id. */
function numbered(n: number, attributes: KeyValue[]) {
  return span({ spanId: (n + 1).toString(16).padStart(16, "0"), attributes });
}

/** Encoded spans. */
function request(attributes: readonly KeyValue[][], origin: Origin = {}): Uint8Array {
  return encodeRequest("traces", traces(attributes.map((one, n) => numbered(n, one)), origin));
}

/** A writer without a database: what it would send. */
class Writer {
  readonly dimensions = new Dimensions();
  readonly batch = new Batch();
  readonly #transcoder = new Transcoder(this.dimensions);

  /** Adds a request of spans; returns the columns of its rows by name. */
  add(body: Uint8Array): Record<string, (string | null)[]> {
    this.batch.traces.clear();
    this.#transcoder.transcode("traces", body, ARRIVAL, this.batch);
    const { bytes, at } = this.batch.traces;
    const columns = copiedColumns(SPANS, bytes.subarray(0, at));
    return Object.fromEntries(SPANS.columns.map(({ name }, n) => [name, columns[n]!]));
  }
}

/** Attributes as the views show them. */
function shown(attributes: readonly KeyValue[]): string {
  const members = attributes.map(({ key, value }) => `${JSON.stringify(key)}:${json(value)}`);
  return `{${members.join()}}`;
}

function json(value: AnyValue | undefined): string {
  if (value?.stringValue !== undefined) return JSON.stringify(value.stringValue);
  if (value?.boolValue !== undefined) return String(value.boolValue);
  if (value?.intValue !== undefined) return String(value.intValue);
  if (value?.bytesValue !== undefined) return JSON.stringify(value.bytesValue.toBase64());
  if (value?.arrayValue !== undefined) return `[${value.arrayValue.values.map(json).join()}]`;
  if (value?.kvlistValue !== undefined) return shown(value.kvlistValue.values);
  const double = value?.doubleValue;
  if (double === undefined) return "null";
  if (!Number.isFinite(double)) return `"${double}"`;
  return Number.isInteger(double) ? `${double}.0` : String(double);
}

/** Attributes of the n-th record of 3,000: some keys take few values, some many, and one turns. */
function telling(n: number, random: () => number): KeyValue[] {
  const one = (...values: AnyValue[]) => values[Math.floor(random() * values.length)]!;
  const attributes = [
    pair("method", one({ stringValue: "GET" }, { stringValue: "POST" }, { stringValue: "" })),
    pair("status", one({ intValue: 200n }, { intValue: -(2n ** 63n) }, { stringValue: "200" })),
    pair("share", one({ doubleValue: 1 }, { doubleValue: 0.1 }, { intValue: 1n })),
    pair("user", { stringValue: `\ufeffuser "${n}"\\\n{}` }),
    pair("size", { doubleValue: n / 8 }),
    pair("bytes", { bytesValue: Uint8Array.of(n >> 8, n) }),
    pair("list", { arrayValue: { values: [{ intValue: BigInt(n % 3) }, {}] } }),
    pair("turns", { stringValue: n < 1_500 ? `few ${n % 3}` : `many ${n}` }),
  ];
  if (n % 2 === 0) attributes.push(pair("sometimes", { boolValue: n % 4 === 0 }));
  if (n % 500 === 0) attributes.push(attribute("method", "the last counts"));
  return n % 5 === 0 ? attributes.reverse() : attributes;
}

for (const driver of drivers) {
  Deno.test(`a key that becomes shared, and own again, changes nothing that is read (${driver})`, async () => {
    await using store = await openStore(driver);
    const { adapter, database } = store;
    const random = randomNumbers(7);
    const expected = { traces: [] as string[], logs: [] as string[] };
    const views: { id: string; attributes: string }[] = [];
    for (let first = 0; first < 3_000; first += 100) {
      const records = Array.from({ length: 100 }, (_, n) => telling(first + n, random));
      const origin = { resource: resource([attribute("service.name", "shop")]) };
      const spans = traces(records.map((one, n) => numbered(first + n, one)), origin);
      const texts = logs(records.map((attributes) => log({ attributes })), origin);
      await adapter.write("traces", encodeRequest("traces", spans));
      await adapter.write("logs", encodeRequest("logs", texts));
      expected.traces.push(...canonicalise("traces", spans));
      expected.logs.push(...canonicalise("logs", texts));
      for (const [n, one] of records.entries()) {
        views.push({ id: (first + n + 1).toString(16).padStart(16, "0"), attributes: shown(one) });
      }
    }
    await adapter.flush();
    for (const signal of ["traces", "logs"] as const) {
      const read = canonicalise(signal, await adapter.exportStored(signal));
      assert.deepEqual(read, expected[signal].sort());
    }
    // As text, because jsonb holds 1 equal to 1.0.
    const [differing] = await database.query(
      `select count(*) as n, count(s.span_id) as found, count(*) filter (
         where s.attributes::text is distinct from e.attributes::jsonb::text) as differing
       from json_to_recordset($1) as e (id text, attributes text)
       left join otel.spans s on s.span_id = e.id`,
      [JSON.stringify(views)],
    );
    assert.deepEqual(differing, { n: 3_000n, found: 3_000n, differing: 0n });
    const [logged] = await database.query(
      `select count(*) as n from (
         select attributes::text from otel.logs
         except all select attributes::jsonb::text from json_to_recordset($1) as e (attributes text)
       ) as others`,
      [JSON.stringify(views)],
    );
    assert.deepEqual(logged, { n: 0n });
    // And there was something to tell: each way was used, by both.
    for (const table of ["spans", "logs"]) {
      const [used] = await database.query(
        `select bool_or(jsonb_exists(a.attributes, 'turns')) as shared,
           bool_or(jsonb_exists(a.attributes, 'method')) as more,
           bool_or('turns' = any (a.own_keys)) as own, bool_or(t.attributes is not null) as inline
         from otel_data.${table} t left join otel_data.attribute_sets a on a.id = t.attribute_set_id`,
      );
      assert.deepEqual(used, { shared: true, more: true, own: true, inline: true });
    }
  });
}

Deno.test("values of every type are the same to read, own or shared", async () => {
  await store.clear();
  const attributes: KeyValue[] = [
    pair("text", { stringValue: "1" }),
    pair("empty", { stringValue: "" }),
    pair("null", { stringValue: "null" }),
    pair("nul", { stringValue: "a\0b" }),
    pair("int", { intValue: 1n }),
    pair("double", { doubleValue: 1 }),
    pair("tiny", { doubleValue: 5e-324 }),
    pair("minus zero", { doubleValue: -0 }),
    pair("nan", { doubleValue: NaN }),
    pair("true", { boolValue: true }),
    pair("bytes", { bytesValue: Uint8Array.of(0, 255) }),
    pair("no value", {}),
    { key: "no AnyValue" },
    pair("list", { arrayValue: { values: [{ intValue: 1n }, { doubleValue: 1 }, {}] } }),
    pair("map", { kvlistValue: { values: [attribute("__proto__", "p"), attribute("a", "b")] } }),
    pair("none", { arrayValue: { values: [] } }),
    attribute("", "of an empty key"),
    attribute("__proto__", "p"),
    attribute('"\\{},NULL', '"\\{},NULL'),
    pair('%1$s "%%\u0001', { intValue: 7n }),
    attribute("k".repeat(200), "v".repeat(200)),
  ];
  const sent = traces(Array.from({ length: 300 }, (_, n) => numbered(n, attributes)));
  store.transcode("traces", encodeRequest("traces", sent));
  assert.deepEqual(
    canonicalise("traces", await store.stored("traces")),
    canonicalise("traces", sent),
  );
  const expected = shown(attributes).replace("a\\u0000b", "a\ufffdb").replace('"-0.0"', "-0.0");
  assert.deepEqual(
    await store.database.query(
      "select count(*) as n, attributes::text = $1::jsonb::text as same from otel.spans group by 2",
      [expected],
    ),
    [{ n: 300n, same: true }],
  );
  const sets = await store.rows(
    `select cardinality(own_keys)::int as own, count(*) as n
     from otel_data.spans t join otel_data.attribute_sets a on a.id = t.attribute_set_id
     group by 1 order by 1`,
  );
  assert.deepEqual(sets, [{ own: 0, n: 172n }, { own: attributes.length, n: 128n }]);
});

Deno.test("a key given twice, and more keys than are worth a set, stay in the row", async () => {
  await store.clear();
  const many = Array.from({ length: 129 }, (_, n) => attribute(`key ${n}`));
  const long = [attribute("k".repeat(8_193))];
  const sent = traces([
    numbered(0, [attribute("a", "first"), attribute("b"), attribute("a", "last")]),
    numbered(1, [attribute("a\0"), attribute("a\ufffd", "last")]),
    numbered(2, many),
    numbered(3, many.slice(1)),
    numbered(4, long),
    numbered(5, []),
  ]);
  store.transcode("traces", encodeRequest("traces", sent));
  assert.deepEqual(
    canonicalise("traces", await store.stored("traces")),
    canonicalise("traces", sent),
  );
  assert.deepEqual(
    await store.rows(
      `select span_id, attributes is not null as inline, attribute_set_id is not null as set
       from otel_data.spans order by 1`,
    ),
    [
      { span_id: 1n, inline: true, set: false },
      { span_id: 2n, inline: true, set: false },
      { span_id: 3n, inline: true, set: false },
      { span_id: 4n, inline: false, set: true },
      { span_id: 5n, inline: true, set: false },
      { span_id: 6n, inline: false, set: false },
    ],
  );
});

Deno.test("one attribute is found as it is among all of them", async () => {
  await store.clear();
  const spans = Array.from({ length: 300 }, (_, n) =>
    numbered(n, [
      attribute("shared"),
      attribute("own", `${n}`),
      pair("number", { doubleValue: n }),
      ...(n % 100 === 0 ? [attribute("own", "again")] : []),
    ]));
  store.transcode("traces", encodeRequest("traces", traces(spans)));
  await store.flush();
  assert.deepEqual(
    await store.rows(
      `select k.name, count(*) as n, count(*) filter (where v.value is not null) as found
       from otel_data.spans t
       join otel.spans s on s.span_id = otel_data.span_id(t.span_id)
       left join otel_data.attribute_sets a on a.id = t.attribute_set_id
       cross join unnest(array['shared', 'own', 'number', 'none']) as k (name)
       cross join lateral (select otel_data.attribute(
         t.attributes, a.attributes, a.own_keys, a.own_types, t.attribute_values, k.name)) v (value)
       where v.value::text is not distinct from (s.attributes -> k.name)::text
       group by 1 order by 1`,
    ),
    [
      { name: "none", n: 300n, found: 0n },
      { name: "number", n: 300n, found: 300n },
      { name: "own", n: 300n, found: 300n },
      { name: "shared", n: 300n, found: 300n },
    ],
  );
});

Deno.test("a record whose set has expired has no attributes, and is read all the same", async () => {
  await store.clear();
  store.transcode("traces", request([[attribute("a"), attribute("b")]]));
  await store.flush();
  await store.database.query("delete from otel_data.attribute_sets");
  assert.deepEqual(await store.rows("select attributes::text from otel.spans"), [
    { attributes: "{}" },
  ]);
  const { resourceSpans } = await store.stored("traces");
  assert.deepEqual(resourceSpans[0]!.scopeSpans[0]!.spans[0]!.attributes, []);
  store.transcoder.forget();
});

Deno.test("the same attributes have the same set in every service and every writer", () => {
  const [one, other] = [new Writer(), new Writer()];
  const spans = Array.from({ length: 300 }, () => [attribute("a"), attribute("b")]);
  const ids = ["shop", "bank"].flatMap((name) => {
    const origin = { resource: resource([attribute("service.name", name)]) };
    return [one, other].map((writer) => writer.add(request(spans, origin)).attribute_set_id);
  });
  for (const column of ids) assert.deepEqual(column, ids[0]);
  // One while the keys are learned, one with both.
  assert.equal(new Set(ids.flat()).size, 2);
});

Deno.test("sets differ when a shared value differs in type only", () => {
  const writer = new Writer();
  const values: AnyValue[] = [{ intValue: 1n }, { doubleValue: 1 }, { stringValue: "1" }];
  const spans = Array.from({ length: 600 }, (_, n) => [pair("a", values[n % 3]!)]);
  const { attribute_set_id: ids } = writer.add(request(spans));
  assert.equal(new Set(ids!.slice(-3)).size, 3);
});

Deno.test("what a new writer sees first is own, so that it writes no sets that do not last", () => {
  const writer = new Writer();
  const spans = Array.from({ length: 127 }, (_, n) => [attribute("a", `${n % 2}`)]);
  const { attribute_values: values } = writer.add(request(spans));
  assert.deepEqual(values!.slice(0, 2), ['{"0"}', '{"1"}']);
  assert.equal(writer.batch.dimensions.count, 4);
});

Deno.test("long values are never shared", () => {
  const writer = new Writer();
  const long = "x".repeat(300);
  for (let round = 0; round < 5; round++) {
    writer.add(request(Array.from({ length: 100 }, () => [attribute("a", long)])));
  }
  assert.equal(writer.batch.dimensions.count, 4);
  // Nor do they stay so where others have been.
  for (let round = 0; round < 5; round++) {
    writer.add(request(Array.from({ length: 100 }, () => [attribute("b")])));
  }
  const { attribute_values: values } = writer.add(request([[attribute("b")], [
    attribute("b", long),
  ], [attribute("b")]]));
  assert.deepEqual(values, [null, `{"${long}"}`, '{"value"}']);
});

Deno.test("100,000 records whose values all differ have one set for each list of keys", () => {
  const writer = new Writer();
  const { dimensions } = writer.batch;
  let n = 0;
  let bytes = 0;
  for (let round = 0; round < 100; round++) {
    writer.add(request(Array.from({ length: 1_000 }, () => {
      n++;
      const own = [attribute("a", `${n}`), pair("b", { intValue: BigInt(n) })];
      return n % 2 === 0 ? own : [...own, pair("c", { doubleValue: n })];
    })));
    if (round === 0) bytes = dimensions.bytes;
  }
  // A service, a resource and so on are there once each.
  assert.equal(dimensions.count, 3 + 2);
  assert.equal(dimensions.bytes, bytes);
});

Deno.test("many keys of few values each have no more sets than they may, and are shared in part", () => {
  const writer = new Writer();
  const random = randomNumbers(3);
  const RECORDS = 60_000;
  let last: ReturnType<Writer["add"]> = {};
  for (let n = 0; n < RECORDS; n += 1_000) {
    last = writer.add(
      request(
        Array.from(
          { length: 1_000 },
          () =>
            Array.from(
              { length: 12 },
              (_, key) => attribute(`key ${key}`, `value ${Math.floor(random() * (key + 3))}`),
            ),
        ),
      ),
    );
  }
  assert.ok(writer.batch.dimensions.count < 4_096 + 12 * 128 + RECORDS / 64 + 5);
  // By then it has been found out which of them can be shared.
  assert.ok(last.attributes!.filter((text) => text !== null).length < 100);
  assert.ok(last.attribute_values!.every((text) => text === null || text.split(",").length < 12));
});

Deno.test("keys without end have no more sets than they may, and are read back", async () => {
  await store.clear();
  store.transcoder.forget();
  const { dimensions } = store.batch;
  const expected: string[] = [];
  for (let n = 0; n < 9_000; n += 1_000) {
    const spans = Array.from({ length: 1_000 }, (_, i) => numbered(n + i, [attribute(`${n + i}`)]));
    store.transcode("traces", encodeRequest("traces", traces(spans)));
    expected.push(...canonicalise("traces", traces(spans)));
  }
  assert.ok(dimensions.count <= 4_096 + 9_000 / 64 + 4);
  assert.deepEqual(canonicalise("traces", await store.stored("traces")), expected.sort());
});

Deno.test("more services than are told apart are stored all the same", () => {
  const writer = new Writer();
  for (let n = 0; n < 4_200; n++) {
    const origin = { resource: resource([attribute("service.name", `${n}`)]) };
    const { attribute_set_id: ids } = writer.add(request([[attribute("a", `${n}`)]], origin));
    assert.notEqual(ids![0], null);
  }
  // A service and a resource each; a scope, a name and a set in all.
  assert.equal(writer.batch.dimensions.count, 2 * 4_200 + 3);
});
