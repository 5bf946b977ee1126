import assert from "node:assert/strict";
import { type JournalOptions, openJournal } from "../src/disk_journal.ts";
import { type Journal, JournalFormatError, type JournalRecord } from "../src/journal.ts";
import { diskFiles } from "../src/journal_files.ts";
import { Bench, textsOf } from "./journal_fixture.ts";

const ALL = { maxBytes: 1_000_000, maxRecords: 1_000 };
/** The segment that begins at 0. */
const FIRST = "0000000000000000";

/** A closed journal with texts in groups of their own. */
async function closed(
  texts: readonly string[],
  options: JournalOptions = {},
): Promise<{ bench: Bench; positions: bigint[] }> {
  const bench = new Bench();
  const journal = await bench.open(options);
  const positions = await bench.appendAll(journal, texts);
  await journal.close();
  return { bench, positions };
}

/** Changes a file. */
function edit(bench: Bench, name: string, change: (bytes: Uint8Array) => Uint8Array | void): void {
  const bytes = bench.disk.get(name);
  bench.disk.put(name, change(bytes) ?? bytes);
}

/** Changes one bit of a byte. */
function flip(bench: Bench, name: string, at: number): void {
  edit(bench, name, (bytes) => {
    bytes[at]! ^= 1;
  });
}

/** Opens it, and shows that it goes on. */
async function goesOn(bench: Bench, journal: Journal, texts: readonly string[]): Promise<void> {
  assert.deepEqual(await textsOf(journal), texts);
  await bench.append(journal, "more");
  assert.deepEqual(await textsOf(journal), [...texts, "more"]);
  await journal.close();
  const again = await bench.open();
  assert.deepEqual(await textsOf(again), [...texts, "more"]);
}

Deno.test("an empty folder gets an id that it keeps, and an emptied one another", async () => {
  const bench = new Bench();
  const first = await bench.open();
  assert.match(bench.told("new id")[0]!, new RegExp(first.id));
  const second = await bench.open();
  assert.equal(second.id, first.id);
  assert.deepEqual(bench.told("new id"), []);
  for (const name of bench.disk.names) bench.disk.delete(name);
  const third = await bench.open();
  assert.notEqual(third.id, first.id);
});

Deno.test("without an id, or with one that cannot be read, it is another journal with the same records", async () => {
  const breakings: [string, (bench: Bench) => void][] = [
    ["missing", (bench) => bench.disk.delete("id")],
    ["empty", (bench) => bench.disk.put("id", "")],
    ["garbage", (bench) => bench.disk.put("id", new Uint8Array(5_000).fill(200))],
    ["cut", (bench) => edit(bench, "id", (bytes) => bytes.subarray(0, 50))],
    ["a folder", (bench) => {
      bench.disk.delete("id");
      bench.disk.putFolder("id");
    }],
  ];
  for (const [name, breaks] of breakings) {
    const { bench } = await closed(["one", "two"]);
    const { id } = await bench.open();
    breaks(bench);
    const journal = await bench.open();
    assert.notEqual(journal.id, id, name);
    assert.equal(bench.told("new id").length, 1, name);
    bench.disk.powerOff("nothing");
    const again = await bench.open();
    assert.equal(again.id, journal.id, name);
    await goesOn(bench, again, ["one", "two"]);
  }
});

Deno.test("a folder of another format is refused by name, and left as it is", async () => {
  const { bench } = await closed(["one"]);
  for (const format of ["0", "2", "17"]) {
    bench.disk.put("id", `otel-storage journal format ${format}\nsomething else`);
    bench.disk.put("new-kind-of-file", "");
    bench.disk.put("cursor-a.tmp", "");
    const { names } = bench.disk;
    const error = await bench.open().catch((error: unknown) => error);
    assert(error instanceof JournalFormatError, String(error));
    assert.match(error.message, new RegExp(`format ${format}, this version reads 1`));
    assert.deepEqual(bench.disk.names, names);
    assert.equal(bench.disk.get(FIRST).length, 99);
  }
});

