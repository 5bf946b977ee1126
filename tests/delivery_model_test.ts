/**
 * Deliveries in worlds where everything fails at random, held against what must come of it.
 *
 * Every call of the sink, the cursor and the disk may fail, before or after it has done its work, or
 * hang; the process may be killed at any of them. `DELIVERY_SEEDS` says how many worlds of each kind.
 */

import assert from "node:assert/strict";
import { setImmediate as tick } from "node:timers/promises";
import { DeadLetters } from "../src/dead_letters.ts";
import { Delivery } from "../src/delivery.ts";
import type { Cursor, JournalRecord } from "../src/journal.ts";
import type { JournalFiles } from "../src/journal_files.ts";
import { memoryJournal } from "../src/memory_journal.ts";
import type { Signal } from "../src/record.ts";
import { type Bury, type Delivered, noCounts, type Sink } from "../src/sink.ts";
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
  kill(): void {
    this.#alive = false;
  }
  async call<T>(work: () => Promise<T> | T): Promise<T> {
    if (!this.#alive) return await forever();
    try {
      return await work();
    } finally {
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
      freeBytes: () => this.call(() => files.freeBytes()),
    };
  }
}

/** What a record is: its number, of which some are poison. */
const numberOf = ({ body }: JournalRecord) => body[0]! * 256 + body[1]!;
const isPoison = (n: number) => n % 7 === 3;

/** What the other side has: how often it got each record, and the order in which they came first. */
class OtherSide {
  readonly got = new Map<number, number>();
  take(records: readonly JournalRecord[]): Delivered {
    const poison = records.filter((record) => isPoison(numberOf(record)));
    for (const record of records) {
      const n = numberOf(record);
      if (!isPoison(n)) this.got.set(n, (this.got.get(n) ?? 0) + 1);
    }
    return take(records, ...poison.map(({ body }) => body));
  }
}

class World {
  readonly chance: () => number;
  readonly journal = memoryJournal({ maxBytes: 1 << 20 });
  readonly files = new LetterFiles();
  readonly otherSide = new OtherSide();
  readonly withSkips: boolean;
  readonly withKills: boolean;
  failing = true;
  appended = 0;
  life = new Life();
  time = new HeldTime();
  delivery!: Delivery;
  cursor!: Cursor;
  sink!: (life: Life) => Sink;
  skipped = 0n;
  kills = 0;
  readonly skips: Promise<unknown>[] = [];

  constructor(seed: number) {
    this.chance = random(seed);
    this.withSkips = this.happens(0.3);
    this.withKills = this.happens(0.6);
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
    const signal = SIGNALS[n % 3]!;
    const body = Uint8Array.of(n >> 8, n & 255);
    const count = 1 + n % 4;
    await this.journal.append({ signal, body, count, arrivalUnixNano: 0n }, { again: true });
  }

  async begin(): Promise<void> {
    const life = this.life = new Life();
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
      move: (to, options) =>
        life.call(async () => {
          if (this.fails(0.05)) throw new Error("cursor: disk full");
          await own.move(to, options);
          if (this.fails(0.05)) throw new Error("cursor: fsync failed");
        }),
    };
    this.delivery = new Delivery(this.journal, cursor, this.sink(life), letters, {
      time,
      maxAttempts: 1,
      maxBatchRecords: 1 + this.upTo(6),
      failureThreshold: 1 + this.upTo(3),
      maxBatchAgeMs: this.upTo(2) * 100,
    });
    this.delivery.start();
  }

  async kill(): Promise<void> {
    this.kills++;
    this.life.kill();
    this.files.crash();
    await this.begin();
  }

  check(): void {
    assertLedger(this.delivery.stats);
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
      const what = this.chance();
      if (what < 0.25) await this.append();
      else if (what < 0.5) await this.pass();
      else if (what < 0.53) this.delivery.pause();
      else if (what < 0.6) this.delivery.resume();
      else if (what < 0.63 && this.withKills) await this.kill();
      else if (what < 0.65 && this.withSkips) this.skip();
      else await tick();
      this.check();
    }
    this.failing = false;
    this.delivery.resume();
    for (let step = 0; this.delivery.stats.position < this.journal.head; step++) {
      assert(step < 2_000, `It does not come to its end: ${Deno.inspect(this.delivery.stats)}`);
      await this.pass();
      this.check();
    }
    await Promise.all(this.skips);
    assert.deepEqual(this.delivery.stats.pending, noCounts());
    assert.equal(this.cursor.position, this.journal.head);
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
        if (world.fails(0.1)) return { ...world.otherSide.take(some), failure: down() };
        // It has taken them, and nobody hears of it.
        if (world.fails(0.1)) throw Object.assign(down(), world.otherSide.take(some));
        return world.otherSide.take(world.happens(0.8) ? records : some);
      }),
  });
}

