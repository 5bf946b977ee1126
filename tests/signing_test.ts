/** Signing: terms of granules become signatures, each once, and go when what they tell of is gone. */

import assert from "node:assert/strict";
import { parseFilter } from "../src/filter.ts";
import { FilterFieldError } from "../src/filter_sql.ts";
import { encodeRequest } from "../src/otlp.ts";
import { Batch } from "../src/postgres/batch.ts";
import type { Database, Queryable } from "../src/postgres/database.ts";
import { Dimensions } from "../src/postgres/dimensions.ts";
import { FreshTerms } from "../src/postgres/fresh_terms.ts";
import { Partitions } from "../src/postgres/partitions.ts";
import { sign, Signer } from "../src/postgres/signing.ts";
import { PostgresSink } from "../src/postgres/sink.ts";
import { Transcoder } from "../src/postgres/transcode.ts";
import { reading } from "../src/query/reading.ts";
import { scan } from "../src/query/scan.ts";
import { attribute, span, traces } from "./one_record.ts";
import { observed } from "./open_store.ts";
import { drivers, migratedDatabase } from "./postgres.ts";

const DAY_MS = 86_400_000;
const NOW_MS = Date.parse("2026-11-23T12:00:00Z");

function partitionsAt(database: Database, nowMs: number): Partitions {
  return new Partitions(database, { width: "day", retentionDays: 30, clock: () => nowMs });
}

/** Stores a span with each of the orders, a second apart, each in a transaction of its own. */
async function store(
  database: Database,
  journal: number,
  orders: readonly string[],
  atMs = NOW_MS,
  fresh = new FreshTerms(),
) {
  const sink = new PostgresSink(
    database,
    partitionsAt(database, NOW_MS),
    `00000000-0000-4000-8000-${String(journal).padStart(12, "0")}`,
    (transaction, { signals }) => fresh.remember(transaction, signals),
  );
  const transcoder = new Transcoder(new Dimensions());
  for (const [n, order] of orders.entries()) {
    const batch = new Batch();
    const startTimeUnixNano = BigInt(atMs + n * 1000) * 1_000_000n;
    const spans = [span({ startTimeUnixNano, attributes: [attribute("order", order)] })];
    transcoder.transcode("traces", encodeRequest("traces", traces(spans)), 1n, batch);
    await sink.store(batch, BigInt(n + 1));
  }
}

const orders = Array.from({ length: 30 }, (_, n) => `order-${n}`);

/** Times of the spans that a filter chooses, in ms since the first one. */
async function found(database: Database, text: string): Promise<number[]> {
  const range = { since: 0n, until: 2n ** 64n - 1n };
  const rows = await reading(
    database,
    {},
    (reader: Queryable) =>
      scan(reader, { signal: "traces", filter: parseFilter(text), range, limit: 100 }),
  );
  return rows.map(({ time_micros }) => Number(time_micros / 1000n) - NOW_MS);
}

async function counts(database: Database): Promise<{ terms: number; signatures: number }> {
  const [row] = await database.query<{ terms: number; signatures: number }>(
    `select (select count(*)::int from otel_data.granule_terms) as terms,
       (select count(*)::int from otel_data.signatures) as signatures`,
  );
  return row!;
}

