import assert from "node:assert/strict";
import { codeOf, diskFiles, type JournalFiles, replaceFile } from "../src/journal_files.ts";
import { CrashingDisk, randomOf } from "./crashing_files.ts";

/** A folder of one kind, with a folder `sub` in it. */
interface Kind {
  readonly name: string;
  use(test: (files: JournalFiles) => Promise<void>): Promise<void>;
}

const KINDS: readonly Kind[] = [
  {
    name: "on disk",
    use: async (test) => {
      const folder = await Deno.makeTempDir();
      try {
        await Deno.mkdir(`${folder}/a/b/sub`, { recursive: true });
        await test(diskFiles(`${folder}/a/b`));
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  },
  {
    name: "of the disk that crashes",
    use: async (test) => {
      const disk = new CrashingDisk(randomOf(1));
      disk.putFolder("sub");
      await test(disk.boot());
    },
  },
];

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (text: string) => new TextEncoder().encode(text);
const failsWith = (code: string) => (error: unknown) => codeOf(error) === code;

for (const { name, use } of KINDS) {
  Deno.test(`files ${name} are written, cut and read in parts`, () =>
    use(async (files) => {
      const large = new Uint8Array(300_000).map((_, n) => n % 251);
      {
        await using file = await files.create("a");
        await file.write([bytes("one"), new Uint8Array(), bytes("two")]);
        await file.write([]);
        await file.write([large, bytes("mid"), large, large, bytes("end")]);
        await file.sync();
        await file.close();
      }
      assert.equal(await files.size("a"), 900_012);
      const whole = await files.read("a");
      assert.equal(text(whole.subarray(0, 6)), "onetwo");
      assert.deepEqual(whole.subarray(300_009, 600_009), large);
      assert.equal(text(await files.read("a", 3, 3)), "two");
      assert.equal(text(await files.read("a", 900_009)), "end");
      assert.equal(text(await files.read("a", 900_009, 100)), "end");
      assert.equal((await files.read("a", 900_012, 5)).length, 0);
      assert.equal((await files.read("a", 1_000_000, 5)).length, 0);
      await using file = await files.open("a");
      await file.truncate(3);
      await file.write([bytes("!")]);
      await file.sync();
      assert.equal(text(await files.read("a")), "one!");
    }));

  Deno.test(`files ${name} have names that are made, replaced and removed`, () =>
    use(async (files) => {
      assert.deepEqual(await files.list(), ["sub"]);
      await assert.rejects(files.open("a"), failsWith("ENOENT"));
      await assert.rejects(files.read("a"), failsWith("ENOENT"));
      await assert.rejects(files.size("a"), failsWith("ENOENT"));
      await (await files.create("a")).close();
      await assert.rejects(files.create("a"), failsWith("EEXIST"));
      await replaceFile(files, "b", bytes("first"));
      await replaceFile(files, "b", bytes("second"));
      assert.equal(text(await files.read("b")), "second");
      await files.rename("b", "a");
      await files.sync();
      assert.deepEqual((await files.list()).sort(), ["a", "sub"]);
      await files.remove("a");
      await files.remove("a");
      assert.deepEqual(await files.list(), ["sub"]);
      const { freeBytes, totalBytes } = await files.space();
      assert(freeBytes > 0 && freeBytes <= totalBytes);
    }));

  Deno.test(`files ${name} say when a folder stands in their place`, () =>
    use(async (files) => {
      await assert.rejects(files.size("sub"), failsWith("EISDIR"));
      await assert.rejects(files.read("sub", 0, 10), failsWith("EISDIR"));
      await assert.rejects(files.create("sub"), failsWith("EEXIST"));
      await files.rename("sub", "aside");
      assert.deepEqual(await files.list(), ["aside"]);
    }));
}

Deno.test("a folder on disk is made when it is absent, with those above it", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const files = diskFiles(`${folder}/a/b/c`);
    assert.deepEqual(await files.list(), []);
    assert.deepEqual(await files.list(), []);
    await replaceFile(files, "x", bytes("x"));
    assert.equal(await Deno.readTextFile(`${folder}/a/b/c/x`), "x");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a file that cannot be replaced is as it was, and nothing is left behind", async () => {
  for (const [op, code] of [["write", "ENOSPC"], ["sync", "EIO"], ["rename", "EROFS"]] as const) {
    const disk = new CrashingDisk(randomOf(1));
    const files = disk.boot();
    await replaceFile(files, "a", bytes("old"));
    disk.fail = (call) => call.op === op ? code : undefined;
    await assert.rejects(replaceFile(files, "a", bytes("new")), failsWith(code));
    assert.equal(text(disk.get("a")), "old");
    disk.fail = () => undefined;
    await replaceFile(files, "a", bytes("new"));
    assert.equal(text(disk.get("a")), "new");
    assert.deepEqual(disk.names, ["a"]);
  }
});

Deno.test("of changes at a time, with a sync of names that fails, those that succeed are durable", async () => {
  for (let seed = 0; seed < 300; seed++) {
    const disk = new CrashingDisk(randomOf(seed));
    const files = disk.boot();
    let syncs = 0;
    disk.fail = ({ op }) => op === "sync folder" && syncs++ === seed % 3 ? "EIO" : undefined;
    const names = ["a", "b", "c"];
    const all = await Promise.allSettled(
      names.map((name) => replaceFile(files, name, bytes(name))),
    );
    assert.equal(all.filter(({ status }) => status === "rejected").length, 1);
    disk.powerOff("nothing");
    for (const [n, name] of names.entries()) {
      if (all[n]!.status === "fulfilled") assert.equal(text(disk.get(name)), name, `seed ${seed}`);
    }
  }
});
