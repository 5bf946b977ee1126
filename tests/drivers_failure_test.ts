import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { connect } from "../src/postgres/connect.ts";
import type { Database } from "../src/postgres/database.ts";
import { pg } from "../src/postgres/pg.ts";
import { classify } from "../src/retry.ts";
import { backdoor, candidates, errorOf, KEYED, KEYED_SQL } from "./driver_candidates.ts";
import { drivers, testDatabase } from "./postgres.ts";
import { tuplesOf } from "./postgres_tuples.ts";
import { tcpProxy } from "./tcp_proxy.ts";

/** Waits until the server says so. */
async function until(url: string, condition: string): Promise<void> {
  await backdoor(url, async (client) => {
    for (let attempt = 0; attempt < 500; attempt++) {
      const { rows } = await client.query(`select (${condition}) as holds`);
      if (rows[0].holds) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.fail(`never: ${condition}`);
  });
}

/** Asks until it is answered; on the way only errors that pass are allowed. */
async function recovers(database: Database): Promise<void> {
  for (let attempt = 0; attempt < 20; attempt++) {
    try {
      assert.deepEqual(await database.query("select 1 as a"), [{ a: 1 }]);
      return;
    } catch (error) {
      assert.equal(classify(error).kind, "transient", String(error));
    }
  }
  assert.fail("never answered again");
}

/** A port of this machine on which nobody listens. */
async function closedPort(): Promise<{ port: number }> {
  await using proxy = await tcpProxy(0);
  return { port: proxy.port };
}

const KILL_OTHERS = "select pg_terminate_backend(pid) from pg_stat_activity " +
  "where datname = current_database() and pid <> pg_backend_pid()";

for (const { name, open } of candidates.filter(({ server }) => server)) {
  const test = (sentence: string, run: () => Promise<void>) =>
    Deno.test(`${name}: ${sentence}`, run);

  test("a backend killed in mid-copy rejects as transient, leaves nothing, and all recovers", async () => {
    await using candidate = await open();
    const { database, url } = candidate;
    await database.execute(KEYED_SQL);
    const first = await tuplesOf("select 1::int8 as id, 'x' as s");
    const mega = await tuplesOf("select 2::int8 as id, repeat('x', 1 << 20) as s");
    await backdoor(url, async (rival) => {
      // The first row waits for the rival's, with more behind it than any buffer takes.
      await rival.query("begin; insert into keyed values (1, 'rival')");
      const copying = errorOf(
        database.transaction((transaction) =>
          transaction.copyIn([{ table: KEYED, rows: [first, ...Array(32).fill(mega)] }])
        ),
      );
      await until(url, "select count(*) = 1 from pg_stat_activity where wait_event_type = 'Lock'");
      await rival.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where wait_event_type = 'Lock'",
      );
      const error = await copying;
      assert.equal(classify(error).kind, "transient", String(error));
      await rival.query("rollback");
    });
    await recovers(database);
    assert.deepEqual(await database.query("select count(*) as n from keyed"), [{ n: 0n }]);
  });

  for (const cut of ["cut before", "cut after"] as const) {
    test(`a connection ${cut} COMMIT rejects as transient, its outcome unknown`, async () => {
      let port = 0;
      await using candidate = await open({}, (url) => {
        port = Number(new URL(url).port);
        return url;
      });
      await using proxy = await tcpProxy(port);
      const through = new URL(candidate.url);
      through.port = String(proxy.port);
      await candidate.database.execute(KEYED_SQL);
      await using proxied = await open({}, () => through.href);
      let cuts = 0;
      proxy.onSent = (bytes) => {
        // As a statement: what begins a transaction says `read committed`.
        if (!/\bcommit\b/i.test(Buffer.from(bytes).toString("latin1"))) return "pass";
        cuts++;
        return cut;
      };
      const error = await errorOf(
        proxied.database.transaction((transaction) =>
          transaction.query("insert into keyed values (1, 'x')")
        ),
      );
      assert.equal(classify(error).kind, "transient", String(error));
      assert.equal(cuts, 1);
      proxy.onSent = () => "pass";
      await recovers(proxied.database);
      // It has come to an end one way or the other, and which one is true of both cuts.
      await until(
        candidate.url,
        "select count(*) = 0 from pg_stat_activity where xact_start is " +
          "not null and pid <> pg_backend_pid() and datname = current_database()",
      );
      const expected = cut === "cut after" ? 1n : 0n;
      assert.deepEqual(await candidate.database.query("select count(*) as n from keyed"), [{
        n: expected,
      }]);
    });
  }

  test("idle connections that are killed do not end the process, and all recovers", async () => {
    await using candidate = await open();
    const { database, url } = candidate;
    await Promise.all([1, 2, 3].map(() => database.query("select 1")));
    await backdoor(url, (client) => client.query(KILL_OTHERS));
    await recovers(database);
  });

  test("a connection killed inside an idle transaction rejects what follows as transient", async () => {
    await using candidate = await open();
    const { database, url } = candidate;
    await database.execute(KEYED_SQL);
    const error = await errorOf(database.transaction(async (transaction) => {
      await transaction.query("insert into keyed values (1, 'x')");
      await backdoor(url, (client) => client.query(KILL_OTHERS));
      await transaction.query("insert into keyed values (2, 'x')");
    }));
    assert.equal(classify(error).kind, "transient", String(error));
    await recovers(database);
    assert.deepEqual(await database.query("select count(*) as n from keyed"), [{ n: 0n }]);
  });

  test("a connection killed before COMMIT does not count as committed", async () => {
    await using candidate = await open();
    const { database, url } = candidate;
    await database.execute(KEYED_SQL);
    const error = await errorOf(database.transaction(async (transaction) => {
      await transaction.query("insert into keyed values (1, 'x')");
      await backdoor(url, (client) => client.query(KILL_OTHERS));
    }));
    assert.equal(classify(error).kind, "transient", String(error));
    await recovers(database);
    assert.deepEqual(await database.query("select count(*) as n from keyed"), [{ n: 0n }]);
  });

  test("a server that is not there rejects as transient, and the error keeps the password", async () => {
    const { port } = await closedPort();
    await using candidate = await open({ connectTimeoutMs: 2_000 }, (url) => {
      const refused = new URL(url);
      refused.port = String(port);
      refused.password = "open-sesame";
      return refused.href;
    });
    const error = await errorOf(candidate.database.query("select 1"));
    assert.equal(classify(error).kind, "transient", String(error));
    assert.ok(!Deno.inspect(error).includes("open-sesame"));
  });

  test("sessions leave no transaction idle for ever, and speak UTC inside them", async () => {
    await using candidate = await open();
    await candidate.database.transaction(async (transaction) => {
      const [row] = await transaction.query(
        `select current_setting('idle_in_transaction_session_timeout') as idle,
          '2026-01-02 03:04:05Z'::timestamptz::text as time`,
      );
      assert.deepEqual(row, { idle: "1min", time: "2026-01-02 03:04:05+00" });
    });
  });
}

