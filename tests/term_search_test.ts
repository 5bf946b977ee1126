/** Searches by terms find what a look at every row finds: signed, fresh and in no granule. */

import { randomUUID } from "node:crypto";
import fc from "fast-check";
import assert from "node:assert/strict";
import { Conditions } from "../src/conditions.ts";
import { parseFilter } from "../src/filter.ts";
import { filterSql } from "../src/filter_sql.ts";
import { encodeRequest } from "../src/otlp.ts";
import { Batch } from "../src/postgres/batch.ts";
import type { Database, Queryable } from "../src/postgres/database.ts";
import { Dimensions } from "../src/postgres/dimensions.ts";
import { sign } from "../src/postgres/signing.ts";
import { PostgresSink } from "../src/postgres/sink.ts";
import { Transcoder } from "../src/postgres/transcode.ts";
import { reading } from "../src/query/reading.ts";
import { scan } from "../src/query/scan.ts";
import type { AnyValue, ExportRequests, KeyValue, Signal } from "../src/record.ts";
import { log, logs, resource, span, TIME, traces } from "./one_record.ts";
import { drivers, migratedDatabase } from "./postgres.ts";

const SECOND = 1_000_000_000n;
const LIMIT = 200;
const TABLES = { traces: "spans", logs: "logs" } as const;

/** What is stored by way of a writer of its own, so that granules of several meet. */
class Store {
  readonly database: Database;
  readonly #sink: PostgresSink;
  readonly #transcoder = new Transcoder(new Dimensions());
  readonly batch = new Batch();
  #at = 0n;

  constructor(database: Database) {
    this.database = database;
    const partitions = { ensureFor: () => Promise.resolve({ created: [], postponed: [] }) };
    this.#sink = new PostgresSink(database, partitions, randomUUID());
  }

  /** Adds a request of records to the batch. */
  add<S extends "traces" | "logs">(signal: S, request: ExportRequests[S]): void {
    this.#transcoder.transcode(signal, encodeRequest(signal, request), TIME, this.batch);
  }

  /** Stores the batch and begins a new one. */
  async flush(): Promise<void> {
    await this.#sink.store(this.batch, ++this.#at);
    this.batch.clear();
  }

  /** Tries to store the batch, which is rolled back. */
  async probe(): Promise<void> {
    await this.#sink.probe(this.batch);
    this.batch.clear();
  }
}

const WORDS = ["disk", "full", "Timeout", "order_7", "état", "ошибка", "7f3a", "x"];

const texts = fc.oneof(
  fc.constantFrom("a", "b", "GET", "true", "42", "42.0", "1e3", "[1]", "{}", "NaN", "", "AAEC"),
  fc.string({ unit: "grapheme", maxLength: 12 }),
  fc.integer({ min: 0, max: 400 }).map((n) => `order-${n}`),
  fc.array(fc.constantFrom(...WORDS), { maxLength: 4 }).map((words) => words.join(" ")),
  fc.array(fc.constantFrom(...WORDS, "\n", "\t", '"', "\\", "-", ","), { maxLength: 6 })
    .map((words) => words.join("")),
);

const values: fc.Arbitrary<AnyValue> = fc.oneof(
  { weight: 6, arbitrary: texts.map((stringValue) => ({ stringValue })) },
  {
    weight: 2,
    arbitrary: fc.oneof(
      fc.constantFrom(0n, 42n, 1000n, -7n, 2n ** 63n - 1n, -(2n ** 63n)),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    ).map((intValue) => ({ intValue })),
  },
  {
    weight: 2,
    arbitrary: fc.oneof(
      fc.constantFrom(0, -0, 42, 1000, 1e21, 1e-7, 0.1, NaN, -Infinity),
      fc.double(),
    )
      .map((doubleValue) => ({ doubleValue })),
  },
  { weight: 1, arbitrary: fc.boolean().map((boolValue) => ({ boolValue })) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 6 }).map((bytesValue) => ({ bytesValue })) },
  {
    weight: 1,
    arbitrary: fc.array(texts, { maxLength: 3 }).map((items) => ({
      arrayValue: { values: items.map((stringValue) => ({ stringValue })) },
    })),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(texts, fc.double()).map(([stringValue, doubleValue]) => ({
      kvlistValue: {
        values: [
          { key: "why\n", value: { stringValue } },
          { key: "much", value: { doubleValue } },
        ],
      },
    })),
  },
) as fc.Arbitrary<AnyValue>;

