/** Searches for long spans find what a look at every span finds, and look at few spans. */

import { randomUUID } from "node:crypto";
import fc from "fast-check";
import assert from "node:assert/strict";
import { parseFilter } from "../src/filter.ts";
import { encodeRequest } from "../src/otlp.ts";
import { Batch } from "../src/postgres/batch.ts";
import type { Database } from "../src/postgres/database.ts";
import { Dimensions } from "../src/postgres/dimensions.ts";
import { MAX_SERVICES } from "../src/postgres/longest.ts";
import { UNIT_GRANULES } from "../src/postgres/signature.ts";
import { sign } from "../src/postgres/signing.ts";
import { PostgresSink } from "../src/postgres/sink.ts";
import { Transcoder } from "../src/postgres/transcode.ts";
import { reading } from "../src/query/reading.ts";
import { scan } from "../src/query/scan.ts";
import { scanKey, type ScannedRow } from "../src/query/scan_key.ts";
import type { TimeRange } from "../src/query/range.ts";
import type { Span } from "../src/record.ts";
import { attribute, resource, span, TIME, traces } from "./one_record.ts";
import { observed } from "./open_store.ts";
import { drivers, migratedDatabase } from "./postgres.ts";

const SECOND = 1_000_000_000n;
const HOUR = 3_600n * SECOND;
const EVERYTHING = { since: 0n, until: 2n ** 64n - 1n };

/** Stores spans by way of a writer of its own. */
class Store {
  readonly #sink: PostgresSink;
  readonly #transcoder = new Transcoder(new Dimensions());
  readonly #batch = new Batch();
  #at = 0n;

  constructor(database: Database) {
    const partitions = { ensureFor: () => Promise.resolve({ created: [], postponed: [] }) };
    this.#sink = new PostgresSink(database, partitions, randomUUID());
  }

  /** Stores spans by the name and the namespace of their services, in one transaction. */
  async put(spans: readonly (readonly [service: string, span: Span])[]): Promise<void> {
    for (const [service, own] of Map.groupBy(spans, ([service]) => service)) {
      const [name, namespace] = service.split("/");
      const attributes = [
        ...name === "" ? [] : [attribute("service.name", name!)],
        ...namespace === undefined ? [] : [attribute("service.namespace", namespace)],
      ];
      const request = traces(own.map(([, span]) => span), { resource: resource(attributes) });
      const body = encodeRequest("traces", request);
      this.#transcoder.transcode("traces", body, TIME + 30n * HOUR, this.#batch);
    }
    await this.#sink.store(this.#batch, ++this.#at);
    this.#batch.clear();
  }
}

const SERVICES = ["shop", "pay", "cart", "cart/eu", "", "idle"];

/** Spans of three days and some beyond all partitions; times and durations are often the same. */
const spans = fc.tuple(
  fc.constantFrom(...SERVICES.slice(0, 5)),
  fc.record({
    name: fc.constantFrom("GET", "PUT", "rare op"),
    at: fc.oneof(
      { weight: 9, arbitrary: fc.integer({ min: 0, max: 3 * 86_400 }) },
      { weight: 1, arbitrary: fc.constantFrom(0, 5, 4_000_000, -40_000_000) },
    ),
    duration: fc.oneof(
      {
        weight: 6,
        arbitrary: fc.integer({ min: 0, max: 80 }).map((ms) => BigInt(ms) * 1_000_000n),
      },
      { weight: 3, arbitrary: fc.bigInt({ min: 0n, max: 90_000_000n }) },
      {
        weight: 1,
        arbitrary: fc.constantFrom(2n * SECOND, 2n * SECOND + 1n, -5n, -HOUR, 2n ** 53n + 1n),
      },
    ),
    odd: fc.oneof(
      { weight: 60, arbitrary: fc.constant(undefined) },
      {
        weight: 1,
        arbitrary: fc.constantFrom(
          // Without a start, or an end; longer than an int8; ends before it starts by more than that.
          { startTimeUnixNano: 0n },
          { startTimeUnixNano: 0n, endTimeUnixNano: 2n ** 63n + 5n },
          { startTimeUnixNano: 0n, endTimeUnixNano: 0n },
          { startTimeUnixNano: 1n, endTimeUnixNano: 2n ** 64n - 1n },
          { startTimeUnixNano: 2n ** 64n - 1n, endTimeUnixNano: 1n },
        ),
      },
    ),
  }).map(({ name, at, duration, odd }) => {
    const startTimeUnixNano = TIME + BigInt(at) * SECOND;
    return span({ name, startTimeUnixNano, endTimeUnixNano: startTimeUnixNano + duration, ...odd });
  }),
);

