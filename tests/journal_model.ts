/**
 * A model of the journal, to be held against it: random requests, readers, faults and crashes on a
 * disk that loses what was not synced. {@linkcode runJournalModel} throws at the first difference.
 *
 * @module
 */

import assert from "node:assert/strict";
import { openJournal } from "../src/disk_journal.ts";
import {
  type Cursor,
  type Journal,
  type JournalEvent,
  JournalFullError,
  type JournalRecord,
  type JournalRequest,
  JournalUnavailableError,
  type Unkept,
} from "../src/journal.ts";
import type { Signal } from "../src/record.ts";
import { type Call, CrashingDisk, type Kept, randomOf } from "./crashing_files.ts";

const NONE = { traces: 0, logs: 0, metrics: 0 };
const NOTHING: Unkept = { rejected: NONE, duplicates: NONE };
const WINDOW_MS = 600_000;
const GRACE_MS = 120_000;
const SIGNALS: readonly Signal[] = ["traces", "logs", "metrics"];
const KEPT: readonly Kept[] = ["nothing", "all", "first", "some"];
const CODES = ["EIO", "ENOSPC", "EROFS"];
const FAULTY: readonly Call["op"][] = [
  "write",
  "sync",
  "sync folder",
  "create",
  "rename",
  "remove",
  "truncate",
];

/** A request, told apart by its text. */
interface Known {
  readonly request: JournalRequest;
  /** Where it is stored, and when that copy came. */
  readonly stored: Map<bigint, number>;
  /** It was stored whether it was there or not. */
  again: boolean;
}

/** How far the destination of a file cursor has got, or may have. */
interface Place {
  certain: bigint;
  furthest: bigint;
  readonly possible: Set<bigint>;
  cursor?: Cursor;
}

/** What a destination has noted: numbers, the newest is kept, or may be. */
interface Notes {
  readonly possible: Set<number>;
  last: number;
}

/** What a run of the model was like. */
export interface ModelRun {
  readonly syncs: ReadonlySet<string>;
  readonly acknowledged: number;
  readonly duplicates: number;
  readonly crashes: number;
  readonly faults: number;
  readonly removed: number;
}

class Model {
  readonly #random: () => number;
  readonly disk: CrashingDisk;
  readonly #segmentBytes: number;
  readonly #maxBytes: number;
  #wallMs = 1_700_000_000_000;
  #bootMs = 0;
  #journal: Journal | undefined;
  #id: string | undefined;
  readonly #known = new Map<string, Known>();
  readonly #acknowledged = new Map<bigint, string>();
  /** What was read at a position. */
  readonly #seen = new Map<bigint, string>();
  readonly #places = new Map<string, Place>();
  /** A database that has all before it, and says so itself. */
  #databaseAt = 0n;
  #database: Cursor | undefined;
  /** By the names of the cursors. */
  readonly #notes = new Map<string, Notes>();
  /** What came and was not appended, and what of it the journal has told. */
  #unkept: Unkept = NOTHING;
  #told: Unkept = NOTHING;
  /** Faults since the last step began, and whether more than one may come. */
  #faults = 0;
  #manyFaults = false;
  /** A sync of names has failed: what was removed may come back. */
  #namesUnsure = false;
  /** Keys could not be kept: what is sent again after a crash may be stored again. */
  #keysUnsure = false;
  #trouble: string | undefined;
  /** Whether crashes may come while it is opened. */
  #mayDieOpening = true;
  duplicates = 0;
  crashes = 0;
  faults = 0;
  removed = 0;

