/** What a journal makes of its folder: its id, what is not its own there, and whatever bytes are in it. */

import assert from "node:assert/strict";
import { openJournal } from "../src/disk_journal.ts";
import { JournalFormatError, type JournalRecord } from "../src/journal.ts";
import { diskFiles } from "../src/journal_files.ts";
import { Bench, closed, edit, FIRST, goesOn } from "./journal_fixture.ts";

const ALL = { maxBytes: 1_000_000, maxRecords: 1_000 };

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