async function fill(store: Store, seed: number, count = 900): Promise<void> {
  const some = fc.sample(spans, { numRuns: count, seed });
  for (let from = 0; from < count; from += 60) await store.put(some.slice(from, from + 60));
}

interface Stored {
  readonly key: string;
  readonly service: string | null;
  readonly operation: string;
  readonly duration: bigint;
  readonly micros: bigint;
  readonly frac: number;
  readonly [column: string]: unknown;
}

/** Every span, in both orders, by a plain read. */
async function everySpan(database: Database): Promise<Record<"newest" | "slowest", Stored[]>> {
  const read = (first: string) =>
    database.query<Stored>(
      `select concat_ws(' ', t.tableoid::bigint, t.ctid) as key, v.name as service,
         n.name as operation, t.duration_ns as duration, t.time_frac as frac,
         (extract(epoch from t.time) * 1000000)::bigint as micros
       from otel_data.spans t
       left join otel_data.services v on v.id = t.service_id
       left join otel_data.names n on n.id = t.name_id
       order by ${first}t.time desc, t.time_frac desc, t.ctid desc`,
    );
  const slowest = await read("t.duration_ns desc, ");
  // What came without a start has no duration.
  return { newest: await read(""), slowest: slowest.filter(({ frac }) => frac >= 0) };
}

/** A filter and whether it chooses a span. */
interface Choice {
  readonly text: string;
  readonly test: (span: Stored) => boolean;
}

const bounds = fc.constantFrom(
  "2s",
  "90ms",
  "79500us",
  "40ms",
  "80ms",
  "2500000h",
  "0ns",
  "999999999999999s",
);
const nanosOf = (text: string) =>
  BigInt(Math.round(
    parseFloat(text) * { ns: 1, us: 1e3, ms: 1e6, s: 1e9, h: 3600e9 }[/[a-z]+/.exec(text)![0]]!,
  ));
const leaves: fc.Arbitrary<Choice> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(fc.constantFrom(">", ">=", "=", "<", "<=", "!="), bounds).map(
      ([is, bound]) => {
        const nanos = nanosOf(bound);
        const test = ({ duration: d }: Stored) =>
          is === ">"
            ? d > nanos
            : is === ">="
            ? d >= nanos
            : is === "="
            ? d === nanos
            : is === "<"
            ? d < nanos
            : is === "<="
            ? d <= nanos
            : d !== nanos;
        return { text: `duration ${is} ${bound}`, test };
      },
    ),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(...SERVICES.slice(0, 3), "idle", "nobody").map((name) => ({
      text: `service = ${name}`,
      test: ({ service }: Stored) => service === name,
    })),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Choice>(
      { text: "service != shop", test: ({ service }) => service !== null && service !== "shop" },
      { text: "service exists", test: ({ service }) => service !== null },
      { text: "not service exists", test: ({ service }) => service === null },
      { text: 'operation = "rare op"', test: ({ operation }) => operation === "rare op" },
      { text: "operation = none", test: () => false },
      { text: "kind exists", test: () => true },
    ),
  },
);
const choices = fc.letrec<{ choice: Choice }>((tie) => {
  const two = (word: string, joined: (a: boolean, b: boolean) => boolean) =>
    fc.tuple(tie("choice"), tie("choice")).map(([a, b]): Choice => ({
      text: `(${a.text} ${word} ${b.text})`,
      test: (span) => joined(a.test(span), b.test(span)),
    }));
  return {
    choice: fc.oneof(
      { depthSize: "small" },
      leaves,
      { weight: 2, arbitrary: two("and", (a, b) => a && b) },
      two("or", (a, b) => a || b),
      tie("choice").map(({ text, test }): Choice => ({
        text: `not (${text})`,
        test: (span) => !test(span),
      })),
    ),
  };
}).choice;

const ranges: fc.Arbitrary<TimeRange> = fc.oneof(
  fc.constant(EVERYTHING),
  fc.tuple(fc.integer({ min: 0, max: 72 }), fc.integer({ min: 0, max: 60 })).map((
    [at, length],
  ) => ({
    since: TIME + BigInt(at) * HOUR,
    until: TIME + BigInt(at + length) * HOUR,
  })),
);

