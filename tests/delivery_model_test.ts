/**
 * Deliveries in worlds where everything fails at random, held against what must come of it.
 *
 * Every call of the sink, the cursor and the disk may fail, before or after it has done its work, or
 * hang; the process may be killed at any of them, and the power may fail. At every step the ledger has
 * to say what became of each record before the position, in all lives together. `DELIVERY_SEEDS` says
 * how many worlds of each kind.
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
import { type Bury, type Delivered, joined, type More, noCounts, type Sink } from "../src/sink.ts";
import { CrashingDisk } from "./crashing_files.ts";
import { assertLedger, down, HeldTime, take } from "./delivery_harness.ts";
import { LetterFiles } from "./letter_files.ts";

const SEEDS = Number(Deno.env.get("DELIVERY_SEEDS") ?? 150);
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

const forever = () => new Promise<never>(() => {});

/** A process: when it is killed, nothing that it called ever returns. */
class Life {
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

/** What a record is: its number, of which some are poison, and some whenever it pleases the sink. */
const numberOf = ({ body }: JournalRecord) => body[0]! * 256 + body[1]!;
const isPoison = (n: number) => n % 7 === 3;
const isDoubtful = (n: number) => n % 7 === 5;
const countOf = (n: number) => 1 + n % 4;
const signalOf = (n: number) => SIGNALS[n % 3]!;
/** A record is 98 bytes long, and nothing is between them. */
const endOf = (n: number) => BigInt(n + 1) * 98n;

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
interface Judged {
  readonly records: readonly JournalRecord[];
  readonly answer: Delivered;
}

/** What became of a record that is not delivered. */
type Fate = "dead" | "skipped";

class World {
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
function deadBy(answer: Delivered | undefined, n: number): Fate | undefined {
  return answer?.dead.some(({ position }) => position === endOf(n) - 98n) ? "dead" : undefined;
}

/** A sink that says the truth, if it says anything. */
function forgetfulSink(world: World): (life: Life) => Sink {
  return (life) => ({
    deliver: (records, signal) =>
      life.call(async (): Promise<Delivered> => {
        const some = records.slice(0, 1 + world.upTo(records.length));
        if (world.fails(0.1)) throw down();
        if (world.fails(0.05)) throw down(world.upTo(500_000));
        if (world.fails(0.05)) return await forever();
        if (world.fails(0.05)) {
          return await new Promise((_, reject) =>
            signal.addEventListener("abort", () => reject(signal.reason), { once: true })
          );
        }
        const judged = world.judge(world.happens(0.8) ? records : some);
        const answer = world.otherSide.take(judged);
        // It has taken them, and nobody hears of it.
        if (world.fails(0.1)) throw down();
        world.answer = answer;
        return world.fails(0.1) ? { ...answer, failure: down() } : answer;
      }),
  });
}

/** A database: it moves its position with what it stores, and may do so after it was given up. */
function database(world: World): (life: Life) => Sink {
  let at = 0n;
  let late: (() => void) | undefined;
  return (life) => {
    let known = 0n;
    /** A call that was left alone and is not at its end. */
    let leftAlone: (() => Promise<unknown>) | undefined;
    const commit = (judged: Judged, from: bigint): Delivered => {
      if (at !== from) throw new Error(`the position is ${at} and not ${from}`);
      const answer = world.otherSide.take(judged);
      at = known = answer.next;
      world.moved(at, (n) => deadBy(answer, n));
      return answer;
    };
    /** Stores some, now or later; says so, or not. */
    const store = async (records: readonly JournalRecord[], bury: Bury): Promise<Delivered> => {
      if (world.fails(0.1)) throw down();
      const judged = world.judge(records);
      if (judged.answer.dead.length > 0) await bury(judged.answer.dead);
      const from = known;
      if (world.fails(0.1)) {
        late = () => {
          if (at === from) commit(judged, from);
        };
        if (world.happens(0.5)) return await forever();
        throw down();
      }
      const answer = commit(judged, from);
      if (world.fails(0.1)) throw down();
      return answer;
    };
    /** Asks for more, or is left alone and does so later: then it is told that nobody listens. */
    const ask = async (more: More, settled: Delivered | undefined) => {
      if (!world.fails(0.1)) return await more(settled);
      leftAlone = async () => {
        const answer = await more(settled).catch(({ name }) => name);
        if (answer !== "AbortError") world.wrong(`a call that was left alone got ${answer}`);
      };
      return await forever();
    };
    /** Goes on as long as there is more, with some slices under way at a time. */
    const goOn = async (
      first: readonly JournalRecord[],
      bury: Bury,
      more: More,
    ): Promise<Delivered> => {
      const slices = [first];
      let end = first.at(-1)!.next;
      let untold: Delivered | undefined;
      const most = 1 + world.upTo(3);
      for (let isAll = false; slices.length > 0;) {
        while (!isAll && slices.length < most && world.happens(0.8)) {
          const told = world.happens(0.7) ? untold : undefined;
          if (told !== undefined) untold = undefined;
          const slice = await ask(more, told);
          isAll = slice.length === 0;
          if (isAll) break;
          world.slices++;
          for (const { position, next } of slice) {
            if (position !== end) world.wrong(`it was given ${position} behind ${end}`);
            end = next;
          }
          slices.push(slice);
        }
        try {
          untold = joined(untold, await store(slices[0]!, bury));
        } catch (failure) {
          if (untold === undefined) throw failure;
          return { ...untold, failure };
        }
        slices.shift();
      }
      return untold ?? { next: known, delivered: noCounts(), dead: [] };
    };
    return {
      position: () =>
        life.call(async () => {
          await leftAlone?.();
          leftAlone = undefined;
          if (world.fails(0.1)) throw down();
          // Whoever asks waits for a transaction that is still at it.
          late?.();
          late = undefined;
          known = at;
          world.asked = true;
          return at === 0n ? undefined : at;
        }),
      deliver: (records, _, bury, more) =>
        life.call(async () => {
          if (world.happens(0.5)) return await goOn(records, bury, more!);
          if (world.happens(0.7)) return await store(records, bury);
          const some = records.slice(0, 1 + world.upTo(records.length));
          const rest = records.slice(some.length);
          const isAll = rest.length === 0 || world.happens(0.5);
          // Some of the rest may be buried, and stored by a later attempt all the same.
          if (isAll && rest.length > 0) await bury(world.judge(rest).answer.dead);
          const answer = await store(some, bury);
          if (isAll) return answer;
          try {
            const { next, dead } = await store(rest, bury);
            return { ...answer, next, dead: [...answer.dead, ...dead] };
          } catch (failure) {
            return { ...answer, failure };
          }
        }),
    };
  };
}

async function live(world: World, seed: number): Promise<void> {
  try {
    await world.live(250);
  } catch (error) {
    throw new Error(`seed ${seed}`, { cause: error });
  }
}

Deno.test(`in ${SEEDS} failing worlds every record is delivered, or dead once, or skipped`, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const world = new World(seed, "oldest");
    world.sink = forgetfulSink(world);
    await live(world, seed);

    const letters = await world.letters();
    const { got } = world.otherSide;
    const lost: number[] = [];
    for (let n = 0; n < world.appended; n++) {
      if (world.isDamaged(n)) continue;
      if (!letters.has(n) && !got.has(n)) lost.push(n);
      assert((letters.get(n) ?? 1) === 1, `seed ${seed}, record ${n}`);
      if (isPoison(n)) assert(!got.has(n), `seed ${seed}, record ${n}`);
      else if (!isDoubtful(n)) assert(!letters.has(n), `seed ${seed}, record ${n}`);
    }
    if (!world.withSkips) assert.deepEqual(lost, [], `seed ${seed}`);
    const first = [...got.keys()].filter((n) => !isDoubtful(n));
    assert.deepEqual(first, first.toSorted((a, b) => a - b), `seed ${seed}: not in order`);
    // Whatever was lost lies before what was skipped.
    for (const n of lost) assert(endOf(n) <= world.skipped, `seed ${seed}, record ${n}`);
  }
});

