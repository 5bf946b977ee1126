/**
 * A folder in memory that can crash and fail: what was not synced is gone then.
 *
 * @module
 */

import type { DiskSpace, JournalFile, JournalFiles } from "../src/journal_files.ts";

interface Content {
  bytes: Uint8Array;
  /** What is there after a crash. */
  durable: Uint8Array;
}

/** What is done to the folder; `name` is empty for the folder itself. */
export type FileStep = "create" | "write" | "sync" | "rename" | "remove" | "read" | "sync folder";

/** The folder. */
export class LetterFiles implements JournalFiles {
  #files = new Map<string, Content>();
  #durable = new Map<string, Content>();
  /** Every step but reading, in order. */
  readonly steps: string[] = [];
  /** Called before each step; what it throws is what the step throws. */
  onStep: (step: FileStep, name: string) => void = () => {};
  /** Steps that say they were done and were not. */
  lying: ReadonlySet<FileStep> = new Set();

  /** The power fails: what was not synced is gone, names as well as bytes. */
  crash(): void {
    this.#files = new Map();
    for (const [name, content] of this.#durable) {
      this.#files.set(name, { bytes: content.durable, durable: content.durable });
    }
    this.#durable = new Map(this.#files);
  }

  /** Changes a file behind everybody's back. */
  tamper(name: string, change: (bytes: Uint8Array) => Uint8Array): void {
    const bytes = change(this.#get(name).bytes.slice());
    this.#files.set(name, { bytes, durable: bytes });
  }

  list(): Promise<string[]> {
    return Promise.resolve([...this.#files.keys()]);
  }

  async read(name: string, from = 0, length = Infinity): Promise<Uint8Array> {
    await this.#step("read", name);
    return this.#get(name).bytes.slice(from, from + length);
  }

  async size(name: string): Promise<number> {
    await Promise.resolve();
    return this.#get(name).bytes.length;
  }

  async create(name: string): Promise<JournalFile> {
    await this.#step("create", name);
    if (this.#files.has(name)) throw Object.assign(new Error("it exists"), { code: "EEXIST" });
    this.#files.set(name, { bytes: new Uint8Array(), durable: new Uint8Array() });
    return await this.open(name);
  }

  async open(name: string): Promise<JournalFile> {
    await Promise.resolve();
    const content = this.#get(name);
    return {
      write: async (chunks) => {
        for (const chunk of chunks) {
          await this.#step("write", name);
          content.bytes = new Uint8Array([...content.bytes, ...chunk]);
        }
      },
      truncate: (size) => {
        content.bytes = content.bytes.slice(0, size);
        return Promise.resolve();
      },
      sync: async () => {
        if (await this.#step("sync", name)) content.durable = content.bytes;
      },
      close: () => Promise.resolve(),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#step("rename", to);
    this.#files.set(to, this.#get(from));
    this.#files.delete(from);
  }

  async remove(name: string): Promise<void> {
    await this.#step("remove", name);
    this.#files.delete(name);
  }

  async sync(): Promise<void> {
    if (await this.#step("sync folder", "")) this.#durable = new Map(this.#files);
  }

  space(): Promise<DiskSpace> {
    return Promise.resolve({ freeBytes: Infinity, totalBytes: Infinity });
  }

  async #step(step: FileStep, name: string): Promise<boolean> {
    if (step !== "read") this.steps.push(`${step} ${name}`.trim());
    await Promise.resolve();
    this.onStep(step, name);
    return !this.lying.has(step);
  }

  #get(name: string): Content {
    const content = this.#files.get(name);
    if (content === undefined) throw Object.assign(new Error(`no ${name}`), { code: "ENOENT" });
    return content;
  }
}
