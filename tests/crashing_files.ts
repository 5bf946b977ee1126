/**
 * A disk in memory that can lose what was not synced, as a real one does when the power fails.
 *
 * What is written goes to a page cache; `sync` of a file makes its bytes durable, `sync` of the folder
 * its names. When the process is killed the cache stays; when the power fails, of what was not synced
 * nothing is left, or all, or what came first, or any part of it. A sync that fails makes some of it
 * durable and forgets the rest: later syncs succeed without it, as on Linux.
 *
 * @module
 */

import type { JournalFile, JournalFiles } from "../src/journal_files.ts";

/** A call to the disk. */
export interface Call {
  readonly op:
    | "list"
    | "read"
    | "size"
    | "create"
    | "open"
    | "write"
    | "truncate"
    | "sync"
    | "sync folder"
    | "rename"
    | "remove"
    | "free";
  /** The file it is about, empty for the folder. */
  readonly name: string;
}

/** What is left of what was not synced when the power fails. */
export type Kept = "nothing" | "all" | "first" | "some";

type Change =
  | { readonly at: number; readonly bytes: Uint8Array }
  | { readonly size: number };

interface Inode {
  durable: Uint8Array;
  cached: Uint8Array;
  unsynced: Change[];
}

type Entries = Map<string, Inode | "folder">;

/** A change of names: `inode` gets the name `to`, and loses `from`. */
interface Entry {
  readonly inode?: Inode | "folder";
  readonly from?: string;
  readonly to?: string;
  /** What it was, for {@linkcode CrashingDisk.syncs}. */
  readonly what: string;
}

/** What else a call does: half of it, when the process dies, and what is done when it fails. */
interface Aside {
  readonly half?: () => void;
  readonly failing?: () => void;
}

const PAGE_BYTES = 64;

/** The process is dead: it gets no answers any more. */
export class Crashed extends Error {
  override readonly name = "Crashed";
}

/** Random numbers from 0 up to 1, the same for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed * 2654435761 >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One folder on a disk, which outlives the processes that use it. */
export class CrashingDisk {
  readonly #random: () => number;
  #entries: Entries = new Map();
  #durable: Entries = new Map();
  #unsynced: Entry[] = [];
  #process = 0;
  #isDead = true;
  /** What the names were changed by last in this process. */
  #lastChange = "";
  #crashAfter = Infinity;
  /** Bytes it can hold. */
  capacity = Infinity;
  /** How many calls were made. */
  calls = 0;
  /** What kinds of sync there were. */
  readonly syncs = new Set<string>();
  /** A code for a call that is to fail. */
  fail: (call: Call) => string | undefined = () => undefined;
  /** Whether a sync of this kind is to do nothing. */
  ignoreSync: (kind: string) => boolean = () => false;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Whether the process has died. */
  get isDead(): boolean {
    return this.#isDead;
  }

  /** The folder as a new process has it. Processes before it get no more answers. */
  boot(): JournalFiles {
    this.kill();
    this.#isDead = false;
    return this.#files(this.#process);
  }

  /** Ends the process. The page cache stays. */
  kill(): void {
    this.#process++;
    this.#isDead = true;
    this.#lastChange = "found";
  }

  /** Lets the process that is there then die at a call, 0 for the next: before, after or in it. */
  killAfter(calls: number): void {
    this.#crashAfter = calls;
  }