/**
 * Attributes of which `low` is soon shared, with a value that comes later; `mixed` has all types, and a key
 * may be there twice.
 */
const attributes = (seed: number): fc.Arbitrary<KeyValue[]> =>
  fc.tuple(
    fc.constantFrom("GET", "PUT", "42", "1.5", `low-${seed}`).map((stringValue) => ({
      key: "low",
      value: { stringValue },
    })),
    fc.integer({ min: 0, max: 5 }).map((n) => ({
      key: "lowNumber",
      value: { intValue: BigInt(n) },
    })),
    fc.array(fc.record({ key: fc.constantFrom("mixed", "odd key", "ключ"), value: values }), {
      maxLength: 3,
    }),
  ).map(([low, number, others]) => [low, number, ...others] as KeyValue[]);

/** A multiset of records, made from a seed; every record has a time of its own but for some. */
async function fill(store: Store, signal: "traces" | "logs", seed: number): Promise<void> {
  const records = fc.sample(
    fc.record({
      attributes: attributes(seed),
      body: values,
      name: fc.constantFrom("GET /cart", "GET /orders", "rare op"),
      at: fc.oneof(
        { weight: 9, arbitrary: fc.integer({ min: 0, max: 3 * 86_400 }) },
        { weight: 1, arbitrary: fc.constantFrom(0, 5, 4_000_000, -40_000_000, 16_000_000_000) },
      ),
    }),
    { numRuns: 1_100, seed },
  );
  // By then a value of it is in the set alone, and in no other row.
  for (let n = 500; n < records.length; n += 97) {
    records[n]!.attributes = [{ key: "low", value: { stringValue: `once-${seed}-${n}` } }];
  }
  for (let from = 0; from < records.length; from += 100) {
    const origin = {
      resource: resource([
        { key: "service.name", value: { stringValue: from % 200 === 0 ? "shop" : "pay" } },
        { key: "host.name", value: { stringValue: `host-${seed}-${from}` } },
      ]),
    };
    const some = records.slice(from, from + 100);
    const time = (at: number) => TIME + BigInt(at) * SECOND;
    if (signal === "traces") {
      store.add(
        signal,
        traces(
          some.map(({ attributes, name, at }) =>
            span({ attributes, name, startTimeUnixNano: time(at), endTimeUnixNano: time(at) + 5n })
          ),
          origin,
        ),
      );
    } else {
      store.add(
        signal,
        logs(
          some.map(({ attributes, body, at }) => log({ attributes, body, timeUnixNano: time(at) })),
          origin,
        ),
      );
    }
    await store.flush();
  }
}

/** Rows in order, by a look at every one of them. */
async function lookedAt(
  reader: Queryable,
  signal: "traces" | "logs",
  text: string,
  range: { since: bigint; until: bigint },
): Promise<string[]> {
  const where = new Conditions();
  where.time(range);
  where.addSql(filterSql(parseFilter(text), signal, (value) => where.parameter(value)));
  const rows = await reader.query<{ key: string }>(
    `select concat_ws(' ', t.tableoid::bigint, t.ctid) as key from otel_data.${TABLES[signal]} t
     left join otel_data.names n on n.id = t.${signal === "traces" ? "name_id" : "scope_id"}
     left join otel_data.attribute_sets a on a.id = t.attribute_set_id ${where.sql}
     order by t.time desc, t.time_frac desc, t.tableoid desc, t.ctid desc`,
    where.parameters,
  );
  return rows.map(({ key }) => key);
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

/** Filters that ask for what may be there, in all ways that terms know and some that they do not. */
function filters(signal: Signal): fc.Arbitrary<string> {
  const key = fc.constantFrom("low", "lowNumber", "mixed", '"odd key"', "ключ", "none");
  const number = fc.constantFrom("42", "42.0", "4.2e1", "1000", "1e3", "0", "-0", "-7", "0.1", "3")
    .map(String);
  const leaf = fc.oneof(
    {
      weight: 2,
      arbitrary: fc.constantFrom(
        "low = once-1-500",
        "low = once-2-694",
        "low = once-3-985",
        "low = low-3",
      ),
    },
    { weight: 4, arbitrary: fc.tuple(key, texts).map(([key, text]) => `${key} = ${quoted(text)}`) },
    { weight: 3, arbitrary: fc.tuple(key, number).map(([key, number]) => `${key} = ${number}`) },
    { weight: 1, arbitrary: key.map((key) => `${key} exists`) },
    {
      weight: 1,
      arbitrary: fc.tuple(key, fc.constantFrom("!=", "<", ">=")).map(([key, is]) =>
        `${key} ${is} 42`
      ),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        "resource.host.name = host-1-300",
        "resource.host.name exists",
        "resource.host.name = none",
        "service = shop",
        "service != shop",
        "service = nobody",
        "service exists",
      ),
    },
    signal === "traces"
      ? {
        weight: 2,
        arbitrary: fc.constantFrom('operation = "rare op"', "operation = none", "operation ~ rare"),
      }
      : { weight: 3, arbitrary: texts.map((text) => `text = ${quoted(text)}`) },
    {
      weight: 2,
      arbitrary: fc.constantFrom(
        'text has "disk FULL"',
        "text has timeout",
        "text has order_7",
        'text has "7f3a x"',
        "text has ошибка",
        'text has "état"',
        "text has n",
        "text has ndisk",
        "text has much",
        "text has e",
        "mixed has disk",
        "mixed has order",
      ),
    },
  );
  return fc.letrec<{ filter: string }>((tie) => ({
    filter: fc.oneof(
      { depthSize: "small" },
      leaf,
      tie("filter").map((part) => `not (${part})`),
      fc.tuple(tie("filter"), tie("filter")).map(([a, b]) => `(${a} or ${b})`),
      fc.tuple(tie("filter"), tie("filter")).map(([a, b]) => `(${a}) (${b})`),
    ),
  })).filter;
}

