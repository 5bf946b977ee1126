/**
 * A journal delivered to a database while everything fails: the real delivery, sink and transcoder,
 * between a journal in memory and a simulated Postgres. A seed says what happens and in which order.
 *
 * @module
 */

import assert from "node:assert/strict";
import { setImmediate as tick } from "node:timers/promises";
import { DeadLetters } from "../src/dead_letters.ts";
import { Delivery } from "../src/delivery.ts";
import { memoryJournal } from "../src/memory_journal.ts";
import { DatabaseSink } from "../src/postgres/database_sink.ts";
import { Dimensions } from "../src/postgres/dimensions.ts";
import { SessionDatabase } from "../src/postgres/session.ts";
import { PostgresSink } from "../src/postgres/sink.ts";
import { PreparedRows } from "../src/postgres/prepared_rows.ts";
import { Transcoder } from "../src/postgres/transcode.ts";
import type { Signal } from "../src/record.ts";
import { noCounts } from "../src/sink.ts";
import { assertLedger, HeldTime } from "./delivery_harness.ts";
import { LetterFiles } from "./letter_files.ts";
import { logs, points, spans } from "./requests.ts";
import { SimulatedPool, type SimulatedSession } from "./simulated_pool.ts";
import { type Fate, forever, Schedule, SimulatedPostgres } from "./simulated_postgres.ts";

/** What a run was like. */
export interface StreamsRun {
  readonly records: number;
  readonly kills: number;
  readonly restores: number;
  readonly crashes: number;
  /** Commits that stored records and of which the client did not hear. */
  readonly unheard: number;
  /** Transactions that found the position elsewhere. */
  readonly conflicts: number;
  /** Slices that were given while another one was under way. */
  readonly parallel: number;
  /** Calls in which the memory of a slice was used again. */
  readonly rolling: number;
}

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

/** A request and the numbers of its records. */
interface Request {
  readonly signal: Signal;
  readonly body: Uint8Array;
  readonly numbers: readonly number[];
}

const TIME = 1_700_000_000_000_000_000n;
const MOST_REQUESTS = 40;

/** The same in every world: to make them takes longer than to deliver them. */
const REQUESTS = Array.from({ length: MOST_REQUESTS }, (_, n): Request => {
  const numbers = Array.from({ length: 1 + n % 3 }, (_, k) => 1 + n * 3 + k);
  const options = { time: TIME, name: `work ${n % 3}`, service: `shop ${n % 2}` };
  if (n % 4 === 1) return { signal: "logs", body: logs(numbers, options), numbers };
  if (n % 4 === 3) return { signal: "metrics", body: points(numbers, options), numbers };
  return { signal: "traces", body: spans(numbers, options), numbers };
});

const isPoison = (record: number) => record % 9 === 4;

/** There are partitions for all times. */
const partitions = { ensureFor: () => Promise.resolve({ created: [], postponed: [] }) };

/** A process that delivers. */
interface Collector {
  readonly pool: SimulatedPool;
  readonly time: HeldTime;
  readonly delivery: Delivery;
  /** Another process has taken over, and this one has not died yet: it ends what it is at. */
  isOver: boolean;
}

class Model implements Fate {
  readonly chance: () => number;
  readonly schedule = new Schedule();
  readonly server = new SimulatedPostgres(this.schedule, this);
  readonly journal = memoryJournal({ maxBytes: 1 << 30 });
  readonly letters: DeadLetters[] = [];
  readonly pools: SimulatedPool[] = [];
  readonly copies = [this.server.copy()];
  collectors: Collector[] = [];
  failing = true;
  appended = 0;
  kills = 0;
  restores = 0;
  conflicts = 0;
  parallel = 0;
  rolling = 0;
  readonly hasPoison: boolean;
  readonly streams: number;
  readonly maxBatchBytes: number;

  constructor(seed: number) {
    this.chance = random(seed);
    this.hasPoison = this.happens(0.2);
    this.streams = 1 + this.upTo(4);
    this.maxBatchBytes = this.pick([1, 400, 1_000, 4_000]);
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
  pick<T>(values: readonly T[]): T {
    return values[this.upTo(values.length)]!;
  }
  refuses(record: number): boolean {
    return this.hasPoison && isPoison(record);
  }

  async begin(): Promise<void> {
    for (const collector of this.collectors) collector.isOver = true;
    const pool = new SimulatedPool(this.server, this.pick([1, 2, 8]));
    const letters = await DeadLetters.open(new LetterFiles());
    this.pools.push(pool);
    this.letters.push(letters);
    const time = new HeldTime();
    const database = new SessionDatabase(pool);
    // Where a new process begins, the database says.
    const cursor = await this.journal.cursor(`postgres-${this.pools.length}`, "external");
    const sink = new DatabaseSink(
      new PostgresSink(database, partitions, this.journal.id),
      new PreparedRows(new Transcoder(new Dimensions(() => time.now()))),
      { streams: this.streams },
    );
    const observed = {
      position: (signal: AbortSignal) => collector.isOver ? forever() : sink.position(signal),
      deliver: (...[records, signal, bury, more]: Parameters<DatabaseSink["deliver"]>) => {
        if (collector.isOver) return forever();
        let slices = 1;
        return sink.deliver(records, signal, bury, async (settled) => {
          if (collector.isOver) return forever();
          const records = await more!(settled);
          if (records.length === 0) return records;
          if (this.streams > 1) this.parallel++;
          if (slices++ === this.streams) this.rolling++;
          return records;
        });
      },
    };
    const delivery = new Delivery(this.journal, cursor, observed, letters, {
      time,
      maxAttempts: 1,
      maxBatchRecords: 1 + this.upTo(8),
      maxBatchBytes: this.maxBatchBytes,
      onEvent: (event) => {
        if (event.kind !== "failed") return;
        if (event.message.startsWith("Cannot store a batch")) this.conflicts++;
        // Nothing waits for ever when nothing fails.
        assert(this.failing || !event.message.startsWith("no answer"), event.message);
      },
    });
    const collector: Collector = { pool, time, delivery, isOver: false };
    this.collectors.push(collector);
    delivery.start();
  }

  kill(collector: Collector): void {
    this.kills++;
    collector.pool.kill();
    this.collectors = this.collectors.filter((other) => other !== collector);
  }

  async append(): Promise<void> {
    // One is kept for the end.
    if (this.failing && this.appended === MOST_REQUESTS - 1) return;
    const { signal, body, numbers } = REQUESTS[this.appended++]!;
    const request = { signal, body, count: numbers.length, arrivalUnixNano: TIME };
    await this.journal.append(request, { again: true });
  }

  crash(): void {
    this.server.crash();
    for (const { pool } of this.collectors) for (const session of pool.sessions) session.cut();
  }

  restore(): void {
    this.restores++;
    this.crash();
    this.server.data = structuredClone(this.pick(this.copies));
  }

  onSent(session: SimulatedSession, what: "copy" | "commit"): void {
    // To find poison takes many copies; not each world must end before.
    const copies = this.hasPoison ? 0.02 : 0.1;
    if (this.fails(what === "commit" ? 0.3 : copies)) void this.#befall(session);
  }

  async #befall(session: SimulatedSession): Promise<void> {
    // Before, while or after it is done.
    await this.schedule.turn();
    if (this.failing) await this.disaster(session);
  }

