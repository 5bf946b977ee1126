/**
 * Connections of a process to a {@linkcode SimulatedPostgres}, which can be cut, stall or be killed.
 *
 * @module
 */

import type { Copy, Row, SqlValue } from "../src/postgres/database.ts";
import type { Session, SessionSource } from "../src/postgres/session.ts";
import { type Backend, failure, forever, type SimulatedPostgres } from "./simulated_postgres.ts";

/** The connections of one client process. */
export class SimulatedPool implements SessionSource {
  readonly driver = "pg";
  readonly #server: SimulatedPostgres;
  readonly #most: number;
  readonly #queue: (() => void)[] = [];
  readonly sessions = new Set<SimulatedSession>();
  #used = 0;
  /** Commits that stored records and were not heard of. */
  unheard = 0;
  /** The process was killed: it never hears of anything again. */
  isDead = false;

  /** @param most Connections at a time. */
  constructor(server: SimulatedPostgres, most: number) {
    this.#server = server;
    this.#most = most;
  }

  async acquire(): Promise<Session> {
    if (this.#used >= this.#most) await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#used++;
    if (this.isDead) return await forever();
    if (!this.#server.isUp) {
      this.#free();
      throw failure("ECONNREFUSED");
    }
    const session = new SimulatedSession(this.#server, this, () => this.#free());
    this.sessions.add(session);
    return session;
  }

  #free(): void {
    this.#used--;
    this.#queue.shift()?.();
  }

  /** Ends the process. */
  kill(): void {
    this.isDead = true;
    for (const session of this.sessions) session.cut();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** One connection. */
export class SimulatedSession implements Session {
  readonly #server: SimulatedPostgres;
  readonly #pool: SimulatedPool;
  readonly #backend: Backend;
  readonly #free: () => void;
  readonly #lost = Promise.withResolvers<never>();
  #isCut = false;
  #isStalled = false;

  constructor(server: SimulatedPostgres, pool: SimulatedPool, free: () => void) {
    this.#server = server;
    this.#pool = pool;
    this.#backend = server.backend();
    this.#free = free;
    this.#lost.promise.catch(() => {});
  }

  /** Breaks it. */
  cut(): void {
    this.#isCut = true;
    this.#server.orphan(this.#backend);
    this.#lost.reject(failure("ECONNRESET"));
  }

  /** Lets nothing arrive any more, without a word. */
  stall(): void {
    this.#isStalled = true;
  }

  async #ask<T>(work: () => Promise<T> | T, isFar = false): Promise<T> {
    if (this.#isCut) return await this.#lost.promise;
    const answer = this.#server.ask(this.#backend, work, isFar).then(
      (value) => this.#isStalled ? forever() : value,
      (error) => this.#isStalled ? forever() : Promise.reject(error),
    );
    try {
      return await Promise.race([this.#lost.promise, answer]);
    } finally {
      if (this.#pool.isDead) await forever();
    }
  }

  query(sql: string, parameters: readonly SqlValue[]): Promise<Row[]> {
    return this.#ask(() => this.#server.query(this.#backend, sql, parameters));
  }
  copyIn(copies: readonly Copy[]): Promise<void> {
    this.#server.fate.onSent(this, "copy");
    return this.#ask(() => this.#server.copyIn(this.#backend, copies));
  }
  begin(): Promise<void> {
    return this.#ask(() => this.#server.begin(this.#backend));
  }
  async commit(): Promise<void> {
    await this.#commit(() => {});
  }
  commitWith(sql: string, parameters: readonly SqlValue[]): Promise<Row[]> {
    return this.#commit(() => this.#server.query(this.#backend, sql, parameters));
  }
  /** @param last What the server does before, in the same message. */
  async #commit<T>(last: () => Promise<T> | T): Promise<T> {
    let isStored = false;
    let isGone = false;
    const commit = async () => {
      const result = await last();
      isStored = this.#server.commit(this.#backend);
      if (isStored && isGone) this.#pool.unheard++;
      return result;
    };
    const stores = (this.#backend.change?.records.length ?? 0) > 0;
    if (stores) this.#server.fate.onSent(this, "commit");
    try {
      return await this.#ask(commit, stores);
    } catch (error) {
      isGone = true;
      if (isStored) this.#pool.unheard++;
      throw error;
    }
  }
  rollback(): Promise<void> {
    return this.#ask(() => this.#server.rollback(this.#backend));
  }
  execute(): Promise<void> {
    return Promise.reject(failure("42601"));
  }

  cancel(): void {
    this.cut();
  }

  release(): Promise<void> {
    this.cut();
    this.#pool.sessions.delete(this);
    this.#free();
    return Promise.resolve();
  }
}
