/**
 * Sessions of clients whose transactions are a function that is called back: what runs between a
 * session's `begin` and its end runs while that function waits.
 *
 * @module
 */

import type { Copy, Row, SqlValue } from "./database.ts";
import type { Session } from "./session.ts";

/** A client with statements on their own, and on a transaction `T` where one is given. */
export interface CallbackClient<T> {
  query(sql: string, parameters: readonly SqlValue[], on?: T): Promise<Row[]>;
  /** When the script fails, no transaction of its own stays open. */
  execute(script: string): Promise<void>;
  copyIn(copies: readonly Copy[], on: T): Promise<void>;
  /** Commits when `run` resolves, rolls back when it rejects, and rejects early when it is lost. */
  transaction(run: (on: T) => Promise<void>): Promise<void>;
  /** Makes the running statement end soon, if the client can. */
  cancel(): void;
}

interface Open<T> {
  readonly on: T;
  readonly end: PromiseWithResolvers<void>;
  /** What the client says of the transaction as a whole. */
  readonly outcome: Promise<void>;
  lost: { readonly error: unknown } | undefined;
}

/** A session on `client`. Never more than one transaction at a time. */
export class CallbackSession<T> implements Session {
  readonly #client: CallbackClient<T>;
  #open: Open<T> | undefined;

  constructor(client: CallbackClient<T>) {
    this.#client = client;
  }

  async query(sql: string, parameters: readonly SqlValue[]): Promise<Row[]> {
    return await this.#client.query(sql, parameters, this.#alive()?.on);
  }

  execute(script: string): Promise<void> {
    return this.#client.execute(script);
  }

  async copyIn(copies: readonly Copy[]): Promise<void> {
    const open = this.#alive();
    if (open === undefined) throw new Error("Cannot copy outside a transaction");
    await this.#client.copyIn(copies, open.on);
  }

  async begin(): Promise<void> {
    const begun = Promise.withResolvers<T>();
    const end = Promise.withResolvers<void>();
    const outcome = this.#client.transaction((on) => {
      begun.resolve(on);
      return end.promise;
    });
    outcome.catch(begun.reject);
    const open: Open<T> = { on: await begun.promise, end, outcome, lost: undefined };
    this.#open = open;
    outcome.catch((error) => open.lost = { error });
  }

  async commit(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    open?.end.resolve();
    await open?.outcome;
  }

  async rollback(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    if (open === undefined) return;
    const reason = new Error("rolled back");
    open.end.reject(reason);
    await open.outcome.catch((error) => {
      if (error !== reason) throw error;
    });
  }

  cancel(): void {
    this.#client.cancel();
  }

  async release(broken: boolean): Promise<void> {
    // When this fails, the connection is lost, and the transaction with it.
    if (broken) await this.rollback().catch(() => {});
  }

  /** The open transaction. Some clients crash when they are asked on after it was lost. */
  #alive(): Open<T> | undefined {
    if (this.#open?.lost) throw this.#open.lost.error;
    return this.#open;
  }
}
