import assert from "node:assert/strict";
import type { Copy, Transaction } from "../src/postgres/database.ts";
import { classify } from "../src/retry.ts";
import { candidates, errorOf, hasDenoPostgres, KEYED, KEYED_SQL } from "./driver_candidates.ts";
import { SAMPLE, SAMPLE_SELECT, SAMPLE_SQL, tuplesOf } from "./postgres_tuples.ts";

Deno.test({
  name: "the real @db/postgres is tested (skipped where it does not resolve)",
  ignore: !hasDenoPostgres,
  fn: () => assert.ok(candidates.some(({ name }) => name === "@db/postgres")),
});

for (const { name, driver, copies, open } of candidates) {
  // What it answers does not depend on where its files are.
  if (name === "PGlite in a folder") continue;

  const test = (sentence: string, run: () => Promise<void>) =>
    Deno.test(`${name}: ${sentence}`, run);

  test("names its driver", async () => {
    await using candidate = await open();
    assert.equal(candidate.database.driver, driver);
  });

  test("values arrive as the types that are promised", async () => {
    await using candidate = await open();
    const [row] = await candidate.database.query(String.raw`select
      9223372036854775807::int8 as max, (-9223372036854775808)::int8 as min, 0::int8 as zero,
      '{1,NULL,-9223372036854775808}'::int8[] as int8s, '{}'::int8[] as none,
      32767::int2 as int2, (-2147483648)::int4 as int4, 1.5::float4 as float4,
      'NaN'::float8 as nan, '-0'::float8 as minus_zero, 'Infinity'::float8 as infinity,
      '-Infinity'::float8 as minus_infinity, 5e-324::float8 as tiny, 0.1::float8 as tenth,
      '{NaN,-0,NULL,0.1}'::float8[] as float8s,
      '18446744073709551615.10'::numeric as numeric, '{1.0,NULL}'::numeric[] as numerics,
      '\x0001ff'::bytea as bytea, ''::bytea as no_bytes,
      '00000000-0000-0000-0000-00000000000a'::uuid as uuid,
      true as yes, false as no, null::int8 as nothing,
      E'\u00fc\u4e2d\U0001f600\ufeff' as unicode, '' as empty,
      '{"a,b","\"q\"",NULL,"NULL","",back\\slash}'::text[] as texts,
      '{"b": 1.0, "a": null}'::jsonb::text as jsonb,
      ('2026-01-02 03:04:05.678901Z'::timestamptz at time zone 'UTC')::text as time`);
    assert.deepEqual(row, {
      max: 9223372036854775807n,
      min: -9223372036854775808n,
      zero: 0n,
      int8s: [1n, null, -9223372036854775808n],
      none: [],
      int2: 32767,
      int4: -2147483648,
      float4: 1.5,
      nan: NaN,
      minus_zero: -0,
      infinity: Infinity,
      minus_infinity: -Infinity,
      tiny: 5e-324,
      tenth: 0.1,
      float8s: [NaN, -0, null, 0.1],
      numeric: "18446744073709551615.10",
      numerics: ["1.0", null],
      bytea: Uint8Array.of(0, 1, 255),
      no_bytes: new Uint8Array(),
      uuid: "00000000-0000-0000-0000-00000000000a",
      yes: true,
      no: false,
      nothing: null,
      unicode: "\u00fc\u4e2d\u{1f600}\ufeff",
      empty: "",
      texts: ["a,b", '"q"', null, "NULL", "", "back\\slash"],
      jsonb: '{"a": null, "b": 1.0}',
      time: "2026-01-02 03:04:05.678901",
    });
  });

  test("every kind of parameter arrives unchanged", async () => {
    await using candidate = await open();
    const values = {
      text: "\u00fc '\"\\ \u{1f600}",
      bytes: Uint8Array.of(0, 39, 92, 255),
      big: -9223372036854775808n,
      float: -0,
      int: 42,
      yes: true,
      no: false,
      nothing: null,
      int8s: [1n, null, 9223372036854775807n],
      float8s: [0.1, NaN, null],
      texts: ['a"\\,{}', null, "NULL", ""],
      flags: [true, false, null],
      none: [],
    };
    const [row] = await candidate.database.query(
      `select $1::text as text, $2::bytea as bytes, $3::int8 as big, $4::float8 as float,
        $5::int4 as int, $6::bool as yes, $7::bool as no, $8::text as nothing, $9::int8[] as int8s,
        $10::float8[] as float8s, $11::text[] as texts, $12::bool[] as flags, $13::int8[] as none`,
      Object.values(values),
    );
    assert.deepEqual(row, values);
  });

  test("json, uuid and time parameters are taken as text", async () => {
    await using candidate = await open();
    const [row] = await candidate.database.query(
      `select $1::jsonb::text as json, $2::uuid as uuid,
        ($3::timestamptz at time zone 'UTC')::text as time, $4::numeric as numeric`,
      ['{"a":[1]}', "0000000000000000000000000000000b", "2554-07-21 23:34:33.709551Z", "1e3"],
    );
    assert.deepEqual(row, {
      json: '{"a": [1]}',
      uuid: "00000000-0000-0000-0000-00000000000b",
      time: "2554-07-21 23:34:33.709551",
      numeric: "1000",
    });
  });

  test("a statement without rows gives none", async () => {
    await using candidate = await open();
    assert.deepEqual(await candidate.database.query("create table t (a int4)"), []);
    assert.deepEqual(await candidate.database.query("insert into t values ($1)", [1]), []);
    assert.deepEqual(await candidate.database.query("insert into t values (2) returning a"), [{
      a: 2,
    }]);
  });

  test("a statement that fails rejects with its SQLSTATE, and the next one works", async () => {
    await using candidate = await open();
    const { database } = candidate;
    assert.equal((await errorOf(database.query("select * from absent"))).code, "42P01");
    assert.equal((await errorOf(database.query("selec"))).code, "42601");
    assert.equal((await errorOf(database.query("select $1::int4", ["x"]))).code, "22P02");
    assert.deepEqual(await database.query("select 1 as a"), [{ a: 1 }]);
  });

  test("execute runs a script of several statements", async () => {
    await using candidate = await open();
    await candidate.database.execute(`
      begin; create table a (x int4); commit;
      create function f() returns int4 language plpgsql as $$ begin return 7; end $$;
      insert into a values (f());`);
    assert.deepEqual(await candidate.database.query("select x from a"), [{ x: 7 }]);
  });

  test("a script that fails inside its own transaction leaves nothing, not even that", async () => {
    await using candidate = await open();
    const { database } = candidate;
    const script = "begin; create table a (x int4); insert into absent values (1); commit;";
    assert.equal((await errorOf(database.execute(script))).code, "42P01");
    // On each connection that there may be.
    const answers = await Promise.all([1, 2, 3].map(() => database.query("select 1 as a")));
    assert.deepEqual(answers.flat(), [{ a: 1 }, { a: 1 }, { a: 1 }]);
    assert.equal((await errorOf(database.query("select * from a"))).code, "42P01");
  });

  test("a transaction commits when run resolves, and gives its result", async () => {
    await using candidate = await open();
    const { database } = candidate;
    await database.execute(KEYED_SQL);
    const result = await database.transaction(async (transaction) => {
      await transaction.query("insert into keyed values (1, 'a')");
      return await transaction.query("select count(*) as n from keyed");
    });
    assert.deepEqual(result, [{ n: 1n }]);
    assert.deepEqual(await database.query("select count(*) as n from keyed"), [{ n: 1n }]);
  });

  test("a transaction rolls back when run rejects, and rejects with the same error", async () => {
    await using candidate = await open();
    const { database } = candidate;
    await database.execute(KEYED_SQL);
    const reason = new Error("no");
    const error = await errorOf(database.transaction(async (transaction) => {
      await transaction.query("insert into keyed values (1, 'a')");
      throw reason;
    }));
    assert.equal(error, reason);
    assert.deepEqual(await database.query("select count(*) as n from keyed"), [{ n: 0n }]);
  });

  test("a transaction whose run swallows a failed statement's error still rejects with it", async () => {
    await using candidate = await open();
    const { database } = candidate;
    await database.execute(KEYED_SQL);
    const error = await errorOf(database.transaction(async (transaction) => {
      await transaction.query("insert into keyed values (1, 'a')");
      await transaction.query("select * from absent").catch(() => {});
    }));
    assert.equal(error.code, "42P01");
    assert.deepEqual(await database.query("select count(*) as n from keyed"), [{ n: 0n }]);
  });

  test("a deferred constraint that fails at commit rejects and leaves nothing", async () => {
    await using candidate = await open();
    const { database } = candidate;
    await database.execute("create table t (a int4 unique deferrable initially deferred)");
    const error = await errorOf(
      database.transaction((transaction) => transaction.query("insert into t values (1), (1)")),
    );
    assert.equal(error.code, "23505");
    assert.deepEqual(await database.query("select * from t"), []);
  });

  test("a last statement is committed with what was before it, and gives its rows", async () => {
    await using candidate = await open();
    const { database } = candidate;
    await database.execute(KEYED_SQL);
    const result = await database.transaction(async (transaction) => {
      await transaction.query("insert into keyed values (1, 'a')");
      return await transaction.commitWith(
        "insert into keyed values ($1, $2), ($3, null) returning id, s",
        [2, "b", 3],
      );
    });
    assert.deepEqual(result, [
      { id: 2n, s: "b" },
      { id: 3n, s: null },
    ]);
    assert.deepEqual(await database.query("select count(*) as n from keyed"), [{ n: 3n }]);
    const only = await database.transaction((transaction) =>
      transaction.commitWith("insert into keyed values (4, 'd') returning id", [])
    );
    assert.deepEqual(only, [{ id: 4n }]);
    assert.deepEqual(await database.query("select count(*) as n from keyed"), [{ n: 4n }]);
  });

  test("a last statement that fails leaves nothing, and nothing runs after one", async () => {
    await using candidate = await open();
    const { database } = candidate;
    await database.execute(KEYED_SQL);
    const failed = await errorOf(database.transaction(async (transaction) => {
      await transaction.query("insert into keyed values (1, 'a')");
      await transaction.commitWith("select 1 / $1::int4", [0]);
    }));
    assert.equal(failed.code, "22012");
    const swallowed = await errorOf(database.transaction(async (transaction) => {
      await transaction.query("select * from absent").catch(() => {});
      await transaction.commitWith("select 1", []);
    }));
    assert.equal(swallowed.code, "42P01");
    const late = await errorOf(database.transaction(async (transaction) => {
      await transaction.commitWith("insert into keyed values (2, 'b')", []);
      await transaction.query("insert into keyed values (3, 'c')");
    }));
    assert.match(late.message, /after its end/);
    assert.deepEqual(await database.query("select id from keyed"), [{ id: 2n }]);
  });

  test("a deferred constraint that fails with a last statement leaves nothing", async () => {
    await using candidate = await open();
    const { database } = candidate;
    await database.execute("create table t (a int4 unique deferrable initially deferred)");
    const error = await errorOf(
      database.transaction((transaction) =>
        transaction.commitWith("insert into t values (1), (1)", [])
      ),
    );
    assert.equal(error.code, "23505");
    assert.deepEqual(await database.query("select * from t"), []);
  });

  test("statements given to a transaction at once run in their order", async () => {
    await using candidate = await open();
    await candidate.database.execute("create table t (n int4, id serial)");
    await candidate.database.transaction(async (transaction) => {
      const numbers = Array.from({ length: 20 }, (_, n) => n);
      await Promise.all(
        numbers.map((n) => transaction.query("insert into t values ($1)", [n])),
      );
      const rows = await transaction.query("select n from t order by id");
      assert.deepEqual(rows.map(({ n }) => n), numbers);
    });
  });

  test("a transaction does not see into another, nor do statements beside it", async () => {
    await using candidate = await open();
    const { database } = candidate;
    await database.execute(KEYED_SQL);
    const written = Promise.withResolvers<void>();
    const inside = database.transaction(async (transaction) => {
      await transaction.query("insert into keyed values (1, 'a')");
      written.resolve();
      // Time for those beside it to get in between, if anything lets them.
      for (let turn = 0; turn < 5; turn++) await transaction.query("select 1");
      throw new Error("rolled back");
    });
    await written.promise;
    const beside = [
      database.query("insert into keyed values (2, 'b')"),
      database.transaction((transaction) => transaction.query("insert into keyed values (3, 'c')")),
    ];
    assert.equal((await errorOf(inside)).message, "rolled back");
    await Promise.all(beside);
    assert.deepEqual(await database.query("select id from keyed order by id"), [
      { id: 2n },
      { id: 3n },
    ]);
  });

  test("the database inside its own transaction is refused, not waited for", async () => {
    await using candidate = await open();
    const { database } = candidate;
    const message =
      "Cannot use the database inside its own transaction: use the transaction given to run";
    await database.transaction(async (transaction) => {
      assert.equal((await errorOf(database.query("select 1"))).message, message);
      assert.equal((await errorOf(database.execute("select 1"))).message, message);
      const nested = database.transaction(() => Promise.resolve());
      assert.equal((await errorOf(nested)).message, message);
      await transaction.query("select 1");
    });
    assert.deepEqual(await database.query("select 1 as a"), [{ a: 1 }]);
  });

  test("a transaction is refused after its end", async () => {
    await using candidate = await open();
    let kept: Transaction | undefined;
    await candidate.database.transaction((transaction) => {
      kept = transaction;
      return Promise.resolve();
    });
    const message = "Cannot use a transaction after its end";
    assert.equal((await errorOf(kept!.query("select 1"))).message, message);
    assert.equal((await errorOf(kept!.copyIn([{ table: KEYED, rows: [] }]))).message, message);
  });

  test("twenty transactions at once all commit", async () => {
    await using candidate = await open();
    const { database } = candidate;
    await database.execute(KEYED_SQL);
    await Promise.all(
      Array.from(
        { length: 20 },
        (_, n) =>
          database.transaction((transaction) =>
            transaction.query("insert into keyed values ($1, 'x')", [n])
          ),
      ),
    );
    assert.deepEqual(await database.query("select count(*) as n from keyed"), [{ n: 20n }]);
  });

  test("copyIn writes every type as it was, nulls too", async () => {
    await using candidate = await open();
    const chunk = await tuplesOf(SAMPLE_SELECT);
    await candidate.database.execute(SAMPLE_SQL);
    const rows = await candidate.database.transaction(async (transaction) => {
      await transaction.copyIn([{ table: SAMPLE, rows: [chunk] }]);
      await transaction.query("set local timezone = 'UTC'");
      return await transaction.query(
        `select id, got::text = sent::text as same, got::text as got, sent::text as sent
         from sample got full join (${SAMPLE_SELECT}) sent using (id)`,
      );
    });
    assert.equal(rows.length, 9);
    for (const row of rows) assert.ok(row.same, `${row.got} is not ${row.sent}`);
  });

  test("copyIn writes many chunks, empty ones, and none", async () => {
    await using candidate = await open();
    await candidate.database.execute(KEYED_SQL);
    const numbers = Array.from({ length: 300 }, (_, n) => n);
    const chunks = await Promise.all(
      numbers.map((n) => tuplesOf(`select ${n}::int8 as id, repeat('x', ${n}) as s`)),
    );
    await candidate.database.transaction(async (transaction) => {
      await transaction.copyIn([{ table: KEYED, rows: [] }]);
      await transaction.copyIn([{
        table: KEYED,
        rows: [new Uint8Array(), ...chunks, new Uint8Array()],
      }]);
    });
    const rows = await candidate.database.query("select id, length(s) as n from keyed order by id");
    assert.deepEqual(rows, numbers.map((n) => ({ id: BigInt(n), n })));
  });

  test("copyIn writes values of 1 MB and does not change its chunks", async () => {
    await using candidate = await open();
    await candidate.database.execute(KEYED_SQL);
    const chunk = await tuplesOf(
      "select n::int8 as id, repeat(chr(64 + n::int4), 1 << 20) as s from generate_series(1, 8) n",
    );
    const before = chunk.slice();
    await candidate.database.transaction((transaction) =>
      transaction.copyIn([{ table: KEYED, rows: [chunk] }])
    );
    assert.deepEqual(chunk, before);
    const rows = await candidate.database.query(
      "select id, length(s) as n, left(s, 1) as first from keyed where id in (1, 8) order by id",
    );
    assert.deepEqual(rows, [{ id: 1n, n: 1 << 20, first: "A" }, {
      id: 8n,
      n: 1 << 20,
      first: "H",
    }]);
  });

  test("a COPY with a bad row in its middle rejects, leaves nothing, and the database works on", async () => {
    await using candidate = await open();
    const { database } = candidate;
    await database.execute(KEYED_SQL + "; alter table keyed add check (s <> 'bad')");
    const good = await tuplesOf(
      "select n::int8 as id, repeat('x', 100) as s from generate_series(1, 9999) n",
    );
    const bad = await tuplesOf("select 10000::int8 as id, 'bad' as s");
    const rest = await Promise.all(
      Array.from({ length: 8 }, (_, n) =>
        tuplesOf(`select id, repeat('y', 1 << 20) as s from
          generate_series(${20000 + n}::int8, ${20000 + n}) id`)),
    );
    const error = await errorOf(
      database.transaction((transaction) =>
        transaction.copyIn([{ table: KEYED, rows: [good, bad, ...rest] }])
      ),
    );
    assert.equal(error.code, "23514");
    assert.equal(classify(error).kind, "permanent");
    assert.deepEqual(await database.query("select count(*) as n from keyed"), [{ n: 0n }]);
    await database.transaction((transaction) =>
      transaction.copyIn([{ table: KEYED, rows: [good] }])
    );
    assert.deepEqual(await database.query("select count(*) as n from keyed"), [{ n: 9999n }]);
  });

  test("copyIn writes to several tables in one go", async () => {
    await using candidate = await open();
    const { database } = candidate;
    await database.execute(KEYED_SQL + "; " + SAMPLE_SQL);
    const keyed = await tuplesOf("select n::int8 as id, 'x' as s from generate_series(1, 500) n");
    const sample = await tuplesOf(SAMPLE_SELECT);
    await database.transaction(async (transaction) => {
      await transaction.copyIn([]);
      await transaction.copyIn([
        { table: KEYED, rows: [keyed] },
        { table: SAMPLE, rows: [] },
        { table: SAMPLE, rows: [sample] },
      ]);
    });
    const [rows] = await database.query(
      `select (select count(*) from keyed) as keyed, (select count(*) from ${SAMPLE.name}) as sample`,
    );
    const [{ n }] = await database.query<{ n: bigint }>(
      `select count(*) as n from (${SAMPLE_SELECT}) as s`,
    ) as [{ n: bigint }];
    assert.deepEqual(rows, { keyed: 500n, sample: n });
  });

  for (const bad of [0, 1, 2]) {
    test(`a table refused as number ${bad + 1} of three fails all, and the connection works on`, async () => {
      await using candidate = await open();
      const { database } = candidate;
      await database.execute(KEYED_SQL + "; alter table keyed add check (s <> 'bad')");
      const copies: Copy[] = [];
      for (let n = 0; n < 3; n++) {
        // More than any buffer on the way takes.
        const rows = await tuplesOf(
          `select n as id, case when n = ${
            bad * 100 + 7
          } then 'bad' else repeat('y', 1 << 16) end as s
           from generate_series(${n * 100}::int8, ${n * 100 + 49}) n`,
        );
        copies.push({ table: KEYED, rows: [rows] });
      }
      const error = await errorOf(
        database.transaction((transaction) => transaction.copyIn(copies)),
      );
      assert.equal(error.code, "23514");
      assert.deepEqual(await database.query("select count(*) as n from keyed"), [{ n: 0n }]);
      const others = copies.filter((_, n) => n !== bad);
      await database.transaction((transaction) => transaction.copyIn(others));
      assert.deepEqual(await database.query("select count(*) as n from keyed"), [{ n: 100n }]);
    });
  }

  test("a transaction that asks nothing commits, and one that fails at once rolls back", async () => {
    await using candidate = await open();
    const { database } = candidate;
    assert.equal(await database.transaction(() => Promise.resolve(7)), 7);
    const failing = database.transaction(() => Promise.reject(new Error("on purpose")));
    assert.equal((await errorOf(failing)).message, "on purpose");
    assert.deepEqual(await database.query("select 1 as a"), [{ a: 1 }]);
  });

  test("a COPY of text that the server refuses rejects and leaves nothing", async () => {
    await using candidate = await open();
    const { database } = candidate;
    await database.execute(KEYED_SQL);
    const nul = Uint8Array.of(0, 2, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0x61, 0);
    const error = await errorOf(
      database.transaction((transaction) => transaction.copyIn([{ table: KEYED, rows: [nul] }])),
    );
    assert.equal(error.code, "22021");
    assert.deepEqual(await database.query("select count(*) as n from keyed"), [{ n: 0n }]);
  });

  test("a unique violation in the last row of a COPY rejects and leaves nothing", async () => {
    await using candidate = await open();
    const { database } = candidate;
    await database.execute(KEYED_SQL);
    const chunk = await tuplesOf("select n::int8 as id, 'x' as s from generate_series(1, 1000) n");
    const again = await tuplesOf("select 1::int8 as id, 'x' as s");
    const error = await errorOf(database.transaction(async (transaction) => {
      await transaction.query("insert into keyed values (-1, 'before')");
      await transaction.copyIn([{ table: KEYED, rows: [chunk, again] }]);
    }));
    assert.equal(error.code, "23505");
    assert.deepEqual(await database.query("select count(*) as n from keyed"), [{ n: 0n }]);
  });

  test("a COPY of cut tuples rejects and leaves nothing", async () => {
    await using candidate = await open();
    const { database } = candidate;
    await database.execute(KEYED_SQL);
    const chunk = await tuplesOf("select n::int8 as id, 'x' as s from generate_series(1, 100) n");
    const error = await errorOf(
      database.transaction((transaction) =>
        transaction.copyIn([{ table: KEYED, rows: [chunk.subarray(0, chunk.length - 1)] }])
      ),
    );
    if (copies) assert.match(String(error.code), /^22|^08P01$/);
    else assert.ok(error instanceof RangeError);
    assert.deepEqual(await database.query("select count(*) as n from keyed"), [{ n: 0n }]);
  });

  test("a COPY into a table that is not there rejects, and the database works on", async () => {
    await using candidate = await open();
    const { database } = candidate;
    const chunk = await tuplesOf("select 1::int8 as id, 'x' as s");
    const error = await errorOf(
      database.transaction((transaction) => transaction.copyIn([{ table: KEYED, rows: [chunk] }])),
    );
    assert.equal(error.code, "42P01");
    assert.deepEqual(await database.query("select 1 as a"), [{ a: 1 }]);
  });
}
