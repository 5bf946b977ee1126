/**
 * A journal on a disk in memory, with clocks that are moved by hand and files that can be spoiled.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type JournalOptions, openJournal } from "../src/disk_journal.ts";
import type { Appended, AppendOptions, Journal, JournalEvent } from "../src/journal.ts";
import { type Call, CrashingDisk, randomOf } from "./crashing_files.ts";

/** The segment that begins at 0. */
export const FIRST = "0000000000000000";

/** A folder, what was told about it, and the time. */
export class Bench {
  readonly disk: CrashingDisk = new CrashingDisk(randomOf(1));
  readonly events: JournalEvent[] = [];
  /** The monotonic clock. */
  clockMs = 1_000;
  /** The time since 1970. */
  nowMs = 1_700_000_000_000;

  /** Opens the journal, after the process before has died, if there was one. */
  async open(options: JournalOptions = {}): Promise<Journal> {
    this.events.length = 0;
    return await openJournal(this.disk.boot(), {
      minFreeBytes: 0,
      maxWaitMs: 0,
      clock: () => this.clockMs,
      now: () => this.nowMs,
      onEvent: (event) => this.events.push(event),
      ...options,
    });
  }

  /** Lets time pass. */
  pass(ms: number): void {
    this.clockMs += ms;
    this.nowMs += ms;
  }

  /** Appends text as a request for logs with one record. */
  async append(journal: Journal, text: string, options?: AppendOptions): Promise<Appended> {
    const arrivalUnixNano = BigInt(this.nowMs) * 1_000_000n;
    const body = new TextEncoder().encode(text);
    return await journal.append({ signal: "logs", body, count: 1, arrivalUnixNano }, options);
  }

  /** Appends texts, each in a group of its own. */
  async appendAll(journal: Journal, texts: readonly string[]): Promise<bigint[]> {
    const positions = [];
    for (const text of texts) positions.push((await this.append(journal, text)).position);
    return positions;
  }

  /** The events of a kind. */
  told(kind: JournalEvent["kind"]): string[] {
    return this.events.filter((event) => event.kind === kind).map(({ message }) => message);
  }

  /** Lets calls of a kind fail, after some that do not. */
  fail(op: Call["op"], code: string, { after = 0, times = Infinity } = {}): void {
    this.disk.fail = (call) => call.op === op && after-- <= 0 && times-- > 0 ? code : undefined;
  }
}

/** The texts from a position on. */
export async function textsOf(journal: Journal, from: bigint = journal.oldest): Promise<string[]> {
  const texts: string[] = [];
  for (let at = from;;) {
    const records = await journal.read(at, { maxBytes: 1_000, maxRecords: 10 });
    if (records.length === 0) return texts;
    texts.push(...records.map(({ body }) => new TextDecoder().decode(body)));
    at = records.at(-1)!.next;
  }
}

/** A closed journal with texts in groups of their own. */
export async function closed(
  texts: readonly string[],
  options: JournalOptions = {},
): Promise<{ bench: Bench; positions: bigint[] }> {
  const bench = new Bench();
  const journal = await bench.open(options);
  const positions = await bench.appendAll(journal, texts);
  await journal.close();
  return { bench, positions };
}

/** Changes a file. */
export function edit(
  bench: Bench,
  name: string,
  change: (bytes: Uint8Array) => Uint8Array | void,
): void {
  const bytes = bench.disk.get(name);
  bench.disk.put(name, change(bytes) ?? bytes);
}

/** Changes one bit of a byte. */
export function flip(bench: Bench, name: string, at: number): void {
  edit(bench, name, (bytes) => {
    bytes[at]! ^= 1;
  });
}

/** Opens it, and shows that it goes on. */
export async function goesOn(
  bench: Bench,
  journal: Journal,
  texts: readonly string[],
): Promise<void> {
  assert.deepEqual(await textsOf(journal), texts);
  await bench.append(journal, "more");
  assert.deepEqual(await textsOf(journal), [...texts, "more"]);
  await journal.close();
  const again = await bench.open();
  assert.deepEqual(await textsOf(again), [...texts, "more"]);
}
