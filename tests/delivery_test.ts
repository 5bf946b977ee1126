/** A delivery: what it gives its sink, in which batches, when it waits, and how it closes. */

import assert from "node:assert/strict";
import { Delivery, type DeliveryOptions } from "../src/delivery.ts";
import { DeadLetters } from "../src/dead_letters.ts";
import type { JournalRecord } from "../src/journal.ts";
import { memoryJournal } from "../src/memory_journal.ts";
import { type Delivered, noCounts } from "../src/sink.ts";
import { down, fail, hang, inWorld, settled, take, TestSink, until } from "./delivery_harness.ts";
import { LetterFiles } from "./letter_files.ts";
import { cursorThat, traces } from "./delivery_cases.ts";

Deno.test("a delivery gives its sink every record once and in order, and moves the cursor", async () => {
  await inWorld({}, async ({ journal, cursor, sink, delivery, append, stats }) => {
    for (const n of [1, 2, 3]) await append(n);
    assert.deepEqual(stats().state, "new");
    delivery.start();
    delivery.start();
    await delivery.drain();
    await append(4, { signal: "logs" });
    await delivery.drain();
    assert.deepEqual(sink.calls, [[1, 2, 3], [4]]);
    assert.equal(cursor.position, journal.head);
    const { delivered, pending, attempts, failures, lagBytes, lagSeconds } = stats();
    assert.deepEqual(delivered, { traces: 6, logs: 4, metrics: 0 });
    assert.deepEqual(pending, noCounts());
    assert.deepEqual([attempts, failures, lagBytes, lagSeconds], [2, 0, 0, 0]);
  });
});

Deno.test("a delivery bounds its batches by bytes and by records, and takes a larger record alone", async () => {
  await inWorld({ maxBatchBytes: 10, maxBatchRecords: 3 }, async ({ sink, delivery, append }) => {
    for (const n of [1, 2, 3, 4]) await append(n, { bytes: 2 });
    for (const n of [5, 6]) await append(n, { bytes: 6 });
    await append(7, { bytes: 99 });
    delivery.start();
    await delivery.drain();
    assert.deepEqual(sink.calls, [[1, 2, 3], [4, 5], [6], [7]]);
  });
});

Deno.test("an idle delivery waits for the journal and for no time", async () => {
  await inWorld({}, async ({ sink, time, delivery, append, stats }) => {
    delivery.start();
    await until(() => stats().state === "idle");
    assert.deepEqual(time.waits, []);
    await append(1);
    await until(() => sink.calls.length === 1);
    await until(() => stats().state === "idle");
    assert.deepEqual(time.waits, []);
  });
});

Deno.test("a first record waits for others for maxBatchAgeMs, for enough bytes, or for a drain", async () => {
  const options = { maxBatchAgeMs: 200, maxBatchBytes: 400 };
  await inWorld(options, async ({ sink, time, delivery, append, stats }) => {
    delivery.start();
    await until(() => stats().state === "idle");
    await append(1);
    await until(() => time.waits.length === 1);
    await time.pass(199);
    await append(2);
    assert.deepEqual(sink.calls, []);
    await time.pass(1);
    await until(() => sink.calls.length === 1);
    assert.deepEqual(sink.calls, [[1, 2]]);

    await append(3, { bytes: 390 });
    await until(() => sink.calls.length === 2);
    await until(() => stats().state === "idle");
    assert.deepEqual(time.waits, []);

    await append(4);
    await until(() => time.waits.length === 1);
    await delivery.drain();
    assert.deepEqual(sink.calls, [[1, 2], [3], [4]]);
    assert.deepEqual(time.waits, []);
  });
});

Deno.test("what comes while a batch is delivered is the next batch, without a wait", async () => {
  await inWorld({ maxBatchAgeMs: 200 }, async ({ sink, time, delivery, append }) => {
    const answer = Promise.withResolvers<void>();
    sink.plan = [(records) => answer.promise.then(() => take(records)), take];
    await append(1);
    delivery.start();
    await until(() => sink.calls.length === 1);
    for (const n of [2, 3]) await append(n);
    answer.resolve();
    await until(() => sink.calls.length === 2);
    assert.deepEqual(sink.calls[1], [2, 3]);
    assert.deepEqual(time.waits.filter((ms) => ms <= 200), []);
  });
});

// Time

Deno.test("an attempt whose time is up is ended, and tried again", async () => {
  await inWorld({ attemptTimeoutMs: 30_000 }, async ({ sink, delivery, append, stats, time }) => {
    sink.plan = [hang, take];
    await append(1);
    delivery.start();
    await until(() => sink.calls.length === 1);
    await time.pass(29_999);
    assert.equal(stats().state, "delivering");
    await time.pass(1);
    await until(() => stats().state === "waiting");
    assert.equal(stats().lastError!.message, "no answer within 30000 ms");
    await time.pass(1_000);
    await delivery.drain();
    assert.deepEqual([sink.calls.length, time.waits], [2, []]);
  });
});

