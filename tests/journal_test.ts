import assert from "node:assert/strict";
import { type JournalOptions, openJournal } from "../src/disk_journal.ts";
import { setImmediate as immediate } from "node:timers/promises";
import { type Appended, type Cursor, type Journal, JournalFullError } from "../src/journal.ts";
import { memoryJournal } from "../src/memory_journal.ts";
import type { JournalFiles } from "../src/journal_files.ts";
import { CrashingDisk, randomOf } from "./crashing_files.ts";
import { Bench, textsOf } from "./journal_fixture.ts";

Deno.test("requests that arrive while a sync is under way share the next one", async () => {
  const bench = new Bench();
  await using journal = await bench.open();
  let syncs = 0;
  bench.disk.fail = ({ op }) => {
    if (op === "sync") syncs++;
    return undefined;
  };
  const first = bench.append(journal, "first");
  const rest = Array.from({ length: 200 }, (_, n) => bench.append(journal, `${n}`));
  await first;
  await Promise.all(rest);
  assert(syncs <= 2, `${syncs} syncs`);
});

Deno.test("records that their reader knows are not read from files, older ones and those of before are", async () => {
  const bench = new Bench();
  const texts = Array.from({ length: 1_030 }, (_, n) => `${n}`);
  const all = { maxBytes: 1 << 20, maxRecords: 2_000, knows: () => true };
  {
    await using journal = await bench.open();
    await bench.appendAll(journal, texts);
    const records = await journal.read(0n, all);
    assert.deepEqual(
      records.map(({ isKnown = false }) => isKnown),
      texts.map((_, n) => n >= texts.length - 1_024),
    );
    let reads = 0;
    bench.disk.fail = ({ op }) => {
      if (op === "read") reads++;
      return undefined;
    };
    assert.equal((await journal.read(records[6]!.position, all)).length, 1_024);
    assert.equal(reads, 0);
    assert.equal((await journal.read(records[5]!.position, all)).length, 1_025);
    assert.notEqual(reads, 0);
  }
  await using again = await bench.open();
  const records = await again.read(0n, all);
  assert.deepEqual(records.map(({ body }) => new TextDecoder().decode(body)), texts);
});

Deno.test("a group that is too long is written in parts", async () => {
  const bench = new Bench();
  await using journal = await bench.open();
  const long = "x".repeat(5 << 20);
  await Promise.all(["a", "b", "c"].map((letter) => bench.append(journal, letter + long)));
  assert.equal(journal.stats.appended, 3);
  assert.equal((await journal.read(0n, { maxBytes: 0, maxRecords: 9 })).length, 1);
});

Deno.test("a record may be longer than a segment, and than all segments may be", async () => {
  const bench = new Bench();
  await using journal = await bench.open({ segmentBytes: 10, maxBytes: 100 });
  const cursor = await journal.cursor("postgres", "oldest");
  journal.start();
  const long = "x".repeat(1_000);
  for (const letter of ["a", "b", "c"]) {
    await bench.append(journal, letter + long);
    await assert.rejects(bench.append(journal, "more"), JournalFullError);
    assert.deepEqual(await textsOf(journal, cursor.position), [letter + long]);
    await cursor.move(journal.head);
  }
  assert(journal.stats.segments <= 2);
});

Deno.test("a copy that comes while the first is being written gets its answer", async () => {
  const bench = new Bench();
  await using journal = await bench.open();
  const all = await Promise.all(
    Array.from({ length: 10 }, () => bench.append(journal, "one")),
  );
  assert.equal(all.filter(({ duplicate }) => !duplicate).length, 1);
  assert.deepEqual(new Set(all.map(({ position }) => position)), new Set([0n]));
  assert.deepEqual(await textsOf(journal), ["one"]);
});

Deno.test("when the first copy fails the next one is tried itself", async () => {
  const bench = new Bench();
  await using journal = await bench.open();
  // The first attempt and the second of the first copy.
  bench.fail("write", "EIO", { times: 2 });
  const all = await Promise.allSettled(
    Array.from({ length: 3 }, () => bench.append(journal, "one")),
  );
  assert.deepEqual(all.map(({ status }) => status), ["rejected", "fulfilled", "fulfilled"]);
  const appended = all.slice(1).map((one) => (one as PromiseFulfilledResult<Appended>).value);
  assert.deepEqual(appended.map(({ duplicate }) => duplicate), [false, true]);
  assert.deepEqual(await textsOf(journal), ["one"]);
});

