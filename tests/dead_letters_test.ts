import assert from "node:assert/strict";
import {
  DamagedLetterError,
  DeadLetters,
  DeadLettersFullError,
  type Sender,
} from "../src/dead_letters.ts";
import { diskFiles } from "../src/journal_files.ts";
import type { DeadLetter } from "../src/sink.ts";
import { LetterFiles } from "./letter_files.ts";

const JOURNAL = "0f8fad5b-d9cb-469f-a165-70867728950e";

function letter(position: bigint, given: Partial<DeadLetter> = {}): DeadLetter {
  return {
    position,
    index: 0,
    signal: "traces",
    count: 1,
    arrivalUnixNano: 1_700_000_000_123_456_789n,
    reason: "400: bad span",
    body: Uint8Array.of(1, 2, 3),
    ...given,
  };
}

function from(destination: string, given: Partial<Sender> = {}): Sender {
  return { destination, journal: JOURNAL, attempts: 1, ...given };
}

function names(letters: DeadLetters): Promise<string[]> {
  return letters.list().then((list) => list.letters.map(({ name }) => name));
}

const now = () => 1_700_000_001_000;

Deno.test("dead letters come back as they were put in, after a restart too", async () => {
  const files = new LetterFiles();
  const letters = await DeadLetters.open(files, { now });
  const put = letter(0x1f00n, { index: 7, signal: "metrics", count: 3, body: new Uint8Array(5) });
  await letters.add([put], from("vendor", { attempts: 4 }));
  const head = {
    name: "vendor-0f8fad5b-0000000000001f00-7",
    destination: "vendor",
    journal: JOURNAL,
    position: 0x1f00n,
    index: 7,
    signal: "metrics",
    count: 3,
    reason: "400: bad span",
    arrivalUnixNano: 1_700_000_000_123_456_789n,
    diedAtMs: now(),
    attempts: 4,
    bytes: 5,
  };
  for (const opened of [letters, await DeadLetters.open(files)]) {
    assert.deepEqual(await opened.list(), { letters: [head], damaged: [] });
    assert.deepEqual(await opened.read(head.name), { head, body: new Uint8Array(5) });
  }
});

Deno.test("dead letters lie in a folder on disk", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const letters = await DeadLetters.open(diskFiles(folder));
    await letters.add([letter(1n), letter(2n)], from("a b/../C:1"));
    const reopened = await DeadLetters.open(diskFiles(folder));
    const list = await reopened.list({ destination: "a b/../C:1" });
    assert.deepEqual(list.letters.map(({ position }) => position), [1n, 2n]);
    assert.deepEqual((await reopened.read(list.letters[0]!.name)).body, Uint8Array.of(1, 2, 3));
    assert(await reopened.drop(list.letters[0]!.name));
    const left = [...Deno.readDirSync(folder)].map(({ name }) => name);
    assert.deepEqual(left, [list.letters[1]!.name]);
    assert.match(left[0]!, /^[a-z0-9%_.-]+$/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a dead letter written twice is there once", async () => {
  const files = new LetterFiles();
  const letters = await DeadLetters.open(files);
  await letters.add([letter(1n)], from("a"));
  await letters.add(
    [letter(1n, { reason: "said otherwise" }), letter(1n, { index: 1 })],
    from("a"),
  );
  assert.deepEqual(await names(letters), [
    "a-0f8fad5b-0000000000000001-0",
    "a-0f8fad5b-0000000000000001-1",
  ]);
  const { written, repeated, letters: count } = letters.stats;
  assert.deepEqual({ written, repeated, count }, { written: 2, repeated: 1, count: 2 });
  assert.equal((await letters.list()).letters[0]!.reason, "400: bad span");
});