Deno.test("what a sink says when its time is up still counts", async () => {
  await inWorld({}, async ({ sink, delivery, append, stats, time }) => {
    const lastWords = (records: readonly JournalRecord[], signal: AbortSignal) =>
      hang(records, signal).catch((failure) => ({ ...take(records.slice(0, 1)), failure }));
    sink.plan = [lastWords, take];
    for (const n of [1, 2]) await append(n);
    delivery.start();
    await until(() => sink.calls.length === 1);
    await time.pass(60_000);
    await until(() => stats().state === "waiting");
    assert.deepEqual(stats().delivered, traces(1));
    await time.pass(1_000);
    await delivery.drain();
    assert.deepEqual(sink.calls, [[1, 2], [2]]);
  });
});

Deno.test("a sink that does not end when told to is left alone after a second", async () => {
  await inWorld({}, async ({ sink, delivery, append, stats, time }) => {
    const late = Promise.withResolvers<Delivered>();
    sink.plan = [() => late.promise, take];
    await append(1);
    delivery.start();
    await until(() => sink.calls.length === 1);
    await time.pass(60_000);
    assert.equal(stats().state, "delivering");
    await time.pass(1_000);
    await until(() => stats().state === "waiting");
    late.reject(new Error("too late"));
    await time.pass(1_000);
    await delivery.drain();
    assert.deepEqual(stats().delivered, traces(1));
  });
});

// Closing

Deno.test("close lets the call under way end, and keeps what it says", async () => {
  await inWorld({}, async ({ sink, cursor, journal, delivery, append, stats }) => {
    const answer = Promise.withResolvers<void>();
    sink.plan = [(records) => answer.promise.then(() => take(records))];
    await append(1);
    delivery.start();
    await until(() => sink.calls.length === 1);
    await append(2);
    const first = cursor.position;
    const closing = delivery.close();
    assert.equal(delivery.close(), closing);
    await settled();
    assert.equal(cursor.position, first);
    answer.resolve();
    await closing;
    assert.equal(sink.calls.length, 1);
    assert(cursor.position > first && cursor.position < journal.head);
    assert.deepEqual([stats().state, stats().pending], ["closed", traces(2)]);
  });
});

Deno.test("a hung destination does not stop close", async () => {
  const never = () => new Promise<never>(() => {});
  for (const plan of [hang, never]) {
    await inWorld(
      { closeGraceMs: 5_000 },
      async ({ sink, cursor, delivery, append, time, stats }) => {
        sink.plan = [plan];
        await append(1);
        delivery.start();
        await until(() => sink.calls.length === 1);
        const closing = delivery.close();
        await time.pass(4_999);
        assert.equal(stats().state, "delivering");
        await time.pass(1);
        await time.pass(1_000);
        await closing;
        assert.deepEqual([cursor.position, stats().state], [0n, "closed"]);
        assert.deepEqual(time.waits, []);
      },
    );
  }
});

Deno.test("a hung disk does not stop close", async () => {
  const hanging = cursorThat(() => new Promise(() => {}));
  await inWorld({ cursor: hanging }, async ({ delivery, append, time, stats }) => {
    await append(1);
    delivery.start();
    await until(() => stats().state === "settling");
    const closing = delivery.close();
    await time.pass(5_000);
    await time.pass(2_000);
    await closing;
    assert.deepEqual([stats().state, stats().pending], ["closed", traces(1)]);
  });
});

Deno.test("close ends every wait at once", async () => {
  const plans: readonly [string, DeliveryOptions, (sink: TestSink) => void][] = [
    ["idle", {}, () => {}],
    ["waiting", {}, (sink) => sink.plan = [fail(down(300_000))]],
    ["waiting", { failureThreshold: 1 }, (sink) => sink.plan = [fail(down())]],
    ["full", {}, (sink) => sink.plan = [(records) => take(records, 1, 2)]],
    ["paused", {}, () => {}],
    ["new", {}, () => {}],
  ];
  for (const [state, options, plan] of plans) {
    const letters = { maxLetters: 1 };
    await inWorld({ ...options, letters }, async ({ sink, delivery, append, stats, time }) => {
      plan(sink);
      if (state === "paused") delivery.pause();
      if (state !== "idle") { for (const n of [1, 2]) await append(n); }
      if (state !== "new") delivery.start();
      await until(() => stats().state === state);
      await delivery.close();
      assert.deepEqual([stats().state, time.waits], ["closed", []], state);
      delivery.start();
      await settled();
      assert.equal(stats().state, "closed");
    });
  }
});

Deno.test("options of a delivery are checked by name", async () => {
  const journal = memoryJournal();
  const cursor = await journal.cursor("a", "oldest");
  const letters = await DeadLetters.open(new LetterFiles());
  for (
    const [options, message] of [
      [{ maxBatchBytes: 0 }, /Cannot deliver with 'maxBatchBytes': 0 /],
      [{ cooldownMs: -1 }, /'cooldownMs': -1 /],
      [{ attemptTimeoutMs: "1s" }, /'attemptTimeoutMs': '1s' /],
      [{ time: {} }, /'time': \{\} /],
      [{ retries: 3 }, /'options': \{ retries: 3 \} /],
    ] as const
  ) {
    const given = options as unknown as DeliveryOptions;
    assert.throws(() => new Delivery(journal, cursor, new TestSink(), letters, given), {
      name: "RangeError",
      message,
    });
  }
});
