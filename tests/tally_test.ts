/** What a journal has counted and not appended: over restarts, on bad disks and in damaged files. */

import assert from "node:assert/strict";
import { openJournal } from "../src/disk_journal.ts";
import type { Journal } from "../src/journal.ts";
import { Bench, edit, flip } from "./journal_fixture.ts";

const rejected = (n: number) => ({
  rejected: { traces: n, logs: 0, metrics: 0 },
  duplicates: { traces: 0, logs: 0, metrics: 0 },
});

async function toldOf(journal: Journal): Promise<unknown> {
  await journal.keepTally();
  return journal.tally;
}

Deno.test("what was counted is there after a restart; a kill forgets only what was never told", async () => {
  const bench = new Bench();
  const first = await bench.open();
  first.reject("traces", 2);
  await first.close();
  const second = await bench.open();
  assert.deepEqual(second.tally, rejected(2));
  second.reject("traces", 3);
  assert.deepEqual(await toldOf(second), rejected(5));
  second.reject("traces", 4);
  bench.disk.powerOff("all");
  assert.deepEqual((await bench.open()).tally, rejected(5));
});

Deno.test("counting touches no disk, nor does a tally of which nothing is new", async () => {
  const bench = new Bench();
  const journal = await bench.open();
  journal.reject("traces", 1);
  await journal.keepTally();
  const calls: string[] = [];
  bench.disk.fail = ({ op }) => {
    calls.push(op);
    return undefined;
  };
  await journal.keepTally();
  journal.reject("traces", 0);
  await journal.keepTally();
  journal.reject("traces", 1);
  assert.equal(calls.length, 0, calls.join());
  await journal.keepTally();
  assert.ok(calls.includes("sync"));
});

Deno.test("what cannot be kept is not told, and is when it can", async () => {
  const bench = new Bench();
  const journal = await bench.open();
  for (const op of ["create", "write", "sync", "rename", "sync folder"] as const) {
    bench.events.length = 0;
    const before = await toldOf(journal);
    journal.reject("traces", 1);
    bench.fail(op, "EIO");
    assert.deepEqual(await toldOf(journal), before, op);
    assert.match(bench.told("upkeep failed").join(), /^Cannot keep how many records were rejected/);
    bench.disk.fail = () => undefined;
    assert.notDeepEqual(await toldOf(journal), before, op);
  }
  assert.deepEqual(journal.tally, rejected(5));
});

Deno.test("who asks does not wait for a disk that hangs longer than he likes to", async () => {
  const bench = new Bench();
  const files = bench.disk.boot();
  const hanging = Promise.withResolvers<void>();
  const journal = await openJournal({
    ...files,
    create: async (name) => {
      if (name === "tally.tmp") await hanging.promise;
      return await files.create(name);
    },
  });
  journal.reject("traces", 1);
  await journal.keepTally(AbortSignal.abort());
  await journal.keepTally(AbortSignal.timeout(5));
  assert.deepEqual(journal.tally, rejected(0));
  journal.reject("traces", 1);
  const all = journal.keepTally();
  hanging.resolve();
  await all;
  // Those counted since the one that hung began are among them.
  assert.deepEqual(journal.tally, rejected(2));
});

Deno.test("a tally that is damaged is told and counted from 0", async () => {
  const spoil: [name: string, spoil: (bench: Bench) => void][] = [
    ["empty", (bench) => bench.disk.put("tally", "")],
    ["garbage", (bench) => bench.disk.put("tally", new Uint8Array(5 << 20).fill(200))],
    ["a wrong digit", (bench) => flip(bench, "tally", 32)],
    ["cut", (bench) => edit(bench, "tally", (bytes) => bytes.subarray(0, 20))],
  ];
  for (const [name, change] of spoil) {
    const bench = new Bench();
    const journal = await bench.open();
    journal.reject("traces", 3);
    await journal.close();
    change(bench);
    const again = await bench.open();
    assert.deepEqual(again.tally, rejected(0), name);
    assert.match(
      bench.told("note lost").join(),
      /^The journal has a tally that cannot be read/,
      name,
    );
    again.reject("traces", 1);
    await again.close();
    assert.deepEqual((await bench.open()).tally, rejected(1), name);
    assert.deepEqual(bench.told("note lost"), [], name);
  }
});