Deno.test("dead letters of other destinations, journals and indexes are others", async () => {
  const letters = await DeadLetters.open(new LetterFiles());
  await letters.add([letter(1n)], from("a"));
  await letters.add([letter(1n)], from("A"));
  await letters.add([letter(1n)], from("a-0f8fad5b-0000000000000001-0"));
  await letters.add([letter(1n)], from("a", { journal: "11111111-d9cb-469f-a165-70867728950e" }));
  assert.equal((await letters.list()).letters.length, 4);
  assert.equal(new Set((await names(letters)).map((name) => name.toLowerCase())).size, 4);
  for (const destination of ["A", "a-0f8fad5b-0000000000000001-0"]) {
    const { letters: [only, ...more] } = await letters.list({ destination });
    assert.deepEqual([only?.destination, more], [destination, []]);
  }
});

Deno.test("dead letters are listed by destination, signal, reason and number", async () => {
  const letters = await DeadLetters.open(new LetterFiles());
  await letters.add([letter(1n), letter(2n, { signal: "logs" })], from("a"));
  await letters.add([letter(3n, { reason: "413: too large" }), letter(4n)], from("b"));
  const list = async (filter: Parameters<DeadLetters["list"]>[0]) =>
    (await letters.list(filter)).letters.map(({ position }) => Number(position));
  assert.deepEqual(await list({ destination: "a" }), [1, 2]);
  assert.deepEqual(await list({ signal: "logs" }), [2]);
  assert.deepEqual(await list({ reason: "too large" }), [3]);
  assert.deepEqual(await list({ destination: "b", reason: "bad" }), [4]);
  assert.deepEqual(await list({ limit: 3 }), [1, 2, 3]);
  assert.deepEqual(await list({ destination: "c" }), []);
});

Deno.test("once dead letters are added, no crash loses them", async () => {
  const files = new LetterFiles();
  const letters = await DeadLetters.open(files);
  await letters.add([letter(1n), letter(2n)], from("a"));
  files.crash();
  const after = await DeadLetters.open(files);
  for (const name of await names(letters)) {
    assert.deepEqual((await after.read(name)).body, Uint8Array.of(1, 2, 3));
  }
  assert.equal(after.stats.letters, 2);
});

Deno.test("a dropped letter does not come back after a crash", async () => {
  const files = new LetterFiles();
  const letters = await DeadLetters.open(files);
  await letters.add([letter(1n)], from("a"));
  await letters.drop((await names(letters))[0]!);
  files.crash();
  assert.deepEqual(await files.list(), []);
});

Deno.test("each fsync of a dead letter is needed: without it a crash loses it", async () => {
  for (const lie of ["sync", "sync folder"] as const) {
    const files = new LetterFiles();
    files.lying = new Set([lie]);
    const letters = await DeadLetters.open(files);
    await letters.add([letter(1n)], from("a"));
    files.crash();
    const { letters: found } = await (await DeadLetters.open(files)).list();
    assert.deepEqual(found, [], lie);
  }
});

Deno.test("a letter found there is made durable too: its rename may not be", async () => {
  const files = new LetterFiles();
  let fail = true;
  files.onStep = (step) => {
    if (step === "sync folder" && fail) throw new Error("EIO");
  };
  const letters = await DeadLetters.open(files);
  await assert.rejects(letters.add([letter(1n)], from("a")), /EIO/);
  fail = false;
  await letters.add([letter(1n)], from("a"));
  assert.equal(letters.stats.repeated, 1);
  files.crash();
  assert.equal((await DeadLetters.open(files)).stats.letters, 1);
});

Deno.test("whatever step fails, the letter is whole or absent, and adding again mends it", async () => {
  const whole = new LetterFiles();
  await (await DeadLetters.open(whole)).add([letter(1n), letter(2n)], from("a"));
  const steps = whole.steps.length;
  assert(steps > 8);
  for (let failing = 0; failing < steps; failing++) {
    for (const crashes of [true, false]) {
      const files = new LetterFiles();
      let step = 0;
      files.onStep = (kind) => {
        if (kind !== "read" && step++ === failing) throw new Error("disk full");
      };
      let letters = await DeadLetters.open(files);
      await assert.rejects(letters.add([letter(1n), letter(2n)], from("a")), /disk full/);
      if (crashes) {
        files.crash();
        letters = await DeadLetters.open(files);
      }
      assert.deepEqual((await letters.list()).damaged, []);
      await letters.add([letter(1n), letter(2n)], from("a"));
      files.crash();
      const after = await DeadLetters.open(files);
      assert.equal((await files.list()).length, 2);
      for (const name of await names(after)) await after.read(name);
      assert.equal(after.stats.bytes, letters.stats.bytes);
    }
  }
});