for (const driver of drivers) {
  Deno.test(`a search for what is in no granule looks at no row (${driver})`, async () => {
    await using test = await migratedDatabase(driver);
    await store(test.database, 1, orders);
    await sign(test.database, { termBytes: 100 });
    const { database, asked } = observed(test.database);
    assert.deepEqual(await found(database, "order = order-30"), []);
    // But for rows that are in no granule at all.
    const looks = asked.filter(({ sql }) => /otel_data\.(spans|unsigned)/.test(sql));
    assert.equal(looks.length, 1);
    assert.match(looks[0]!.sql, /from otel_data\.unsigned\(/);
    assert.doesNotMatch(looks[0]!.sql, /otel_data\.spans/);
    assert.deepEqual(await found(database, "order = order-7"), [7_000]);
  });

  Deno.test(`a search goes on behind the signatures that it asks first (${driver})`, async () => {
    await using test = await migratedDatabase(driver);
    await store(test.database, 1, orders);
    await sign(test.database, { termBytes: 1 });
    assert.deepEqual(await counts(test.database), { terms: 0, signatures: orders.length });
    for (const [n, order] of orders.entries()) {
      const { database, asked } = observed(test.database);
      assert.deepEqual(await found(database, `order = ${order}`), [n * 1000]);
      // The latest 16 come with their units; of the others only those that are meant are read.
      const read = asked.filter(({ sql }) => /select x\.id, x\.units/.test(sql));
      const isLater = n < orders.length - 16;
      assert.deepEqual(
        read.map(({ parameters }) => parameters),
        isLater ? [[[BigInt(n + 1)]]] : [],
      );
    }
  });

  Deno.test(`a search by what records do not have is refused, by terms as well (${driver})`, async () => {
    await using test = await migratedDatabase(driver);
    const filter = parseFilter("operation = a and b = c");
    const search = { signal: "logs", filter, range: { since: 0n, until: 1n }, limit: 1 } as const;
    await assert.rejects(scan(test.database, search), FilterFieldError);
  });

  Deno.test(`what is signed is found all the time, whoever signs (${driver})`, async () => {
    await using test = await migratedDatabase(driver);
    const { database } = test;
    await store(database, 1, orders);
    let signing = true;
    const signers = [1, 2, 3].map(() => sign(database, { termBytes: 60 }));
    const looking = (async () => {
      while (signing) assert.deepEqual(await found(database, "order = order-7"), [7_000]);
    })();
    const made = await Promise.all(signers);
    signing = false;
    await looking;
    const { terms, signatures } = await counts(database);
    assert.equal(made.reduce((sum, one) => sum + one), signatures);
    assert.ok(signatures > 5 && terms < 3, `${signatures} signatures, ${terms} left`);
    for (const n of [0, 15, 29]) {
      assert.deepEqual(await found(database, `order = order-${n}`), [n * 1000]);
    }
  });

  Deno.test(`a signature is the same whether its terms are known or read (${driver})`, async () => {
    await using test = await migratedDatabase(driver);
    const { database } = test;
    const fresh = new FreshTerms();
    await store(database, 1, orders.slice(0, 10), NOW_MS, fresh);
    await store(database, 2, orders.slice(10), NOW_MS + 10_000);
    // One granule in two rows of a transaction, another one between them.
    const rows = [[5, 1], [6, 2], [5, 3]] as const;
    await database.transaction(async (transaction) => {
      for (const [granule, term] of rows) {
        await transaction.query(
          `insert into otel_data.granule_terms (signal, granule, first, last, terms)
           values ('traces', $1, now(), now(), int4send($2))`,
          [granule, term],
        );
      }
      const [row] = await transaction.query("select pg_current_xact_id()::text as id");
      const parts = rows.map(([granule, term]) => ({ granule, terms: Int32Array.of(term) }));
      fresh.remember(BigInt(String(row!.id)), [{ signal: "traces", parts }]);
    });
    const terms = (table: string, from: string) =>
      database.query(`${table} select signal, granule, first, last, stored_on, terms from ${from}`);
    await terms("create table kept as", "otel_data.granule_terms");
    const signatures = () =>
      database.query("select first, last, units, slice_bytes, slices from otel_data.signatures");
    const [all] = await database.query<{ bytes: number }>(
      "select sum(length(terms))::int as bytes from otel_data.granule_terms",
    );
    const termBytes = all!.bytes;
    const { database: watched, asked } = observed(database);
    assert.equal(await sign(watched, { termBytes, fresh }), 1);
    const taken = asked.find(({ sql }) => /delete from otel_data.granule_terms/.test(sql))!.answer;
    assert.equal(taken.length, 33);
    // Those of somebody else.
    assert.equal(taken.filter(({ terms }) => terms !== null).length, 20);
    assert.equal(fresh.bytes, 0);
    const known = await signatures();
    await database.query("truncate otel_data.signatures");
    await terms("insert into otel_data.granule_terms", "kept");
    assert.equal(await sign(database, { termBytes }), 1);
    assert.deepEqual(await signatures(), known);
  });

  Deno.test(`signing that is given up has changed nothing (${driver})`, async () => {
    await using test = await migratedDatabase(driver);
    const { database } = test;
    await store(database, 1, orders);
    const abort = new AbortController();
    const ending: Database = new Proxy(database, {
      get(target, key) {
        if (key !== "transaction") {
          const member = Reflect.get(target, key, target);
          return typeof member === "function" ? member.bind(target) : member;
        }
        return (run: Parameters<Database["transaction"]>[0], options: object) =>
          target.transaction(async (transaction) => {
            const result = await run(transaction);
            abort.abort(new Error("given up"));
            throw abort.signal.reason ?? result;
          }, options);
      },
    });
    await assert.rejects(sign(ending, { termBytes: 60, signal: abort.signal }), /given up/);
    assert.deepEqual(await counts(database), { terms: 30, signatures: 0 });
    assert.deepEqual(await found(database, "order = order-7"), [7_000]);
  });

  Deno.test(`few terms wait for more, but not in many pieces (${driver})`, async () => {
    await using test = await migratedDatabase(driver);
    const { database } = test;
    await store(database, 1, orders);
    assert.equal(await sign(database), 0);
    await database.query(
      `insert into otel_data.granule_terms (signal, granule, first, last, terms)
       select 'traces', n, now(), now(), '\\x01020304' from generate_series(1, 16384) n`,
    );
    const signal = AbortSignal.timeout(60_000);
    const signer = new Signer(database, signal);
    signer.stored({ traces: 30_000, logs: 0, metrics: 60_000 });
    assert.equal((await counts(database)).signatures, 0);
    signer.stored({ traces: 10_000, logs: 10_000, metrics: 0 });
    while ((await counts(database)).signatures === 0) signal.throwIfAborted();
    assert.equal((await counts(database)).terms, 0);
    assert.deepEqual(await found(database, "order = order-7"), [7_000]);
  });

  Deno.test(`terms and signatures go with the last partition they tell of (${driver})`, async () => {
    await using test = await migratedDatabase(driver);
    const { database } = test;
    await store(database, 1, orders);
    // Beyond all partitions: these stay.
    await store(database, 2, ["early"], NOW_MS - 400 * DAY_MS);
    await sign(database, { termBytes: 200 });
    const before = await counts(database);
    assert.ok(before.terms > 0 && before.signatures > 0);
    // As if it had been stored then, and not while this test runs.
    for (const table of ["granule_terms", "signatures"]) {
      await database.query(`update otel_data.${table} set stored_on = '2026-11-23'`);
    }
    const report = await partitionsAt(database, NOW_MS + 29 * DAY_MS).maintain();
    assert.deepEqual(report.expired, []);
    assert.deepEqual(await counts(database), before);
    const { expired } = await partitionsAt(database, NOW_MS + 40 * DAY_MS).maintain();
    assert.ok(expired.includes("spans_20261123"), String(expired));
    assert.deepEqual(await counts(database), { terms: 0, signatures: 0 });
    assert.deepEqual(await found(database, "order = order-7"), []);
    assert.deepEqual(await found(database, "order = early"), [-400 * DAY_MS]);
  });
}

Deno.test("terms beyond what may be remembered are forgotten, the oldest first", () => {
  const fresh = new FreshTerms(100);
  const parts = (granule: number) => [{ granule, terms: new Int32Array(10) }];
  for (const n of [1, 2, 3]) fresh.remember(BigInt(n), [{ signal: "logs", parts: parts(n) }]);
  assert.deepEqual([...fresh.now().keys()], ["logs 2 2", "logs 3 3"]);
  assert.equal(fresh.bytes, 80);
  // In the database a transaction has the lower half of its id alone.
  fresh.remember(2n ** 32n + 7n, [{ signal: "traces", parts: parts(4) }]);
  assert.deepEqual([...fresh.now().keys()], ["logs 3 3", "traces 7 4"]);
  fresh.forget(["logs 3 3", "traces 9 9"]);
  assert.equal(fresh.bytes, 40);
});
