/**
 * A disk that is small enough to be filled.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { once } from "node:events";

/** A small file system of its own. Disposing takes it away with all that is on it. */
export interface SmallDisk extends AsyncDisposable {
  /** Its folder, in which everybody may write. */
  readonly path: string;
  /** Takes all the space that is left. */
  fill(): Promise<void>;
  /** Gives back what `fill` took. */
  free(): Promise<void>;
}

/** Makes one; undefined where mounting is not permitted. */
export async function smallDisk(megabytes: number): Promise<SmallDisk | undefined> {
  const path = await Deno.makeTempDir({ prefix: "otel-storage-disk-" });
  // The shell takes the disk away when its own input ends, so that it goes with us however we go.
  const script =
    `mount -t tmpfs -o size=${megabytes}m,mode=1777 tmpfs '${path}' && echo mounted && ` +
    `{ read end; umount -l '${path}'; }; rmdir '${path}'`;
  const shell = spawn("sh", ["-c", script], { stdio: ["pipe", "pipe", "ignore"], detached: true });
  const ended = once(shell, "exit");
  const [first] = await Promise.race([once(shell.stdout, "data"), ended]);
  if (!String(first).startsWith("mounted")) {
    await ended;
    return undefined;
  }
  shell.unref();
  const ballast = `${path}/ballast`;
  return {
    path,
    async fill() {
      using file = await Deno.open(ballast, { create: true, append: true });
      // What is freed meanwhile is taken, too: the last page alone tells that there is none.
      for (let size = 1024 * 1024; size >= 4096;) {
        try {
          await file.write(new Uint8Array(size));
        } catch {
          size /= 2;
        }
      }
    },
    async free() {
      await Deno.remove(ballast);
    },
    async [Symbol.asyncDispose]() {
      // Nothing else may be left to wait for.
      shell.ref();
      shell.stdin.end();
      await ended;
    },
  };
}
