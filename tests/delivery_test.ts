import assert from "node:assert/strict";
import { Delivery, type DeliveryEvent, type DeliveryOptions } from "../src/delivery.ts";
import { DeadLetters, DeadLettersFullError, type Graveyard } from "../src/dead_letters.ts";
import type { Cursor, JournalRecord } from "../src/journal.ts";
import { memoryJournal } from "../src/memory_journal.ts";
import { type Bury, type DeadLetter, type Delivered, noCounts } from "../src/sink.ts";
import {
  down,
  fail,
  hang,
  HeldTime,
  inWorld,
  letterOf,
  settled,
  take,
  TestSink,
  until,
  type World,
} from "./delivery_harness.ts";
import { LetterFiles } from "./letter_files.ts";

const traces = (n: number) => ({ ...noCounts(), traces: n });

/** A letter that takes room. */
const OTHER: DeadLetter = {
  position: 0n,
  index: 0,
  signal: "logs",
  count: 1,
  arrivalUnixNano: 0n,
  reason: "",
  body: new Uint8Array(),
};

const kinds = (events: readonly DeliveryEvent[]) => events.map(({ kind }) => kind);

/** A cursor that does something before each move. */
function cursorThat(before: (to: bigint) => unknown): (cursor: Cursor) => Cursor {
  return (cursor) => ({
    name: cursor.name,
    get position() {
      return cursor.position;
    },
    get note() {
      return cursor.note;
    },
    async move(to, options) {
      await before(to);
      await cursor.move(to, options);
    },
    keep: (note) => cursor.keep(note),
  });
}

// Batches and order

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

// What is durable when

Deno.test("the cursor moves after the answer, and after the dead letters are durable", async () => {
  const steps: string[] = [];
  const cursor = cursorThat(() => steps.push("cursor"));
  await inWorld({ cursor }, async ({ sink, files, letters, delivery, append, stats, events }) => {
    files.onStep = (step) => steps.push(step);
    sink.plan = [(records) => {
      steps.push("answer");
      return take(records, 2);
    }];
    for (const n of [1, 2, 3]) await append(n);
    delivery.start();
    await delivery.drain();
    assert.deepEqual(steps.filter((step) => step !== "remove"), [
      "answer",
      "create",
      "write",
      "write",
      "write",
      "write",
      "sync",
      "rename",
      "sync folder",
      "cursor",
    ]);
    assert.deepEqual([stats().delivered, stats().dead], [traces(4), traces(2)]);
    const { letters: [head] } = await letters.list();
    assert.deepEqual([head!.destination, head!.reason, head!.attempts], ["vendor", "poison", 1]);
    assert.deepEqual((await letters.read(head!.name)).body, Uint8Array.of(2));
    assert.deepEqual(events, [{ kind: "dead", letters: 1, counts: traces(2), reason: "poison" }]);
  });
});

Deno.test("a crash between the answer and the cursor delivers again, and buries once", async () => {
  const journal = memoryJournal();
  const files = new LetterFiles();
  const sink = new TestSink();
  sink.plan = [(records) => take(records, 2)];
  for (const n of [1, 2, 3]) {
    await journal.append({ signal: "logs", body: Uint8Array.of(n), count: 1, arrivalUnixNano: 0n });
  }
  const cursor = await journal.cursor("vendor", "oldest");
  let moved = false;
  for (const crashes of [true, false]) {
    const stopped = crashes
      ? cursorThat(() => new Promise((resolve) => moved = !!resolve))(cursor)
      : cursor;
    const time = new HeldTime();
    const letters = await DeadLetters.open(files);
    const delivery = new Delivery(journal, stopped, sink, letters, { time });
    delivery.start();
    await until(() => moved);
    if (crashes) {
      files.crash();
      continue;
    }
    await delivery.drain();
    await delivery.close();
    assert.deepEqual(sink.calls, [[1, 2, 3], [1, 2, 3]]);
    assert.deepEqual(delivery.stats.delivered, { ...noCounts(), logs: 2 });
    assert.equal((await letters.list()).letters.length, 1);
    assert.equal(letters.stats.repeated, 1);
  }
});

