/** A collector whose database is not the one it was: restored from an older copy, or another one. */

import assert from "node:assert/strict";
import { startCollector, stop } from "./collector_process.ts";
import {
  destinationOf,
  nothingPending,
  sendSpans,
  spansOf,
  statsUntil,
} from "./collector_ledger.ts";
import { asAdmin, drivers, storedSpanIds, testDatabase } from "./postgres.ts";
import { numbers, spanId, spans } from "./requests.ts";
import { temporaryFolder } from "./temporary_folder.ts";

/** A copy of a database, which goes with the test; nobody may be connected to it. */
interface Copy extends AsyncDisposable {
  /** Puts it in the place of the database, whoever is connected to that. */
  restore(): Promise<void>;
}

async function copyOf(url: string): Promise<Copy> {
  const name = new URL(url).pathname.slice(1);
  const [copy, old] = [`${name}_copy`, `${name}_old`];
  await asAdmin(`create database ${copy} template ${name}`);
  return {
    async restore() {
      await closeDoor(url);
      await asAdmin(`alter database ${name} rename to ${old}`);
      await asAdmin(`alter database ${copy} rename to ${name}`);
    },
    async [Symbol.asyncDispose]() {
      await asAdmin(`drop database if exists ${copy} with (force)`);
      await asAdmin(`drop database if exists ${old} with (force)`);
    },
  };
}

/** Lets nobody in and throws everybody out, as before a restore. */
async function closeDoor(url: string): Promise<void> {
  const name = new URL(url).pathname.slice(1);
  await asAdmin(`alter database ${name} with allow_connections false`);
  await asAdmin(
    `select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '${name}'`,
  );
}