Deno.test("junk is ignored and named", async () => {
  const { bench } = await closed(["one"]);
  const junk = [
    ".DS_Store",
    "0000000000000000 (copy)",
    "00000000000000FF",
    "12345",
    "cursor-../x",
    "keys-1",
    "notes.txt",
    "x.tmp",
  ];
  for (const name of junk) bench.disk.put(name, "junk");
  bench.disk.putFolder("lost+found");
  const journal = await bench.open();
  const [message, ...more] = bench.told("junk");
  for (const name of [...junk, "lost+found"]) assert(message!.includes(name), name);
  assert.equal(more.length, 0);
  await goesOn(bench, journal, ["one"]);
  for (const name of junk) assert.deepEqual(bench.disk.get(name), new TextEncoder().encode("junk"));
});

Deno.test("much junk is counted, and not all named", async () => {
  const bench = new Bench();
  for (let n = 0; n < 1_000; n++) bench.disk.put(`junk${n}`, "");
  await bench.open();
  assert.match(bench.told("junk")[0]!, /1000 things.*, …$/);
  assert(bench.told("junk")[0]!.length < 300);
});

Deno.test("what a replaced file left behind is removed", async () => {
  const { bench } = await closed(["one"]);
  const left = [
    "id.tmp",
    "cursor-a.tmp",
    "note-a.tmp",
    "keys-0000000000000000.tmp",
    `${FIRST}.tmp`,
  ];
  for (const name of left) bench.disk.put(name, "half");
  await goesOn(bench, await bench.open(), ["one"]);
  assert.deepEqual(bench.disk.names.filter((name) => name.endsWith(".tmp")), []);
});

Deno.test("a folder where a file should be is set aside", async () => {
  const { bench } = await closed(["one"]);
  const names = ["cursor-a", "cursor-b.tmp", "keys-0000000000000000", "0000000000000063"];
  for (const name of names) {
    bench.disk.putFolder(name);
    bench.disk.putFolder(`damaged-${name}`);
  }
  const journal = await bench.open({ segmentBytes: 1 });
  assert.equal(bench.told("set aside").length, 4);
  assert(bench.disk.names.includes("damaged-cursor-a-2"));
  await bench.append(journal, "two");
  const cursor = await journal.cursor("a", "oldest");
  await cursor.move(journal.head);
  await goesOn(bench, await bench.open(), ["one", "two"]);
});

Deno.test("a torn end is cut off, wherever it is torn", async () => {
  const { bench: whole } = await closed(["one", "two"]);
  const bytes = whole.disk.get(FIRST);
  const at = 99;
  assert.equal(bytes.length, at + 99);
  const torn: [string, Uint8Array][] = [
    ["nothing of it", bytes.subarray(0, at)],
    ["a part of its head", bytes.subarray(0, at + 50)],
    ["its head", bytes.subarray(0, at + 96)],
    ["all but a byte", bytes.subarray(0, at + 98)],
    ["only its size", bytes.slice().fill(0, at)],
    ["only its body", bytes.slice().fill(0, at, at + 96)],
    ["a wrong body", bytes.slice().fill(0, at + 97)],
    ["garbage", bytes.slice().fill(77, at)],
  ];
  for (const [name, left] of torn) {
    const { bench } = await closed(["one"]);
    bench.disk.put(FIRST, left);
    const journal = await bench.open();
    assert.equal(bench.told("torn tail").length, left.length > at ? 1 : 0, name);
    assert.equal(journal.head, 99n, name);
    assert.equal(journal.stats.damaged, 0, name);
    assert.equal((await bench.append(journal, "two")).duplicate, false, name);
    await goesOn(bench, journal, ["one", "two"]);
  }
});

Deno.test("of a group that is torn in the middle, what comes before is kept and what comes behind is not", async () => {
  const bench = new Bench();
  const journal = await bench.open();
  await bench.append(journal, "first");
  await Promise.all(["one", "two", "three"].map((text) => bench.append(journal, text)));
  bench.disk.kill();
  flip(bench, FIRST, 101 + 99 + 97);
  const again = await bench.open();
  assert.equal(again.stats.damaged, 0);
  assert.equal(bench.told("torn tail").length, 1);
  // Nobody was told that the third is there: it has no key either.
  assert.equal((await bench.append(again, "three")).duplicate, false);
  assert.equal((await bench.append(again, "one")).duplicate, true);
  await goesOn(bench, again, ["first", "one", "three"]);
});

