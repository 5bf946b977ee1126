import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { openJournal } from "../src/disk_journal.ts";
import { JournalFullError, JournalUnavailableError } from "../src/journal.ts";
import { diskFiles } from "../src/journal_files.ts";
import type { Kept } from "./crashing_files.ts";
import { Bench, textsOf } from "./journal_fixture.ts";
import { runJournalModel, runJournalScript } from "./journal_model.ts";

/** More seeds by hand: `JOURNAL_SEEDS=100000 deno test -A tests/journal_crash_test.ts`. */
const SEEDS = Number(Deno.env.get("JOURNAL_SEEDS") ?? 2_000);

/** All that is synced in a life without crashes, each for a reason of its own. */
const SYNCS = [
  "file: new cursor",
  "file: new id",
  "file: new keys",
  "file: new note",
  "file: new segment",
  "file: new tally",
  "file: segment",
  "folder: cursor renamed",
  "folder: id renamed",
  "folder: keys renamed",
  "folder: note renamed",
  "folder: segment made",
  "folder: segment removed",
  "folder: segment renamed",
  "folder: tally renamed",
];

Deno.test("the journal keeps what it promised in random lives of appends, faults and crashes", async () => {
  let [acknowledged, duplicates, crashes, faults, removed] = [0, 0, 0, 0, 0];
  for (let seed = 0; seed < SEEDS; seed++) {
    try {
      const run = await runJournalModel({ seed });
      acknowledged += run.acknowledged;
      duplicates += run.duplicates;
      crashes += run.crashes;
      faults += run.faults;
      removed += run.removed;
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
  // The model would hold as well if nothing happened.
  assert(acknowledged > 10 * SEEDS && crashes > 2 * SEEDS && duplicates > 4 * SEEDS);
  assert(faults > SEEDS / 2 && removed > SEEDS / 2);
});

/** Lets a life crash at each of its calls; gives the syncs of the one that is not reached. */
async function crashEverywhere(
  seed: number,
  kept: Kept,
  ignoreSync?: (kind: string) => boolean,
): Promise<ReadonlySet<string>> {
  for (let at = 0;; at++) {
    try {
      const life = { seed, ...(ignoreSync && { ignoreSync }) };
      const syncs = await runJournalScript(life, at, kept);
      if (syncs !== undefined) return syncs;
    } catch (error) {
      throw new Error(`crash at call ${at}, ${kept} kept, seed ${seed}`, { cause: error });
    }
  }
}

for (const kept of ["nothing", "all", "first", "some"] as const) {
  Deno.test(`the journal survives a crash at each call to the disk, with ${kept} of what is not synced kept`, async () => {
    const syncs = await crashEverywhere(0, kept);
    assert.deepEqual([...syncs].sort(), SYNCS);
  });
}

for (const kind of SYNCS) {
  Deno.test(`the journal needs each sync: without '${kind}' it breaks its promises`, async () => {
    await assert.rejects(async () => {
      for (const seed of [0, 1, 2]) {
        await crashEverywhere(seed, "nothing", (sync) => sync === kind);
        await crashEverywhere(seed, "some", (sync) => sync === kind);
      }
    }, ({ cause }: Error) => cause instanceof assert.AssertionError);
  });
}

Deno.test("after a failed sync the same requests are written to a new file, and the old ones are not trusted", async () => {
  for (const op of ["sync", "write"] as const) {
    const bench = new Bench();
    const journal = await bench.open();
    await bench.append(journal, "one");
    bench.fail(op, "EIO", { times: 1 });
    const more = await Promise.all(["two", "three"].map((text) => bench.append(journal, text)));
    assert.deepEqual(more.map(({ position }) => position), [99n, 198n]);
    assert.equal(journal.stats.failedWrites, 1);
    assert.equal(bench.told("write failed").length, 1);
    assert.deepEqual(bench.disk.names.slice(0, 2), ["0000000000000000", "0000000000000063"]);
    assert.deepEqual(await textsOf(journal), ["one", "two", "three"]);
    bench.disk.powerOff("nothing");
    const again = await bench.open();
    assert.deepEqual(await textsOf(again), ["one", "two", "three"], op);
    assert.equal(again.stats.gaps, 0);
  }
});

Deno.test("what a failed sync left is void, even if it is all there and could not be cut off", async () => {
  const bench = new Bench();
  const journal = await bench.open();
  await bench.append(journal, "one");
  let failing = true;
  bench.disk.fail = ({ op }) => {
    if (op === "truncate") return "EIO";
    if (op !== "sync" || !failing) return undefined;
    failing = false;
    return "EIO";
  };
  await bench.append(journal, "two");
  await bench.append(journal, "three");
  assert.equal(bench.disk.get("0000000000000000").length, 198, "it could not be cut off");
  bench.disk.fail = () => undefined;
  const again = await bench.open();
  assert.deepEqual(await textsOf(again), ["one", "two", "three"]);
  assert.equal(again.stats.damaged, 0);
});

Deno.test("when both attempts fail the requests are refused, what was acknowledged is kept, and the next ones go on", async () => {
  for (const op of ["write", "sync", "create", "sync folder"] as const) {
    for (const code of ["EIO", "EROFS", "ENOSPC"]) {
      const bench = new Bench();
      const journal = await bench.open({ segmentBytes: 1 });
      await bench.append(journal, "one");
      bench.fail(op, code);
      const error = await bench.append(journal, "two").catch((error: unknown) => error);
      assert(error instanceof JournalUnavailableError, `${op} ${code}`);
      assert.equal(error instanceof JournalFullError, code === "ENOSPC");
      assert.match(error.message, new RegExp(`Cannot append to the journal.*\\b${code}\\b`));
      assert(error.retryAfterMs > 0);
      assert.equal(journal.stats.refused, 1);
      assert.deepEqual(await textsOf(journal), ["one"]);
      assert.equal(journal.head, 99n);
      bench.disk.fail = () => undefined;
      assert.deepEqual(await bench.append(journal, "two"), { position: 99n, duplicate: false });
      assert.deepEqual(await textsOf(journal), ["one", "two"]);
      bench.disk.powerOff("nothing");
      assert.deepEqual(await textsOf(await bench.open()), ["one", "two"], `${op} ${code}`);
    }
  }
});

Deno.test("a disk that is full in the middle of a segment refuses, and goes on when there is space", async () => {
  for (let space = 0; space < 220; space += 20) {
    const bench = new Bench();
    const journal = await bench.open();
    await bench.append(journal, "one");
    // Another process takes the space after it was measured.
    await textsOf(journal);
    bench.disk.capacity = bench.disk.used + space;
    const all = await Promise.allSettled(
      ["two", "three"].map((text) => bench.append(journal, text)),
    );
    const there = all.filter(({ status }) => status === "fulfilled").length;
    if (there === 0) assert(bench.disk.used <= bench.disk.capacity - space, "it takes no space");
    assert.equal(there, space < 200 ? 0 : 2, `${space} bytes`);
    for (const one of all) {
      if (one.status === "rejected") assert(one.reason instanceof JournalFullError);
    }
    bench.disk.capacity = Infinity;
    const again = await bench.open();
    assert.deepEqual(await textsOf(again), ["one", "two", "three"].slice(0, 1 + there));
    await bench.append(again, "four");
    assert.equal((await textsOf(again)).at(-1), "four");
  }
});

Deno.test("a disk that is full in the middle of a cursor file leaves the cursor where it was", async () => {
  for (let space = 0; space < 26; space += 5) {
    const bench = new Bench();
    const journal = await bench.open();
    await bench.append(journal, "one");
    const cursor = await journal.cursor("a", "oldest");
    bench.disk.capacity = bench.disk.used + space;
    await assert.rejects(cursor.move(99n), { code: "ENOSPC" });
    assert.equal(cursor.position, 0n);
    assert(!bench.disk.names.includes("cursor-a.tmp"), "it takes no space");
    const again = await bench.open();
    assert.equal((await again.cursor("a", "head")).position, 0n);
    bench.disk.capacity = Infinity;
    await (await again.cursor("a", "head")).move(99n);
    bench.disk.powerOff("nothing");
    assert.equal((await (await bench.open()).cursor("a", "oldest")).position, 99n);
  }
});

Deno.test("a cursor that cannot be made is not there, and can be made later", async () => {
  const bench = new Bench();
  const journal = await bench.open();
  bench.fail("rename", "EROFS");
  await assert.rejects(journal.cursor("a", "oldest"), { code: "EROFS" });
  bench.disk.fail = () => undefined;
  assert.equal((await journal.cursor("a", "oldest")).position, 0n);
});

Deno.test("a journal opens on a full disk, and what it finds there is durable", async () => {
  const bench = new Bench();
  const journal = await bench.open();
  await bench.append(journal, "one");
  // Written, and not synced when the process is killed.
  bench.disk.ignoreSync = () => true;
  bench.disk.killAfter(1);
  await assert.rejects(bench.append(journal, "two"));
  bench.disk.ignoreSync = () => false;
  bench.disk.capacity = bench.disk.used;
  const full = await bench.open();
  const texts = await textsOf(full);
  assert.deepEqual(texts, ["one", "two"]);
  bench.disk.powerOff("nothing");
  assert.deepEqual(await textsOf(await bench.open()), texts);
});

Deno.test("a full disk does not keep segments that are not needed: their keys may be lost, and it is told", async () => {
  const bench = new Bench();
  const journal = await bench.open({ segmentBytes: 1, graceMs: 0 });
  await bench.appendAll(journal, ["one", "two", "three"]);
  const cursor = await journal.cursor("postgres", "external");
  journal.start();
  bench.disk.capacity = bench.disk.used;
  await cursor.move(journal.head);
  assert.deepEqual(await textsOf(journal), ["three"]);
  assert(bench.told("keys lost").length > 0);
  assert.equal((await bench.append(journal, "one")).duplicate, true, "in memory they are known");
});

Deno.test("on a disk that has become read-only reading goes on, and removing is tried again", async () => {
  const bench = new Bench();
  const journal = await bench.open({ segmentBytes: 1, graceMs: 0 });
  await bench.appendAll(journal, ["one", "two", "three"]);
  const cursor = await journal.cursor("postgres", "external");
  journal.start();
  bench.disk.fail = ({ op }) => ["list", "read", "size", "free"].includes(op) ? undefined : "EROFS";
  await cursor.move(journal.head);
  assert.deepEqual(await textsOf(journal), ["one", "two", "three"]);
  assert(bench.told("upkeep failed").length > 0);
  await assert.rejects(bench.append(journal, "four"), JournalUnavailableError);
  await assert.rejects(bench.open(), /Cannot open the journal: EROFS/);
  bench.disk.fail = () => undefined;
  const again = await bench.open({ segmentBytes: 1, graceMs: 0 });
  assert.deepEqual(await textsOf(again), ["one", "two", "three"]);
});

Deno.test("a journal on a real disk holds what it was given, over a restart", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const bench = new Bench();
    bench.nowMs = Date.now();
    const texts = Array.from({ length: 300 }, (_, n) => `${n} `.repeat(n === 7 ? 300_000 : n));
    const open = () =>
      openJournal(diskFiles(`${folder}/journal`), { segmentBytes: 100_000, minFreeBytes: 0 });
    const first = await open();
    const cursor = await first.cursor("vendor", "oldest");
    await Promise.all(texts.map((text) => bench.append(first, text)));
    await cursor.move(first.head);
    assert(first.stats.freeBytes > 0);
    await first.close();
    await using second = await open();
    assert.equal(second.id, first.id);
    assert.deepEqual(await textsOf(second), texts);
    assert.equal((await second.cursor("vendor", "oldest")).position, first.head);
    assert.equal((await bench.append(second, texts[200]!)).duplicate, true);
    assert.deepEqual(second.accepted, { traces: 0, logs: 300, metrics: 0 });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("kill -9 of a process that appends loses nothing that was acknowledged", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const acknowledged = new Map<number, bigint>();
    for (let round = 0; round < 5; round++) {
      const child = new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--allow-all",
          fileURLToPath(new URL("fixtures/journal_appender.ts", import.meta.url)),
          folder,
          String(round * 1_000_000),
        ],
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
      let text = "";
      let lines = 0;
      const enough = 20 + round * 150;
      for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        lines += chunk.split("\n").length - 1;
        if (lines > enough) {
          try {
            child.kill("SIGKILL");
          } catch {
            // It is dead; what it said before is still read.
          }
        }
      }
      await child.status;
      assert(lines > enough, `it ended by itself: ${text}`);
      for (const line of text.split("\n").slice(0, -1)) {
        const [, n, position] = /^(\d+) (\d+)$/.exec(line) ?? [];
        if (n !== undefined) acknowledged.set(Number(n), BigInt(position!));
      }
      await using journal = await openJournal(diskFiles(folder), { minFreeBytes: 0 });
      const found = new Map<number, bigint>();
      for (let at = journal.oldest; at < journal.head;) {
        const records = await journal.read(at, { maxBytes: 1 << 20, maxRecords: 1_000 });
        for (const { position, body } of records) {
          const [n = "", filler = ""] = new TextDecoder().decode(body).split(" ");
          assert.equal(filler.length, (Number(n) * 7919) % 5_000);
          assert(!found.has(Number(n)), `${n} is there twice`);
          found.set(Number(n), position);
        }
        at = records.at(-1)!.next;
      }
      for (const [n, position] of acknowledged) assert.equal(found.get(n), position, `${n}`);
      assert.deepEqual([journal.stats.damaged, journal.stats.gaps], [0, 0]);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
