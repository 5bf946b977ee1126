/**
 * One process a folder: two that write to one folder of PGlite destroy it. The lock is the operating
 * system's and goes with the process, however that ends; what the file says of its holder is for
 * people, and may be old.
 *
 * @module
 */

import { join } from "node:path";

/** A lock that is held. Disposing releases it. */
export interface FolderLock extends Disposable {
  /** Says in the lock file who holds it, for example the URL to ask. */
  describe(holder: Readonly<Record<string, string>>): void;
}

/** The folder is in use by another process, or by another lock of this one. */
export class FolderLockedError extends Error {
  override readonly name: string = "FolderLockedError";
  /** What the holder says of itself: `pid`, and `url` once it listens. Unchecked. */
  readonly holder: Readonly<Record<string, string>>;

  /** @param folder The folder. @param holder What its lock file says. */
  constructor(folder: string, holder: Readonly<Record<string, string>>) {
    const known = Object.entries(holder).map(([name, value]) => `${name} ${value}`).join(", ");
    super(
      `Cannot use the folder ${folder}: it is in use by another process${
        known && ` (${known})`
      }. ` +
        "End that one first, or choose another folder",
    );
    this.holder = holder;
  }
}

/** The file that says who has a folder: whoever had it once has left it. */
export function lockFile(folder: string): string {
  return join(folder, "lock");
}

/**
 * Locks a data folder, which is made when absent, by the file `lock` in it. A folder of PGlite's own
 * has to stay as PGlite made it: lock the one it stands in.
 *
 * @throws {FolderLockedError} When it is locked already.
 * @throws {Error} It cannot be written to; the cause is what the system says.
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const path = lockFile(folder);
  const file = await openIn(folder, path);
  if (!await file.tryLock(true)) {
    file.close();
    throw new FolderLockedError(folder, await readHolder(path));
  }
  const lock: FolderLock = {
    describe(holder) {
      const text = JSON.stringify({ pid: String(Deno.pid), ...holder });
      file.truncateSync();
      file.seekSync(0, Deno.SeekMode.Start);
      file.writeSync(new TextEncoder().encode(text));
    },
    [Symbol.dispose]: () => file.close(),
  };
  lock.describe({});
  return lock;
}

async function openIn(folder: string, path: string): Promise<Deno.FsFile> {
  try {
    await Deno.mkdir(folder, { recursive: true });
    // Never deleted: between two that open it, the second could lock what the first one deletes.
    return await Deno.open(path, { read: true, write: true, create: true });
  } catch (cause) {
    throw new Error(
      `Cannot use the folder ${folder}: ${
        (cause as Error).message
      }; it has to belong to the user ` +
        "who runs this, on a disk that can be written to: change that, or choose another folder",
      { cause },
    );
  }
}

/** Nothing, when the holder is just writing or the system lets nobody else read. */
async function readHolder(path: string): Promise<Record<string, string>> {
  try {
    const entries = Object.entries(Object(JSON.parse(await Deno.readTextFile(path))));
    return Object.fromEntries(entries.map(([name, value]) => [name, String(value)]));
  } catch {
    return {};
  }
}