Deno.test("a damaged record before others is set aside, counted once, and passed over", async () => {
  const places: [string, number][] = [
    ["the letters it begins with", 0],
    ["its checksum", 4],
    ["its length", 8],
    ["its length, by much", 11],
    ["its signal", 12],
    ["its position", 16],
    ["its arrival", 24],
    ["its key", 70],
    ["its body", 97],
  ];
  for (const [name, place] of places) {
    const { bench } = await closed(["one", "two", "three"]);
    flip(bench, FIRST, 99 + place);
    const journal = await bench.open();
    assert.deepEqual(await textsOf(journal), ["one", "three"], name);
    assert.deepEqual(await textsOf(journal, 99n), ["three"], name);
    const { damaged, damagedBytes, gaps } = journal.stats;
    assert.deepEqual([damaged, damagedBytes, gaps], [1, 99, 0], name);
    assert.match(bench.told("damaged")[0]!, /99 bytes.* kept in damaged-0000000000000063/);
    assert.deepEqual(journal.accepted, { traces: 0, logs: 3, metrics: 0 });
    bench.disk.powerOff("nothing");
    assert.equal(bench.disk.get("damaged-0000000000000063").length, 99, name);
    await goesOn(bench, await bench.open(), ["one", "three"]);
  }
});

Deno.test("damage is met while reading too, in whole stretches, and known in the next run", async () => {
  const { bench } = await closed(["one", "two", "three", "four", "five"], { segmentBytes: 300 });
  const journal = await bench.open();
  edit(bench, FIRST, (bytes) => {
    bytes.fill(0, 0, 150);
    bytes.fill(255, 150, 190);
  });
  assert.deepEqual(await textsOf(journal), ["three", "four", "five"]);
  assert.deepEqual(await textsOf(journal), ["three", "four", "five"]);
  assert.deepEqual([journal.stats.damaged, journal.stats.damagedBytes], [1, 198]);
  const again = await bench.open();
  assert.deepEqual(await textsOf(again), ["three", "four", "five"]);
  assert.deepEqual([again.stats.damaged, again.stats.damagedBytes], [1, 198]);
});

Deno.test("damage that cannot be set aside is passed over all the same", async () => {
  const { bench } = await closed(["one", "two", "three"]);
  flip(bench, FIRST, 99 + 97);
  bench.disk.capacity = 420;
  const journal = await bench.open();
  assert.deepEqual(await textsOf(journal), ["one", "three"]);
  assert.equal(journal.stats.damaged, 1);
  assert(bench.events.some(({ kind, error }) => kind === "damaged" && error !== undefined));
});

Deno.test("the record behind damage is found wherever it begins in what is read at a time", async () => {
  for (let length = 65_532; length <= 65_537; length++) {
    const { bench } = await closed(["x".repeat(length - 96), "two", "three"]);
    const journal = await bench.open();
    flip(bench, FIRST, 50);
    assert.deepEqual(await textsOf(journal), ["two", "three"], `${length}`);
    assert.equal(journal.stats.damagedBytes, length);
  }
});

Deno.test("a segment that is missing in the middle is a gap, counted, and passed over", async () => {
  const texts = ["one", "two", "three", "four"];
  const { bench, positions } = await closed(texts, { segmentBytes: 1 });
  bench.disk.delete("0000000000000063");
  const journal = await bench.open();
  assert.deepEqual([journal.stats.gaps, journal.stats.gapBytes], [1, 99n]);
  assert.match(bench.told("gap")[0]!, /99 bytes at 0000000000000063: going on at 00000000000000c6/);
  const [first] = await journal.read(positions[1]!, ALL);
  assert.equal(first!.position, positions[2]);
  await goesOn(bench, journal, ["one", "three", "four"]);
});

