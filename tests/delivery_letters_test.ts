/** A delivery and its dead letters: what is durable when, and who waits for room. */

import assert from "node:assert/strict";
import { Delivery } from "../src/delivery.ts";
import { DeadLetters, DeadLettersFullError, type Graveyard } from "../src/dead_letters.ts";
import { memoryJournal } from "../src/memory_journal.ts";
import { type DeadLetter, noCounts } from "../src/sink.ts";
import { HeldTime, inWorld, take, TestSink, until } from "./delivery_harness.ts";
import { LetterFiles } from "./letter_files.ts";
import { cursorThat, kinds, OTHER, traces } from "./delivery_cases.ts";

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
