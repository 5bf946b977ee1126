/**
 * A world in which a journal is delivered while everything fails: processes die, disks and destinations
 * fail. A seed says what happens and in which order.
 *
 * @module
 */

import assert from "node:assert/strict";
import { setImmediate as tick } from "node:timers/promises";
import { DeadLetters } from "../src/dead_letters.ts";
import { Delivery } from "../src/delivery.ts";
import { openJournal } from "../src/disk_journal.ts";
import type { Cursor, CursorStart, Journal, JournalRecord } from "../src/journal.ts";
import type { JournalFiles } from "../src/journal_files.ts";
import { memoryJournal } from "../src/memory_journal.ts";
import type { Signal } from "../src/record.ts";
import { type Delivered, noCounts, type Sink } from "../src/sink.ts";
import { CrashingDisk } from "./crashing_files.ts";
import { assertLedger, HeldTime, take } from "./delivery_harness.ts";
import { LetterFiles } from "./letter_files.ts";

const SIGNALS: readonly Signal[] = ["traces", "logs", "metrics"];

/** Numbers from 0 to 1, the same for the same seed. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Never comes. */
export const forever = (): Promise<never> => new Promise(() => {});

/** A process: when it is killed, nothing that it called ever returns. */
export class Life {
  #alive = true;
  /** Asked before and after each call. */
  readonly #dies: () => boolean;
  constructor(dies: () => boolean = () => false) {
    this.#dies = dies;
  }
  get isAlive(): boolean {
    return this.#alive;
  }
  kill(): void {
    this.#alive = false;
  }
  async call<T>(work: () => Promise<T> | T): Promise<T> {
    if (this.#dies()) this.kill();
    if (!this.#alive) return await forever();
    try {
      return await work();
    } finally {
      if (this.#dies()) this.kill();
      if (!this.#alive) await forever();
    }
  }
  files(files: JournalFiles): JournalFiles {
    return {
      list: () => this.call(() => files.list()),
      read: (...given) => this.call(() => files.read(...given)),
      size: (name) => this.call(() => files.size(name)),
      open: (name) => this.call(() => files.open(name)),
      create: (name) =>
        this.call(async () => {
          const file = await files.create(name);
          return {
            write: (chunks) => this.call(() => file.write(chunks)),
            truncate: (size) => this.call(() => file.truncate(size)),
            sync: () => this.call(() => file.sync()),
            close: () => this.call(() => file.close()),
            [Symbol.asyncDispose]: () => this.call(() => file.close()),
          };
        }),
      rename: (from, to) => this.call(() => files.rename(from, to)),
      remove: (name) => this.call(() => files.remove(name)),
      sync: () => this.call(() => files.sync()),
      space: () => this.call(() => files.space()),
    };
  }
}

/** What a record is: its number. */
const numberOf = ({ body }: JournalRecord) => body[0]! * 256 + body[1]!;
const signalOf = (n: number) => SIGNALS[n % 3]!;
/** No sink takes it. */
export const isPoison = (n: number): boolean => n % 7 === 3;
/** A sink takes it or not, as it pleases. */
export const isDoubtful = (n: number): boolean => n % 7 === 5;
/** Of how many it says to be. */
export const countOf = (n: number): number => 1 + n % 4;

/** A record is 98 bytes long, and nothing is between them. */
export const endOf = (n: number): bigint => BigInt(n + 1) * 98n;

/** What the other side has: how often it got each record, and the order in which they came first. */
class OtherSide {
  readonly got = new Map<number, number>();
  take({ records, answer }: Judged): Delivered {
    const dead = new Set(answer.dead.map(({ body }) => body));
    for (const record of records) {
      const n = numberOf(record);
      if (!dead.has(record.body)) this.got.set(n, (this.got.get(n) ?? 0) + 1);
    }
    return answer;
  }
}

/** Records, and what will be said of them. */
export interface Judged {
  readonly records: readonly JournalRecord[];
  readonly answer: Delivered;
}

/** What became of a record that is not delivered. */
type Fate = "dead" | "skipped";

/** All that happens in one: lives of a process that delivers, and what the other side has of it. */
export class World {
  readonly chance: () => number;
  /** The disk of the journal, in some worlds. In others it is in memory, and outlives its process. */
  readonly disk: CrashingDisk | undefined;
  readonly start: CursorStart;
  journal: Journal = memoryJournal({ maxBytes: 1 << 20 });
  readonly files = new LetterFiles();
  readonly otherSide = new OtherSide();
  readonly withSkips: boolean;
  readonly withKills: boolean;
  readonly withDamage: boolean;
  failing = true;
  /** While nothing fails, and nobody is killed. */
  isSafe = false;
  /** Whether it knows in this life where the sink is. */
  asked = false;
  /** A sync of names has failed: what a killed process has seen may be gone when the power fails. */
  namesUnsure = false;
  appended = 0;
  life = new Life();
  time = new HeldTime();
  delivery!: Delivery;
  cursor!: Cursor;
  sink!: (life: Life) => Sink;
  skipped = 0n;
  kills = 0;
  /** Those that a sink got because it asked for more. */
  slices = 0;
  /** What became of records up to here, durably. All others are delivered. */
  at = 0n;
  readonly fates = new Map<number, Fate>();
  /** What the sink has said last. */
  answer: Delivered | undefined;
  /** Moves of which it is not known whether they were made. */
  moves: { readonly to: bigint; readonly fateOf: (n: number) => Fate | undefined }[] = [];
  readonly skips: Promise<unknown>[] = [];
  #wrong: string | undefined;

  constructor(seed: number, start: CursorStart) {
    this.chance = random(seed);
    this.start = start;
    this.withSkips = start !== "external" && this.happens(0.3);
    this.withKills = this.happens(0.7);
    this.withDamage = this.happens(0.3);
    if (seed % 3 === 0) this.disk = new CrashingDisk(this.chance);
    if (this.disk !== undefined) {
      const isOfCursor = (name: string) => /^(cursor|note)-/.test(name);
      this.disk.fail = ({ op, name }) => {
        const mayFail = !this.isSafe && (isOfCursor(name) || op === "sync folder");
        if (!mayFail || !this.fails(0.02)) return undefined;
        this.namesUnsure ||= op === "sync folder";
        return "EIO";
      };
    }
    this.files.onStep = () => {
      if (this.fails(0.02)) throw new Error("disk full");
    };
  }

  happens(probability: number): boolean {
    return this.chance() < probability;
  }
  fails(probability: number): boolean {
    return this.failing && this.happens(probability);
  }
  upTo(n: number): number {
    return Math.floor(this.chance() * n);
  }

  async append(): Promise<void> {
    const n = this.appended++;
    const [signal, count] = [signalOf(n), countOf(n)];
    const body = Uint8Array.of(n >> 8, n & 255);
    await this.journal.append({ signal, body, count, arrivalUnixNano: 0n }, { again: true });
  }

  /** Whether the journal cannot read it. */
  isDamaged(n: number): boolean {
    return this.withDamage && n % 11 < 2;
  }

  /** The journal as it is found by a new process. */
  async open(): Promise<void> {
    if (this.disk !== undefined) {
      if (this.namesUnsure || this.happens(0.5)) {
        this.disk.powerOff(this.happens(0.5) ? "nothing" : "some");
      }
      this.namesUnsure = false;
      this.journal = await openJournal(this.disk.boot(), {
        segmentBytes: 1_000,
        graceMs: 0,
        minFreeBytes: 0,
        onEvent: ({ kind, message }) => assert.notEqual(kind, "note lost", message),
      });
    }
    this.cursor = await this.journal.cursor("a", this.start);
    // How many records there were before damage is known by the one before that.
    if (this.withDamage) await this.journal.cursor("slow", "oldest");
    this.journal.start();
    const { position } = this.cursor;
    const move = this.moves.findLast(({ to }) => to === position);
    if (move !== undefined) this.moved(move.to, move.fateOf);
    if (this.start !== "external") assert.equal(position, this.at);
  }

  /** A journal that cannot read some records. */
  get damaged(): Journal {
    const { journal } = this;
    return new Proxy(journal, {
      get: (_, name) => {
        if (name === "read") return (from: bigint) => this.read(from);
        const value = Reflect.get(journal, name);
        return typeof value === "function" ? value.bind(journal) : value;
      },
    });
  }

  async read(from: bigint): Promise<JournalRecord[]> {
    const found: JournalRecord[] = [];
    const most = 1 + this.upTo(6);
    for (let at = from; found.length < most;) {
      const records = await this.journal.read(at, { maxBytes: 1_000, maxRecords: 10 });
      if (records.length === 0) break;
      found.push(...records.filter((record) => !this.isDamaged(numberOf(record))));
      at = records.at(-1)!.next;
    }
    return found.slice(0, most);
  }

  /** The position was moved, durably. */
  moved(to: bigint, fateOf: (n: number) => Fate | undefined): void {
    for (let n = 0; n < this.appended; n++) {
      const fate = endOf(n) > this.at ? fateOf(n) : this.fates.get(n);
      if (endOf(n) > to || fate === undefined) this.fates.delete(n);
      else this.fates.set(n, fate);
    }
    this.at = to;
    this.moves = [];
  }

  judge(records: readonly JournalRecord[]): Judged {
    const dead = records.filter((record) => {
      const n = numberOf(record);
      return isPoison(n) || isDoubtful(n) && this.happens(0.5);
    });
    return { records, answer: take(records, ...dead.map(({ body }) => body)) };
  }

  async begin(): Promise<void> {
    this.isSafe = true;
    this.asked = this.start !== "external";
    await this.open();
    const dies = () => this.withKills && !this.isSafe && this.fails(0.01);
    const life = this.life = new Life(dies);
    const time = this.time = new HeldTime();
    let letters: DeadLetters | undefined;
    // A start that fails on a bad disk is tried again by whoever starts it.
    while (letters === undefined) {
      letters = await DeadLetters.open(life.files(this.files), {}).catch(() => undefined);
    }
    const own = this.cursor;
    const cursor: Cursor = {
      name: own.name,
      get position() {
        return own.position;
      },
      get note() {
        return own.note;
      },
      move: (to, options) =>
        life.call(async () => {
          if (this.fails(0.05)) throw new Error("cursor: disk full");
          const skips = this.delivery.stats.state === "skipping";
          const { answer } = this;
          const fateOf = (n: number) => skips ? "skipped" : deadBy(answer, n);
          if (this.start !== "external") this.moves.push({ to, fateOf });
          await own.move(to, options);
          if (this.start !== "external") this.moved(to, fateOf);
          if (this.fails(0.05)) throw new Error("cursor: fsync failed");
        }),
      keep: (note) =>
        life.call(async () => {
          if (this.fails(0.05)) throw new Error("note: disk full");
          await own.keep(note);
          if (this.fails(0.05)) throw new Error("note: fsync failed");
        }),
    };
    this.delivery = new Delivery(this.damaged, cursor, this.sink(life), letters, {
      time,
      maxAttempts: 1,
      maxBatchRecords: 1 + this.upTo(6),
      // Half of that has to be there for a sink that asks for more.
      maxBatchBytes: [196, 500, 4 << 20][this.upTo(3)]!,
      failureThreshold: 1 + this.upTo(3),
      maxBatchAgeMs: this.upTo(2) * 100,
    });
    this.delivery.start();
    this.isSafe = false;
  }

  async kill(): Promise<void> {
    this.kills++;
    this.life.kill();
    this.files.crash();
    await this.begin();
  }

  /** Says what the sink must not see: whatever it throws itself is only tried again. */
  wrong(what: string): void {
    this.#wrong ??= what;
  }

  check(): void {
    assert.equal(this.#wrong, undefined);
    const { stats } = this.delivery;
    assertLedger(stats);
    const { accepted, dead, skipped, position } = stats;
    // It has not looked where it is.
    if (!this.asked || stats.state === "new" || stats.state === "locating") return;
    const expected = { accepted: noCounts(), dead: noCounts(), skipped: noCounts() };
    for (let n = 0; n < this.appended; n++) {
      const [signal, count] = [signalOf(n), countOf(n)];
      expected.accepted[signal] += count;
      if (endOf(n) > position) continue;
      const fate = this.isDamaged(n) ? "skipped" : this.fates.get(n);
      if (fate !== undefined) expected[fate][signal] += count;
    }
    assert.deepEqual({ accepted, dead, skipped }, expected);
  }

  /** Time goes on to when somebody waits for. */
  async pass(): Promise<void> {
    const [ms = 0] = this.time.waits;
    this.time.advance(ms);
    await tick();
  }

  async live(steps: number): Promise<void> {
    await this.begin();
    for (let step = 0; step < steps; step++) {
      if (!this.life.isAlive) await this.kill();
      const what = this.chance();
      if (what < 0.25) {
        this.isSafe = true;
        await this.append();
        this.isSafe = false;
      } else if (what < 0.5) await this.pass();
      else if (what < 0.53) this.delivery.pause();
      else if (what < 0.6) this.delivery.resume();
      else if (what < 0.63 && this.withKills) await this.kill();
      else if (what < 0.65 && this.withSkips) this.skip();
      else await tick();
      this.check();
    }
    this.failing = false;
    if (!this.life.isAlive) await this.kill();
    this.delivery.resume();
    const isAtHead = () =>
      [this.delivery.stats, this.cursor].every(({ position }) => position === this.journal.head);
    for (let step = 0; !isAtHead(); step++) {
      assert(step < 2_000, `It does not come to its end: ${Deno.inspect(this.delivery.stats)}`);
      await this.pass();
      this.check();
    }
    await Promise.all(this.skips);
    assert.deepEqual(this.delivery.stats.pending, noCounts());
    await this.delivery.close();
  }

  skip(): void {
    const { position } = this.delivery.stats;
    const to = position + BigInt(this.upTo(300));
    if (to > this.skipped) this.skipped = to;
    this.skips.push(Promise.race([this.delivery.skipTo(to), tick(undefined)]));
  }

  /** How many letters there are of each record. */
  async letters(): Promise<Map<number, number>> {
    const letters = await DeadLetters.open(this.files);
    const { letters: heads, damaged } = await letters.list();
    assert.deepEqual(damaged, []);
    const found = new Map<number, number>();
    for (const { name } of heads) {
      const { body } = await letters.read(name);
      const n = body[0]! * 256 + body[1]!;
      found.set(n, (found.get(n) ?? 0) + 1);
    }
    return found;
  }
}

/** What an answer says about a record. */
export function deadBy(answer: Delivered | undefined, n: number): Fate | undefined {
  return answer?.dead.some(({ position }) => position === endOf(n) - 98n) ? "dead" : undefined;
}