  constructor(seed: number, ignoreSync: (kind: string) => boolean) {
    this.#random = randomOf(seed);
    this.disk = new CrashingDisk(this.#random);
    this.disk.ignoreSync = ignoreSync;
    this.#segmentBytes = this.#pick([1, 400, 1500, 6000]);
    this.#maxBytes = this.#random() < 0.2 ? 3000 : 1_000_000;
    for (const name of ["vendor", "Other.example:443"].slice(0, 1 + this.#below(2))) {
      this.#places.set(name, { certain: 0n, furthest: 0n, possible: new Set() });
    }
    for (const name of [...this.#places.keys(), "database"]) {
      this.#notes.set(name, { possible: new Set([0]), last: 0 });
    }
  }

  get acknowledged(): number {
    return this.#acknowledged.size;
  }

  async run(): Promise<void> {
    await this.#open();
    const steps = 6 + this.#below(14);
    for (let n = 0; n < steps; n++) await this.#step();
    this.disk.powerOff(this.#pick(KEPT));
    await this.#open();
    await this.#journal!.close();
  }

  /** A short life, with a crash at one of its calls to the disk. Returns whether that came. */
  async runScript(crashAt: number, kept: Kept): Promise<boolean> {
    this.#mayDieOpening = false;
    this.disk.killAfter(crashAt);
    await this.#live().catch((error) => {
      if (!this.disk.isDead || error instanceof assert.AssertionError) throw error;
    });
    const crashed = this.disk.isDead;
    this.disk.killAfter(Infinity);
    this.disk.powerOff(kept);
    await this.#open();
    for (const { request } of [...this.#known.values()]) await this.#append(request);
    await this.#check();
    this.disk.powerOff("nothing");
    await this.#open();
    await this.#journal!.close();
    return crashed;
  }

  async #live(): Promise<void> {
    await this.#open();
    // Segments go while their keys are in the window, then when these are not any more.
    for (const laterMs of [GRACE_MS, WINDOW_MS]) {
      for (let n = 0; n < 4; n++) {
        await Promise.all([this.#append(this.#newRequest()), this.#append(this.#newRequest())]);
      }
      for (const cursor of this.#cursors) await this.#note(cursor);
      this.#reject();
      await this.#tell();
      await this.#moveAll();
      this.#wallMs += laterMs;
      await this.#append(this.#newRequest());
      await this.#moveAll();
      if (this.disk.isDead) return;
      this.disk.kill();
      await this.#open();
    }
    await this.#append(this.#newRequest());
    await this.#journal!.close();
  }

  /** Moves all cursors to the head. */
  async #moveAll(): Promise<void> {
    for (const place of [...this.#places.values(), undefined]) {
      const at = () => place === undefined ? this.#databaseAt : place.cursor!.position;
      while (at() < this.#journal!.head && !this.disk.isDead) {
        await (place === undefined ? this.#moveDatabase() : this.#move(place));
      }
    }
  }

  get #cursors(): Cursor[] {
    return [...this.#places.values()].map(({ cursor }) => cursor!).concat(this.#database!);
  }

  #below(n: number): number {
    return Math.floor(this.#random() * n);
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#below(from.length)]!;
  }

  async #step(): Promise<void> {
    const kind = this.#random();
    if (kind < 0.15) {
      this.#wallMs += this.#pick([1_000, 30_000, GRACE_MS, GRACE_MS, WINDOW_MS / 3, WINDOW_MS]);
    } else if (kind < 0.25) {
      this.#crash();
    } else {
      if (kind < 0.4) this.disk.killAfter(this.#below(25));
      else if (kind < 0.65) this.#arm();
      const work = 1 + this.#below(4);
      await Promise.all(Array.from({ length: work }, () => this.#act()));
      this.disk.fail = () => undefined;
      this.disk.capacity = Infinity;
      this.#faults = 0;
      this.disk.killAfter(Infinity);
    }
    if (this.disk.isDead) {
      this.#crash();
      await this.#open();
    } else if (this.#random() < 0.3) {
      await this.#check();
    }
  }

  /** What is left of the cache is decided when the process is dead. */
  #crash(): void {
    this.crashes++;
    if (this.#random() < 0.3) this.disk.kill();
    else this.disk.powerOff(this.#pick(KEPT));
  }

  /** Lets calls fail in the next step. */
  #arm(): void {
    const op = this.#pick(FAULTY);
    const code = this.#pick(CODES);
    let skip = this.#below(3);
    let times = this.#pick([1, 1, 2, Infinity]);
    this.#manyFaults = times > 1;
    if (this.#random() < 0.2) {
      this.#manyFaults = true;
      this.disk.capacity = this.disk.used + this.#below(500);
    }
    this.disk.fail = (call) => {
      if (call.op !== op || skip-- > 0 || times-- <= 0) return undefined;
      this.#faults++;
      this.faults++;
      if (op === "sync folder") this.#namesUnsure = true;
      return code;
    };
  }

  async #act(): Promise<void> {
    const kind = this.#random();
    if (kind < 0.55) {
      const requests = Array.from({ length: 1 + this.#below(5) }, () => this.#request());
      await Promise.all(requests.map((request) => this.#append(request)));
    } else if (kind < 0.75) {
      const place = this.#pick([...this.#places.values(), undefined]);
      await (place === undefined ? this.#moveDatabase() : this.#move(place));
    } else if (kind < 0.83) {
      await this.#note(this.#pick(this.#cursors));
    } else if (kind < 0.87) {
      this.#reject();
      await this.#tell();
    } else {
      await this.#read(this.#pick([0n, this.#databaseAt, this.#journal!.oldest]));
    }
  }

  #request(): JournalRequest {
    const known = [...this.#known.values()];
    const arrivalUnixNano = BigInt(this.#wallMs) * 1_000_000n;
    if (known.length > 0 && this.#random() < 0.3) {
      return { ...this.#pick(known.slice(-12)).request, arrivalUnixNano };
    }
    return this.#newRequest();
  }

  #newRequest(): JournalRequest {
    const arrivalUnixNano = BigInt(this.#wallMs) * 1_000_000n;
    const filler = "x".repeat(this.#pick([0, 10, 100, 300]));
    const body = new TextEncoder().encode(`${this.#known.size} ${filler}`);
    const request = { signal: this.#pick(SIGNALS), body, count: this.#below(4), arrivalUnixNano };
    this.#known.set(textOf(request), { request, stored: new Map(), again: false });
    return request;
  }

  async #append(request: JournalRequest): Promise<void> {
    const text = textOf(request);
    const sentMs = this.#wallMs;
    const known = this.#known.get(text)!;
    const again = this.#random() < 0.03;
    known.again ||= again;
    let appended;
    try {
      appended = await this.#journal!.append(request, { again });
    } catch (error) {
      this.#mayFail(error);
      return;
    }
    const { position, duplicate } = appended;
    const { stored } = known;
    if (duplicate) {
      this.duplicates++;
      this.#count("duplicates", request.signal, request.count);
      assert(!again, "stored again when told so");
      assert(stored.has(position) || !this.#seen.has(position), "a duplicate of something else");
      stored.set(position, stored.get(position) ?? sentMs);
    } else {
      assert(!this.#acknowledged.has(position), `position ${position} is given twice`);
      assert(this.#seen.get(position) ?? text === text, "the position of something else");
      const before = [...stored].filter(([at]) => at !== position);
      const recent = before.some(([, ms]) => sentMs - ms < WINDOW_MS - 1);
      assert(known.again || !recent || this.#keysUnsure, `${text} is stored twice`);
      stored.set(position, sentMs);
    }
    this.#acknowledged.set(position, text);
  }

  #reject(): void {
    const [signal, count] = [this.#pick(SIGNALS), this.#below(3)];
    this.#journal!.reject(signal, count);
    this.#count("rejected", signal, count);
  }

  #count(what: keyof Unkept, signal: Signal, count: number): void {
    const counts = this.#unkept[what];
    this.#unkept = { ...this.#unkept, [what]: { ...counts, [signal]: counts[signal] + count } };
  }

  /** What was counted is told, unless the disk fails; and it never falls. */
  async #tell(): Promise<void> {
    const counted = this.#unkept;
    await this.#journal!.keepTally();
    const { tally } = this.#journal!;
    checkNoneFell(this.#told, tally);
    const isFine = !this.disk.isDead && this.#faults === 0 && this.disk.capacity === Infinity;
    if (isFine) checkNoneFell(counted, tally);
    this.#told = tally;
  }

  #mayFail(error: unknown): void {
    if (this.disk.isDead) return;
    assert(error instanceof JournalUnavailableError, String(error));
    if (error instanceof JournalFullError && this.#maxBytes < 10_000) return;
    assert(this.#manyFaults && (this.#faults > 0 || error instanceof JournalFullError), error);
  }

  async #move(place: Place): Promise<void> {
    const { cursor } = place;
    const at = cursor!.position;
    const records = await this.#read(at);
    if (records.length === 0) return;
    const to = this.#pick(records).next;
    place.possible.add(to);
    try {
      await cursor!.move(to);
    } catch (error) {
      // Another move of this step may have come first.
      if (error instanceof RangeError && cursor!.position > to) return;
      assert(this.disk.isDead || this.#faults > 0 || this.#manyFaults, String(error));
      return;
    }
    if (to > place.certain) place.certain = to;
  }

  async #note(cursor: Cursor): Promise<void> {
    const { name } = cursor;
    const notes = this.#notes.get(name)!;
    const n = ++notes.last;
    notes.possible.add(n);
    try {
      await cursor.keep(`${n} ${"x".repeat(this.#pick([0, 100, 1_000]))}`);
    } catch (error) {
      assert(this.disk.isDead || this.#faults > 0 || this.#manyFaults, String(error));
      return;
    }
    // Those that came behind it are still to be kept.
    for (const earlier of notes.possible) if (earlier < n) notes.possible.delete(earlier);
  }

  #checkNote({ name, note }: Cursor): void {
    const { possible } = this.#notes.get(name)!;
    const n = Number(note?.split(" ")[0]);
    assert(possible.has(n), `${name} has noted ${n}, and not ${[...possible]}`);
    // After a failed sync of names, what is found may be forgotten.
    if (this.#namesUnsure) return;
    possible.clear();
    possible.add(n);
  }

  async #moveDatabase(): Promise<void> {
    const records = await this.#read(this.#databaseAt);
    if (records.length === 0) return;
    const to = this.#pick(records).next;
    if (to > this.#databaseAt) this.#databaseAt = to;
    await this.#database!.move(this.#databaseAt);
  }

  async #read(from: bigint): Promise<JournalRecord[]> {
    const bounds = { maxBytes: this.#below(1500), maxRecords: 1 + this.#below(20) };
    let records;
    try {
      records = await this.#journal!.read(from, bounds);
    } catch (error) {
      assert(this.disk.isDead, String(error));
      return [];
    }
    assert(records.length <= bounds.maxRecords, "more records than asked for");
    let bytes = 0;
    for (const record of records) {
      this.#take(record);
      bytes += record.body.length;
    }
    assert(bytes <= bounds.maxBytes || records.length === 1, "more bytes than asked for");
    return records;
  }

  /** What was read once stays as it was. */
  #take(record: JournalRecord): void {
    const { position } = record;
    const text = textOf(record);
    const known = this.#known.get(text);
    assert(known !== undefined, `something that nobody sent is at ${position}`);
    assert.equal(record.count, known.request.count);
    const before = this.#seen.get(position) ?? this.#acknowledged.get(position) ?? text;
    assert.equal(text, before, `the request at ${position} has changed`);
    this.#seen.set(position, text);
    const arrivalMs = Number(record.arrivalUnixNano / 1_000_000n);
    if (!known.stored.has(position)) known.stored.set(position, arrivalMs);
  }

  async #open(): Promise<void> {
    // Somebody may remove the id: then it is another journal.
    if (this.#random() < 0.05) {
      this.disk.delete("id");
      this.#id = undefined;
    }
    for (;;) {
      const files = this.disk.boot();
      if (this.#mayDieOpening && this.#random() < 0.3) this.disk.killAfter(this.#below(40));
      this.#bootMs = this.#wallMs - this.#below(1_000_000);
      try {
        this.#journal = await openJournal(files, {
          segmentBytes: this.#segmentBytes,
          maxBytes: this.#maxBytes,
          minFreeBytes: 0,
          maxWaitMs: 0,
          graceMs: GRACE_MS,
          resendWindowMs: WINDOW_MS,
          clock: () => this.#wallMs - this.#bootMs,
          now: () => this.#wallMs,
          onEvent: (event) => this.#onEvent(event),
        });
        await this.#register(this.#journal);
        await this.#check();
        if (this.#mayDieOpening) this.disk.killAfter(Infinity);
        return;
      } catch (error) {
        if (!this.#mayDieOpening || !this.disk.isDead || error instanceof assert.AssertionError) {
          throw error;
        }
        this.#crash();
      }
    }
  }

  async #register(journal: Journal): Promise<void> {
    this.#id ??= journal.id;
    assert.equal(journal.id, this.#id, "the id has changed");
    assert(this.#databaseAt <= journal.head, "the database is ahead of the journal");
    this.#database = await journal.cursor("database", "external");
    await this.#database.move(this.#databaseAt);
    for (const [name, place] of this.#places) {
      const cursor = await journal.cursor(name, "oldest");
      const { position } = cursor;
      const isFine = position === place.certain ||
        position > place.certain && place.possible.has(position) ||
        // It is new, and nothing was read for it.
        place.certain === 0n && position === journal.oldest;
      assert(isFine, `${name} is at ${position} after ${place.certain}`);
      place.cursor = cursor;
      // After a failed sync of names, what is found may be forgotten.
      if (position > place.certain && !this.#namesUnsure) place.certain = position;
    }
    for (const cursor of this.#cursors) this.#checkNote(cursor);
    checkNoneFell(this.#told, journal.tally);
    // After a failed sync of names, what is found may be forgotten.
    if (!this.#namesUnsure) this.#told = journal.tally;
    this.#unkept = journal.tally;
    journal.start();
  }

  #onEvent({ kind, message, error }: JournalEvent): void {
    if (kind === "keys lost") this.#keysUnsure = true;
    if (kind === "gap" && this.#namesUnsure) return;
    const isFine = ["new id", "torn tail", "new cursor", "unused cursor"].includes(kind) ||
      (this.disk.isDead || this.#faults > 0 || this.disk.capacity < Infinity) &&
        ["write failed", "upkeep failed", "keys lost"].includes(kind);
    // The journal does not let an observer throw into it.
    if (!isFine) this.#trouble ??= `${kind}: ${message} (${error})`;
  }

  /** All that was acknowledged is there, in order, once. */
  async #check(): Promise<void> {
    assert.equal(this.#trouble, undefined);
    const journal = this.#journal!;
    checkNoneFell(journal.tally, this.#unkept);
    const records: JournalRecord[] = [];
    for (let at = journal.oldest;;) {
      const more = await this.#read(at);
      if (this.disk.isDead) return;
      if (more.length === 0) break;
      records.push(...more);
      at = more.at(-1)!.next;
    }
    const last = records.at(-1);
    assert.equal(last?.next ?? journal.oldest, journal.head, "the head is behind the last record");
    records.forEach((record, n) => {
      const next = records[n + 1];
      if (next === undefined || this.#namesUnsure) return;
      assert.equal(next.position, record.next, "records follow each other");
      assert.deepEqual(next.before, countsAfter(record), "counts add up");
    });
    if (last !== undefined) assert.deepEqual(journal.accepted, countsAfter(last));
    const there = new Set(records.map(({ position }) => position));
    for (const place of this.#places.values()) {
      const { position } = place.cursor!;
      if (position > place.furthest) place.furthest = position;
    }
    const furthest = [...this.#places.values()].map(({ furthest }) => furthest);
    const passed = [this.#databaseAt, ...furthest].reduce((a, b) => a < b ? a : b);
    for (const [position, text] of [...this.#acknowledged, ...this.#seen]) {
      if (there.has(position)) continue;
      assert(position < passed, `${text}, acknowledged or read at ${position}, is lost`);
      this.removed++;
    }
    // A position that is not there any more is not given again, and needs no more checks.
    for (const position of [...this.#seen.keys()]) {
      if (position < journal.oldest && position < passed) this.#seen.delete(position);
    }
  }
}

function checkNoneFell(before: Unkept, after: Unkept): void {
  for (const what of ["rejected", "duplicates"] as const) {
    for (const signal of SIGNALS) {
      const [least, found] = [before[what][signal], after[what][signal]];
      assert(found >= least, `of ${signal} ${least} were ${what}, and now ${found}`);
    }
  }
}

function textOf({ signal, body }: { signal: Signal; body: Uint8Array }): string {
  return `${signal} ${new TextDecoder().decode(body)}`;
}

function countsAfter({ before, signal, count }: JournalRecord): Record<Signal, number> {
  return { ...before, [signal]: before[signal] + count };
}

/** A life of the model that can be told apart by its seed. */
export interface ModelLife {
  /** What happens. */
  readonly seed: number;
  /** Syncs that do nothing, by kind. */
  readonly ignoreSync?: (kind: string) => boolean;
}

/** Runs a random life. */
export async function runJournalModel(life: ModelLife): Promise<ModelRun> {
  const model = modelOf(life);
  await model.run();
  const { acknowledged, duplicates, crashes, faults, removed } = model;
  return { syncs: model.disk.syncs, acknowledged, duplicates, crashes, faults, removed };
}

/** Runs a short life, with a crash at one of its calls. Returns its syncs if that did not come. */
export async function runJournalScript(
  life: ModelLife,
  crashAt: number,
  kept: Kept,
): Promise<ReadonlySet<string> | undefined> {
  const model = modelOf(life);
  return await model.runScript(crashAt, kept) ? undefined : model.disk.syncs;
}

function modelOf({ seed, ignoreSync = () => false }: ModelLife): Model {
  return new Model(seed, ignoreSync);
}
