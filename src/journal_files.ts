/**
 * The one layer through which the journal touches the disk: a folder of files without subfolders.
 * Tests put another one in its place.
 *
 * What is written is durable after `sync` of the file; that a file is made, renamed or removed is
 * durable after `sync` of the folder. Errors carry the `code` of the system, such as `ENOSPC`.
 *
 * @module
 */

import { type FileHandle, mkdir, open, readdir, rename, rm, stat, statfs } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import process from "node:process";

/** A file open for appending. Disposing closes it. */
export interface JournalFile extends AsyncDisposable {
  /** Appends the chunks in their order. When it fails, any part of them may have been appended. */
  write(chunks: readonly Uint8Array[]): Promise<void>;
  /** Cuts it to its first `size` bytes. */
  truncate(size: number): Promise<void>;
  /** Makes its bytes and its size durable. */
  sync(): Promise<void>;
  /** Closes it. Idempotent. */
  close(): Promise<void>;
}

/** The files of one folder. Names are names in the folder, never paths. */
export interface JournalFiles {
  /** The names of all that is in the folder, which is made when absent. */
  list(): Promise<string[]>;
  /** Up to `length` bytes from byte `from` on; fewer when the file ends before. Default: all. */
  read(name: string, from?: number, length?: number): Promise<Uint8Array>;
  /** Size in bytes. Fails with the code `EISDIR` for whatever is not a file. */
  size(name: string): Promise<number>;
  /** Makes a file. Fails with the code `EEXIST` when there is one of the name. */
  create(name: string): Promise<JournalFile>;
  /** Opens a file that exists for appending and truncating. */
  open(name: string): Promise<JournalFile>;
  /** Renames, replacing a file of the new name. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; none of the name is no error. */
  remove(name: string): Promise<void>;
  /** Makes the names durable: all that was made, renamed and removed. */
  sync(): Promise<void>;
  /** How large the disk of the folder is. */
  space(): Promise<DiskSpace>;
}

/** What a disk has. */
export interface DiskSpace {
  /** Bytes that may still be written. */
  readonly freeBytes: number;
  /** Bytes in all. */
  readonly totalBytes: number;
}

/** The code of a system error, such as `ENOSPC`; undefined for other errors. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { readonly code?: unknown } | null | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}

const turns = new WeakMap<JournalFiles, Promise<unknown>>();

/**
 * Changes names in a folder, and makes the change durable; one change after the other. For of two
 * syncs at a time one could be told of the failure of both, and the other that all is well.
 */
export async function changeNames<T>(files: JournalFiles, change: () => Promise<T>): Promise<T> {
  const turn = (turns.get(files) ?? Promise.resolve()).then(async () => {
    const result = await change();
    await files.sync();
    return result;
  });
  turns.set(files, turn.catch(() => {}));
  return await turn;
}

/**
 * Replaces a whole file such that after a crash either the old or the new one is there, whole. When
 * it fails the old one is there, or, if only the last step failed, either.
 */
export async function replaceFile(
  files: JournalFiles,
  name: string,
  bytes: Uint8Array,
): Promise<void> {
  const temporary = `${name}.tmp`;
  await files.remove(temporary);
  try {
    await using file = await files.create(temporary);
    await file.write([bytes]);
    await file.sync();
  } catch (error) {
    // Half a file on a full disk is room that others need. The first error is the one to tell.
    await files.remove(temporary).catch(() => {});
    throw error;
  }
  await changeNames(files, () => files.rename(temporary, name));
}

/** The files of a folder on disk. */
export function diskFiles(folder: string): JournalFiles {
  const path = (name: string) => join(folder, name);
  return {
    list: async () => {
      await makeFolder(folder);
      return await readdir(folder);
    },
    read: async (name, from = 0, length) => {
      await using file = await open(path(name), "r");
      const bytes = new Uint8Array(length ?? Math.max((await file.stat()).size - from, 0));
      let filled = 0;
      while (filled < bytes.length) {
        const rest = bytes.length - filled;
        const { bytesRead } = await file.read(bytes, filled, rest, from + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return bytes.subarray(0, filled);
    },
    size: async (name) => {
      const found = await stat(path(name));
      if (found.isFile()) return found.size;
      throw Object.assign(new Error(`Cannot use ${path(name)}: it is not a file`), {
        code: "EISDIR",
      });
    },
    create: async (name) => appending(await open(path(name), "ax")),
    open: async (name) => {
      // Appending would make it.
      await stat(path(name));
      return appending(await open(path(name), "a"));
    },
    rename: (from, to) => rename(path(from), path(to)),
    remove: (name) => rm(path(name), { force: true }),
    sync: () => syncFolder(folder),
    space: async () => {
      const { bavail, blocks, bsize } = await statfs(folder);
      return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
    },
  };
}

/** Chunks shorter than this are copied together: a call for each costs more than the copy. */
const COPIED_BELOW = 32 << 10;
/** How much is copied together. */
const JOINED_BYTES = 256 << 10;

function appending(handle: FileHandle): JournalFile {
  let closing: Promise<void> | undefined;
  const close = () => closing ??= handle.close();
  return {
    write: async (chunks) => {
      for (const bytes of joined(chunks)) {
        for (let from = 0; from < bytes.length;) {
          from += (await handle.write(bytes, from, bytes.length - from)).bytesWritten;
        }
      }
    },
    truncate: (size) => handle.truncate(size),
    sync: () => handle.datasync(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** The same bytes in fewer chunks, the large ones as they are. */
function* joined(chunks: readonly Uint8Array[]): Generator<Uint8Array> {
  let small: Uint8Array[] = [];
  let bytes = 0;
  for (const chunk of chunks) {
    const copied = chunk.length < COPIED_BELOW;
    if (small.length > 0 && (!copied || bytes + chunk.length > JOINED_BYTES)) {
      yield concat(small, bytes);
      [small, bytes] = [[], 0];
    }
    if (copied) {
      small.push(chunk);
      bytes += chunk.length;
    } else {
      yield chunk;
    }
  }
  if (small.length > 0) yield concat(small, bytes);
}

function concat(chunks: readonly Uint8Array[], length: number): Uint8Array {
  if (chunks.length === 1) return chunks[0]!;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** Makes a folder and those above it, durably. */
async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) return;
  const top = dirname(resolve(first));
  for (let above = dirname(resolve(folder));; above = dirname(above)) {
    await syncFolder(above);
    if (above === top) return;
  }
}

async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open a folder, and writes its names at once.
  if (process.platform === "win32") return;
  await using handle = await open(folder, "r");
  await handle.sync();
}