Deno.test("a segment in the middle that has lost its end is a gap", async () => {
  const { bench } = await closed(["one", "two", "three"], { segmentBytes: 200 });
  edit(bench, FIRST, (bytes) => bytes.subarray(0, 120));
  const journal = await bench.open();
  assert.deepEqual(await textsOf(journal), ["one", "three"]);
  assert.equal(journal.stats.gapBytes, 78n);
  assert.equal(journal.stats.damagedBytes, 21);
});

Deno.test("a segment that somebody removes meanwhile is a gap", async () => {
  const { bench } = await closed(["one", "two", "three"], { segmentBytes: 1 });
  const journal = await bench.open();
  bench.disk.delete("0000000000000063");
  assert.deepEqual(await textsOf(journal), ["one", "three"]);
  assert.deepEqual(await textsOf(journal), ["one", "three"]);
  assert.equal(journal.stats.gapBytes, 99n);
});

Deno.test("a segment that somebody cuts meanwhile is damaged", async () => {
  const { bench } = await closed(["one", "two", "three"], { segmentBytes: 200 });
  const journal = await bench.open();
  edit(bench, FIRST, (bytes) => bytes.subarray(0, 120));
  assert.deepEqual(await textsOf(journal), ["one", "three"]);
  assert.equal(journal.stats.damagedBytes, 99);
});

Deno.test("a copy of a segment under another name takes nothing from the one that is there", async () => {
  for (const name of ["0000000000000001", "0000000000000064", "00000000000000c5"]) {
    const { bench } = await closed(["one", "two"]);
    bench.disk.put(name, bench.disk.get(FIRST));
    const journal = await bench.open();
    assert.match(bench.told("set aside")[0]!, new RegExp(name));
    await goesOn(bench, journal, ["one", "two"]);
  }
});

Deno.test("the oldest segment may be missing: the journal begins later", async () => {
  const { bench, positions } = await closed(["one", "two", "three"], { segmentBytes: 1 });
  bench.disk.delete(FIRST);
  const journal = await bench.open();
  assert.equal(journal.oldest, positions[1]);
  assert.equal((await journal.cursor("postgres", "external")).position, positions[1]);
  await goesOn(bench, journal, ["two", "three"]);
});

Deno.test("a cursor that is damaged starts at the oldest record, and says so", async () => {
  const breakings: [string, (bench: Bench) => void][] = [
    ["empty", (bench) => bench.disk.put("cursor-a", "")],
    ["garbage", (bench) => bench.disk.put("cursor-a", new Uint8Array(100_000).fill(200))],
    ["a wrong digit", (bench) => flip(bench, "cursor-a", 14)],
    ["a wrong checksum", (bench) => flip(bench, "cursor-a", 20)],
    ["cut", (bench) => edit(bench, "cursor-a", (bytes) => bytes.subarray(0, 20))],
    ["longer", (bench) => edit(bench, "cursor-a", (bytes) => new Uint8Array([...bytes, 10]))],
  ];
  for (const [name, breaks] of breakings) {
    const { bench } = await closed(["one", "two"]);
    const before = await bench.open();
    await (await before.cursor("a", "oldest")).move(before.head);
    breaks(bench);
    const journal = await bench.open();
    const cursor = await journal.cursor("a", "head");
    assert.equal(cursor.position, 0n, name);
    assert.match(bench.told("new cursor")[0]!, /'a' has a cursor that cannot be read.*oldest/);
    const again = await bench.open();
    assert.equal((await again.cursor("a", "head")).position, 0n, name);
    assert.deepEqual(bench.told("new cursor"), [], name);
  }
});

Deno.test("a note is there after a restart, whatever its cursor is like", async () => {
  const { bench } = await closed(["one", "two"]);
  const before = await bench.open();
  for (const [name, start] of [["a", "head"], ["b", "oldest"], ["c", "external"]] as const) {
    await (await before.cursor(name, start)).keep(`of ${name}`);
  }
  flip(bench, "cursor-b", 14);
  const journal = await bench.open();
  assert.equal((await journal.cursor("a", "oldest")).note, "of a");
  assert.equal((await journal.cursor("b", "oldest")).note, "of b");
  assert.equal((await journal.cursor("c", "external")).note, "of c");
  assert.deepEqual(bench.told("note lost"), []);
});