Deno.test(`in ${SEEDS} failing worlds a database has every record once, or it is dead once`, async () => {
  let [kills, lives, slices] = [0, 0, 0];
  for (let seed = 1; seed <= SEEDS; seed++) {
    const world = new World(seed, "external");
    world.sink = database(world);
    await live(world, seed);

    const letters = await world.letters();
    const { got } = world.otherSide;
    let [delivered, dead, skipped] = [0, 0, 0];
    for (let n = 0; n < world.appended; n++) {
      if (world.isDamaged(n)) {
        skipped += countOf(n);
        continue;
      }
      const isDead = world.fates.get(n) === "dead";
      const isBuried = isDead || isDoubtful(n) && letters.has(n);
      const expected = [isBuried ? 1 : undefined, isDead ? undefined : 1];
      assert.deepEqual([letters.get(n), got.get(n)], expected, `seed ${seed}, record ${n}`);
      if (isDead) dead += countOf(n);
      else delivered += countOf(n);
    }
    lives++;
    kills += world.kills;
    slices += world.slices;
    const { stats } = world.delivery;
    const sum = ({ traces, logs, metrics }: typeof stats.dead) => traces + logs + metrics;
    const counted = [sum(stats.delivered), sum(stats.dead), sum(stats.skipped)];
    assert.deepEqual(counted, [delivered, dead, skipped], `seed ${seed}`);
  }
  assert(kills > lives, "nobody was killed");
  assert(slices > lives, "nobody went on");
});
