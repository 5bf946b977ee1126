import assert from "node:assert/strict";
import { classify } from "../src/retry.ts";
import { candidates, errorOf, KEYED_SQL } from "./driver_candidates.ts";

for (const { name, slow, concurrent, open } of candidates) {
  const test = (sentence: string, run: () => Promise<void>) =>
    Deno.test(`${name}: ${sentence}`, run);

  test("a signal that is aborted already lets nothing begin", async () => {
    await using candidate = await open();
    const { database } = candidate;
    await database.execute(KEYED_SQL);
    const reason = new Error("stop");
    const options = { signal: AbortSignal.abort(reason) };
    const insert = "insert into keyed values (1, 'a')";
    assert.equal(await errorOf(database.query(insert, [], options)), reason);
    const run = () => assert.fail("began");
    assert.equal(await errorOf(database.transaction(run, options)), reason);
    await database.transaction(async (transaction) => {
      assert.equal(await errorOf(transaction.query(insert, [], options)), reason);
    });
    assert.deepEqual(await database.query("select count(*) as n from keyed"), [{ n: 0n }]);
  });

  if (concurrent) {
    test("a signal ends a running query at once, and the database works on", async () => {
      await using candidate = await open();
      const { database } = candidate;
      await database.query("select 1");
      const controller = new AbortController();
      const reason = new Error("stop");
      const running = database.query(slow, [], { signal: controller.signal });
      setTimeout(() => controller.abort(reason), 50);
      assert.equal(await errorOf(running), reason);
      assert.deepEqual(await database.query("select 1 as a"), [{ a: 1 }]);
    });

    test("a signal ends a transaction, of which nothing stays", async () => {
      await using candidate = await open();
      const { database } = candidate;
      await database.execute(KEYED_SQL);
      const controller = new AbortController();
      const reason = new Error("stop");
      const late = Promise.withResolvers<Error>();
      const running = database.transaction(async (transaction) => {
        await transaction.query("insert into keyed values (1, 'a')");
        setTimeout(() => controller.abort(reason), 50);
        await transaction.query(slow).catch(() => {});
        const insert = transaction.query("insert into keyed values (2, 'b')");
        late.resolve(await errorOf(insert));
      }, { signal: controller.signal });
      assert.equal(await errorOf(running), reason);
      assert.equal(await late.promise, reason);
      assert.deepEqual(await database.query("select count(*) as n from keyed"), [{ n: 0n }]);
    });

    test("a signal of one statement ends its transaction", async () => {
      await using candidate = await open();
      const { database } = candidate;
      await database.execute(KEYED_SQL);
      const controller = new AbortController();
      const reason = new Error("stop");
      const error = await errorOf(database.transaction(async (transaction) => {
        await transaction.query("insert into keyed values (1, 'a')");
        setTimeout(() => controller.abort(reason), 50);
        await transaction.query(slow, [], { signal: controller.signal });
      }));
      assert.equal(error, reason);
      assert.deepEqual(await database.query("select count(*) as n from keyed"), [{ n: 0n }]);
    });

    test("a signal ends the wait for a connection, and the others get theirs", async () => {
      await using candidate = await open({ maxConnections: 1 });
      const { database } = candidate;
      const controller = new AbortController();
      const reason = new Error("stop");
      const held = Promise.withResolvers<void>();
      // More than any of these clients has connections.
      const holders = Array.from({ length: 5 }, () => database.transaction(() => held.promise));
      const aborted = database.query("select 1", [], { signal: controller.signal });
      const waiting = database.query("select 2 as a");
      setTimeout(() => controller.abort(reason), 20);
      const error = await errorOf(aborted);
      assert.equal(error, reason);
      held.resolve();
      await Promise.all(holders);
      assert.deepEqual(await waiting, [{ a: 2 }]);
    });

    test("close ends a query that hangs, after its grace", async () => {
      await using candidate = await open({ closeGraceMs: 50, cancelGraceMs: 0 });
      const { database } = candidate;
      await database.query("select 1");
      const running = errorOf(database.query(slow));
      await database.close();
      assert.equal(classify(await running).kind, "shutdown");
    });
  }

  test("close lets what is in flight finish", async () => {
    await using candidate = await open();
    const { database } = candidate;
    await database.execute(KEYED_SQL);
    const running = database.transaction(async (transaction) => {
      await transaction.query("insert into keyed values (1, 'a')");
      return await transaction.query("select id from keyed");
    });
    await database.close();
    assert.deepEqual(await running, [{ id: 1n }]);
  });

  test("close twice is close once, and later use is refused", async () => {
    await using candidate = await open();
    const { database } = candidate;
    await database.query("select 1");
    await Promise.all([database.close(), database.close()]);
    await database.close();
    for (
      const use of [
        database.query("select 1"),
        database.execute("select 1"),
        database.transaction(() => Promise.resolve()),
      ]
    ) {
      const error = await errorOf(use);
      assert.equal(error.message, "Cannot use the database: it is closed");
      assert.equal(classify(error).kind, "shutdown");
    }
  });

  test("close of a database that was never used is fine", async () => {
    await using candidate = await open();
    await candidate.database.close();
  });
}
