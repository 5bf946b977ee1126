import assert from "node:assert/strict";
import { FolderLockedError, lockFolder } from "../src/postgres/folder_lock.ts";

const MODULE = new URL("../src/postgres/folder_lock.ts", import.meta.url).href;

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const parent = await Deno.makeTempDir();
  try {
    await run(`${parent}/data`);
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
}

/** Another process that locks the folder, says so, and waits. */
async function otherHolder(folder: string): Promise<Deno.ChildProcess> {
  const code = `
    import { lockFolder } from ${JSON.stringify(MODULE)};
    const lock = await lockFolder(${JSON.stringify(folder)});
    lock.describe({ url: "http://127.0.0.1:4318" });
    console.log("locked");
    await new Promise((resolve) => setTimeout(resolve, 2 ** 30));`;
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--allow-read",
      "--allow-write",
      `data:text/typescript,${encodeURIComponent(code)}`,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  assert.equal(new TextDecoder().decode(value), "locked\n");
  await reader.cancel();
  return child;
}

Deno.test("a folder is made and locked once; the second lock is refused and names the holder", () =>
  withFolder(async (folder) => {
    using lock = await lockFolder(folder);
    lock.describe({ url: "http://127.0.0.1:4318" });
    await assert.rejects(lockFolder(folder), (error) => {
      assert.ok(error instanceof FolderLockedError);
      assert.equal(
        error.message,
        `Cannot use the folder ${folder}: it is in use by another process (pid ${Deno.pid}, ` +
          "url http://127.0.0.1:4318). End that one first, or choose another folder",
      );
      assert.deepEqual(error.holder, { pid: String(Deno.pid), url: "http://127.0.0.1:4318" });
      return true;
    });
  }));

Deno.test("a lock that is released can be taken again, and forgets its last holder's address", () =>
  withFolder(async (folder) => {
    {
      using lock = await lockFolder(folder);
      lock.describe({ url: "http://127.0.0.1:4318/a/long/one" });
    }
    using _lock = await lockFolder(folder);
    await assert.rejects(lockFolder(folder), { holder: { pid: String(Deno.pid) } });
  }));

Deno.test("another process is refused, until the holder is killed", () =>
  withFolder(async (folder) => {
    const child = await otherHolder(folder);
    try {
      await assert.rejects(lockFolder(folder), {
        name: "FolderLockedError",
        holder: { pid: String(child.pid), url: "http://127.0.0.1:4318" },
      });
    } finally {
      child.kill("SIGKILL");
      await child.status;
    }
    using _lock = await lockFolder(folder);
  }));

Deno.test("of twenty that want the lock at once one gets it", () =>
  withFolder(async (folder) => {
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => lockFolder(folder)));
    const locks = outcomes.filter((outcome) => outcome.status === "fulfilled");
    for (const { value } of locks) value[Symbol.dispose]();
    assert.equal(locks.length, 1);
  }));

Deno.test("a lock file with anything in it is only a lock file", () =>
  withFolder(async (folder) => {
    await Deno.mkdir(folder);
    for (const text of ["", "{", "null", "[1]", '"pid"', "\xff\0", '{"pid":{"a":1}}']) {
      await Deno.writeTextFile(`${folder}/lock`, text);
      using _lock = await lockFolder(folder);
      await Deno.writeTextFile(`${folder}/lock`, text);
      await assert.rejects(lockFolder(folder), { name: "FolderLockedError" });
    }
  }));
