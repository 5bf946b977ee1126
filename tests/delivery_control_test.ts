/** A delivery that is paused, drained or told to skip. */

import assert from "node:assert/strict";
import type { DeliveryOptions } from "../src/delivery.ts";
import { memoryJournal } from "../src/memory_journal.ts";
import { noCounts } from "../src/sink.ts";
import {
  down,
  fail,
  hang,
  inWorld,
  settled,
  take,
  type TestSink,
  until,
} from "./delivery_harness.ts";
import { cursorThat, traces } from "./delivery_cases.ts";

Deno.test("a paused delivery delivers nothing, tells its lag, and goes on", async () => {
  await inWorld({}, async ({ sink, delivery, append, stats, time }) => {
    delivery.pause();
    delivery.start();
    await until(() => stats().state === "idle");
    await append(1);
    await until(() => stats().state === "paused");
    await time.pass(90_000);
    await append(2);
    await settled();
    const { lagSeconds, lagBytes, pending, paused } = stats();
    assert.deepEqual([lagSeconds, pending, paused], [90, traces(3), true]);
    assert(lagBytes > 2);
    assert.deepEqual([sink.calls, time.waits], [[], []]);
    delivery.resume();
    await delivery.drain();
    assert.deepEqual([sink.calls, stats().lagSeconds], [[[1, 2]], 0]);
  });
});

Deno.test("lag is known of what arrives while the sink cannot be asked", async () => {
  const DOWN = new Error("down");
  const options = { failureThreshold: 1, cooldownMs: 600_000 };
  await inWorld(options, async ({ sink, time, delivery, append, stats }) => {
    sink.position = () => Promise.reject(Object.assign(DOWN, { code: "ECONNREFUSED" }));
    delivery.start();
    await until(() => stats().breaker === "OPEN");
    assert.equal(stats().lagSeconds, 0);
    await append(1);
    await settled();
    time.advance(90_000);
    await append(1);
    await settled();
    assert.equal(stats().lagSeconds, 90);
  });
});

Deno.test("what is with the sink when a delivery is paused may be answered for", async () => {
  await inWorld({}, async ({ sink, delivery, append, stats }) => {
    const answer = Promise.withResolvers<void>();
    sink.plan = [(records) => answer.promise.then(() => take(records))];
    await append(1);
    delivery.start();
    await until(() => sink.calls.length === 1);
    delivery.pause();
    await append(2);
    answer.resolve();
    await until(() => stats().state === "paused");
    assert.deepEqual([stats().delivered, sink.calls], [traces(1), [[1]]]);
  });
});

Deno.test("lag is the age of the oldest record that is not delivered", async () => {
  await inWorld({ failureThreshold: 1 }, async ({ sink, delivery, append, stats, time }) => {
    sink.plan = [(records) => ({ ...take(records.slice(0, 1)), failure: down() }), fail(down())];
    await append(1);
    await time.pass(5_000);
    await append(2);
    await time.pass(5_000);
    delivery.start();
    await until(() => stats().state === "waiting");
    assert.equal(stats().lagSeconds, 5);
    await time.pass(60_000);
    await until(() => stats().failures === 2);
    assert.equal(stats().lagSeconds, 65);
  });
});

Deno.test("drain waits for what is there, and can be given up", async () => {
  await inWorld({}, async ({ sink, delivery, append, time }) => {
    await delivery.drain();
    sink.plan = [hang];
    await append(1);
    delivery.start();
    const abort = new AbortController();
    const given = delivery.drain(abort.signal);
    const closed = delivery.drain();
    abort.abort(new Error("enough"));
    await assert.rejects(given, /enough/);
    await assert.rejects(delivery.drain(abort.signal), /enough/);
    const closing = delivery.close();
    await assert.rejects(delivery.drain(), /is closed/);
    const rejected = assert.rejects(
      closed,
      /Cannot deliver to 'vendor': it is closed, at position 0/,
    );
    await time.pass(5_000);
    await Promise.all([closing, rejected]);
  });
});

Deno.test("drain can wait for what comes before a position, whatever comes behind", async () => {
  await inWorld({ maxBatchRecords: 1 }, async ({ journal, sink, delivery, append }) => {
    sink.plan = [take, hang];
    await append(1);
    const to = journal.head;
    await append(2);
    delivery.start();
    await delivery.drain(undefined, to);
    await delivery.drain(undefined, 0n);
    const abort = new AbortController();
    let isDone = false;
    const rest = delivery.drain(abort.signal).then(() => isDone = true);
    await settled();
    assert(!isDone, "of the second there is no answer");
    abort.abort(new Error("enough"));
    await assert.rejects(rest, /enough/);
  });
});