const questions = fc.record({
  choice: fc.oneof(choices, fc.constant<Choice>({ text: "", test: () => true })),
  range: ranges,
  order: fc.constantFrom("newest" as const, "slowest" as const),
  limit: fc.constantFrom(1, 3, 20, 150, 1_000),
});

/** The keys of what a search finds on so many pages. */
async function found(
  database: Database,
  { text, range, order, limit, pages }: {
    readonly text: string;
    readonly range: TimeRange;
    readonly order: "newest" | "slowest";
    readonly limit: number;
    readonly pages: number;
  },
): Promise<string[]> {
  return await reading(database, {}, async (reader) => {
    const filter = parseFilter(text);
    const all: ScannedRow[] = [];
    for (let page = 0; page < pages; page++) {
      const last = all.at(-1);
      const before = last && scanKey(last, order);
      const search = { signal: "traces", filter, range, order, limit, before } as const;
      const rows = await scan(reader, search);
      all.push(...rows);
      if (rows.length < limit) break;
    }
    return all.map((row) => `${row.place_table} ${row.place}`);
  });
}

const PAGES = 6;

async function same(database: Database, numRuns: number): Promise<void> {
  const every = await everySpan(database);
  await fc.assert(
    fc.asyncProperty(questions, async ({ choice: { text, test }, range, order, limit }) => {
      const expected = every[order].filter((span) => {
        const at = span.micros * 1_000n + BigInt(Math.max(span.frac, 0));
        return at >= range.since && at < range.until && test(span);
      });
      assert.deepEqual(
        await found(database, { text, range, order, limit, pages: PAGES }),
        expected.slice(0, PAGES * limit).map(({ key }) => key),
      );
    }),
    { numRuns },
  );
}