Deno.test("a note that is damaged or gone is told, and is not taken for none", async () => {
  const breakings: [string, (bench: Bench) => void][] = [
    ["empty", (bench) => bench.disk.put("note-a", "")],
    ["garbage", (bench) => bench.disk.put("note-a", new Uint8Array(5 << 20).fill(200))],
    ["a wrong letter", (bench) => flip(bench, "note-a", 10)],
    ["a wrong checksum", (bench) => flip(bench, "note-a", 5)],
    ["cut", (bench) => edit(bench, "note-a", (bytes) => bytes.subarray(0, 10))],
    ["a folder", (bench) => {
      bench.disk.delete("note-a");
      bench.disk.putFolder("note-a");
    }],
    ["gone", (bench) => bench.disk.delete("note-a")],
  ];
  for (const [name, breaks] of breakings) {
    const { bench } = await closed(["one", "two"]);
    const before = await bench.open();
    const own = await before.cursor("a", "oldest");
    await own.keep("what was noted");
    await own.move(99n);
    breaks(bench);
    const journal = await bench.open();
    const cursor = await journal.cursor("a", "oldest");
    const why = ["a folder", "gone"].includes(name) ? "is not there any more" : "cannot be read";
    assert.match(bench.told("note lost").join(), new RegExp(`'a' has a note that ${why}`), name);
    assert.deepEqual([cursor.note, cursor.position], [undefined, 99n], name);
    await cursor.keep("again");
    assert.equal((await (await bench.open()).cursor("a", "oldest")).note, "again", name);
  }
});

Deno.test("a new destination does not get the note of another one of its name", async () => {
  const { bench } = await closed(["one"]);
  const before = await bench.open();
  await (await before.cursor("a", "oldest")).keep("of another one");
  bench.disk.delete("cursor-a");
  const journal = await bench.open();
  assert.equal((await journal.cursor("a", "oldest")).note, "");
  assert.equal((await (await bench.open()).cursor("a", "oldest")).note, "");
});

Deno.test("a move that failed may have been made, and is undone by a move to where the cursor is", async () => {
  const { bench } = await closed(["one", "two"]);
  const journal = await bench.open();
  const cursor = await journal.cursor("a", "oldest");
  bench.fail("sync folder", "EIO", { times: 1 });
  await assert.rejects(cursor.move(99n), { code: "EIO" });
  assert.equal(cursor.position, 0n);
  bench.disk.kill();
  assert.notEqual(new TextDecoder().decode(bench.disk.get("cursor-a")).slice(0, 16), FIRST);
  const again = await bench.open();
  const found = await again.cursor("a", "oldest");
  assert.equal(found.position, 99n, "it was made");
  bench.fail("sync folder", "EIO", { times: 1 });
  await assert.rejects(found.move(198n), { code: "EIO" });
  await found.move(99n);
  assert.equal((await (await bench.open()).cursor("a", "oldest")).position, 99n);
});

Deno.test("a cursor ahead of all records keeps what is appended now from being passed over", async () => {
  const { bench } = await closed(["one", "two", "three"]);
  const before = await bench.open();
  await (await before.cursor("a", "oldest")).move(before.head);
  await before.close();
  for (const name of bench.disk.names) {
    if (/^[0-9a-f]{16}$/.test(name) && name !== FIRST) bench.disk.delete(name);
  }
  edit(bench, FIRST, (bytes) => bytes.subarray(0, 99));
  const journal = await bench.open();
  const cursor = await journal.cursor("a", "oldest");
  assert.equal(cursor.position, 299n);
  assert.equal(journal.head, 299n);
  await bench.append(journal, "four");
  assert.deepEqual(await textsOf(journal, cursor.position), ["four"]);
  await goesOn(bench, journal, ["one", "four"]);
  for (const name of bench.disk.names) if (/^[0-9a-f]{16}$/.test(name)) bench.disk.delete(name);
  const empty = await bench.open();
  assert.equal(empty.head, 299n);
});

