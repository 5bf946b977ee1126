/**
 * A Postgres that is simulated as far as the sink can tell: connections, transactions, the lock of a
 * row under read committed, and everything that may befall them. Time is a list of things that may
 * happen next; somebody else says which one does.
 *
 * @module
 */

import { copiedColumns } from "../src/postgres/copy_format.ts";
import type { Copy, CopyTable, Row, SqlValue } from "../src/postgres/database.ts";
import type { SimulatedSession } from "./simulated_pool.ts";

/** What may happen next, in any order. */
export class Schedule {
  readonly #ready: (() => void)[] = [];

  /** Resolves when its time has come. */
  turn(): Promise<void> {
    return new Promise((resolve) => this.#ready.push(resolve));
  }

  /** How many things may happen next. */
  get size(): number {
    return this.#ready.length;
  }

  /** Lets one happen. */
  run(index: number): void {
    const [happens] = this.#ready.splice(index, 1);
    happens!();
  }
}

/** What is committed. */
interface Data {
  /** How far each journal is stored. */
  readonly positions: Map<string, bigint>;
  /** The numbers of the stored records. */
  readonly records: number[];
  /** The ids of what records name. */
  readonly named: Set<string>;
}

interface Change {
  readonly positions: Map<string, bigint>;
  readonly records: number[];
  /** What those records name. */
  readonly names: Set<string>;
  readonly named: Set<string>;
  failed: boolean;
}

/** A server process: it works for one connection. */
export interface Backend {
  state: "idle" | "asked" | "busy";
  change: Change | undefined;
  /** Its client is gone, and it will find out. */
  orphaned: boolean;
  /** What it was asked will not arrive. */
  deaf: boolean;
  ended: boolean;
}

/** Never happens. */
export const forever = (): Promise<never> => new Promise<never>(() => {});

/** An error of the server or the network. */
export function failure(code: string, more: object = {}): Error {
  return Object.assign(new Error(`simulated ${code}`), { code, ...more });
}

/** How the world treats the server. */
export interface Fate {
  /** Whether something that may happen does. */
  happens(probability: number): boolean;
  /** Whether something that goes wrong now and then does. */
  fails(probability: number): boolean;
  /** Whether a record is one that the database will never take. */
  refuses(record: number): boolean;
  /** Told when a connection copies and when it commits, where it matters most what befalls it. */
  onSent(session: SimulatedSession, what: "copy" | "commit"): void;
}

/** The server. */
export class SimulatedPostgres {
  readonly schedule: Schedule;
  readonly fate: Fate;
  data: Data = { positions: new Map(), records: [], named: new Set() };
  isUp = true;
  /** How often it has crashed: what was under way is gone. */
  crashes = 0;
  /** What must not be: a record that names something that is not there, or a statement not known. */
  trouble: string | undefined;
  readonly #backends = new Set<Backend>();
  readonly #owners = new Map<string, Backend>();
  #waiters: (() => void)[] = [];

  /** @param schedule Where what it does waits for its time. */
  constructor(schedule: Schedule, fate: Fate) {
    this.schedule = schedule;
    this.fate = fate;
  }

  /** A copy of what is committed. */
  copy(): Data {
    const { positions, records, named } = this.data;
    return { positions: new Map(positions), records: [...records], named: new Set(named) };
  }

  /** Ends all at once; what is committed stays. Their clients have to be told. */
  crash(): void {
    this.isUp = false;
    this.crashes++;
    for (const backend of this.#backends) backend.ended = true;
    this.#backends.clear();
    this.#owners.clear();
    this.#waiters = [];
  }

  /** Begins to work for a connection. */
  backend(): Backend {
    const backend: Backend = {
      state: "idle",
      change: undefined,
      orphaned: false,
      deaf: false,
      ended: false,
    };
    this.#backends.add(backend);
    return backend;
  }

  /**
   * Does what it was asked, and answers if there is somebody.
   *
   * @param isFar Whether the answer takes a while too.
   */
  async ask<T>(backend: Backend, work: () => Promise<T> | T, isFar = false): Promise<T> {
    backend.state = "asked";
    await this.schedule.turn();
    if (backend.ended || backend.deaf) return await forever();
    backend.state = "busy";
    try {
      return await work();
    } finally {
      backend.state = "idle";
      if (backend.orphaned) void this.#end(backend);
      if (isFar) await this.schedule.turn();
    }
  }

  /** The client of a process is gone: sooner or later it ends. What was asked may still arrive. */
  orphan(backend: Backend): void {
    if (backend.orphaned || backend.ended) return;
    backend.orphaned = true;
    if (backend.state === "busy") return;
    if (backend.state === "asked") {
      if (this.fate.happens(0.5)) return;
      backend.deaf = true;
    }
    void this.#end(backend);
  }

  async #end(backend: Backend): Promise<void> {
    await this.schedule.turn();
    this.rollback(backend);
    backend.ended = true;
    this.#backends.delete(backend);
  }