Deno.test("what a crash left unfinished is removed at the start", async () => {
  const files = new LetterFiles();
  await files.create("a-0f8fad5b-0000000000000001-0.new");
  const letters = await DeadLetters.open(files);
  assert.deepEqual(await files.list(), []);
  assert.equal(letters.stats.letters, 0);
});

Deno.test("a damaged letter is named and skipped, not read, and can be dropped", async () => {
  const damages: readonly [string, (bytes: Uint8Array) => Uint8Array, RegExp][] = [
    ["empty", () => new Uint8Array(), /does not begin/],
    ["cut in its head", (bytes) => bytes.slice(0, 40), /does not begin/],
    ["head changed", (bytes) => bytes.map((b, n) => n === 60 ? b ^ 1 : b), /checksum/],
    ["not a letter", () => new TextEncoder().encode("hello\nworld\n"), /does not begin/],
  ];
  for (const [name, change, reason] of damages) {
    const files = new LetterFiles();
    const letters = await DeadLetters.open(files);
    await letters.add([letter(1n), letter(2n)], from("a"));
    const [first, second] = await names(letters);
    files.tamper(first!, change);
    const list = await letters.list();
    assert.deepEqual(list.letters.map((head) => head.name), [second], name);
    assert.deepEqual(list.damaged.map((file) => file.name), [first], name);
    assert.match(list.damaged[0]!.reason, reason, name);
    await assert.rejects(letters.read(first!), DamagedLetterError);
    assert(await letters.drop(first!));
    assert.deepEqual(await files.list(), [second]);
  }
});

Deno.test("damage in the body of a letter is found when it is read", async () => {
  for (
    const change of [
      (bytes: Uint8Array) => bytes.subarray(0, -1),
      (bytes: Uint8Array) => new Uint8Array([...bytes, 0]),
      (bytes: Uint8Array) => bytes.with(-1, bytes.at(-1)! ^ 1),
    ]
  ) {
    const files = new LetterFiles();
    const letters = await DeadLetters.open(files);
    await letters.add([letter(1n)], from("a"));
    const [name] = await names(letters);
    files.tamper(name!, change);
    await assert.rejects(letters.read(name!), DamagedLetterError);
  }
});

Deno.test("a damaged letter that is written again is whole again", async () => {
  const files = new LetterFiles();
  const letters = await DeadLetters.open(files);
  await letters.add([letter(1n)], from("a"));
  const [name] = await names(letters);
  files.tamper(name!, (bytes) => bytes.subarray(0, 50));
  await letters.add([letter(1n)], from("a"));
  assert.deepEqual((await letters.read(name!)).body, Uint8Array.of(1, 2, 3));
  const { letters: count, bytes } = letters.stats;
  assert.deepEqual([count, bytes], [1, await files.size(name!)]);
});

Deno.test("a letter dropped while letters are listed is no damage", async () => {
  const files = new LetterFiles();
  const letters = await DeadLetters.open(files);
  await letters.add([letter(1n), letter(2n), letter(3n)], from("a"));
  const [, , last] = await names(letters);
  const [{ letters: heads, damaged }, ...dropped] = await Promise.all([
    letters.list(),
    letters.drop(last!),
    letters.drop(last!),
  ]);
  assert.deepEqual([heads.length, damaged, dropped], [2, [], [true, false]]);
});

Deno.test("a letter that cannot be dropped is still there", async () => {
  const files = new LetterFiles();
  const letters = await DeadLetters.open(files);
  await letters.add([letter(1n)], from("a"));
  const { bytes } = letters.stats;
  files.onStep = (step) => {
    if (step === "remove") throw new Error("read-only");
  };
  const [name] = await names(letters);
  await assert.rejects(letters.drop(name!), /read-only/);
  assert.deepEqual([await names(letters), letters.stats.bytes], [[name], bytes]);
});