const ranges = fc.oneof(
  fc.constant({ since: 0n, until: 2n ** 64n - 1n }),
  fc.tuple(fc.integer({ min: 0, max: 3 * 86_400 }), fc.integer({ min: 0, max: 2 * 86_400 })).map(
    ([at, length]) => ({
      since: TIME + BigInt(at) * SECOND,
      until: TIME + BigInt(at + length) * SECOND,
    }),
  ),
);

for (const driver of drivers) {
  Deno.test(`searches by terms find what a look at every row finds (${driver})`, async (t) => {
    await using test = await migratedDatabase(driver);
    const { database } = test;
    for (const table of Object.values(TABLES)) {
      await database.query("select otel_data.ensure($1, $2::timestamptz, $3::timestamptz, 'day')", [
        table,
        "2025-10-09T00:00Z",
        "2025-10-12T00:00Z",
      ]);
    }
    const store = new Store(database);
    // The embedded one is the same Postgres, several times slower.
    const share = driver === "pglite" ? 1 / 3 : 1;
    const same = (signal: "traces" | "logs", numRuns: number) =>
      fc.assert(
        fc.asyncProperty(filters(signal), ranges, async (text, range) => {
          await reading(database, {}, async (reader) => {
            const expected = await lookedAt(reader, signal, text, range);
            const rows = await scan(reader, {
              signal,
              filter: parseFilter(text),
              range,
              limit: LIMIT,
            });
            assert.deepEqual(
              rows.map((row) => `${row.place_table} ${row.place}`),
              expected.slice(0, LIMIT),
              text,
            );
          });
        }),
        { numRuns: numRuns * share },
      );
    for (const signal of ["traces", "logs"] as const) {
      await t.step(`${signal} that are not signed yet`, async () => {
        await fill(store, signal, 1);
        await same(signal, 150);
      });
      await t.step(
        `${signal} that are signed, fresh, in the default partition or in no granule`,
        async () => {
          await sign(database, { termBytes: 300 });
          const [made] = await database.query<{ n: number }>(
            "select count(*)::int as n from otel_data.signatures where signal = $1",
            [signal],
          );
          assert.ok(made!.n > 8, `${made!.n} signatures`);
          // Rolled back, and so is what could be found of it.
          store.add(signal, signal === "traces" ? traces([span()]) : logs([log()]));
          await store.probe();
          await fill(new Store(database), signal, 2);
          await database.query(
            `update otel_data.${TABLES[signal]} set granule = 0 where time_frac = 0
          and time >= '2025-10-11T00:00Z' and time < '2025-10-11T03:00Z'`,
          );
          await database.query(
            `delete from otel_data.${TABLES[signal]} where time < '2025-10-09T10:00Z'`,
          );
          await database.query(`vacuum otel_data.${TABLES[signal]}`);
          await fill(store, signal, 3);
          await same(signal, 300);
        },
      );
    }
  });
}