Deno.test("a copy stops waiting when its sender gives up, and is not harmed by a first one that did", async () => {
  const bench = new Bench();
  await using journal = await bench.open({ maxBytes: 1, maxWaitMs: 60_000 });
  await bench.append(journal, "one");
  const [first, second] = [new AbortController(), new AbortController()];
  const cursor = await journal.cursor("postgres", "oldest");
  journal.start();
  const waiting = [
    bench.append(journal, "two", { signal: first.signal }),
    bench.append(journal, "two", { signal: second.signal }),
    bench.append(journal, "two"),
  ];
  second.abort(new Error("second"));
  await assert.rejects(waiting[1]!, /second/);
  first.abort(new Error("first"));
  await assert.rejects(waiting[0]!, /first/);
  await cursor.move(journal.head);
  assert.equal((await waiting[2]!).duplicate, false);
});

Deno.test("a request that is taken back while it is queued is not there", async () => {
  const bench = new Bench();
  await using journal = await bench.open();
  const abort = new AbortController();
  const first = bench.append(journal, "first");
  await Promise.resolve();
  await Promise.resolve();
  const second = bench.append(journal, "second", { signal: abort.signal });
  abort.abort(new Error("enough"));
  await assert.rejects(second, /enough/);
  await first;
  assert.deepEqual(await textsOf(journal), ["first"]);
  assert.equal(journal.stats.queuedBytes, 0);
  await assert.rejects(bench.append(journal, "x", { signal: abort.signal }), /enough/);
});

Deno.test("a request is known over a restart, by when it came", async () => {
  const bench = new Bench();
  let journal = await bench.open();
  await bench.append(journal, "one");
  bench.pass(300_000);
  await bench.append(journal, "two");
  await journal.close();
  bench.clockMs = 5;
  bench.nowMs += 299_999;
  journal = await bench.open();
  assert.equal((await bench.append(journal, "one")).duplicate, true);
  bench.pass(1);
  assert.equal((await bench.append(journal, "one")).duplicate, false);
  assert.equal((await bench.append(journal, "two")).duplicate, true);
  // The wall clock was set back: what came in the future came now.
  bench.nowMs -= 10_000_000;
  journal = await bench.open();
  assert.equal((await bench.append(journal, "two")).duplicate, true);
  bench.pass(600_000);
  assert.equal((await bench.append(journal, "two")).duplicate, false);
});

Deno.test("a request is known when its segment is gone, over a restart too, until ten minutes have passed", async () => {
  const bench = new Bench();
  const options: JournalOptions = { segmentBytes: 1 };
  let journal = await bench.open(options);
  const positions = await bench.appendAll(journal, ["one", "two", "three", "four"]);
  const move = async () => {
    const cursor = await journal.cursor("postgres", "external");
    journal.start();
    await cursor.move(journal.head);
    bench.pass(120_000);
    await cursor.move(0n);
    await cursor.move(journal.head);
  };
  await move();
  assert.equal(journal.oldest, positions[3]);
  const keyFiles = () => bench.disk.names.filter((name) => name.startsWith("keys-"));
  assert.equal(keyFiles().length, 3);
  journal = await bench.open(options);
  for (const [n, text] of ["one", "two", "three", "four"].entries()) {
    const position = positions[n]!;
    assert.deepEqual(await bench.append(journal, text), { position, duplicate: true });
  }
  bench.pass(480_000);
  assert.equal((await bench.append(journal, "one")).duplicate, false);
  await bench.append(journal, "five");
  await move();
  // Those of the old ones are removed; of "four" and "one" only the second is still known.
  assert.deepEqual(keyFiles(), ["keys-000000000000018f"]);
  assert.equal(bench.disk.get(keyFiles()[0]!).length, 8 + 48);
});

Deno.test("the newest record stays, so that its counts and positions go on after a restart", async () => {
  const bench = new Bench();
  const journal = await bench.open({ segmentBytes: 1, graceMs: 0 });
  await bench.appendAll(journal, ["one", "two"]);
  await journal.skipTo(1_000n);
  const cursor = await journal.cursor("postgres", "external");
  journal.start();
  await cursor.move(journal.head);
  assert.equal(journal.oldest, 99n);
  const again = await bench.open();
  assert.deepEqual(again.accepted, { traces: 0, logs: 2, metrics: 0 });
  assert.equal((await bench.append(again, "three")).position, 1_000n);
});

