/** A delivery whose sink fails: attempts, the breaker, waits, and what a partial answer settles. */

import assert from "node:assert/strict";
import type { Cursor, JournalRecord } from "../src/journal.ts";
import { type Delivered, noCounts } from "../src/sink.ts";
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
import { kinds, traces } from "./delivery_cases.ts";

Deno.test("a passing failure is tried again at once, a few times, before the breaker counts it", async () => {
  await inWorld({ maxAttempts: 3 }, async ({ sink, delivery, append, stats, time }) => {
    sink.plan = [fail(down()), fail(down()), take];
    await append(1);
    delivery.start();
    await delivery.drain();
    assert.deepEqual(sink.calls, [[1], [1], [1]]);
    const { attempts, failures, breaker, lastError } = stats();
    assert.deepEqual([attempts, failures, breaker, lastError], [3, 0, "CLOSED", undefined]);
    assert.deepEqual(time.waits, []);
  });
});

Deno.test("no more failures are counted than attempts, of a sink that hangs and of a disk that fails", async () => {
  // Whoever does not even say where to go on was never given records.
  const asked = (sink: TestSink) => {
    sink.position = (signal) => hang([], signal);
  };
  await inWorld({ sink: asked, attemptTimeoutMs: 10_000 }, async ({ delivery, time, stats }) => {
    delivery.start();
    for (let n = 1; n <= 6; n++) {
      await until(() => time.waits.length > 0);
      assert.deepEqual([stats().attempts, stats().failures], [n, n - 1]);
      await time.pass(10_000);
      await until(() => stats().state === "waiting");
      assert.deepEqual([stats().attempts, stats().failures], [n, n]);
      await time.pass(stats().nextAttemptMs);
    }
  });
  let broken = 3;
  const cursor = (own: Cursor): Cursor => ({
    name: own.name,
    get position() {
      return own.position;
    },
    get note() {
      return own.note;
    },
    move: (to, options) => broken-- > 0 ? Promise.reject(down()) : own.move(to, options),
    keep: (note) => own.keep(note),
  });
  await inWorld({ cursor }, async ({ delivery, time, append, stats }) => {
    await append(1);
    delivery.start();
    for (let n = 1; n <= 3; n++) {
      await until(() => stats().state === "waiting");
      // The first one was that of the sink's call.
      assert.deepEqual([stats().attempts, stats().failures], [n, n]);
      await time.pass(stats().nextAttemptMs);
    }
    await delivery.drain();
    assert.deepEqual([stats().attempts, stats().failures], [3, 3]);
  });
});

Deno.test("the breaker opens after failures in a row, lets one probe through, and closes", async () => {
  const options = {
    failureThreshold: 2,
    cooldownMs: 60_000,
    pauseMs: 1_000,
    retryDelayMs: 1_000,
    maxAttempts: 1,
  };
  await inWorld(options, async ({ sink, delivery, append, stats, time, events }) => {
    sink.plan = [fail(down()), fail(down()), fail(down()), take];
    await append(1);
    delivery.start();
    await until(() => stats().state === "waiting");
    assert.deepEqual([stats().breaker, stats().nextAttemptMs], ["CLOSED", 1_000]);
    const since = stats().breakerSinceMs;
    await time.pass(1_000);
    await until(() => sink.calls.length === 2);
    await settled();
    assert.equal(stats().breakerSinceMs, since + 1_000);
    assert.deepEqual([stats().breaker, stats().nextAttemptMs], ["OPEN", 60_000]);
    await append(2);
    await time.pass(59_999);
    assert.deepEqual([sink.calls.length, stats().nextAttemptMs], [2, 1]);
    await time.pass(1);
    await until(() => sink.calls.length === 3);
    await settled();
    // The probe has failed: it is open since before.
    assert.deepEqual([stats().breaker, stats().nextAttemptMs], ["OPEN", 60_000]);
    assert.equal(stats().breakerSinceMs, since + 1_000);
    await time.pass(60_000);
    await delivery.drain();
    assert.deepEqual(sink.calls, [[1], [1], [1, 2], [1, 2]]);
    assert.deepEqual([stats().breaker, stats().nextAttemptMs, stats().failures], ["CLOSED", 0, 3]);
    assert.equal(stats().breakerSinceMs, since + 121_000);
    assert.deepEqual(
      events.flatMap((event) => event.kind === "breaker" ? [event.state] : []),
      ["OPEN", "HALF_OPEN", "OPEN", "HALF_OPEN", "CLOSED"],
    );
  });
});

Deno.test("a probe is one attempt, not a few", async () => {
  await inWorld(
    { failureThreshold: 1, maxAttempts: 3 },
    async ({ sink, delivery, append, stats, time }) => {
      sink.plan = [fail(down())];
      await append(1);
      delivery.start();
      await until(() => stats().breaker === "OPEN");
      assert.equal(sink.calls.length, 3);
      await until(() => stats().state === "waiting");
      await time.pass(60_000);
      await until(() => stats().state === "waiting");
      assert.equal(sink.calls.length, 4);
    },
  );
});

