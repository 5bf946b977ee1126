/** What a journal makes of the files of its cursors, and of the notes beside them. */

import assert from "node:assert/strict";
import { type Bench, closed, edit, FIRST, flip, goesOn, textsOf } from "./journal_fixture.ts";

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