Deno.test("when the disk fails after an answer, that is tried again and the sink is left alone", async () => {
  let cursorFails = true;
  const cursor = cursorThat(() => {
    if (cursorFails) throw new Error("cursor: disk full");
  });
  await inWorld({ cursor }, async ({ sink, files, time, letters, delivery, append, stats }) => {
    let lettersFail = true;
    files.onStep = (step) => {
      if (step === "sync" && lettersFail) throw new Error("letter: disk full");
    };
    sink.plan = [(records) => take(records, 1)];
    await append(1);
    delivery.start();
    await until(() => stats().state === "waiting");
    assert.equal(stats().lastError!.message, "letter: disk full");
    assert.equal(letters.stats.letters, 0);
    lettersFail = false;
    await time.pass(1_000);
    await until(() => stats().lastError!.message === "cursor: disk full");
    assert.deepEqual([stats().dead, stats().pending], [noCounts(), traces(1)]);
    cursorFails = false;
    await time.pass(1_000);
    await delivery.drain();
    assert.deepEqual(sink.calls, [[1]]);
    assert.deepEqual([stats().dead, stats().failures, stats().breaker], [traces(1), 2, "CLOSED"]);
    assert.equal(letters.stats.letters, 1);
  });
});

Deno.test("full dead letters hold the delivery until some are dropped, and lose nothing", async () => {
  const options = { letters: { maxLetters: 2 } };
  await inWorld(
    options,
    async ({ sink, letters, cursor, delivery, append, stats, events, time }) => {
      await letters.add([OTHER], { destination: "other", journal: "00000000", attempts: 1 });
      sink.plan = [(records) => take(records, 1, 2)];
      for (const n of [1, 2, 3]) await append(n);
      delivery.start();
      await until(() => stats().state === "full");
      assert.deepEqual([cursor.position, time.waits], [0n, []]);
      assert.deepEqual(kinds(events), ["full"]);
      assert.deepEqual(stats().pending, traces(6));
      await letters.drop((await letters.list({ destination: "other" })).letters[0]!.name);
      await delivery.drain();
      assert.deepEqual(sink.calls, [[1, 2, 3]]);
      assert.deepEqual([stats().dead, stats().delivered], [traces(3), traces(3)]);
      assert.equal((await letters.list({ destination: "vendor" })).letters.length, 2);
    },
  );
});

Deno.test("a delivery needs no more of its dead letters than to keep them and to wait for room", async () => {
  const kept: DeadLetter[] = [];
  const isThere = Promise.withResolvers<void>();
  let room = 1;
  const graveyard: Graveyard = {
    add(letters) {
      if (letters.length > room) throw new DeadLettersFullError("no room", 2);
      kept.push(...letters);
      return Promise.resolve();
    },
    room: () => isThere.promise,
  };
  const journal = memoryJournal();
  for (const n of [1, 2, 3]) {
    await journal.append({ signal: "logs", body: Uint8Array.of(n), count: n, arrivalUnixNano: 0n });
  }
  const sink = new TestSink();
  sink.plan = [(records) => take(records, 1, 2)];
  const cursor = await journal.cursor("vendor", "oldest");
  await using delivery = new Delivery(journal, cursor, sink, graveyard, { time: new HeldTime() });
  delivery.start();
  await until(() => delivery.stats.state === "full");
  room = 2;
  isThere.resolve();
  await delivery.drain();
  assert.deepEqual(kept.map(({ body }) => body[0]), [1, 2]);
});

// Failures

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

// Pausing, draining, skipping

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

// Sinks that keep the position

const ALL = { maxBytes: 1_000, maxRecords: 100 };

/** A sink that keeps the position, and a journal that had two records when the delivery was made. */
async function inPositionedWorld(use: (world: World) => Promise<void>): Promise<void> {
  const journal = memoryJournal();
  for (const n of [1, 2]) {
    const body = Uint8Array.of(n);
    await journal.append({ signal: "traces", body, count: n, arrivalUnixNano: 0n });
  }
  const sink = (sink: TestSink) => sink.position = () => Promise.resolve(undefined);
  await inWorld({ journal, sink }, use);
}

