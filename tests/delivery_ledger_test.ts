/** The ledger of a destination, over restarts of its process. */

import assert from "node:assert/strict";
import { DeadLetters } from "../src/dead_letters.ts";
import { Delivery, type DeliveryEvent, type DeliveryStats } from "../src/delivery.ts";
import type { Cursor, CursorStart, Journal } from "../src/journal.ts";
import { beginning, Ledger } from "../src/ledger.ts";
import { decodeNote, encodeNote } from "../src/ledger_note.ts";
import { noCounts } from "../src/sink.ts";
import { assertLedger, HeldTime, take, TestSink, until } from "./delivery_harness.ts";
import { Bench } from "./journal_fixture.ts";
import { LetterFiles } from "./letter_files.ts";

const logs = (n: number) => ({ ...noCounts(), logs: n });

/** A folder, and a destination that finds the letter x poisonous. */
class House {
  readonly bench = new Bench();
  readonly letters = new LetterFiles();
  readonly events: DeliveryEvent[] = [];
  readonly sink = new TestSink();
  journal!: Journal;
  cursor!: Cursor;

  constructor() {
    this.sink.plan = [(records) => take(records, "x".charCodeAt(0))];
  }

  /** Opens the journal after the process before was killed. */
  async open(options = {}): Promise<Journal> {
    return this.journal = await this.bench.open(options);
  }

  /** Delivers all that is there, and kills the process. */
  async deliver(
    start: CursorStart = "oldest",
    during: (delivery: Delivery) => Promise<unknown> = () => Promise.resolve(),
  ): Promise<DeliveryStats> {
    this.cursor = await this.journal.cursor("vendor", start);
    this.journal.start();
    const letters = await DeadLetters.open(this.letters);
    const delivery = new Delivery(this.journal, this.cursor, this.sink, letters, {
      time: new HeldTime(),
      onEvent: (event) => this.events.push(event),
      maxBatchRecords: 1,
    });
    delivery.start();
    await during(delivery);
    await delivery.drain();
    await until(() => delivery.stats.state === "idle");
    const { stats } = delivery;
    assertLedger(stats);
    await delivery.close();
    return stats;
  }

  async append(...texts: string[]): Promise<bigint[]> {
    return await this.bench.appendAll(this.journal, texts);
  }
}

const fates = ({ accepted, delivered, dead, skipped, pending }: DeliveryStats) =>
  [accepted, delivered, dead, skipped, pending].map(({ logs }) => logs);

Deno.test("a ledger goes on over restarts, with what is dead and what was skipped", async () => {
  const house = new House();
  await house.open();
  await house.append("a", "x1", "b");
  assert.deepEqual(fates(await house.deliver()), [3, 2, 1, 0, 0]);
  await house.open();
  await house.append("c", "x2", "d");
  const skip = async (delivery: Delivery) => {
    delivery.pause();
    await delivery.skipTo(house.journal.head);
  };
  assert.deepEqual(fates(await house.deliver("oldest", skip)), [6, 2, 1, 3, 0]);
  await house.open();
  await house.append("x3");
  assert.deepEqual(fates(await house.deliver()), [7, 2, 2, 3, 0]);
  assert.deepEqual(house.journal.accepted, logs(7));
});

Deno.test("a ledger counts from where its destination began, over restarts too", async () => {
  const house = new House();
  await house.open();
  await house.append("a", "b");
  assert.deepEqual(fates(await house.deliver("head")), [0, 0, 0, 0, 0]);
  await house.append("c");
  await house.open();
  assert.deepEqual(fates(await house.deliver("head")), [1, 1, 0, 0, 0]);
});

Deno.test("a destination whose process is killed before it noted where it began, began there", async () => {
  const house = new House();
  await house.open();
  await house.append("a", "b");
  await house.journal.cursor("vendor", "head");
  await house.append("c");
  await house.open();
  assert.deepEqual(fates(await house.deliver("head")), [1, 1, 0, 0, 0]);
});

Deno.test("a destination that has lost its note is taken to have all that it has passed", async () => {
  const house = new House();
  await house.open();
  await house.append("a", "x", "b");
  await house.deliver();
  house.bench.disk.put("note-vendor", "milk, eggs");
  await house.open();
  await house.append("x2");
  assert.deepEqual(fates(await house.deliver()), [4, 3, 1, 0, 0]);
  assert.equal(house.bench.told("note lost").length, 1);
  await house.open();
  assert.deepEqual(fates(await house.deliver()), [4, 3, 1, 0, 0]);
});

Deno.test("nothing is noted for a batch that is delivered", async () => {
  const house = new House();
  await house.open();
  await house.append("a", "x", "b");
  await house.deliver();
  let notes = 0;
  house.bench.disk.fail = ({ name, op }) => {
    if (name.startsWith("note-") && op === "write") notes++;
    return undefined;
  };
  await house.append("c", "d", "e");
  await house.deliver();
  assert.equal(notes, 0);
  await house.append("x2");
  await house.deliver();
  assert.equal(notes, 1);
});