Deno.test("a segment goes when all have passed it, after a grace, and not the newest", async () => {
  const bench = new Bench();
  await using journal = await bench.open({ segmentBytes: 1, graceMs: 1_000 });
  const [one, two, three] = await bench.appendAll(journal, ["one", "two", "three"]);
  const [fast, slow] = [await journal.cursor("a", "oldest"), await journal.cursor("b", "oldest")];
  journal.start();
  await fast.move(journal.head);
  await slow.move(two!);
  bench.pass(999);
  await slow.move(three!);
  assert.equal(journal.oldest, one);
  bench.pass(1);
  await slow.move(journal.head);
  // The grace of the second began later.
  assert.equal(journal.oldest, two);
  bench.pass(998);
  await slow.move(0n, { back: true });
  await slow.move(two!);
  assert.equal(journal.oldest, two);
  bench.pass(10_000);
  await slow.move(journal.head);
  assert.equal(journal.oldest, three);
  assert.deepEqual(await textsOf(journal), ["three"]);
});

Deno.test("when space is needed, segments that all have passed go before their grace is over", async () => {
  const bench = new Bench();
  await using journal = await bench.open({ segmentBytes: 1, maxBytes: 1_000 });
  const cursor = await journal.cursor("postgres", "oldest");
  journal.start();
  for (let n = 0; n < 30; n++) {
    await bench.append(journal, `${n} `.padEnd(150, "x"));
    await cursor.move(journal.head);
    assert(journal.stats.bytes < 1_000 + 250);
  }
  assert.equal(journal.stats.refused, 0);
});

/** A journal of one-record segments, and a destination that has to be asked to make them durable. */
async function withSecure(
  use: (
    world: { bench: Bench; journal: Journal; cursor: Cursor; calls: PromiseWithResolvers<void>[] },
  ) => Promise<void>,
): Promise<void> {
  const bench = new Bench();
  await using journal = await bench.open({ segmentBytes: 1, graceMs: 0 });
  const calls: PromiseWithResolvers<void>[] = [];
  const secure = () => {
    const call = Promise.withResolvers<void>();
    calls.push(call);
    return call.promise;
  };
  const cursor = await journal.cursor("postgres", "external", { secure });
  journal.start();
  await use({ bench, journal, cursor, calls });
}

