/**
 * Stores batches of rows, each exactly once.
 *
 * The transaction that copies rows also moves the position of the journal they came from, by
 * compare-and-set, as its last statement. A transaction whose outcome is unknown (the connection was
 * lost at commit) is therefore safe to try again: if it did commit, the position has moved, the second
 * try finds that and stores nothing.
 *
 * @module
 */

import type { Signal } from "../record.ts";
import type { SignalRows } from "./batch.ts";
import type { CopyTable, Database, Transaction } from "./database.ts";
import type { Dimensions } from "./dimensions.ts";
import type { Partitions } from "./partitions.ts";

/** Rows of one signal, whole tuples. */
export interface StoreRows {
  readonly signal: Signal;
  readonly table: CopyTable;
  readonly tuples: readonly Uint8Array[];
  readonly count: number;
}

/** Rows that are stored together. */
export interface StorePart {
  readonly rows: readonly StoreRows[];
  /** Texts among them in which something was replaced by U+FFFD. */
  readonly replaced: number;
}

/** Another writer moved the journal's position to where this one never was. */
export class PositionError extends Error {
  override readonly name = "PositionError";
}

/** Writes parts of batches in order. */
export class PostgresSink {
  readonly #database: Database;
  readonly #dimensions: Dimensions;
  readonly #partitions: Partitions;
  readonly #journalId: string;
  /** The database's position as far as this writer knows. */
  #at = 0n;
  #registered = false;

  /** @param journalId A uuid that no other writer uses. */
  constructor(
    database: Database,
    dimensions: Dimensions,
    partitions: Partitions,
    journalId: string,
  ) {
    this.#database = database;
    this.#dimensions = dimensions;
    this.#partitions = partitions;
    this.#journalId = journalId;
  }

  /**
   * Makes everything a batch needs to be there before it: partitions and dimension rows.
   *
   * @throws The driver's error.
   */
  async prepare(signals: readonly SignalRows[], signal?: AbortSignal): Promise<void> {
    const options = signal === undefined ? {} : { signal };
    for (const rows of signals) {
      if (rows.count > 0) await this.#partitions.ensureFor(rows.signal, rows.hours, options);
    }
    await this.#dimensions.flush(this.#database, signal);
  }

  /**
   * Stores a part and moves the journal's position to `to`. Calling it again with the same arguments
   * after a failure stores nothing twice.
   *
   * @param to A position beyond the last one; gaps are allowed.
   * @throws The driver's error, or {@linkcode PositionError}.
   */
  async store(part: StorePart, to: bigint, signal?: AbortSignal): Promise<void> {
    const options = signal === undefined ? {} : { signal };
    if (!this.#registered) {
      await this.#database.query(
        "insert into otel_data.journal_position (journal_id, at) values ($1, 0) on conflict do nothing",
        [this.#journalId],
        options,
      );
      this.#registered = true;
    }
    for (;;) {
      try {
        await this.#database.transaction(async (transaction) => {
          for (const { table, tuples } of part.rows) await transaction.copyIn(table, tuples);
          await this.#move(transaction, part, to);
        }, options);
        break;
      } catch (error) {
        if (!(error instanceof MovedError)) throw error;
        if (error.at === to) break;
        // A part given up earlier, its outcome unknown, did commit after all.
        this.#at = error.at;
      }
    }
    this.#at = to;
  }

  async #move(transaction: Transaction, part: StorePart, to: bigint): Promise<void> {
    const count = (signal: Signal) =>
      part.rows.reduce((sum, rows) => sum + (rows.signal === signal ? rows.count : 0), 0);
    const moved = await transaction.query(
      `update otel_data.journal_position
       set at = $3, spans = spans + $4, logs = logs + $5, metric_points = metric_points + $6,
         replaced = replaced + $7, updated_at = now()
       where journal_id = $1 and at = $2
       returning at`,
      [
        this.#journalId,
        this.#at,
        to,
        count("traces"),
        count("logs"),
        count("metrics"),
        part.replaced,
      ],
    );
    if (moved.length === 1) return;
    // An earlier try of this part may have committed; its lock is waited for here.
    const [position] = await transaction.query<{ at: bigint }>(
      "select at from otel_data.journal_position where journal_id = $1 for update",
      [this.#journalId],
    );
    if (position !== undefined && position.at > this.#at && position.at <= to) {
      throw new MovedError(position.at);
    }
    throw new PositionError(
      `Cannot store a batch: journal ${this.#journalId} stands at ${position?.at ?? "nothing"}, ` +
        `expected ${this.#at} (another process uses the same journal id, or the database was restored)`,
    );
  }
}

/** Rolls back a transaction that finds the position moved by an earlier try of this writer. */
class MovedError extends Error {
  readonly at: bigint;
  constructor(at: bigint) {
    super(`the position is ${at}`);
    this.at = at;
  }
}
