/**
 * The segment files of a journal: names, the format of a record, and reading them in pieces.
 *
 * A segment is a file of records without anything between them, named by the position of its first
 * byte in 16 hex digits. A record is a head of 96 bytes, little-endian, and the body:
 *
 * | at | bytes | what |
 * | --- | --- | --- |
 * | 0 | 4 | `OSJ1`, the 1 being the format |
 * | 4 | 4 | CRC-32 of all that follows, the body included |
 * | 8 | 4 | bytes of the body |
 * | 12 | 4 | signal: 1 traces, 2 logs, 3 metrics |
 * | 16 | 8 | position of the record |
 * | 24 | 8 | when it arrived, in ns since 1970 |
 * | 32 | 4 | bytes from the beginning of its group, the records written and synced together |
 * | 36 | 4 | valid records in it |
 * | 40 | 24 | valid records before it since the journal began: traces, logs, metrics |
 * | 64 | 32 | key |
 *
 * The position in the head keeps a body that contains a segment, or a file under a wrong name, from
 * being taken for records. The group tells a torn end from damage: a group is begun when the one
 * before is durable, so bytes that cannot be read were durable if a later group is there.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { JournalFiles } from "../journal_files.ts";
import type { Counts, JournalRecord } from "../journal.ts";
import type { Signal } from "../record.ts";

/** None. */
export const NO_COUNTS: Counts = { traces: 0, logs: 0, metrics: 0 };

/** `counts` and `count` more of one signal. */
export function plus(counts: Counts, signal: Signal, count: number): Counts {
  return { ...counts, [signal]: counts[signal] + count };
}

/** A record with what only the journal itself needs to know. */
export interface StoredRecord extends JournalRecord {
  /** Where the group begins that it was written in. */
  readonly group: bigint;
}

/** Bytes of a record before its body. */
export const HEAD_BYTES = 96;

const MAGIC = Buffer.from("OSJ1", "latin1");
const MAGIC_NUMBER = MAGIC.readUInt32LE(0);
const SIGNALS: readonly Signal[] = ["traces", "logs", "metrics"];

/** What tells a request sent again: SHA-256 of signal and body. */
export function keyOf(signal: Signal, body: Uint8Array): Uint8Array {
  return createHash("sha256").update(signal).update(body).digest();
}

/** A position as 16 hex digits: the name of the segment that begins there. */
export function segmentName(position: bigint): string {
  return position.toString(16).padStart(16, "0");
}

/** The position a segment begins at by its name, below 2^63; undefined for other names. */
export function segmentStart(name: string): bigint | undefined {
  return /^[0-7][0-9a-f]{15}$/.test(name) ? BigInt(`0x${name}`) : undefined;
}

/** Writes the head of a record into the first 96 bytes of `into`. */
export function writeHead(into: Uint8Array, record: Omit<StoredRecord, "next">): void {
  const view = new DataView(into.buffer, into.byteOffset, HEAD_BYTES);
  view.setUint32(0, MAGIC_NUMBER, true);
  view.setUint32(8, record.body.length, true);
  view.setUint32(12, SIGNALS.indexOf(record.signal) + 1, true);
  view.setBigUint64(16, record.position, true);
  view.setBigUint64(24, record.arrivalUnixNano, true);
  view.setUint32(32, Number(record.position - record.group), true);
  view.setUint32(36, record.count, true);
  SIGNALS.forEach((signal, n) =>
    view.setBigUint64(40 + 8 * n, BigInt(record.before[signal]), true)
  );
  into.set(record.key, 64);
  view.setUint32(4, crc32(record.body, crc32(into.subarray(8, HEAD_BYTES))), true);
}

/** A record, how many bytes it takes to read it, or undefined when there is none. */
type Parsed = StoredRecord | number | undefined;

/**
 * @param bytes The record begins at their beginning; they may end before it does.
 * @param position Where it has to say that it is.
 * @param end Where the segment ends.
 */