Deno.test("a sink is asked where to go on, at the start and after a failure", async () => {
  await inPositionedWorld(async ({ journal, sink, delivery, stats, time, cursor }) => {
    const [first] = await journal.read(0n, ALL);
    let at = first!.next;
    let asks = 0;
    sink.position = () => {
      asks++;
      return Promise.resolve(at);
    };
    sink.plan = [fail(down()), (records) => {
      at = records.at(-1)!.next;
      return take(records);
    }];
    delivery.start();
    await until(() => stats().state === "waiting");
    assert.deepEqual([asks, cursor.position, stats().accepted], [1, first!.next, traces(3)]);
    assert.deepEqual(stats().delivered, traces(1), "of a position without a note");
    await time.pass(1_000);
    await delivery.drain();
    assert.deepEqual([sink.calls, asks], [[[2], [2]], 2]);
  });
});

Deno.test("a sink that keeps the position is asked for it before each further attempt", async () => {
  const steps: string[] = [];
  const sink = (sink: TestSink) => {
    sink.position = () => {
      steps.push("asked");
      return Promise.resolve(undefined);
    };
    sink.plan = [1, 2, 3].map(() => () => {
      steps.push("failed");
      return Promise.reject(down());
    });
  };
  await inWorld({ sink, maxAttempts: 3 }, async ({ delivery, append, stats, time }) => {
    await append(1);
    delivery.start();
    await until(() => stats().state === "waiting");
    await time.pass(1_000);
    await until(() => stats().state === "waiting");
    assert.deepEqual(steps, ["asked", "failed", "asked", "failed"]);
  });
});

Deno.test("while a sink cannot be asked nothing is delivered, and the lag is known", async () => {
  await inPositionedWorld(async ({ sink, delivery, stats, time }) => {
    let asks = 0;
    sink.position = () => ++asks <= 2 ? Promise.reject(down()) : Promise.resolve(undefined);
    delivery.start();
    await until(() => stats().state === "waiting");
    assert.deepEqual([stats().pending, sink.calls], [traces(3), []]);
    assert(stats().lagSeconds > 0);
    for (let n = 0; n < 2; n++) await time.pass(1_000);
    await delivery.drain();
    assert.deepEqual(sink.calls, [[1, 2]]);
  });
});

Deno.test("a sink that did what it was asked, but lost its answer, is gone on from there", async () => {
  await inPositionedWorld(
    async ({ journal, sink, letters, delivery, append, stats, time, events }) => {
      let at: bigint | undefined;
      sink.position = () => Promise.resolve(at);
      sink.plan = [async (records, _, bury) => {
        // The last letter belongs to a record that was not committed.
        await bury([letterOf(records[1]!), letterOf(records[2]!)]);
        at = records[1]!.next;
        throw down();
      }, (records) => {
        at = records.at(-1)!.next;
        return take(records, 3);
      }];
      await append(3);
      delivery.start();
      await until(() => stats().state === "waiting");
      assert.deepEqual(stats().pending, traces(6));
      await time.pass(1_000);
      await delivery.drain();
      assert.deepEqual(sink.calls, [[1, 2, 3], [3]]);
      const { delivered, dead, position } = stats();
      assert.deepEqual([delivered, dead, position], [traces(1), traces(5), journal.head]);
      assert.deepEqual([letters.stats.letters, letters.stats.repeated], [2, 1]);
      assert(!kinds(events).includes("rewound"));
    },
  );
});

Deno.test("what a sink buried behind what it answered for is dead if it was committed", async () => {
  await inPositionedWorld(async ({ sink, delivery, append, stats, time }) => {
    let at: bigint | undefined;
    sink.position = () => Promise.resolve(at);
    sink.plan = [async (records, _, bury) => {
      const [first, second] = records;
      await bury([letterOf(second!)]);
      // The second is committed too, and its answer lost.
      at = second!.next;
      return { ...take([first!]), failure: down() };
    }, (records) => {
      at = records.at(-1)!.next;
      return take(records);
    }];
    await append(3);
    delivery.start();
    await until(() => stats().state === "waiting");
    await time.pass(1_000);
    await delivery.drain();
    assert.deepEqual(sink.calls, [[1, 2, 3], [3]]);
    assert.deepEqual([stats().delivered, stats().dead], [traces(4), traces(2)]);
  });
});