Deno.test("junk in the folder is named as damaged and left alone", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/a-0f8fad5b-0000000000000001-0`);
    await Deno.writeTextFile(`${folder}/.DS_Store`, "junk");
    await Deno.writeTextFile(`${folder}/%-0f8fad5b-0000000000000001-0`, "");
    const letters = await DeadLetters.open(diskFiles(folder));
    await letters.add([letter(2n)], from("a"));
    const { letters: [only], damaged } = await letters.list();
    assert.equal(only!.position, 2n);
    assert.deepEqual(damaged.map(({ name }) => name), [
      "%-0f8fad5b-0000000000000001-0",
      ".DS_Store",
      "a-0f8fad5b-0000000000000001-0",
    ]);
    assert.equal((await letters.list({ destination: "a" })).damaged.length, 1);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("full dead letters refuse another one, keep what is there, and say when there is room", async () => {
  const files = new LetterFiles();
  const letters = await DeadLetters.open(files, { maxBytes: 1_200 });
  await letters.add([letter(1n, { body: new Uint8Array(500) })], from("a"));
  const second = letter(2n, { body: new Uint8Array(500) });
  const error: unknown = await letters.add([second], from("a")).catch((error) => error);
  assert(error instanceof DeadLettersFullError);
  assert.match(error.message, /Cannot keep a dead letter of \d+ bytes: there are 1 .*at most 1200/);
  assert.equal(letters.stats.letters, 1);

  let open = false;
  const room = letters.room(error.bytes, new AbortController().signal).then(() => open = true);
  await Promise.resolve();
  assert.equal(open, false);
  await letters.drop((await names(letters))[0]!);
  await room;
  await letters.add([second], from("a"));
  assert.deepEqual(letters.stats.letters, 1);
  assert.equal(letters.stats.dropped, 1);
});

Deno.test("dead letters are bounded by number, and waiting for room can be given up", async () => {
  const letters = await DeadLetters.open(new LetterFiles(), { maxLetters: 2 });
  await assert.rejects(
    letters.add([letter(1n), letter(2n), letter(3n)], from("a")),
    DeadLettersFullError,
  );
  assert.deepEqual((await names(letters)).length, 2);
  const abort = new AbortController();
  const room = letters.room(1, abort.signal);
  abort.abort(new Error("enough"));
  await assert.rejects(room, /enough/);
});

Deno.test("a letter larger than the bound is taken when there is no other", async () => {
  const letters = await DeadLetters.open(new LetterFiles(), { maxBytes: 10 });
  await letters.add([letter(1n)], from("a"));
  await assert.rejects(letters.add([letter(2n)], from("a")), DeadLettersFullError);
});

Deno.test("dropping what is not there is no error, reading it is", async () => {
  const letters = await DeadLetters.open(new LetterFiles());
  assert.equal(await letters.drop("a-0f8fad5b-0000000000000001-0"), false);
  await assert.rejects(letters.read("../secret"), RangeError);
});

Deno.test("a reason of any length and content fits into the head", async () => {
  const letters = await DeadLetters.open(new LetterFiles());
  const reasons = ["\u0000".repeat(5_000), "\ud800".repeat(5_000), '€\n"'.repeat(5_000), ""];
  await letters.add(reasons.map((reason, index) => letter(1n, { index, reason })), from("a"));
  const { letters: heads, damaged } = await letters.list();
  assert.deepEqual(damaged, []);
  assert.deepEqual(heads.map(({ reason }) => reason), reasons.map((text) => text.slice(0, 1_000)));
});

Deno.test("options of dead letters are checked by name", async () => {
  await assert.rejects(
    DeadLetters.open(new LetterFiles(), { maxBytes: 0 }),
    /RangeError: Cannot keep dead letters with 'maxBytes': 0/,
  );
});