/** A database: it moves its position with what it stores, and may do so after it was given up. */
function database(world: World): (life: Life) => Sink {
  let at = 0n;
  let late: (() => void) | undefined;
  return (life) => {
    let known = 0n;
    const commit = (records: readonly JournalRecord[], from: bigint): Delivered => {
      if (at !== from) throw new Error(`the position is ${at} and not ${from}`);
      at = records.at(-1)!.next;
      return world.otherSide.take(records);
    };
    return {
      position: () =>
        life.call(() => {
          if (world.fails(0.1)) throw down();
          // Whoever asks waits for a transaction that is still at it.
          late?.();
          late = undefined;
          known = at;
          return at === 0n ? undefined : at;
        }),
      deliver: (records, _, bury: Bury) =>
        life.call(async () => {
          if (world.fails(0.1)) throw down();
          const some = world.happens(0.8)
            ? records
            : records.slice(0, 1 + world.upTo(records.length));
          await bury(
            take(some, ...some.filter((r) => isPoison(numberOf(r))).map(({ body }) => body)).dead,
          );
          const from = known;
          if (world.fails(0.1)) {
            late = () => {
              if (at === from) commit(some, from);
            };
            if (world.happens(0.5)) return await forever();
            throw down();
          }
          const answer = commit(some, from);
          known = at;
          if (world.fails(0.1)) throw down();
          return answer;
        }),
    };
  };
}

Deno.test(`in ${SEEDS} failing worlds every record is delivered, or dead once, or skipped`, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const world = new World(seed);
    world.cursor = await world.journal.cursor("a", "oldest");
    world.journal.start();
    world.sink = forgetfulSink(world);
    await world.live(250);

    const letters = await world.letters();
    const { got } = world.otherSide;
    const lost: number[] = [];
    for (let n = 0; n < world.appended; n++) {
      const count = isPoison(n) ? letters.get(n) : got.get(n);
      if (count === undefined) lost.push(n);
      if (isPoison(n)) assert(!got.has(n) && (count ?? 1) === 1, `seed ${seed}, record ${n}`);
      else assert(!letters.has(n), `seed ${seed}, record ${n}`);
    }
    if (!world.withSkips) assert.deepEqual(lost, [], `seed ${seed}`);
    const first = [...got.keys()];
    assert.deepEqual(first, first.toSorted((a, b) => a - b), `seed ${seed}: not in order`);
    // A record is 98 bytes long: whatever was lost lies before what was skipped.
    for (const n of lost) assert(BigInt(n + 1) * 98n <= world.skipped, `seed ${seed}, record ${n}`);
  }
});

Deno.test(`in ${SEEDS} failing worlds a database has every record once, or it is dead once`, async () => {
  let repeats = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const world = new World(seed);
    world.cursor = await world.journal.cursor("a", "external");
    world.journal.start();
    world.sink = database(world);
    Object.assign(world, { withSkips: false });
    await world.live(250);

    const letters = await world.letters();
    const { got } = world.otherSide;
    let [delivered, dead] = [0, 0];
    for (let n = 0; n < world.appended; n++) {
      const expected = isPoison(n) ? [1, undefined] : [undefined, 1];
      assert.deepEqual([letters.get(n), got.get(n)], expected, `seed ${seed}, record ${n}`);
      if (isPoison(n)) dead += 1 + n % 4;
      else delivered += 1 + n % 4;
    }
    if (world.kills > 0) continue;
    repeats++;
    const { stats } = world.delivery;
    const sum = ({ traces, logs, metrics }: typeof stats.dead) => traces + logs + metrics;
    assert.deepEqual([sum(stats.delivered), sum(stats.dead)], [delivered, dead], `seed ${seed}`);
  }
  assert(repeats > 0, "no world was without a kill");
});