if (drivers.includes("postgres")) {
  Deno.test("npm:pg: an aborted query ends on the server too", async () => {
    await using empty = await testDatabase("postgres");
    const controller = new AbortController();
    const running = errorOf(
      empty.database.query("select pg_sleep(3600)", [], { signal: controller.signal }),
    );
    const sleeping = "select count(*) from pg_stat_activity where query like '%pg_sleep(3600)' " +
      "and state = 'active'";
    await until(empty.url, `(${sleeping}) = 1`);
    controller.abort(new Error("stop"));
    assert.equal((await running).message, "stop");
    await until(empty.url, `(${sleeping}) = 0`);
  });

  Deno.test("npm:pg: connections have a name, UTC and the statement timeout that was asked for", async () => {
    await using empty = await testDatabase("postgres");
    await using database = pg(empty.url, {
      applicationName: "drivers-test",
      statementTimeoutMs: 1,
    });
    const settings = await database.query(
      `select current_setting('application_name') as name, current_setting('timezone') as zone,
        current_setting('statement_timeout') as timeout`,
    );
    assert.deepEqual(settings, [{ name: "drivers-test", zone: "UTC", timeout: "1ms" }]);
    const error = await errorOf(database.query("select pg_sleep(3600)"));
    assert.equal(error.code, "57014");
  });

  Deno.test("npm:pg: no more connections than allowed", async () => {
    await using empty = await testDatabase("postgres");
    await using database = pg(empty.url, { maxConnections: 2, applicationName: "drivers-max" });
    const counts = await Promise.all(
      Array.from({ length: 10 }, () =>
        database.query(
          `select count(*) as n from pg_stat_activity, pg_sleep(0.01)
            where application_name = 'drivers-max' and datname = current_database()`,
        )),
    );
    for (const [row] of counts) assert.ok((row!.n as bigint) <= 2n);
  });

  Deno.test("npm:pg: close of a pool that was handed in leaves it open, without a listener of ours", async () => {
    const { Pool } = await import("pg");
    await using empty = await testDatabase("postgres");
    const pool = new Pool({ connectionString: empty.url });
    const database = await connect(pool);
    await database.query("select 1");
    await database.close();
    assert.equal(pool.listenerCount("error"), 0);
    assert.equal((await pool.query("select 1 as a")).rows[0].a, 1);
    await pool.end();
  });
}

Deno.test("npm:pg: a server that takes the connection and says nothing rejects as transient", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const taken = listener.accept();
  await using database = pg(`postgres://u:open-sesame@127.0.0.1:${listener.addr.port}/db`, {
    connectTimeoutMs: 50,
  });
  const error = await errorOf(database.query("select 1"));
  assert.equal(classify(error).kind, "transient", String(error));
  assert.ok(!Deno.inspect(error).includes("open-sesame"));
  (await taken).close();
});
