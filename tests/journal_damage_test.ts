/** What a journal makes of segments that are torn, damaged or gone. */

import assert from "node:assert/strict";
import { Bench, closed, edit, FIRST, flip, goesOn, textsOf } from "./journal_fixture.ts";

const ALL = { maxBytes: 1_000_000, maxRecords: 1_000 };

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
