/**
 * What all drivers share: a {@linkcode Database} over connections that are used by one caller at a
 * time. A driver says how to get a connection, run a statement and cancel it; everything that is a
 * guarantee of the seam (transactions, abort, bounded close) is here, once.
 *
 * @module
 */

import { AsyncLocalStorage } from "node:async_hooks";
import type { Copy, Database, Row, SqlValue, Transaction } from "./database.ts";

/** One connection. Its methods are never called while another of them runs, except `cancel`. */
export interface Session {
  query(sql: string, parameters: readonly SqlValue[]): Promise<Row[]>;
  /** When the script fails, no transaction of its own stays open. */
  execute(script: string): Promise<void>;
  copyIn(copies: readonly Copy[]): Promise<void>;
  begin(): Promise<void>;
  commit(): Promise<void>;
  /** A statement and `commit` in one message; absent where the client cannot. */
  commitWith?(sql: string, parameters: readonly SqlValue[]): Promise<Row[]>;
  rollback(): Promise<void>;
  /** Makes the running statement end soon, whatever becomes of the connection. */
  cancel(): void;
  /** Gives the connection back. A `broken` one may still be in a transaction. Never rejects. */
  release(broken: boolean): Promise<void>;
}

/** Where connections come from. */
export interface SessionSource {
  /** The name of the client, as in {@linkcode Database.driver}. */
  readonly driver: string;
  /** Waits for a connection. Bounded by the driver's connect timeout once there is room for one. */
  acquire(): Promise<Session>;
  /** Syncs the files of a database that does not do so itself; absent for all others. */
  syncFiles?(): Promise<void>;
  /** Ends every connection, at once. */
  close(): Promise<void>;
}

/** How long `close` waits for what is in flight, in milliseconds. */
const CLOSE_GRACE_MS = 5_000;
/** How long `close` then waits for what it has cancelled. */
const CANCEL_GRACE_MS = 1_000;

/** Settles as `work` does, or rejects with the reason of the signal that is aborted before. */
export async function abortable<T>(work: Promise<T>, signals: readonly AbortSignal[]): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const removers = signals.map((signal) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    return () => signal.removeEventListener("abort", onAbort);
  });
  try {
    return await Promise.race([aborted, work]);
  } finally {
    for (const remove of removers) remove();
  }
}

/** What is refused or ended by `close` was given up on our side, like what a signal aborts. */
function closed(message: string): DOMException {
  return new DOMException(message, "AbortError");
}

/** A connection in the hands of one caller: runs its statements one after the other. */
class Lease {
  readonly #session: Session;
  readonly #stop: AbortController = new AbortController();
  #tail: Promise<unknown> = Promise.resolve();
  /** The first statement that failed. */
  failure: { readonly error: unknown } | undefined;
  /** Whether the connection may be left in a transaction. */
  broken = false;

  constructor(session: Session) {
    this.#session = session;
  }

  get stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  run<T>(statement: (session: Session) => Promise<T>): Promise<T> {
    const result = this.#tail.then(() => {
      this.#stop.signal.throwIfAborted();
      return statement(this.#session);
    });
    this.#tail = result.catch((error) => {
      this.failure ??= { error };
    });
    return abortable(result, [this.#stop.signal]);
  }

  /** Ends what runs and lets nothing begin any more. Who waits for a statement, waits no longer. */
  stop(reason: unknown): void {
    if (this.stopped) return;
    this.broken = true;
    this.#stop.abort(reason);
    this.#session.cancel();
  }

  /** Gives the connection back when nothing runs on it any more. */
  async release(): Promise<void> {
    await this.#tail;
    await this.#session.release(this.broken);
  }
}

/** The statements of one transaction. */
class SessionTransaction implements Transaction {
  readonly #lease: Lease;
  #ended = false;
  /** Whether there is nothing left to commit. */
  isCommitted = false;

  constructor(lease: Lease) {
    this.#lease = lease;
  }

  async query<R extends Row = Row>(
    sql: string,
    parameters: readonly SqlValue[] = [],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<R[]> {
    const { signal } = options;
    signal?.throwIfAborted();
    const rows = this.#run((session) => session.query(sql, parameters) as Promise<R[]>);
    if (signal === undefined) return await rows;
    try {
      return await abortable(rows, [signal]);
    } catch (error) {
      // One statement cannot be taken back alone: the transaction ends with it.
      if (signal.aborted) this.#lease.stop(signal.reason);
      throw error;
    }
  }

  async copyIn(copies: readonly Copy[]): Promise<void> {
    await this.#run((session) => session.copyIn(copies));
  }

  async commitWith<R extends Row = Row>(
    sql: string,
    parameters: readonly SqlValue[],
  ): Promise<R[]> {
    const rows = this.#run(async (session) => {
      // Where a statement has failed COMMIT would roll back and report success.
      if (this.#lease.failure) throw this.#lease.failure.error;
      if (session.commitWith !== undefined) return await session.commitWith(sql, parameters);
      const rows = await session.query(sql, parameters);
      await session.commit();
      return rows;
    });
    this.end();
    const committed = await rows as R[];
    this.isCommitted = true;
    return committed;
  }