for (const driver of drivers) {
  Deno.test(`searches for long spans find what a look at every span finds (${driver})`, async (t) => {
    await using test = await migratedDatabase(driver);
    const { database } = test;
    await database.query(
      "select otel_data.ensure('spans', '2025-10-09T00:00Z', '2025-10-12T00:00Z', 'day')",
    );
    // The embedded one is the same Postgres, several times slower.
    const share = driver === "pglite" ? 1 / 3 : 1;
    const store = new Store(database);
    await t.step("that are not signed yet", async () => {
      await fill(store, 1);
      await same(database, 120 * share);
    });
    await t.step("of more services than are told apart", async () => {
      const crowd = Array.from({ length: MAX_SERVICES + 50 }, (_, n) => {
        const startTimeUnixNano = TIME + BigInt(n) * 60n * SECOND;
        const endTimeUnixNano = startTimeUnixNano + BigInt(n % 40) * 10_000_000n;
        return [`s${n}`, span({ startTimeUnixNano, endTimeUnixNano })] as const;
      });
      for (const spans of [crowd, crowd.toReversed(), crowd.slice(MAX_SERVICES)]) {
        await new Store(database).put(spans);
      }
      await same(database, 30 * share);
    });
    await t.step("that are signed, in many signatures, and that come later", async () => {
      await sign(database, { termBytes: 80 });
      const [made] = await database.query<{ n: number }>(
        "select count(*)::int as n from otel_data.signatures where longest is not null",
      );
      assert.ok(made!.n > 8, `${made!.n} signatures`);
      await same(database, 120 * share);
      await fill(new Store(database), 2);
      await same(database, 120 * share);
    });
    await t.step("whose granules say nothing, or that are in none", async () => {
      await database.query(
        "update otel_data.signatures set services = null, longest = null where id % 3 = 0",
      );
      await database.query(
        "update otel_data.granule_terms set longest = null where granule % 2 = 0",
      );
      await database.query("update otel_data.spans set granule = 0 where duration_ns % 7 = 3");
      await same(database, 120 * share);
      await sign(database, { termBytes: 5_000 });
      await fill(store, 3);
      await same(database, 120 * share);
    });
    await t.step("in partitions that are sealed, and beside them", async () => {
      for (const day of ["10", "09", "11"]) {
        await database.query("select otel_data.seal($1)", [`spans_202510${day}`]);
        await same(database, 60 * share);
      }
    });
    await t.step("of each of many services", async () => {
      const { newest } = await everySpan(database);
      for (let n = MAX_SERVICES - 5; n < MAX_SERVICES + 50; n += 5) {
        for (const order of ["newest", "slowest"] as const) {
          const text = `service = s${n} and duration > 100ms`;
          const keys = await found(database, {
            text,
            range: EVERYTHING,
            order,
            limit: 9,
            pages: 1,
          });
          const expected = newest.filter(({ service, duration }) =>
            service === `s${n}` && duration > 100_000_000n
          );
          assert.deepEqual(keys, expected.map(({ key }) => key));
        }
      }
    });
  });

  Deno.test(`a rare duration is looked for where it is, among many granules (${driver})`, async () => {
    await using test = await migratedDatabase(driver);
    const store = new Store(test.database);
    const GRANULES = 24;
    for (let n = 0; n < GRANULES; n++) {
      await store.put(Array.from({ length: 1_024 }, (_, i) => {
        const startTimeUnixNano = TIME + BigInt(n * 1_024 + i) * 1_000_000n;
        // In granule 5 a long one of pay, in granule 17 a longer one without a service.
        const isLong = n === 5 && i === 502 || n === 17 && i === 503;
        const duration = isLong ? BigInt(n) * SECOND : BigInt(1 + (i * 7919 + n) % 5_000);
        return [
          ["shop", "pay", ""][i % 3]!,
          span({ startTimeUnixNano, endTimeUnixNano: startTimeUnixNano + duration }),
        ] as const;
      }));
    }
    const rowsLookedAt = async (text: string, order: "newest" | "slowest", limit: number) => {
      const { database, asked } = observed(test.database);
      const keys = await found(database, { text, range: EVERYTHING, order, limit, pages: 1 });
      let rows = 0;
      for (const { sql, parameters } of asked) {
        if (!/from otel_data\.spans t/.test(sql)) continue;
        const granules = [...sql.matchAll(/t\.granule between \$(\d+)::int and \$(\d+)::int/g)];
        assert.ok(granules.length > 0, sql);
        for (const [, from, to] of granules) {
          const [row] = await test.database.query<{ n: number }>(
            "select count(*)::int as n from otel_data.spans where granule between $1 and $2",
            [parameters[Number(from) - 1]!, parameters[Number(to) - 1]!],
          );
          rows += row!.n;
        }
      }
      return { found: keys.length, rows };
    };
    for (const [isSigned, most] of [[false, 1_024], [true, UNIT_GRANULES * 1_024]] as const) {
      if (isSigned) assert.ok(await sign(test.database, { termBytes: 200 }) > 1);
      for (
        const [text, order, limit, count, looks] of [
          ["duration > 2s", "newest", 20, 2, 2],
          ["duration > 10s", "newest", 20, 1, 1],
          ["duration > 1h", "newest", 20, 0, 0],
          ["service = pay and duration > 2s", "newest", 20, 1, 1],
          ["service = shop and duration > 2s", "newest", 20, 0, 0],
          ["service = nobody and duration > 2s", "newest", 20, 0, 0],
          ["service = pay and (duration > 2s or operation = none)", "newest", 20, 1, 1],
          // Two units at first.
          ["", "slowest", 2, 2, 2],
          ["service = pay", "slowest", 1, 1, 2],
          ["duration > 2s", "slowest", 20, 2, 2],
          ["service = shop and duration > 1s", "slowest", 20, 0, 0],
        ] as const
      ) {
        const looked = await rowsLookedAt(text, order, limit);
        assert.equal(looked.found, count, text);
        assert.ok(looked.rows <= looks * most, `${text}: ${looked.rows} rows`);
      }
    }
  });

  Deno.test(`the slowest that all take as long are found in the latest granules (${driver})`, async () => {
    await using test = await migratedDatabase(driver);
    const store = new Store(test.database);
    for (let n = 0; n < 40; n++) {
      await store.put(Array.from({ length: 1_024 / 4 }, (_, i) => {
        const startTimeUnixNano = TIME + BigInt(n * 256 + i) * 1_000_000n;
        return ["shop", span({ startTimeUnixNano, endTimeUnixNano: startTimeUnixNano + SECOND })];
      }));
    }
    const { database, asked } = observed(test.database);
    const search = { text: "", range: EVERYTHING, order: "slowest", limit: 5, pages: 3 } as const;
    const { slowest } = await everySpan(test.database);
    assert.deepEqual(await found(database, search), slowest.slice(0, 15).map(({ key }) => key));
    assert.equal(asked.filter(({ sql }) => /from otel_data\.spans t/.test(sql)).length, 3);
  });
}