/** Lets everything happen that needs no time. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await immediate();
}

Deno.test("a segment goes when its destination has made durable what it has of it, and not before", async () => {
  await withSecure(async ({ bench, journal, cursor, calls }) => {
    const [one, two, three] = await bench.appendAll(journal, ["one", "two", "three"]);
    await cursor.move(one!);
    await settled();
    assert.equal(calls.length, 0, "nothing can go");
    await cursor.move(two!);
    // What is passed now may not be durable when it ends.
    await cursor.move(three!);
    await settled();
    assert.deepEqual([calls.length, journal.oldest], [1, one]);
    calls[0]!.resolve();
    await settled();
    assert.deepEqual([calls.length, journal.oldest], [1, two]);
    await cursor.move(journal.head);
    calls[1]!.resolve();
    await settled();
    assert.deepEqual([calls.length, journal.oldest], [2, three]);
    await bench.append(journal, "four");
    await settled();
    assert.equal(calls.length, 2, "asked when a cursor moves, and not by who appends");
  });
});

Deno.test("a segment stays while its destination cannot make it durable, and that is told and tried again", async () => {
  await withSecure(async ({ bench, journal, cursor, calls }) => {
    const [one, two, three] = await bench.appendAll(journal, ["one", "two", "three"]);
    await cursor.move(two!);
    calls[0]!.reject(new Error("no checkpoint"));
    await settled();
    assert.equal(journal.oldest, one);
    const [event] = bench.events.filter(({ kind }) => kind === "upkeep failed");
    assert.match(event!.message, /cannot make durable/);
    assert.match(String(event!.error), /no checkpoint/);
    await cursor.move(three!);
    calls[1]!.resolve();
    await settled();
    assert.equal(journal.oldest, three);
  });
});

Deno.test("a segment stays that its destination needs again while it makes it durable", async () => {
  await withSecure(async ({ bench, journal, cursor, calls }) => {
    const [one, two] = await bench.appendAll(journal, ["one", "two", "three"]);
    await cursor.move(two!);
    // Restored from an older copy.
    await cursor.move(one!);
    calls[0]!.resolve();
    await settled();
    assert.equal(journal.oldest, one);
  });
});

Deno.test("a destination that hangs while it makes something durable holds up neither others nor close", async () => {
  await withSecure(async ({ bench, journal, cursor, calls }) => {
    const [one, two] = await bench.appendAll(journal, ["one", "two", "three"]);
    await cursor.move(two!);
    const other = await journal.cursor("other", "head");
    await other.move(journal.head);
    await bench.append(journal, "four");
    await journal.close();
    calls[0]!.resolve();
    await settled();
    assert.deepEqual([calls.length, journal.oldest], [1, one], "who closes it gives it away");
  });
});

Deno.test("who waits for space gets it when a destination has made durable what it has", async () => {
  const bench = new Bench();
  await using journal = await bench.open({ segmentBytes: 1, maxBytes: 400, maxWaitMs: 60_000 });
  const isSecure = Promise.withResolvers<void>();
  const cursor = await journal.cursor("postgres", "external", { secure: () => isSecure.promise });
  journal.start();
  await bench.appendAll(journal, ["a".repeat(100), "b".repeat(100), "c".repeat(100)]);
  const waiting = bench.append(journal, "d");
  await cursor.move(journal.head);
  await settled();
  assert.equal(journal.stats.waiting, 1);
  isSecure.resolve();
  await waiting;
  assert.deepEqual(await textsOf(journal), ["b".repeat(100), "c".repeat(100), "d"]);
});

Deno.test("a destination that is not configured any more holds nothing back, and is named", async () => {
  const bench = new Bench();
  const options: JournalOptions = { segmentBytes: 1, graceMs: 0 };
  let journal = await bench.open(options);
  await bench.appendAll(journal, ["one", "two"]);
  await journal.cursor("Old.example:443", "oldest");
  journal = await bench.open(options);
  const cursor = await journal.cursor("postgres", "oldest");
  journal.start();
  journal.start();
  const [message, ...more] = bench.told("unused cursor");
  assert.match(message!, /cursor-%4fld%2eexample%3a443/);
  assert.equal(more.length, 0);
  await cursor.move(journal.head);
  assert.equal(journal.oldest, 99n);
});

Deno.test("a cursor is where it was after a restart; a new one starts where it is told to", async () => {
  const bench = new Bench();
  let journal = await bench.open();
  const [, two, three] = await bench.appendAll(journal, ["one", "two", "three"]);
  await (await journal.cursor("a", "head")).move(journal.head);
  await (await journal.cursor("b", "oldest")).move(two!);
  assert.match(bench.told("new cursor")[0]!, /'a' has no cursor yet: it starts at the head/);
  await bench.append(journal, "four");
  journal = await bench.open();
  assert.equal((await journal.cursor("a", "oldest")).position, three! + 101n);
  assert.equal((await journal.cursor("b", "head")).position, two);
  assert.equal((await journal.cursor("A", "head")).position, journal.head);
  assert.equal((await journal.cursor("postgres", "external")).position, 0n);
  assert.deepEqual(bench.disk.names.filter((name) => name.startsWith("cursor-")), [
    "cursor-%41",
    "cursor-a",
    "cursor-b",
  ]);
});

Deno.test("moves of one cursor come one after the other", async () => {
  const bench = new Bench();
  let journal = await bench.open();
  const positions = await bench.appendAll(journal, ["one", "two", "three"]);
  const cursor = await journal.cursor("a", "oldest");
  await Promise.all(positions.map((position) => cursor.move(position)));
  journal = await bench.open();
  assert.equal((await journal.cursor("a", "oldest")).position, positions[2]);
});

Deno.test("too little free disk is no space, and more free disk lets those in who wait", async () => {
  const bench = new Bench();
  bench.disk.capacity = 10_000;
  await using journal = await bench.open({ minFreeBytes: 9_000, maxWaitMs: 60_000 });
  await bench.append(journal, "x".repeat(1_000));
  const waiting = bench.append(journal, "two");
  await journal.read(0n, { maxBytes: 100, maxRecords: 1 });
  assert.equal(journal.stats.waiting, 1);
  bench.disk.capacity = 20_000;
  await waiting;
  assert.deepEqual((await textsOf(journal)).length, 2);
});

Deno.test("behind a disk that hangs only so much waits, the rest is refused", async () => {
  const bench = new Bench();
  const files = bench.disk.boot();
  const hang = Promise.withResolvers<void>();
  const { create } = files;
  const journal = await openJournal({
    ...files,
    create: async (name) => {
      const file = await create(name);
      return {
        ...file,
        sync: async () => {
          if (name === "0000000000000000") await hang.promise;
          await file.sync();
        },
      };
    },
  }, { maxWaitMs: 0 });
  const body = new Uint8Array(10 << 20);
  const requests = Array.from({ length: 7 }, (_, n) => {
    const own = body.slice();
    own[0] = n;
    return journal.append({ signal: "logs", body: own, count: 1, arrivalUnixNano: 0n });
  });
  await assert.rejects(bench.append(journal, "one"), /7\d{7} bytes wait to be written/);
  hang.resolve();
  await Promise.all(requests);
  await bench.append(journal, "one");
});

Deno.test("too little free disk is named in the refusal", async () => {
  const bench = new Bench();
  bench.disk.capacity = 1_000;
  await using journal = await bench.open({ minFreeBytes: 1_000 });
  await assert.rejects(bench.append(journal, "one"), (error: JournalFullError) => {
    assert.match(error.message, /its disk has 9\d\d bytes free, less than 1000/);
    return error instanceof JournalFullError;
  });
});

Deno.test("a tenth of a small disk is left free, 256 MiB of a large one, or what is asked for", async () => {
  const MIB = 1 << 20;
  const sizes: [number, number | undefined, number][] = [
    [64 * MIB, undefined, 6.4 * MIB],
    [2_560 * MIB, undefined, 256 * MIB],
    [1_000_000 * MIB, undefined, 256 * MIB],
    [64 * MIB, 0, 0],
    [1_000_000 * MIB, 300 * MIB, 300 * MIB],
  ];
  for (const [totalBytes, minFreeBytes, least] of sizes) {
    const bench = new Bench();
    let freeBytes = Math.ceil(least) + 1_000;
    const files: JournalFiles = {
      ...bench.disk.boot(),
      space: () => Promise.resolve({ freeBytes, totalBytes }),
    };
    const options = { maxWaitMs: 0, ...(minFreeBytes !== undefined && { minFreeBytes }) };
    await using journal = await openJournal(files, options);
    await bench.append(journal, "one");
    freeBytes = Math.ceil(least) - 1;
    // It asks after each request, and whenever one is refused.
    await bench.append(journal, "two");
    await assert.rejects(bench.append(journal, "three"), JournalFullError, `${totalBytes}`);
  }
});

Deno.test("where nobody can say how much is free, only the other bound holds", async () => {
  const bench = new Bench();
  bench.fail("free", "ENOSYS");
  await using journal = await bench.open({ minFreeBytes: 1 << 30 });
  await bench.append(journal, "one");
  assert.equal(bench.told("upkeep failed").length, 1);
  assert.equal(journal.stats.freeBytes, Infinity);
});

Deno.test("an option that is wrong is named, with its value", async () => {
  const { disk } = new Bench();
  const wrong: [string, JournalOptions, RegExp][] = [
    ["negative", { maxBytes: -1 }, /'maxBytes': -1/],
    ["of no type", { segmentBytes: "1" } as unknown as JournalOptions, /'segmentBytes': '1'/],
    ["unknown", { size: 1 } as unknown as JournalOptions, /size/],
    ["no clock", { clock: 5 } as unknown as JournalOptions, /'clock': 5 \(expected a function\)/],
  ];
  for (const [name, options, message] of wrong) {
    const error = await openJournal(disk.boot(), options).catch((error: unknown) => error);
    assert(error instanceof RangeError, name);
    assert.match(error.message, message);
  }
  assert.throws(() => memoryJournal({ maxBytes: 0 }), /'maxBytes': 0/);
  assert.deepEqual(disk.names, []);
});

Deno.test("an observer that throws changes nothing", async () => {
  const { error } = console;
  const said: unknown[] = [];
  console.error = (...words) => said.push(words);
  try {
    const disk = new CrashingDisk(randomOf(1));
    const onEvent = () => {
      throw new Error("no");
    };
    await using journal = await openJournal(disk.boot(), { onEvent, minFreeBytes: 0 });
    assert.match(journal.id, /^[0-9a-f-]{36}$/);
  } finally {
    console.error = error;
  }
  assert.equal(said.length, 1);
});