  end(): void {
    this.#ended = true;
  }

  #run<T>(statement: (session: Session) => Promise<T>): Promise<T> {
    if (this.#ended) throw new Error("Cannot use a transaction after its end");
    return this.#lease.run(statement);
  }
}

/** A {@linkcode Database} over the connections of `source`. */
export class SessionDatabase implements Database {
  readonly #source: SessionSource;
  readonly #closeGraceMs: number;
  readonly #inFlight: Set<Promise<unknown>> = new Set();
  readonly #ended: AbortController = new AbortController();
  /** Set inside `transaction`'s `run`, where a second connection would wait for the first one. */
  readonly #scope: AsyncLocalStorage<{ open: boolean }> = new AsyncLocalStorage();
  #closed: Promise<void> | undefined;

  /** @param options `closeGraceMs`: how long `close` waits for what is in flight; 5 s. */
  constructor(source: SessionSource, options: { readonly closeGraceMs?: number } = {}) {
    this.#source = source;
    this.#closeGraceMs = options.closeGraceMs ?? CLOSE_GRACE_MS;
  }

  get driver(): string {
    return this.#source.driver;
  }

  query<R extends Row = Row>(
    sql: string,
    parameters: readonly SqlValue[] = [],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<R[]> {
    return this.#use(
      (lease) => lease.run((session) => session.query(sql, parameters) as Promise<R[]>),
      options.signal,
    );
  }

  execute(script: string): Promise<void> {
    return this.#use((lease) => lease.run((session) => session.execute(script)));
  }

  transaction<T>(
    run: (transaction: Transaction) => Promise<T>,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<T> {
    return this.#use((lease) => this.#transact(lease, run), options.signal);
  }

  async secure(): Promise<void> {
    if (this.#source.syncFiles === undefined) return;
    await this.query("checkpoint");
    await this.#track(this.#source.syncFiles());
  }

  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Runs `work` with a connection. */
  #use<T>(work: (lease: Lease) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#track(this.#leased(work, signal));
  }

  async #leased<T>(work: (lease: Lease) => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.#closed) throw closed("Cannot use the database: it is closed");
    if (this.#scope.getStore()?.open) {
      throw new Error(
        "Cannot use the database inside its own transaction: use the transaction given to run",
      );
    }
    signal?.throwIfAborted();
    const signals = signal ? [signal, this.#ended.signal] : [this.#ended.signal];

    const acquired = this.#source.acquire();
    let session: Session;
    try {
      session = await abortable(acquired, signals);
    } catch (error) {
      // When nobody waits any more, a connection that arrives goes back unused.
      this.#track(acquired.then((late) => late.release(false)));
      throw error;
    }

    const lease = new Lease(session);
    try {
      return await abortable(work(lease), signals);
    } catch (error) {
      const aborted = signals.find((signal) => signal.aborted);
      if (aborted) lease.stop(aborted.reason);
      throw error;
    } finally {
      const released = this.#track(lease.release());
      // Who was aborted does not wait until the server has noticed.
      if (!lease.stopped) await released;
    }
  }

  async #transact<T>(lease: Lease, run: (transaction: Transaction) => Promise<T>): Promise<T> {
    const transaction = new SessionTransaction(lease);
    const scope = { open: true };
    await lease.run((session) => session.begin());
    let result: T;
    try {
      result = await this.#scope.run(scope, async () => await run(transaction));
      transaction.end();
      // COMMIT would roll back and report success.
      if (lease.failure) throw lease.failure.error;
    } catch (error) {
      transaction.end();
      await lease.run((session) => session.rollback()).catch(() => lease.broken = true);
      throw error;
    } finally {
      scope.open = false;
    }
    if (!transaction.isCommitted) await lease.run((session) => session.commit());
    return result;
  }

  /** Remembers `work` until it settles, for `close`, and takes charge of its rejection. */
  #track<T>(work: Promise<T>): Promise<T> {
    const settled: Promise<unknown> = work.catch(() => {}).finally(() => {
      this.#inFlight.delete(settled);
    });
    this.#inFlight.add(settled);
    return work;
  }

  async #close(): Promise<void> {
    await this.#settled(this.#closeGraceMs);
    this.#ended.abort(closed("Cannot finish: the database was closed"));
    await this.#settled(CANCEL_GRACE_MS);
    await this.#source.close();
  }

  /** Waits until nothing is in flight, but not longer than `limitMs`. */
  async #settled(limitMs: number): Promise<void> {
    const limit = Promise.withResolvers<boolean>();
    const timer = setTimeout(limit.resolve, limitMs, true);
    let late = false;
    while (this.#inFlight.size > 0 && !late) {
      late = await Promise.race([limit.promise, Promise.all(this.#inFlight).then(() => false)]);
    }
    clearTimeout(timer);
  }
}