Deno.test("a database restored from an older copy takes back what was dead behind it, and no more", async () => {
  const house = new House();
  await house.open();
  const positions = await house.append("x1", "a", "x2", "b", "x3");
  let at: bigint | undefined;
  house.sink.position = () => Promise.resolve(at);
  house.sink.plan = [async (records, _, bury) => {
    const answer = take(records, "x".charCodeAt(0));
    if (answer.dead.length > 0) await bury(answer.dead);
    at = answer.next;
    return answer;
  }];
  assert.deepEqual(fates(await house.deliver("external")), [5, 2, 3, 0, 0]);
  at = positions[3];
  await house.open();
  house.sink.calls.length = 0;
  assert.deepEqual(fates(await house.deliver("external")), [5, 2, 3, 0, 0]);
  assert.equal(house.sink.calls.length, 2);
  await house.open();
  at = positions[1];
  const looked = house.deliver("external", (delivery) => {
    delivery.pause();
    return until(() => delivery.stats.state === "paused").then(() => {
      assert.deepEqual(fates(delivery.stats), [5, 0, 1, 0, 4]);
      delivery.resume();
    });
  });
  assert.deepEqual(fates(await looked), [5, 2, 3, 0, 0]);
});

Deno.test("what the journal lost while a destination was not configured is skipped", async () => {
  const house = new House();
  const options = { segmentBytes: 1, graceMs: 0 };
  await house.open(options);
  await house.append("a", "x");
  await house.deliver();
  await house.append("c", "d", "e", "f");
  // For a run, nobody holds the records back for it.
  const journal = await house.open(options);
  const other = await journal.cursor("other", "oldest");
  journal.start();
  await other.move(journal.head);
  await house.open(options);
  const stats = await house.deliver();
  assert.deepEqual(fates(stats), [6, 2, 1, 3, 0]);
  assert.deepEqual(house.events.map(({ kind }) => kind), ["dead", "gap"]);
  assert.equal(stats.gapBytes, 3 * 97);
});

Deno.test("damage is skipped and counted, at the beginning, in the middle of a batch, and at the end", async () => {
  const house = new House();
  await house.open();
  await house.append("a", "b", "c", "d", "e", "f");
  const segment = house.bench.disk.get("0000000000000000");
  for (const n of [0, 2, 3]) segment[n * 97 + 50]! ^= 1;
  house.bench.disk.put("0000000000000000", segment);
  await house.open();
  assert.deepEqual(fates(await house.deliver()), [6, 3, 0, 3, 0]);
  await house.open();
  assert.deepEqual(fates(await house.deliver()), [6, 3, 0, 3, 0]);
});

// The parts

Deno.test("what is pending again is taken off delivered, then off dead, then off skipped", () => {
  const note = { ...beginning(logs(10)), dead: logs(3), skipped: logs(2) };
  const at = (n: number) => {
    const { delivered, dead, skipped, accepted } = new Ledger(note, 0n, logs(n)).counts(logs(100));
    return [accepted, delivered, dead, skipped].map(({ logs }) => logs);
  };
  assert.deepEqual(at(20), [90, 5, 3, 2]);
  assert.deepEqual(at(15), [90, 0, 3, 2]);
  assert.deepEqual(at(13), [90, 0, 1, 2]);
  assert.deepEqual(at(11), [90, 0, 0, 1]);
  assert.deepEqual(at(10), [90, 0, 0, 0]);
  assert.deepEqual(at(4), [96, 0, 0, 0]);
});

Deno.test("a note stays small, however much is lost", () => {
  const ledger = new Ledger(beginning(noCounts()), 0n, noCounts());
  for (let n = 1n; n <= 5_000n; n++) {
    const passed = logs(Number(n));
    ledger.lose(n - 1n, { to: n, passed, dead: logs(1), skipped: noCounts() });
    ledger.pass(n, passed);
  }
  assert.equal(ledger.note.losses.length, 100);
  assert.deepEqual(ledger.counts(logs(5_000)).dead, logs(5_000));
  assert(encodeNote(ledger.note).length < 10_000);
  ledger.goTo(4_950n, logs(4_950));
  assert.deepEqual(ledger.counts(logs(5_000)).dead, logs(4_950));
});

Deno.test("a note that a destination had something says so from then on", () => {
  const ledger = new Ledger(beginning(noCounts()), 0n, noCounts());
  assert.equal(decodeNote(encodeNote(ledger.note))?.hadSome, undefined);
  ledger.had();
  // So many that the oldest are summed up, and then fewer records than those.
  for (let n = 1n; n <= 200n; n++) {
    const passed = logs(Number(n));
    ledger.lose(n - 1n, { to: n, passed, dead: logs(1), skipped: noCounts() });
    ledger.pass(n, passed);
  }
  ledger.goTo(3n, logs(3));
  assert.equal(decodeNote(encodeNote(ledger.note))?.hadSome, true);
});

Deno.test("a text that is no note is none", () => {
  const note = encodeNote(beginning(logs(3)));
  assert.deepEqual(decodeNote(note), beginning(logs(3)));
  const others = ["", "{}", "null", "[1]", note.slice(1), note.replace("3", "-3"), `${note}x`];
  for (const text of [...others, note.replace("start", "begin"), note.replace("3", "1e99")]) {
    assert.equal(decodeNote(text), undefined, text);
  }
  assert.equal(decodeNote(undefined), undefined);
});