Deno.test("a sink that cannot bury for lack of room is held, and tried again", async () => {
  const sink = (sink: TestSink) => {
    let at: bigint | undefined;
    sink.position = () => Promise.resolve(at);
    sink.plan = [async (records, _, bury) => {
      const answer = take(records, 1, 2);
      await bury(answer.dead);
      at = answer.next;
      return answer;
    }];
  };
  const options = { sink, letters: { maxLetters: 2 }, failureThreshold: 1 };
  await inWorld(options, async ({ letters, delivery, append, stats, sink }) => {
    await letters.add([OTHER], { destination: "other", journal: "00000000", attempts: 1 });
    for (const n of [1, 2]) await append(n);
    delivery.start();
    await until(() => stats().state === "full");
    assert.deepEqual([stats().dead, stats().breaker], [noCounts(), "CLOSED"]);
    await letters.drop((await letters.list({ destination: "other" })).letters[0]!.name);
    await delivery.drain();
    assert.deepEqual([sink.calls, stats().dead], [[[1, 2], [1, 2]], traces(3)]);
    assert.equal(letters.stats.letters, 2);
  });
});

Deno.test("a restored database gets again what it lacks", async () => {
  await inPositionedWorld(async ({ journal, sink, delivery, append, stats, time, events }) => {
    let at: bigint | undefined;
    sink.position = () => Promise.resolve(at);
    const store = (records: readonly JournalRecord[]) => {
      at = records.at(-1)!.next;
      return take(records);
    };
    sink.plan = [store];
    delivery.start();
    await delivery.drain();
    at = (await journal.read(0n, { maxBytes: 99, maxRecords: 9 }))[1]!.position;
    sink.plan = [fail(down()), store];
    await append(3);
    await until(() => stats().state === "waiting");
    await time.pass(1_000);
    await delivery.drain();
    assert.deepEqual(sink.calls, [[1, 2], [3], [2, 3]]);
    assert.deepEqual([stats().accepted, stats().delivered], [traces(6), traces(6)]);
    assert.deepEqual(kinds(events), ["failed", "rewound"]);
  });
});

Deno.test("a destination that has nothing any more is told at the next start, once it had something", async () => {
  const journal = memoryJournal();
  let note = "";
  let position: bigint | undefined;
  const cursor = (own: Cursor): Cursor => ({
    name: own.name,
    position: 0n,
    note,
    move: (to) => own.move(to),
    keep: (text) => Promise.resolve(void (note = text)),
  });
  const sink = (sink: TestSink) => sink.position = () => Promise.resolve(position);
  const start = (expected: readonly string[]) =>
    inWorld({ journal, sink, cursor }, async ({ sink, delivery, events, append }) => {
      sink.plan = [(records) => {
        position = records.at(-1)!.next;
        return take(records);
      }];
      delivery.start();
      await until(() => delivery.stats.state === "idle");
      if (expected.length > 0) assert.deepEqual(events, [{ kind: "unknown", from: 0n }]);
      await append(1);
      await delivery.drain();
      assert.deepEqual(kinds(events), expected);
    });
  await start([]);
  await start([]);
  position = undefined;
  await start(["unknown"]);
});

Deno.test("a position that the journal has no longer is a gap, by size", async () => {
  const journal = memoryJournal();
  const first = await journal.cursor("first", "oldest");
  journal.start();
  for (const n of [1, 2]) {
    await journal.append({
      signal: "traces",
      body: Uint8Array.of(n),
      count: n,
      arrivalUnixNano: 0n,
    });
  }
  const [, second] = await journal.read(0n, { maxBytes: 99, maxRecords: 9 });
  await first.move(second!.position);
  const sink = (sink: TestSink) => sink.position = () => Promise.resolve(5n);
  await inWorld({ journal, sink }, async ({ sink, delivery, stats, events }) => {
    delivery.start();
    await delivery.drain();
    assert.deepEqual(sink.calls, [[2]]);
    assert.equal(stats().gapBytes, Number(second!.position - 5n));
    assert.deepEqual(events, [{ kind: "gap", from: 5n, to: second!.position }]);
  });
});