function parse(bytes: Uint8Array, position: bigint, end: bigint): Parsed {
  if (end - position < HEAD_BYTES) return undefined;
  if (bytes.length < HEAD_BYTES) return HEAD_BYTES;
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEAD_BYTES);
  if (view.getUint32(0, true) !== MAGIC_NUMBER) return undefined;
  if (view.getBigUint64(16, true) !== position) return undefined;
  const length = HEAD_BYTES + view.getUint32(8, true);
  const next = position + BigInt(length);
  if (next > end) return undefined;
  if (bytes.length < length) return length;
  if (crc32(bytes.subarray(8, length)) !== view.getUint32(4, true)) return undefined;
  const signal = SIGNALS[view.getUint32(12, true) - 1];
  if (signal === undefined) return undefined;
  return {
    position,
    next,
    signal,
    arrivalUnixNano: view.getBigUint64(24, true),
    key: bytes.subarray(64, HEAD_BYTES),
    count: view.getUint32(36, true),
    body: bytes.subarray(HEAD_BYTES, length),
    group: position - BigInt(view.getUint32(32, true)),
    before: {
      traces: Number(view.getBigUint64(40, true)),
      logs: Number(view.getBigUint64(48, true)),
      metrics: Number(view.getBigUint64(56, true)),
    },
  };
}

/** A part of a segment in which there is no record. */
export interface Damage {
  /** Where it begins. */
  readonly position: bigint;
  /** Where the next record begins, or the segment ends. */
  readonly next: bigint;
}

/** What is in a segment: only records have a body. */
export type Found = StoredRecord | Damage;

/** Reads up to `length` bytes of a segment from a position on. */
type ReadAt = (position: bigint, length: number) => Promise<Uint8Array>;

/** A segment file. */
export interface Segment {
  /** The position it begins at, which is its name. */
  readonly start: bigint;
  /** Behind its last durable record. */
  end: bigint;
}

/** How to read a segment. */
export function readerOf(files: JournalFiles, { start }: Segment): ReadAt {
  const name = segmentName(start);
  return (position, length) => files.read(name, Number(position - start), length);
}

/**
 * What is in a segment from a position on: records, and damage between them.
 *
 * @param chunkBytes How much is read at a time, if a record is not longer. Records share the memory
 * of their chunk.
 */
export async function* scan(
  files: JournalFiles,
  segment: Segment,
  from: bigint = segment.start,
  chunkBytes: number = 1 << 20,
): AsyncGenerator<Found> {
  const { end } = segment;
  const window = new Window(readerOf(files, segment), end, chunkBytes);
  for (let position = from; position < end;) {
    const found: Found = await window.record(position) ??
      { position, next: await window.find(position + 1n) };
    yield found;
    position = found.next;
  }
}

/** A piece of a segment in memory, moved along it. */
class Window {
  readonly #read: ReadAt;
  readonly #end: bigint;
  readonly #chunkBytes: number;
  #from = 0n;
  #bytes: Uint8Array = new Uint8Array();

  constructor(read: ReadAt, end: bigint, chunkBytes: number) {
    this.#read = read;
    this.#end = end;
    this.#chunkBytes = chunkBytes;
  }

  /** The bytes from `at` on, `length` or more of them if the file has them. */
  async #at(at: bigint, length: number): Promise<Uint8Array> {
    const offset = at - this.#from;
    if (offset < 0 || offset + BigInt(length) > this.#bytes.length) {
      const rest = Number(this.#end - at);
      this.#bytes = await this.#read(at, Math.min(rest, Math.max(length, this.#chunkBytes)));
      this.#from = at;
      return this.#bytes;
    }
    return this.#bytes.subarray(Number(offset));
  }

  /** The record at a position; undefined if there is none. */
  async record(at: bigint): Promise<StoredRecord | undefined> {
    let bytes = await this.#at(at, 1);
    for (;;) {
      const parsed = parse(bytes, at, this.#end);
      if (typeof parsed !== "number") return parsed;
      bytes = await this.#at(at, parsed);
      // The file is shorter than it was.
      if (bytes.length < parsed) return undefined;
    }
  }

  /** Where the first record from a position on begins; where the segment ends if there is none. */
  async find(from: bigint): Promise<bigint> {
    for (let at = from; at < this.#end;) {
      const bytes = await this.#at(at, MAGIC.length);
      if (bytes.length < MAGIC.length) break;
      const found = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(MAGIC);
      if (found < 0) {
        at += BigInt(bytes.length - MAGIC.length + 1);
      } else {
        at += BigInt(found);
        if (await this.record(at) !== undefined) return at;
        at += 1n;
      }
    }
    return this.#end;
  }
}
