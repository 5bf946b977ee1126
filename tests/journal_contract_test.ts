import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import {
  type Journal,
  JournalFullError,
  type JournalRecord,
  JournalUnavailableError,
} from "../src/journal.ts";
import { memoryJournal } from "../src/memory_journal.ts";
import { Bench, textsOf } from "./journal_fixture.ts";

const ALL = { maxBytes: 1_000_000, maxRecords: 1_000 };

/** What both journals do. */
interface Kind {
  readonly name: string;
  open(
    bench: Bench,
    options?: { maxBytes?: number; maxWaitMs?: number; maxKeys?: number },
  ): Promise<
    Journal
  >;
}

const KINDS: readonly Kind[] = [
  { name: "on disk", open: (bench, options) => bench.open(options) },
  {
    name: "in memory",
    open: (bench, options) =>
      Promise.resolve(memoryJournal({ maxWaitMs: 0, clock: () => bench.clockMs, ...options })),
  },
];

/** All of a record but its body, which may not be there. */
function about(record: JournalRecord): unknown {
  const { position, next, signal, arrivalUnixNano, key, count, before } = record;
  return { position, next, signal, arrivalUnixNano, key: [...key], count, before };
}

for (const { name, open } of KINDS) {
  Deno.test(`a journal ${name} gives all of a record, but its body to those who know it`, async () => {
    const bench = new Bench();
    await using journal = await open(bench);
    const texts = ["one", "two", "three", "four", "five"];
    for (const text of texts) await bench.append(journal, text);
    const whole = await journal.read(0n, ALL);
    // Some that are known first, last, and between those that are not.
    for (const known of [[0], [4], [0, 1], [1, 2], [0, 2, 4], [0, 1, 2, 3, 4]]) {
      const positions = new Set(known.map((n) => whole[n]!.position));
      const knows = (position: bigint) => positions.has(position);
      for (const [from, { position }] of whole.entries()) {
        const records = await journal.read(position, { ...ALL, knows });
        assert.equal(records.length, texts.length - from);
        for (const [n, record] of records.entries()) {
          if (record.isKnown) {
            assert.ok(knows(record.position));
            assert.throws(() => record.body, /Cannot give the body of the record at/);
          } else {
            assert.deepEqual(record.body, whole[from + n]!.body);
          }
          assert.deepEqual(about(record), about(whole[from + n]!));
        }
      }
    }
    const two = { maxBytes: 1_000, maxRecords: 2, knows: () => true };
    assert.deepEqual((await journal.read(0n, two)).map(({ position }) => position), [
      whole[0]!.position,
      whole[1]!.position,
    ]);
    // Bytes count, whether they are read or not.
    const few = { maxBytes: 6, maxRecords: 9, knows: () => true };
    assert.equal((await journal.read(0n, few)).length, 2);
  });

  Deno.test(`a journal ${name} gives what was appended, in order, as it was`, async () => {
    const bench = new Bench();
    await using journal = await open(bench);
    assert.deepEqual([journal.oldest, journal.head], [0n, 0n]);
    assert.deepEqual(await journal.read(0n, ALL), []);
    const body = new Uint8Array(1000).map((_, n) => n);
    const appended = await Promise.all([
      journal.append({ signal: "traces", body, count: 3, arrivalUnixNano: 5n }),
      journal.append({ signal: "metrics", body, count: 0, arrivalUnixNano: 2n ** 64n - 1n }),
      journal.append({ signal: "logs", body: new Uint8Array(), count: 7, arrivalUnixNano: 0n }),
    ]);
    const records = await journal.read(0n, ALL);
    assert.deepEqual(records.map(({ signal }) => signal), ["traces", "metrics", "logs"]);
    assert.deepEqual(records.map(({ body }) => [...body]), [[...body], [...body], []]);
    assert.deepEqual(records.map(({ count }) => count), [3, 0, 7]);
    assert.deepEqual(records.map((record) => record.arrivalUnixNano), [5n, 2n ** 64n - 1n, 0n]);
    assert.deepEqual(records.map(({ position }) => position), appended.map((one) => one.position));
    assert.deepEqual(appended.map(({ duplicate }) => duplicate), [false, false, false]);
    assert.deepEqual(records.map(({ next }) => next), [
      appended[1]!.position,
      appended[2]!.position,
      journal.head,
    ]);
    assert.deepEqual(records.map(({ before }) => before), [
      { traces: 0, logs: 0, metrics: 0 },
      { traces: 3, logs: 0, metrics: 0 },
      { traces: 3, logs: 0, metrics: 0 },
    ]);
    assert.deepEqual(journal.accepted, { traces: 3, logs: 7, metrics: 0 });
    const key = createHash("sha256").update("traces").update(body).digest();
    assert.deepEqual(Buffer.from(records[0]!.key), key);
  });

  Deno.test(`a journal ${name} reads within bounds, but one record at least`, async () => {
    const bench = new Bench();
    await using journal = await open(bench);
    const positions = await bench.appendAll(journal, ["one", "two", "three", "four"]);
    const read = async (from: bigint, maxBytes: number, maxRecords: number) =>
      (await journal.read(from, { maxBytes, maxRecords }))
        .map(({ body }) => new TextDecoder().decode(body));
    assert.deepEqual(await read(0n, 0, 10), ["one"]);
    assert.deepEqual(await read(0n, 5, 10), ["one"]);
    assert.deepEqual(await read(0n, 6, 10), ["one", "two"]);
    assert.deepEqual(await read(0n, 100, 3), ["one", "two", "three"]);
    assert.deepEqual(await read(positions[2]!, 100, 10), ["three", "four"]);
    assert.deepEqual(await read(journal.head, 100, 10), []);
    assert.deepEqual(await read(journal.head + 1000n, 100, 10), []);
  });

  Deno.test(`a journal ${name} stores a request that is sent again once, for ten minutes`, async () => {
    const bench = new Bench();
    await using journal = await open(bench);
    const first = await bench.append(journal, "one");
    assert.deepEqual(await bench.append(journal, "one"), { ...first, duplicate: true });
    const body = new TextEncoder().encode("one");
    const other = { signal: "traces", body, count: 1, arrivalUnixNano: 0n } as const;
    assert.equal((await journal.append(other)).duplicate, false, "of another signal");
    bench.pass(599_999);
    assert.deepEqual(await bench.append(journal, "one"), { ...first, duplicate: true });
    journal.reject("traces", 3);
    await journal.keepTally();
    assert.deepEqual(journal.tally, {
      rejected: { traces: 3, logs: 0, metrics: 0 },
      duplicates: { traces: 0, logs: 2, metrics: 0 },
    });
    bench.pass(1);
    assert.equal((await bench.append(journal, "one")).duplicate, false);
    assert.deepEqual(journal.accepted, { traces: 1, logs: 2, metrics: 0 });
  });

  Deno.test(`a journal ${name} stores a request again when it is told so`, async () => {
    const bench = new Bench();
    await using journal = await open(bench);
    const first = await bench.append(journal, "one");
    const second = await bench.append(journal, "one", { again: true });
    assert.equal(second.duplicate, false);
    assert(second.position > first.position);
    assert.deepEqual(await textsOf(journal), ["one", "one"]);
  });

  Deno.test(`a journal ${name} knows a bounded number of requests, and counts those forgotten early`, async () => {
    const bench = new Bench();
    await using journal = await open(bench, { maxKeys: 2 });
    await bench.appendAll(journal, ["one", "two", "three"]);
    assert.deepEqual([journal.stats.keys, journal.stats.keysEvictedEarly], [2, 1]);
    assert.equal((await bench.append(journal, "three")).duplicate, true);
    assert.equal((await bench.append(journal, "two")).duplicate, true);
    assert.equal((await bench.append(journal, "one")).duplicate, false);
  });

  Deno.test(`a journal ${name} wakes who waits for more`, async () => {
    const bench = new Bench();
    await using journal = await open(bench);
    let woken = false;
    const waiting = journal.waitFor(0n).then(() => woken = true);
    await Promise.resolve();
    assert.equal(woken, false);
    await bench.append(journal, "one");
    await waiting;
    await journal.waitFor(0n);
    const abort = new AbortController();
    const given = journal.waitFor(journal.head, abort.signal);
    abort.abort(new Error("enough"));
    await assert.rejects(given, /enough/);
    await assert.rejects(journal.waitFor(0n, abort.signal), /enough/);
  });

  Deno.test(`a journal ${name} that is full refuses, and takes more once its destinations have caught up`, async () => {
    const bench = new Bench();
    await using journal = await open(bench, { maxBytes: 400 });
    const cursor = await journal.cursor("postgres", "oldest");
    journal.start();
    await journal.room();
    const texts = ["a".repeat(100), "b".repeat(100), "c".repeat(100)];
    await bench.appendAll(journal, texts.slice(0, 2));
    // The last one may go over the bound.
    await bench.append(journal, texts[2]!);
    for (const refused of [bench.append(journal, "d"), journal.room()]) {
      const error = await refused.catch((error: unknown) => error);
      assert(error instanceof JournalFullError, String(error));
      assert.match(error.message, /588 of 400 bytes/);
      assert(error.retryAfterMs > 0);
    }
    assert.equal(journal.stats.refused, 2);
    assert.deepEqual([journal.stats.bytes, journal.stats.maxBytes], [588, 400]);
    // What is there already needs no space.
    assert.equal((await bench.append(journal, texts[0]!)).duplicate, true);
    assert.deepEqual(await textsOf(journal), texts);
    await cursor.move(journal.head);
    await journal.room();
    await bench.append(journal, "d");
    assert.deepEqual(await textsOf(journal, cursor.position), ["d"]);
  });

  Deno.test(`a journal ${name} lets those in who wait for space when there is some`, async () => {
    const bench = new Bench();
    await using journal = await open(bench, { maxBytes: 150, maxWaitMs: 60_000 });
    const cursor = await journal.cursor("postgres", "external");
    journal.start();
    await bench.append(journal, "a".repeat(100));
    const abort = new AbortController();
    const given = journal.room({ signal: abort.signal });
    const appending = bench.append(journal, "b");
    const copy = bench.append(journal, "b");
    const waiting = journal.room();
    assert.equal(journal.stats.waiting, 3);
    abort.abort(new Error("enough"));
    await assert.rejects(given, /enough/);
    await cursor.move(journal.head);
    await waiting;
    const first = await appending;
    assert.deepEqual(await copy, { ...first, duplicate: true });
    assert.equal(journal.stats.waiting, 0);
  });

  Deno.test(`a journal ${name} goes over its bound by one request, however many wait for space`, async () => {
    const bench = new Bench();
    const [maxBytes, length] = [2_000, 1_000];
    await using journal = await open(bench, { maxBytes, maxWaitMs: 60_000 });
    const cursor = await journal.cursor("postgres", "external");
    journal.start();
    const positions = Array.from({ length: 20 }, async (_, n) => {
      return (await bench.append(journal, String(n).padEnd(length))).position;
    });
    let most = 0;
    const look = () => most = Math.max(most, journal.stats.bytes + journal.stats.queuedBytes);
    while (journal.accepted.logs < positions.length) {
      await new Promise((resolve) => setTimeout(resolve));
      look();
      await cursor.move(journal.head);
      look();
    }
    assert.ok(most > maxBytes && most < maxBytes + 1.2 * length, `${most} bytes`);
    // In the order in which they came.
    const all = await Promise.all(positions);
    assert.deepEqual(all, all.toSorted((a, b) => a < b ? -1 : 1));
  });

  Deno.test(`a journal ${name} drops nothing without cursors, before it is started, or before all have passed`, async () => {
    const bench = new Bench();
    await using journal = await open(bench, { maxBytes: 500 });
    await bench.append(journal, "one");
    const [fast, slow] = [await journal.cursor("a", "oldest"), await journal.cursor("b", "oldest")];
    await bench.append(journal, "two");
    await fast.move(journal.head);
    await slow.move(journal.head);
    bench.pass(200_000);
    assert.equal(journal.oldest, 0n);
    journal.start();
    await bench.append(journal, "x".repeat(400));
    await fast.move(journal.head);
    assert.deepEqual(await textsOf(journal, slow.position), ["x".repeat(400)]);
  });

  Deno.test(`cursors of a journal ${name} go on and back as told, and not behind the head`, async () => {
    const bench = new Bench();
    await using journal = await open(bench);
    await bench.appendAll(journal, ["one", "two"]);
    const cursor = await journal.cursor("vendor", "oldest");
    assert.equal(await journal.cursor("vendor", "head"), cursor);
    assert.deepEqual([cursor.name, cursor.position], ["vendor", 0n]);
    assert.equal((await journal.cursor("late", "head")).position, journal.head);
    await cursor.move(99n);
    await cursor.move(99n);
    await assert.rejects(cursor.move(0n), RangeError);
    await assert.rejects(cursor.move(journal.head + 1n), /vendor.* to 199: it is at 99.* 198/);
    assert.equal(cursor.position, 99n);
    await cursor.move(0n, { back: true });
    assert.equal(cursor.position, 0n);
    const external = await journal.cursor("postgres", "external");
    await external.move(99n);
    await external.move(0n);
    assert.equal(external.position, 0n);
    await assert.rejects(external.move(999n), RangeError);
    for (const name of ["", "x".repeat(81)]) {
      await assert.rejects(async () => await journal.cursor(name, "oldest"), RangeError);
    }
  });

  Deno.test(`cursors of a journal ${name} keep a note, the last one`, async () => {
    const bench = new Bench();
    await using journal = await open(bench);
    for (const start of ["oldest", "head", "external"] as const) {
      const cursor = await journal.cursor(start, start);
      assert.equal(cursor.note, "");
      await Promise.all(["one", "", "\ufefftwo ü"].map((note) => cursor.keep(note)));
      assert.equal(cursor.note, "\ufefftwo ü");
    }
  });

  Deno.test(`a journal ${name} that is closed refuses everything but what is in it`, async () => {
    const bench = new Bench();
    const journal = await open(bench);
    const appending = bench.append(journal, "one");
    const waiting = assert.rejects(journal.waitFor(10_000n), JournalUnavailableError);
    await journal.close();
    await journal.close();
    assert.equal((await appending).position, 0n);
    await waiting;
    await assert.rejects(bench.append(journal, "two"), JournalUnavailableError);
    await assert.rejects(journal.room(), JournalUnavailableError);
    await assert.rejects(journal.waitFor(10_000n), JournalUnavailableError);
    assert.deepEqual(await textsOf(journal), ["one"]);
  });

  Deno.test(`a journal ${name} gives no position before one it is told to skip to`, async () => {
    const bench = new Bench();
    await using journal = await open(bench);
    await bench.append(journal, "one");
    await journal.skipTo(5n);
    assert.equal(journal.head, 99n);
    await journal.skipTo(1_000n);
    assert.equal(journal.head, 1_000n);
    assert.equal((await bench.append(journal, "two")).position, 1_000n);
    assert.deepEqual(await textsOf(journal), ["one", "two"]);
    assert.deepEqual(journal.accepted, { traces: 0, logs: 2, metrics: 0 });
  });
}