  begin(backend: Backend): void {
    backend.change = {
      positions: new Map(),
      records: [],
      names: new Set(),
      named: new Set(),
      failed: false,
    };
  }

  /** Returns whether that has stored records. */
  commit(backend: Backend): boolean {
    const change = backend.change!;
    const stores = !change.failed && change.records.length > 0;
    if (!change.failed) {
      const { positions, records, named } = this.data;
      for (const [id, at] of change.positions) positions.set(id, at);
      for (const id of change.named) named.add(id);
      records.push(...change.records);
      for (const id of change.names) {
        if (!named.has(id)) this.trouble ??= `a record names ${id}, which is not there`;
      }
    }
    this.rollback(backend);
    return stores;
  }

  rollback(backend: Backend): void {
    backend.change = undefined;
    for (const [id, owner] of this.#owners) if (owner === backend) this.#unlock(id);
  }

  async copyIn(backend: Backend, copies: readonly Copy[]): Promise<void> {
    for (const { table, rows } of copies) await this.#copy(backend, table, rows);
  }

  async #copy(backend: Backend, table: CopyTable, rows: readonly Uint8Array[]): Promise<void> {
    const change = this.#usable(backend);
    for (const chunk of rows) {
      const values = copiedColumns(table, chunk);
      for (const [n, { name }] of table.columns.entries()) {
        for (const value of values[n]!) {
          if (value === null) continue;
          if (/^(?:resource|scope|name|service|series)_id$/.test(name)) change.names.add(value);
          if (name === "span_id" || name === "value_int") change.records.push(Number(value));
        }
      }
      // It takes a while.
      await this.schedule.turn();
      if (backend.ended) await forever();
    }
    if (!change.records.some((record) => this.fate.refuses(record))) return;
    change.failed = true;
    throw failure("23514", { constraint: "no_poison" });
  }

  async query(backend: Backend, sql: string, parameters: readonly SqlValue[]): Promise<Row[]> {
    if (backend.change !== undefined) return await this.#query(backend, sql, parameters);
    this.begin(backend);
    const rows = await this.#query(backend, sql, parameters);
    this.commit(backend);
    return rows;
  }

  async #query(backend: Backend, sql: string, parameters: readonly SqlValue[]): Promise<Row[]> {
    const change = this.#usable(backend);
    if (this.fate.fails(0.01)) {
      change.failed = true;
      throw failure("53200");
    }
    const id = parameters[0] as string;
    if (sql.startsWith("insert into otel_data.journal_position")) {
      if (!this.data.positions.has(id)) this.data.positions.set(id, 0n);
      return [];
    }
    if (sql.startsWith("select at from otel_data.journal_position")) {
      if (/for update$/.test(sql)) await this.#lock(backend, id);
      const at = this.data.positions.get(id);
      return at === undefined ? [] : [{ at }];
    }
    if (/^with moved as \(\s+update otel_data\.journal_position/.test(sql)) {
      await this.#lock(backend, id);
      const [, from, to] = parameters as [string, bigint, bigint];
      const at = this.data.positions.get(id);
      if (at !== undefined && (at === from || !sql.includes("at = $2"))) {
        change.positions.set(id, to);
        return [{ id: 1n, moved: 1n }];
      }
      this.#unlock(id);
      change.failed = true;
      throw failure("22012");
    }
    if (/^insert into otel_data\.\w+ as t/.test(sql)) {
      for (const row of JSON.parse(id) as { id: string }[]) change.named.add(row.id);
      return [];
    }
    this.trouble ??= `a statement that is not known: ${sql}`;
    throw failure("42601");
  }

  #usable({ change }: Backend): Change {
    if (change!.failed) throw failure("25P02");
    return change!;
  }

  /** Waits for the row; what is read then is what was committed by then. */
  async #lock(backend: Backend, id: string): Promise<void> {
    while ((this.#owners.get(id) ?? backend) !== backend) {
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
      await this.schedule.turn();
      if (backend.ended) await forever();
    }
    this.#owners.set(id, backend);
  }

  #unlock(id: string): void {
    this.#owners.delete(id);
    for (const wake of this.#waiters.splice(0)) wake();
  }
}
