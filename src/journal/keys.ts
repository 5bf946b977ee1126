/**
 * Keeps the keys of recent requests when the segments they are in are removed.
 *
 * While a segment is there its records hold their keys. Before it goes, those that are still in the
 * resend window are written to a file `keys-<position>`, which goes when its last key is too old.
 * The file is `OSK1`, the CRC-32 of all that follows, and for each key its position (8 bytes,
 * little-endian), when it arrived (a float of ms since 1970) and the key itself.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import type { Tell } from "./tell.ts";
import { type JournalFiles, replaceFile } from "../journal_files.ts";
import { segmentName } from "./segment.ts";
import type { KnownKey, ResendWindow } from "./resend_window.ts";

const PREFIX = "keys-";
const MAGIC = 0x314b534f;
const HEAD_BYTES = 8;
const ENTRY_BYTES = 48;

/** Clocks in ms. */
export interface Clocks {
  /** Monotonic, of any beginning. */
  readonly clock: () => number;
  /** Since 1970. */
  readonly now: () => number;
}

/** Whether a file of this name holds keys. */
export function isKeyFile(name: string): boolean {
  return name.startsWith(PREFIX) && /^[0-9a-f]{16}$/.test(name.slice(PREFIX.length));
}

/** The key files of a journal. */
export class KeyFiles {
  readonly #files: JournalFiles;
  readonly #window: ResendWindow;
  readonly #clocks: Clocks;
  readonly #tell: Tell;
  /** The files there are, with a position behind their last key. */
  readonly #saved = new Map<string, bigint>();
  /** Keys before this position are in files. */
  #savedTo = 0n;

  constructor(files: JournalFiles, window: ResendWindow, clocks: Clocks, tell: Tell) {
    this.#files = files;
    this.#window = window;
    this.#clocks = clocks;
    this.#tell = tell;
  }

  /** When a time since 1970 was by the monotonic clock; the future was now. */
  monotonic(unixMs: number): number {
    const { clock, now } = this.#clocks;
    return clock() - Math.max(now() - unixMs, 0);
  }

  /** Reads files into the window. @param oldest Where the oldest segment begins. */
  async load(names: readonly string[], oldest: bigint): Promise<void> {
    this.#savedTo = oldest;
    for (const name of names) {
      const bytes = await this.#files.read(name);
      this.#saved.set(name, 0n);
      if (!isWhole(bytes)) {
        this.#tell("keys lost", `Cannot read ${name}: the requests in it are taken for new ones`);
        continue;
      }
      for (const { key, position, arrivalMs } of entries(bytes)) {
        this.#window.add({ key, position, arrivalMs: this.monotonic(arrivalMs) });
        this.#saved.set(name, position + 1n);
      }
    }
  }

  /** Keeps the keys of all requests before a position. */
  async save(to: bigint): Promise<void> {
    const bytes = this.#encode(to);
    if (bytes.length > HEAD_BYTES) {
      const name = PREFIX + segmentName(this.#savedTo);
      await replaceFile(this.#files, name, bytes);
      this.#saved.set(name, to);
    }
    this.#savedTo = to;
  }

  /** Removes the files of which no key is in the window any more. */
  async removeOld(): Promise<void> {
    const oldest = this.#window.oldest;
    for (const [name, end] of this.#saved) {
      if (oldest !== undefined && end > oldest) continue;
      await this.#files.remove(name);
      this.#saved.delete(name);
    }
  }

  #encode(to: bigint): Uint8Array {
    const { clock, now } = this.#clocks;
    const unixMs = now() - clock();
    // What is not filled takes no memory.
    const bytes = new Uint8Array(HEAD_BYTES + this.#window.size * ENTRY_BYTES);
    const view = new DataView(bytes.buffer);
    let at = HEAD_BYTES;
    for (const { key, position, arrivalMs } of this.#window.between(this.#savedTo, to)) {
      view.setBigUint64(at, position, true);
      view.setFloat64(at + 8, unixMs + arrivalMs, true);
      bytes.set(key, at + 16);
      at += ENTRY_BYTES;
    }
    view.setUint32(0, MAGIC, true);
    view.setUint32(4, crc32(bytes.subarray(HEAD_BYTES, at)), true);
    return bytes.subarray(0, at);
  }
}

function isWhole(bytes: Uint8Array): boolean {
  if (bytes.length < HEAD_BYTES || (bytes.length - HEAD_BYTES) % ENTRY_BYTES !== 0) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return view.getUint32(0, true) === MAGIC &&
    view.getUint32(4, true) === crc32(bytes.subarray(HEAD_BYTES));
}

/** The keys in a file; `arrivalMs` since 1970. */
function* entries(bytes: Uint8Array): Generator<KnownKey> {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (let at = HEAD_BYTES; at < bytes.length; at += ENTRY_BYTES) {
    yield {
      position: view.getBigUint64(at, true),
      arrivalMs: view.getFloat64(at + 8, true),
      key: bytes.subarray(at + 16, at + ENTRY_BYTES),
    };
  }
}