Deno.test("a cursor that is older than the journal is a gap, by size", async () => {
  const journal = memoryJournal();
  journal.start();
  for (const n of [1, 2]) {
    const body = Uint8Array.of(n);
    await journal.append({ signal: "traces", body, count: n, arrivalUnixNano: 0n });
  }
  const [first] = await journal.read(0n, ALL);
  await (await journal.cursor("first", "oldest")).move(first!.next);
  const cursor = (own: Cursor): Cursor => {
    let position = 5n;
    return {
      name: own.name,
      get position() {
        return position;
      },
      note: own.note,
      move: (to) => Promise.resolve(void (position = to)),
      keep: (note) => own.keep(note),
    };
  };
  await inWorld({ journal, cursor }, async ({ sink, delivery, stats, events, cursor }) => {
    delivery.start();
    await delivery.drain();
    assert.deepEqual([sink.calls, cursor.position], [[[2]], journal.head]);
    assert.equal(stats().gapBytes, Number(first!.next - 5n));
    assert.deepEqual(events, [{ kind: "gap", from: 5n, to: first!.next }]);
  });
});

Deno.test("a sink ahead of a journal that was restored passes over nothing that came since", async () => {
  for (const isBehindAll of [true, false]) {
    await inPositionedWorld(async ({ journal, sink, delivery, append, stats, events }) => {
      // What was in the journal was stored before; these were not, although they lie before it.
      await append(3);
      const ahead = isBehindAll ? 100_000n : journal.head;
      await append(4);
      sink.position = () => Promise.resolve(ahead);
      sink.plan = [(records) => {
        sink.position = () => Promise.resolve(records.at(-1)!.next);
        assert(records.every(({ position }) => position >= ahead));
        return take(records);
      }];
      delivery.start();
      await until(() => sink.calls.length === 1);
      await append(5);
      await delivery.drain();
      assert.deepEqual(sink.calls.flat(), isBehindAll ? [3, 4, 5] : [4, 3, 5]);
      assert.deepEqual(kinds(events), ["ahead"]);
      assert.deepEqual(stats().pending, noCounts());
      // Their copies were delivered, the ones that it passed over were not.
      assert.deepEqual(stats().delivered, traces(15));
      assert.deepEqual(stats().skipped, traces(isBehindAll ? 7 : 3));
    });
  }
});

Deno.test("records that the journal has lost are skipped, and told", async () => {
  const journal = memoryJournal();
  const read = journal.read.bind(journal);
  let lost: number[] = [];
  journal.read = async (from, { maxRecords }) =>
    (await read(from, ALL)).filter(({ body }) => !lost.includes(body[0]!)).slice(0, maxRecords);
  await inWorld({ journal }, async ({ sink, delivery, append, stats, cursor, events }) => {
    for (const n of [1, 2, 3]) await append(n);
    lost = [1, 2];
    delivery.start();
    await delivery.drain();
    assert.deepEqual(sink.calls, [[3]]);
    assert.deepEqual([stats().delivered, stats().skipped], [traces(3), traces(3)]);
    assert.deepEqual(kinds(events), ["gap"]);
    lost = [4];
    await append(4, { signal: "logs" });
    await until(() => cursor.position === journal.head);
    assert.deepEqual([stats().skipped.logs, stats().pending], [4, noCounts()]);
    assert.equal(BigInt(stats().gapBytes) + 97n, cursor.position);
  });
});

Deno.test("a call of the sink that was left alone buries nothing any more", async () => {
  let bury: Bury | undefined;
  const sink = (sink: TestSink) => {
    let at: bigint | undefined;
    sink.position = () => Promise.resolve(at);
    sink.plan = [
      (_, __, given) => {
        bury = given;
        return new Promise<never>(() => {});
      },
      (records) => {
        at = records.at(-1)!.next;
        return take(records);
      },
    ];
  };
  await inWorld({ sink }, async ({ journal, sink, delivery, append, stats, time }) => {
    await append(1);
    const [record] = await journal.read(0n, ALL);
    delivery.start();
    await until(() => sink.calls.length === 1);
    await time.pass(60_000);
    await time.pass(1_000);
    await until(() => stats().state === "waiting");
    await assert.rejects(bury!([letterOf(record!)]), /its time is up/);
    await time.pass(1_000);
    await delivery.drain();
    assert.deepEqual([stats().delivered, stats().dead], [traces(1), noCounts()]);
  });
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