Deno.test("a delivery never gives up, whatever the error", async () => {
  const errors = [
    down(),
    new TypeError("a bug"),
    "text",
    undefined,
    new DOMException("a", "AbortError"),
    null,
  ];
  await inWorld({ failureThreshold: 1_000 }, async ({ sink, delivery, append, time, stats }) => {
    sink.plan = [...errors, ...errors, ...errors].map(fail);
    sink.plan.push(take);
    await append(1);
    delivery.start();
    for (let n = 1; n <= 18; n++) {
      await until(() => sink.calls.length === n && stats().state === "waiting");
      await time.pass(1_000);
    }
    await delivery.drain();
    assert.deepEqual([stats().delivered, stats().failures], [traces(1), 18]);
  });
});

Deno.test("the waits after failures grow up to pauseMs", async () => {
  const options = { retryDelayMs: 100, pauseMs: 1_000, failureThreshold: 100, maxAttempts: 1 };
  await inWorld(options, async ({ sink, delivery, append, time, stats }) => {
    sink.plan = [fail(down())];
    await append(1);
    delivery.start();
    const waits: number[] = [];
    for (let n = 1; n <= 5; n++) {
      await until(() => sink.calls.length === n && stats().state === "waiting");
      waits.push(stats().nextAttemptMs);
      await time.pass(stats().nextAttemptMs);
    }
    assert.deepEqual(waits, [200, 400, 800, 1_000, 1_000]);
  });
});

Deno.test("a delivery comes back when the destination wants it, after 5 minutes at most", async () => {
  for (const [asked, waited] of [[90_000, 90_000], [3_600_000, 300_000], [0, 1_000]] as const) {
    const options = { failureThreshold: 1, maxAttempts: 3 };
    await inWorld(options, async ({ sink, delivery, append, stats, time, events }) => {
      sink.plan = asked === 0
        ? [fail(down(0)), fail(down(0)), fail(down(0)), take]
        : [fail(down(asked)), take];
      const calls = asked === 0 ? 3 : 1;
      await append(1);
      delivery.start();
      await until(() => stats().state === "waiting");
      assert.deepEqual([sink.calls.length, stats().nextAttemptMs], [calls, waited]);
      await time.pass(waited - 1);
      // Neither a pause nor a drain is a reason to come earlier.
      delivery.pause();
      delivery.resume();
      const drained = delivery.drain();
      await settled();
      assert.equal(sink.calls.length, calls);
      await time.pass(1);
      await drained;
      // Who says when to come back is not down.
      assert(!kinds(events).includes("breaker"));
    });
  }
});

Deno.test("what was settled before a failure is kept, and its failure counted", async () => {
  await inWorld(
    { failureThreshold: 1, cooldownMs: 7_000 },
    async ({ sink, cursor, delivery, append, stats, time }) => {
      sink.plan = [
        (records) => ({ ...take(records.slice(0, 2)), failure: down() }),
        (records) => ({ ...take(records.slice(0, 1)), failure: down(90_000) }),
        take,
      ];
      for (const n of [1, 2, 3, 4]) await append(n);
      delivery.start();
      await until(() => stats().state === "waiting");
      assert.deepEqual([stats().delivered, stats().pending], [traces(3), traces(7)]);
      assert.deepEqual([stats().breaker, stats().nextAttemptMs, stats().failures], [
        "OPEN",
        7_000,
        1,
      ]);
      assert.equal(cursor.position, stats().position);
      await time.pass(7_000);
      await until(() => stats().nextAttemptMs === 90_000);
      await time.pass(90_000);
      await delivery.drain();
      assert.deepEqual(sink.calls, [[1, 2, 3, 4], [3, 4], [4]]);
    },
  );
});

Deno.test("a sink may take the first few records", async () => {
  await inWorld({}, async ({ sink, delivery, append, stats }) => {
    sink.plan = [(records) => take(records.slice(0, 1))];
    for (const n of [1, 2, 3]) await append(n);
    delivery.start();
    await delivery.drain();
    assert.deepEqual(sink.calls, [[1, 2, 3], [2, 3], [3]]);
    assert.equal(stats().failures, 0);
  });
});

Deno.test("an answer that settles nothing, or no whole records, moves nothing", async () => {
  const answers: ((records: readonly JournalRecord[]) => Delivered)[] = [
    (records) => ({ ...take(records), next: records[0]!.position }),
    (records) => ({ ...take(records), next: records[0]!.next + 1n }),
    (records) => ({ ...take(records), next: records.at(-1)!.next + 100n }),
    (records) => ({ ...take(records), next: 0n, failure: new Error("nothing yet") }),
  ];
  for (const answer of answers) {
    await inWorld({}, async ({ sink, cursor, delivery, append, stats, time }) => {
      sink.plan = [answer, take];
      for (const n of [1, 2]) await append(n);
      delivery.start();
      await until(() => stats().state === "waiting");
      assert.deepEqual([cursor.position, stats().delivered], [0n, noCounts()]);
      assert.match(stats().lastError!.message, /Cannot go on at|nothing yet/);
      await time.pass(1_000);
      await delivery.drain();
    });
  }
});