  /** Something that may happen to a connection, the server or a process. */
  async disaster(session: SimulatedSession | undefined): Promise<void> {
    const what = this.chance();
    if (what < 0.35) session?.cut();
    else if (what < 0.45) session?.stall();
    else if (what < 0.55) this.crash();
    else if (what < 0.6) this.restore();
    else if (what < 0.72) {
      this.kill(this.pick(this.collectors));
      if (this.collectors.every(({ isOver }) => isOver)) await this.begin();
    } else if (this.collectors.length < 3) {
      // The one before it does not know that it is over.
      await this.begin();
    }
  }

  /** Time goes on to when a process waits for. */
  pass(): void {
    const { time } = this.pick(this.collectors);
    const [ms = 0] = time.waits;
    time.advance(ms);
  }

  async step(): Promise<void> {
    const what = this.chance();
    if (what < 0.1) await this.append();
    else if (what < 0.13) {
      const sessions = this.collectors.flatMap(({ pool }) => [...pool.sessions]);
      await this.disaster(sessions.length === 0 ? undefined : this.pick(sessions));
    } else if (what < 0.16) this.copies.push(this.server.copy());
    else if (what < 0.25 && !this.server.isUp) this.server.isUp = true;
    else if (what < 0.17 || this.schedule.size === 0) this.pass();
    else this.schedule.run(this.upTo(this.schedule.size));
    await tick();
  }

  get isDone(): boolean {
    const [collector] = this.collectors;
    return this.schedule.size === 0 && collector!.delivery.stats.position === this.journal.head;
  }

  async run(steps: number): Promise<StreamsRun> {
    // A database that is restored finds what it lacks.
    await this.journal.cursor("kept", "oldest");
    this.journal.start();
    await this.begin();
    for (let step = this.hasPoison ? -steps : 0; step < steps; step++) await this.step();

    this.failing = false;
    this.server.isUp = true;
    // Who has nothing to deliver does not notice that the database was restored.
    await this.append();
    for (const { pool } of this.collectors) for (const session of pool.sessions) session.cut();
    for (const collector of this.collectors) {
      if (collector.isOver) this.kill(collector);
    }
    for (let step = 0; !this.isDone; step++) {
      if (step === 10_000) assert.fail(Deno.inspect(this.collectors[0]!.delivery.stats));
      if (this.schedule.size > 0) this.schedule.run(this.upTo(this.schedule.size));
      else this.pass();
      await tick();
    }
    await this.check();
    const closed = this.collectors[0]!.delivery.close();
    while (this.collectors[0]!.delivery.stats.state !== "closed") {
      this.pass();
      await tick();
    }
    await closed;
    return {
      records: this.server.data.records.length,
      kills: this.kills,
      restores: this.restores,
      crashes: this.server.crashes,
      unheard: this.pools.reduce((sum, { unheard }) => sum + unheard, 0),
      conflicts: this.conflicts,
      parallel: this.parallel,
      rolling: this.rolling,
    };
  }

  /** Each record is stored once; or it is poison, and dead. */
  async check(): Promise<void> {
    assert.equal(this.server.trouble, undefined);
    const sent = REQUESTS.slice(0, this.appended).flatMap(({ numbers }) => numbers);
    const stored = this.server.data.records.toSorted((a, b) => a - b);
    assert.deepEqual(stored, sent.filter((record) => !this.refuses(record)));
    const { stats } = this.collectors[0]!.delivery;
    assertLedger(stats);
    assert.deepEqual(stats.skipped, noCounts());
    if (this.pools.length === 1 && this.restores === 0) {
      const { traces, logs, metrics } = stats.delivered;
      assert.equal(traces + logs + metrics, stored.length);
    }
    if (!this.hasPoison) return;
    const dead = new Set<string>();
    for (const letters of this.letters) {
      for (const { position, index } of (await letters.list()).letters) {
        dead.add(`${position} ${index}`);
      }
    }
    assert.equal(dead.size, sent.filter(isPoison).length);
  }
}

/** Runs a world. */
export async function runStreamsModel(seed: number, steps: number): Promise<StreamsRun> {
  return await new Model(seed).run(steps);
}