if (drivers.includes("postgres")) {
  Deno.test("a database restored from an older copy gets again what it lacks, once", async () => {
    await using test = await testDatabase("postgres");
    await using data = await temporaryFolder();
    const options = { dataDir: data.path, env: { DATABASE_URL: test.url } };
    {
      await using collector = await startCollector(options);
      await sendSpans(collector.url, spans([1, 2]));
      await nothingPending(collector);
      await stop(collector);
    }
    await using copy = await copyOf(test.url);
    await using collector = await startCollector(options);
    await sendSpans(collector.url, spans([3]));
    await sendSpans(collector.url, spans([4, 5]));
    await nothingPending(collector);
    await copy.restore();
    assert.deepEqual(await storedSpanIds(test.url), [1, 2].map(spanId));
    await sendSpans(collector.url, spans([6]));
    const stats = await nothingPending(collector);
    assert.deepEqual(spansOf(stats), {
      accepted: 6,
      delivered: 6,
      pending: 0,
      dead: 0,
      skipped: 0,
    });
    assert.deepEqual(await storedSpanIds(test.url), [1, 2, 3, 4, 5, 6].map(spanId));
    const log = await stop(collector);
    assert.match(
      log,
      / warn it has less than it had, delivering again what it lacks destination=postgres from=\d+ bytes=\d+\n/,
    );
  });

  Deno.test("a database restored from a copy older than the journal is told of the gap, which is skipped", async () => {
    await using test = await testDatabase("postgres");
    await using data = await temporaryFolder();
    const options = {
      dataDir: data.path,
      env: { DATABASE_URL: test.url },
      // Segments go as soon as room is needed, and not after their grace.
      args: ["--journal-max-bytes", String(1 << 20)],
    };
    let position: bigint;
    {
      await using collector = await startCollector(options);
      await sendSpans(collector.url, spans([1, 2]));
      position = BigInt(`0x${destinationOf(await nothingPending(collector), "postgres").position}`);
      await stop(collector);
    }
    await using copy = await copyOf(test.url);
    const requests = 30;
    const each = 100;
    {
      await using collector = await startCollector(options);
      for (const n of numbers(0, requests)) {
        await sendSpans(
          collector.url,
          spans(numbers(3 + n * each, each), { name: "x".repeat(900) }),
        );
      }
      await nothingPending(collector);
      await stop(collector);
    }
    await copy.restore();
    await using collector = await startCollector(options);
    await sendSpans(collector.url, spans([1_000_000]));
    const stats = await nothingPending(collector);
    const { accepted, delivered, dead, skipped } = spansOf(stats);
    assert.deepEqual([accepted, dead, delivered + skipped], [2 + requests * each + 1, 0, accepted]);
    // The segments with the first request are gone: how many spans it had is taken from its share of
    // the bytes, which is less than one.
    const lost = skipped - 2;
    assert.ok(lost > 0 && lost % each === 0, String(skipped));
    const last = numbers(3 + lost, requests * each - lost);
    assert.deepEqual(await storedSpanIds(test.url), [1, 2, ...last, 1_000_000].map(spanId));
    const { gapBytes } = destinationOf(stats, "postgres");
    assert.equal(BigInt(gapBytes), BigInt(`0x${stats.journal.oldest}`) - position);
    const log = await stop(collector);
    const gap =
      ` error records are missing in the journal destination=postgres from=${position} bytes=${gapBytes}\n`;
    assert.ok(log.includes(gap), log);
  });

  Deno.test("another database that knows nothing of the journal is told, and gets all that is kept", async () => {
    await using one = await testDatabase("postgres");
    await using other = await testDatabase("postgres");
    await using data = await temporaryFolder();
    const run = async ({ url }: { readonly url: string }, ids: readonly number[]) => {
      await using collector = await startCollector({
        dataDir: data.path,
        env: { DATABASE_URL: url },
      });
      if (ids.length > 0) await sendSpans(collector.url, spans(ids));
      // With nothing to deliver, too, the database was asked by then.
      const stats = await statsUntil(
        collector,
        (stats) =>
          spansOf(stats).pending === 0 && destinationOf(stats, "postgres").state === "idle",
      );
      return { stats: spansOf(stats), log: await stop(collector) };
    };
    const told =
      / warn it has nothing of this journal any more \(another database\?\), delivering all that is kept destination=postgres from=0\n/;
    // Nothing was delivered yet, so nothing is missing.
    for (const database of [other, one]) assert.doesNotMatch((await run(database, [])).log, told);
    assert.doesNotMatch((await run(one, [1, 2])).log, told);
    const { stats, log } = await run(other, [3]);
    assert.match(log, told);
    assert.deepEqual(stats, { accepted: 3, delivered: 3, pending: 0, dead: 0, skipped: 0 });
    assert.deepEqual(await storedSpanIds(other.url), [1, 2, 3].map(spanId));
    assert.deepEqual(await storedSpanIds(one.url), [1, 2].map(spanId));
    // By now it knows.
    assert.doesNotMatch((await run(other, [4])).log, told);
    assert.deepEqual(await storedSpanIds(other.url), [1, 2, 3, 4].map(spanId));
  });

  Deno.test("a database that takes no connections while it is restored makes no dead letters", async () => {
    await using test = await testDatabase("postgres");
    await using data = await temporaryFolder();
    await using collector = await startCollector({
      dataDir: data.path,
      env: { DATABASE_URL: test.url },
      args: ["--breaker-cooldown", "50"],
    });
    await sendSpans(collector.url, spans([1]));
    await nothingPending(collector);
    await closeDoor(test.url);
    await sendSpans(collector.url, spans([2]));
    const failing = await statsUntil(
      collector,
      (stats) =>
        /not currently accepting/.test(destinationOf(stats, "postgres").lastError?.message ?? ""),
    );
    assert.deepEqual(spansOf(failing), {
      accepted: 2,
      delivered: 1,
      pending: 1,
      dead: 0,
      skipped: 0,
    });
    await asAdmin(
      `alter database ${new URL(test.url).pathname.slice(1)} with allow_connections true`,
    );
    const { deadLetters } = await nothingPending(collector);
    assert.equal(deadLetters.written, 0);
    assert.deepEqual(await storedSpanIds(test.url), [1, 2].map(spanId));
    assert.match(
      await stop(collector),
      / warn cannot deliver, trying again destination=postgres error="database .+ is not currently accepting connections"/,
    );
  });
}