Deno.test("skipTo gives up what a hung destination did not take, and counts it", async () => {
  await inWorld(
    { maxBatchRecords: 2 },
    async ({ journal, cursor, sink, delivery, append, stats, events, time }) => {
      sink.plan = [hang, take];
      for (const n of [1, 2, 3, 4]) await append(n);
      const to = journal.head;
      await append(5, { signal: "metrics" });
      delivery.start();
      await until(() => sink.calls.length === 1);
      const skipped = await delivery.skipTo(to);
      assert.deepEqual(skipped, traces(10));
      await delivery.drain();
      assert.deepEqual(sink.calls, [[1, 2], [5]]);
      assert.deepEqual([stats().skipped, stats().delivered.metrics, stats().failures], [
        traces(10),
        5,
        0,
      ]);
      assert.equal(cursor.position, journal.head);
      assert.deepEqual(events, [{ kind: "skipped", counts: traces(10) }]);
      delivery.pause();
      await append(6);
      await until(() => stats().state === "paused");
      await time.pass(5_000);
      assert.equal(stats().lagSeconds, 5);
      await delivery.skipTo(journal.head);
      assert.equal(stats().lagSeconds, 0);
    },
  );
});

Deno.test("skipTo keeps a record that ends behind it, and what is delivered", async () => {
  await inWorld({}, async ({ journal, sink, delivery, append, stats }) => {
    await append(1);
    const first = journal.head;
    await append(2);
    delivery.pause();
    delivery.start();
    await until(() => stats().state === "paused");
    assert.deepEqual(await delivery.skipTo(first + 3n), traces(1));
    assert.deepEqual(await delivery.skipTo(0n), noCounts());
    delivery.resume();
    await delivery.drain();
    assert.deepEqual(sink.calls, [[2]]);
    assert.deepEqual([stats().skipped, stats().delivered], [traces(1), traces(2)]);
    assert.deepEqual(await delivery.skipTo(journal.head + 1_000n), noCounts());
  });
});

Deno.test("a skip that the disk fails is tried again, not at once but after a pause", async () => {
  let fails = 0;
  const cursor = cursorThat(() => {
    if (++fails <= 2) throw new Error("disk full");
  });
  await inWorld({ cursor }, async ({ journal, delivery, append, stats, time }) => {
    await append(1);
    delivery.pause();
    delivery.start();
    const skipped = delivery.skipTo(journal.head);
    for (let n = 1; n <= 2; n++) {
      await until(() => stats().failures === n && stats().state === "waiting");
      await settled();
      assert.deepEqual([fails, stats().nextAttemptMs], [n, 1_000]);
      await time.pass(1_000);
    }
    assert.deepEqual(await skipped, traces(1));
  });
});

Deno.test("skipTo ends every wait", async () => {
  const plans: readonly [string, DeliveryOptions, (sink: TestSink) => void][] = [
    ["waiting", {}, (sink) => sink.plan = [fail(down(300_000))]],
    ["waiting", { failureThreshold: 1 }, (sink) => sink.plan = [fail(down())]],
    ["full", {}, (sink) => sink.plan = [(records) => take(records, 1, 2)]],
  ];
  for (const [state, options, plan] of plans) {
    const letters = { maxLetters: 1 };
    await inWorld(
      { ...options, letters },
      async ({ journal, sink, delivery, append, stats, time }) => {
        plan(sink);
        for (const n of [1, 2]) await append(n);
        delivery.start();
        await until(() => stats().state === state);
        const both = [delivery.skipTo(journal.head - 1n), delivery.skipTo(journal.head)];
        assert.deepEqual(await Promise.all(both), [traces(3), traces(3)]);
        await until(() => stats().state === "idle");
        assert.deepEqual([stats().skipped, time.waits], [traces(3), []]);
      },
    );
  }
});

Deno.test("what is asked for just before the delivery rests is not overlooked", async () => {
  for (const at of [1, 2, 3, 4, 1, 2, 3, 4].map((look, n) => ({ look, closes: n > 3 }))) {
    const journal = memoryJournal();
    let ask = () => {};
    const spied = new Proxy(journal, {
      get(target, name) {
        // Of all that it looks at while it starts, the last is this, and then it rests.
        if (name === "head") ask();
        const value = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    await inWorld({ journal: spied }, async ({ delivery }) => {
      const asked = Promise.withResolvers<unknown>();
      let looks = 0;
      ask = () => {
        if (++looks === at.look) asked.resolve(at.closes ? delivery.close() : delivery.skipTo(5n));
      };
      delivery.start();
      await asked.promise;
    });
  }
});

Deno.test("skipTo needs a delivery that runs and a sink without a position of its own", async () => {
  await inWorld({}, async ({ delivery }) => {
    await assert.rejects(delivery.skipTo(1n), /it was not started/);
    delivery.start();
    await delivery.close();
    await assert.rejects(delivery.skipTo(1n), /it is closed/);
  });
  const sink = (sink: TestSink) => sink.position = () => Promise.resolve(undefined);
  await inWorld({ sink }, async ({ delivery }) => {
    delivery.start();
    await assert.rejects(delivery.skipTo(1n), /its sink keeps the position itself/);
  });
});