  /** Ends the process, and the page cache. */
  powerOff(kept: Kept): void {
    this.kill();
    const names = new Map(this.#durable);
    for (const entry of this.#left(this.#unsynced, kept)) enter(names, entry);
    const inodes = new Set([...this.#entries.values(), ...names.values()]);
    for (const inode of inodes) if (inode !== "folder") this.#loseCache(inode, kept);
    this.#entries = names;
    this.#durable = new Map(names);
    this.#unsynced = [];
  }

  /** The names in the folder. */
  get names(): string[] {
    return [...this.#entries.keys()].sort();
  }

  /** What a file holds. */
  get(name: string): Uint8Array {
    return this.#inode(name).cached.slice();
  }

  /** Puts a file there, durably. */
  put(name: string, bytes: Uint8Array | string): void {
    const durable = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes.slice();
    const inode: Inode = { durable, cached: durable.slice(), unsynced: [] };
    this.#entries.set(name, inode);
    this.#durable.set(name, inode);
  }

  /** Puts a folder there, durably. */
  putFolder(name: string): void {
    this.#entries.set(name, "folder");
    this.#durable.set(name, "folder");
  }

  /** Removes a file, durably. */
  delete(name: string): void {
    this.#entries.delete(name);
    this.#durable.delete(name);
  }

  /** Bytes in it, the page cache included. */
  get used(): number {
    let used = 0;
    for (const inode of this.#entries.values()) if (inode !== "folder") used += inode.cached.length;
    return used;
  }

  #inode(name: string): Inode {
    const inode = this.#entries.get(name);
    if (inode === undefined) throw systemError("ENOENT", name);
    if (inode === "folder") throw systemError("EISDIR", name);
    return inode;
  }

  /** What of some unsynced changes is left. */
  #left<T>(unsynced: readonly T[], kept: Kept): readonly T[] {
    switch (kept) {
      case "nothing":
        return [];
      case "all":
        return unsynced;
      case "first":
        return unsynced.slice(0, Math.floor(this.#random() * (unsynced.length + 1)));
      case "some":
        return unsynced.filter(() => this.#random() < 0.5);
    }
  }

  #loseCache(inode: Inode, kept: Kept): void {
    const pages = kept === "all" ? inode.unsynced : inode.unsynced.flatMap(pagesOf);
    for (const change of this.#left(pages, kept)) inode.durable = changed(inode.durable, change);
    inode.cached = inode.durable.slice();
    inode.unsynced = [];
  }

  /** Runs a call: later, unless it fails or the process dies before, after, or in the middle. */
  async #call<T>(
    process: number,
    call: Call,
    run: () => T,
    { half = () => {}, failing = half }: Aside = {},
  ): Promise<T> {
    const ticks = 1 + Math.floor(this.#random() * 3);
    for (let n = 0; n < ticks; n++) await undefined;
    if (process !== this.#process) throw new Crashed();
    this.calls++;
    if (this.#crashAfter-- <= 0) {
      const how = this.#random();
      if (how < 0.3) run();
      else if (how < 0.6) half();
      this.#crashAfter = Infinity;
      this.kill();
      throw new Crashed();
    }
    const code = this.fail(call);
    if (code === undefined) return run();
    failing();
    throw systemError(code, call.name);
  }

  #change(inode: Inode, change: Change): void {
    inode.cached = changed(inode.cached, change);
    inode.unsynced.push(change);
  }

  #changeNames(entry: Entry): void {
    enter(this.#entries, entry);
    this.#unsynced.push(entry);
    this.#lastChange = entry.what;
  }

  #files(process: number): JournalFiles {
    const call = <T>(op: Call["op"], name: string, run: () => T, failing?: () => void) =>
      this.#call(process, { op, name }, run, { ...(failing && { failing }) });
    return {
      list: () => call("list", "", () => this.names),
      read: (name, from = 0, length = Infinity) =>
        call("read", name, () => this.#inode(name).cached.slice(from, from + length)),
      size: (name) => call("size", name, () => this.#inode(name).cached.length),
      create: (name) =>
        call("create", name, () => {
          if (this.#entries.has(name)) throw systemError("EEXIST", name);
          const inode: Inode = {
            durable: new Uint8Array(),
            cached: new Uint8Array(),
            unsynced: [],
          };
          this.#changeNames({ inode, to: name, what: `${classOf(name)} made` });
          return this.#file(process, name, inode);
        }),
      open: (name) => call("open", name, () => this.#file(process, name, this.#inode(name))),
      rename: (from, to) =>
        call("rename", from, () => {
          const inode = this.#entries.get(from);
          if (inode === undefined) throw systemError("ENOENT", from);
          if (this.#entries.get(to) === "folder") throw systemError("EISDIR", to);
          this.#changeNames({ inode, from, to, what: `${classOf(to)} renamed` });
        }),
      remove: (name) =>
        call("remove", name, () => {
          if (!this.#entries.has(name)) return;
          if (this.#entries.get(name) === "folder") throw systemError("EISDIR", name);
          this.#changeNames({ from: name, what: `${classOf(name)} removed` });
        }),
      sync: () => {
        const kind = `folder: ${this.#lastChange}`;
        this.syncs.add(kind);
        const forget = () => {
          for (const entry of this.#left(this.#unsynced, "some")) enter(this.#durable, entry);
          this.#unsynced = [];
        };
        return call("sync folder", "", () => {
          if (this.ignoreSync(kind)) return;
          for (const entry of this.#unsynced) enter(this.#durable, entry);
          this.#unsynced = [];
        }, forget);
      },
      space: () =>
        call("free", "", () => ({
          freeBytes: this.capacity - this.used,
          totalBytes: this.capacity,
        })),
    };
  }

  #file(process: number, name: string, inode: Inode): JournalFile {
    const call = <T>(op: Call["op"], run: () => T, aside: Aside = {}) =>
      this.#call(process, { op, name }, run, aside);
    const write = (bytes: Uint8Array) => {
      const fits = bytes.slice(0, Math.max(this.capacity - this.used, 0));
      this.#change(inode, { at: inode.cached.length, bytes: fits });
      if (fits.length < bytes.length) throw systemError("ENOSPC", name);
    };
    const close = () => Promise.resolve();
    return {
      write: (chunks) => {
        const bytes = concat(chunks);
        const half = () => write(bytes.slice(0, Math.floor(this.#random() * bytes.length)));
        return call("write", () => write(bytes), { half });
      },
      truncate: (size) => call("truncate", () => this.#change(inode, { size })),
      sync: () => {
        const kind = `file: ${classOf(name)}`;
        this.syncs.add(kind);
        const failing = () => {
          for (const change of this.#left(inode.unsynced.flatMap(pagesOf), "some")) {
            inode.durable = changed(inode.durable, change);
          }
          inode.unsynced = [];
        };
        return call("sync", () => {
          if (this.ignoreSync(kind)) return;
          for (const change of inode.unsynced) inode.durable = changed(inode.durable, change);
          inode.unsynced = [];
        }, { failing });
      },
      close,
      [Symbol.asyncDispose]: close,
    };
  }
}

/** What kind of file it is: segment, cursor, keys, id, damaged. */
function classOf(name: string): string {
  const temporary = name.endsWith(".tmp") ? "new " : "";
  const base = name.replace(/\.tmp$/, "").replace(/^\d[0-9a-f]{15}$/, "segment");
  return temporary + base.replace(/-.*/, "");
}

function systemError(code: string, name: string): Error {
  return Object.assign(new Error(`${code}: ${name || "the folder"}`), { code });
}

function enter(entries: Entries, { inode, from, to }: Entry): void {
  if (from !== undefined) entries.delete(from);
  if (to !== undefined) entries.set(to, inode!);
}

function changed(bytes: Uint8Array, change: Change): Uint8Array {
  if ("size" in change) return sized(bytes, change.size);
  const end = change.at + change.bytes.length;
  const grown = end > bytes.length ? sized(bytes, end) : bytes.slice();
  grown.set(change.bytes, change.at);
  return grown;
}

/** Cut, or grown by zeros. */
function sized(bytes: Uint8Array, size: number): Uint8Array {
  const result = new Uint8Array(size);
  result.set(bytes.subarray(0, size));
  return result;
}

function pagesOf(change: Change): Change[] {
  if ("size" in change) return [change];
  const pages: Change[] = [];
  for (let from = 0; from < change.bytes.length;) {
    const at = change.at + from;
    const length = PAGE_BYTES - at % PAGE_BYTES;
    pages.push({ at, bytes: change.bytes.subarray(from, from + length) });
    from += length;
  }
  return pages;
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
