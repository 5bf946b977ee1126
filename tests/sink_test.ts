/** The sink: batches are stored once, whatever happens to the transaction. */

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { PositionError, PostgresSink, speaksAgainstRecords } from "../src/postgres/sink.ts";
import { errorOf } from "./driver_candidates.ts";
import { drivers } from "./postgres.ts";
import { logs, numbers, points } from "./requests.ts";
import {
  DAY_NANOS,
  openStorage,
  position,
  stats,
  type Storage,
  storedSpans,
  traces,
} from "./sink_storage.ts";

const LOST = Object.assign(new Error("the connection was lost"), { code: "ECONNRESET" });

for (const driver of drivers) {
  const test = (sentence: string, run: (storage: Storage) => Promise<void>) =>
    Deno.test(`sink on ${driver} ${sentence}`, async () => {
      await using storage = await openStorage(driver);
      await run(storage);
    });

  test("stores records of all signals together, and counts them", async (storage) => {
    const { database, sink, faults } = storage;
    const batch = storage.batch(
      traces([1, 2]),
      ["logs", logs([3, 4, 5])],
      ["metrics", points([6])],
      traces([7]),
    );
    await sink.store(batch, 4n);
    assert.equal(faults.transactions, 1);
    assert.deepEqual(
      await database.query(
        `select (select count(*) from otel.spans where service_name = 'shop') as spans,
           (select count(*) from otel.logs where service_name = 'shop') as logs,
           (select count(*) from otel.metric_points where service_name = 'shop') as points`,
      ),
      [{ spans: 3n, logs: 3n, points: 1n }],
    );
    const counts = await stats(database);
    assert.deepEqual([counts.spans, counts.logs, counts.metric_points], [3, 3, 1]);
    assert.equal(counts.services, 1);
    assert.equal(await position(database, storage.journalId), 4n);
  });

  test("counts the records of every writer, and the texts it had to change", async (storage) => {
    const { database, partitions } = storage;
    for (const at of [1n, 2n]) {
      const sink = new PostgresSink(database, partitions, randomUUID());
      const odd = traces([1, 2], { statusMessage: "a NUL: \0" });
      await sink.store(storage.batch(odd, traces([3]), ["logs", logs([4, 5])]), at);
    }
    const counts = await stats(database);
    assert.deepEqual([counts.spans, counts.logs, counts.services], [6, 4, 1]);
    assert.equal(counts.string_replacements, 4);
  });

  test("stores a batch once when the answer to its commit is lost and it is tried again", async (storage) => {
    const { database, sink, faults } = storage;
    const batch = storage.batch(traces(numbers(1, 100)));
    faults.after = () => {
      throw LOST;
    };
    assert.equal(await errorOf(sink.store(batch, 1n)), LOST);
    faults.after = () => {};
    await sink.store(batch, 1n);
    await sink.store(batch, 1n);
    assert.equal(faults.transactions, 1);
    assert.deepEqual(await storedSpans(database), numbers(1, 100));
    assert.equal((await stats(database)).spans, 100);
  });

  test("stores a batch once when its transaction fails and it is tried again", async (storage) => {
    const { database, sink, faults } = storage;
    const batch = storage.batch(traces(numbers(1, 100)));
    faults.before = () => {
      throw LOST;
    };
    assert.equal(await errorOf(sink.store(batch, 1n)), LOST);
    assert.deepEqual(await storedSpans(database), []);
    faults.before = () => {};
    await sink.store(batch, 1n);
    assert.deepEqual(await storedSpans(database), numbers(1, 100));
  });

  test("finds out later that batches it had given up did commit, and goes on", async (storage) => {
    const { database, sink, faults } = storage;
    const give = async (at: number, fails: "before" | "after") => {
      faults.before = faults.after = () => {};
      faults[fails] = () => {
        throw LOST;
      };
      assert.equal(await errorOf(sink.store(storage.batch(traces([at])), BigInt(at))), LOST);
      faults.before = faults.after = () => {};
    };
    await sink.store(storage.batch(traces([1])), 1n);
    await give(2, "after");
    await sink.store(storage.batch(traces([3])), 3n);
    await give(4, "before");
    await give(5, "after");
    await sink.store(storage.batch(traces([6])), 6n);
    await give(7, "before");
    await sink.store(storage.batch(traces([8])), 8n);
    assert.deepEqual(await storedSpans(database), [1, 2, 3, 5, 6, 8]);
    assert.equal((await stats(database)).spans, 6);
    assert.equal(await position(database, storage.journalId), 8n);
  });

  test("stores nothing when its position is not where it has left it", async (storage) => {
    const { database, partitions } = storage;
    for (
      const [now, sql] of [
        // A stranger; a database that was restored; one that was emptied.
        ["99", "update otel_data.journal_position set at = 99"],
        ["4", "update otel_data.journal_position set at = 4"],
        ["nothing", "delete from otel_data.journal_position"],
      ] as const
    ) {
      const journalId = randomUUID();
      const sink = new PostgresSink(database, partitions, journalId);
      await sink.store(storage.batch(traces([1])), 5n);
      await database.query(sql);
      const error = await errorOf(sink.store(storage.batch(traces([2])), 6n));
      assert(error instanceof PositionError);
      assert.equal(
        error.message,
        `Cannot store a batch: journal ${journalId} stands at ${now}, expected 5 (another process ` +
          "uses the same journal id, or the database was restored)",
      );
      assert.equal(speaksAgainstRecords(error), false);
    }
    const reason = new Error("stop");
    const sink = new PostgresSink(database, partitions, randomUUID());
    const aborted = sink.store(storage.batch(traces([2])), 1n, AbortSignal.abort(reason));
    assert.equal(await errorOf(aborted), reason);
    assert.deepEqual(await storedSpans(database), [1, 1, 1]);
  });

  // Partitions

  test("stores late records in a partition of their own, made for them", async (storage) => {
    const { database, sink } = storage;
    const time = BigInt(Date.now()) * 1_000_000n - 10n * DAY_NANOS;
    await sink.store(storage.batch(traces([1], { time }), ["logs", logs([2], { time })]), 2n);
    const day = new Date(Number(time / 1_000_000n)).toISOString().slice(0, 10).replaceAll("-", "");
    assert.deepEqual(
      await database.query(
        `select tableoid::regclass::text as partition from otel_data.spans
         union all select tableoid::regclass::text from otel_data.logs`,
      ),
      [{ partition: `otel_data.spans_${day}` }, { partition: `otel_data.logs_${day}` }],
    );
  });
}