Deno.test("keys that cannot be read are told; the requests are taken for new ones", async () => {
  const { bench } = await closed(["one", "two"], { segmentBytes: 1 });
  const before = await bench.open({ segmentBytes: 1, graceMs: 0 });
  const cursor = await before.cursor("a", "oldest");
  before.start();
  await cursor.move(before.head);
  await before.close();
  flip(bench, `keys-${FIRST}`, 30);
  const journal = await bench.open();
  assert.match(bench.told("keys lost")[0]!, new RegExp(`keys-${FIRST}`));
  assert.equal((await bench.append(journal, "one")).duplicate, false);
  assert.equal((await bench.append(journal, "two")).duplicate, true);
});

Deno.test("a body that looks like records is a body", async () => {
  const { bench } = await closed(["one", "two"]);
  const journal = await bench.open();
  const body = bench.disk.get(FIRST);
  await journal.append({ signal: "logs", body, count: 1, arrivalUnixNano: 0n });
  await bench.append(journal, "three");
  await journal.close();
  // Its head is gone, so that what is inside comes to light.
  const [name] = bench.disk.names.filter((name) => name.startsWith("00000000000000")).slice(-1);
  flip(bench, name!, Number(198n - BigInt(`0x${name}`)) + 4);
  const again = await bench.open();
  assert.deepEqual(await textsOf(again), ["one", "two", "three"]);
  assert.equal(again.stats.damaged, 1);
});

Deno.test("where the folder cannot be used, the error says what the system said", async () => {
  for (const [op, code] of [["list", "EACCES"], ["create", "EROFS"], ["open", "EACCES"]] as const) {
    const { bench } = await closed(["one"]);
    bench.fail(op, code);
    const error: Error = await bench.open().then(() => assert.fail(op), (error) => error);
    assert.match(error.message, new RegExp(`Cannot open the journal: ${code}`));
    assert.equal((error.cause as { code?: string }).code, code);
  }
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/file`;
    await Deno.writeTextFile(path, "");
    await assert.rejects(openJournal(diskFiles(path)), /Cannot open the journal: .*file/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("any bytes in any file of the folder: the journal opens, goes on, and gives only what was appended", async () => {
  const texts = Array.from({ length: 12 }, (_, n) => `text ${n}`);
  for (let round = 0; round < 300; round++) {
    const { bench } = await closed(texts.slice(0, 1 + round % texts.length), { segmentBytes: 250 });
    const before = await bench.open();
    await (await before.cursor("a", "oldest")).move(before.head);
    await before.close();
    let state = round * 7919 + 1;
    const below = (n: number) => (state = (state * 48271) % 2147483647) % n;
    for (let n = 0; n < 1 + round % 4; n++) {
      const name = bench.disk.names[below(bench.disk.names.length)]!;
      edit(bench, name, (bytes) => {
        if (below(4) === 0) return bytes.subarray(0, below(bytes.length + 1));
        if (below(4) === 0) return new Uint8Array([...bytes, ...bytes.subarray(below(50))]);
        const at = below(Math.max(bytes.length, 1));
        return bytes.fill(below(256), at, at + 1 + below(40));
      });
    }
    const journal = await bench.open({ segmentBytes: 250 }).catch((error) => {
      assert(error instanceof JournalFormatError, `round ${round}: ${error.stack}`);
    });
    if (journal === undefined) continue;
    const appended = await bench.append(journal, `new ${round}`);
    const found: JournalRecord[] = [];
    for (let at = journal.oldest; at < journal.head;) {
      const records = await journal.read(at, ALL);
      if (records.length === 0) break;
      found.push(...records);
      at = records.at(-1)!.next;
    }
    const read = found.map(({ body }) => new TextDecoder().decode(body));
    assert.equal(read.at(-1), `new ${round}`);
    assert.equal(found.at(-1)!.position, appended.position);
    assert.equal(new Set(read).size, read.length, "once");
    for (const text of read.slice(0, -1)) assert(texts.includes(text), text);
    const cursor = await journal.cursor("a", "oldest");
    assert(cursor.position <= appended.position, "the new one is not passed over");
    await journal.close();
  }
});
