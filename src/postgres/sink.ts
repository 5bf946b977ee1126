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

import { classify } from "../retry.ts";
import type { Batch } from "./batch.ts";
import type { Database, Transaction } from "./database.ts";
import type { Partitions } from "./partitions.ts";

/** The position of the journal is not where this writer has left it. Nothing was stored. */
export class PositionError extends Error {
  override readonly name = "PositionError";
}

/** How often a batch is copied again when partitions are made under it. */
const MAX_REROUTES = 5;

/** Writes batches in order. */
export class PostgresSink {
  readonly #database: Database;
  readonly #partitions: Partitions;
  readonly #journalId: string;
  /** The database's position as far as this writer knows. */
  #at = 0n;
  #registered = false;

  /** @param journalId A uuid that no other writer uses. */
  constructor(database: Database, partitions: Partitions, journalId: string) {
    this.#database = database;
    this.#partitions = partitions;
    this.#journalId = journalId;
  }

  /**
   * Stores a batch and moves the journal's position to `to`. Calling it again with the same arguments
   * stores nothing twice.
   *
   * @param to A position above 0 and beyond the last one; gaps are allowed.
   * @throws The driver's error, or {@linkcode PositionError}.
   */
  async store(batch: Batch, to: bigint, signal?: AbortSignal): Promise<void> {
    if (to <= this.#at) return;
    const options = signal === undefined ? {} : { signal };
    await this.#prepare(batch, options);
    for (let reroutes = 0;;) {
      try {
        await this.#database.transaction(async (transaction) => {
          await copy(transaction, batch);
          await this.#move(transaction, batch, to);
        }, options);
        break;
      } catch (error) {
        if (error instanceof MovedError) {
          this.#at = error.at;
          if (error.at === to) break;
          // What moved it was a batch given up earlier, its outcome unknown: it did commit after all.
        } else if (!isReroute(error) || ++reroutes > MAX_REROUTES) {
          throw error;
        }
      }
    }
    this.#at = to;
  }

  /**
   * Where the database stands in this journal; waits for a transaction that is still moving it.
   *
   * @returns `undefined` when nothing of the journal has been stored.
   */
  async position(signal?: AbortSignal): Promise<bigint | undefined> {
    const options = signal === undefined ? {} : { signal };
    await this.#register(options);
    const [row] = await this.#database.transaction(
      (transaction) =>
        transaction.query<{ at: bigint }>(
          "select at from otel_data.journal_position where journal_id = $1 for update",
          [this.#journalId],
        ),
      options,
    );
    this.#at = row?.at ?? 0n;
    return this.#at === 0n ? undefined : this.#at;
  }

  /**
   * Tries whether the database takes a batch, and stores nothing.
   *
   * @throws The driver's error when it does not.
   */
  async probe(batch: Batch, signal?: AbortSignal): Promise<void> {
    const options = signal === undefined ? {} : { signal };
    await this.#prepare(batch, options);
    try {
      await this.#database.transaction(async (transaction) => {
        await copy(transaction, batch);
        throw new RolledBack();
      }, options);
    } catch (error) {
      if (!(error instanceof RolledBack)) throw error;
    }
  }

  /** Makes what has to be there before the rows. */
  async #prepare(batch: Batch, options: { readonly signal?: AbortSignal }): Promise<void> {
    await this.#register(options);
    for (const { signal, hours, count } of batch.signals) {
      if (count > 0) await this.#partitions.ensureFor(signal, hours, options);
    }
    await batch.dimensions.flush(this.#database, options.signal);
  }

  async #register(options: { readonly signal?: AbortSignal }): Promise<void> {
    if (this.#registered) return;
    await this.#database.query(
      "insert into otel_data.journal_position (journal_id, at) values ($1, 0) on conflict do nothing",
      [this.#journalId],
      options,
    );
    this.#registered = true;
  }

  async #move(transaction: Transaction, batch: Batch, to: bigint): Promise<void> {
    const { traces, logs, metrics } = batch;
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
        traces.count,
        logs.count,
        metrics.count,
        batch.replaced,
      ],
    );
    if (moved.length === 1) return;
    // An earlier try may have committed; one that still is, is waited for here.
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

async function copy(transaction: Transaction, batch: Batch): Promise<void> {
  for (const { table, bytes, at, count } of batch.signals) {
    if (count > 0) await transaction.copyIn(table, [bytes.subarray(0, at)]);
  }
}

/** Ends a transaction that was only a trial. */
class RolledBack extends Error {}

/** Rolls back a transaction that finds the position moved by an earlier try of this writer. */
class MovedError extends Error {
  readonly at: bigint;
  constructor(at: bigint) {
    super(`the position is ${at}`);
    this.at = at;
  }
}

/** What the clients call the constraint that was violated, at the places where they put it. */
interface Refusal {
  readonly code?: unknown;
  readonly constraint?: unknown;
  readonly constraint_name?: unknown;
  readonly fields?: Refusal | null;
}

function refusal(error: unknown): { code: string; constraint: unknown } {
  const outer = Object(error) as Refusal;
  const { code, constraint, constraint_name } = outer.fields ?? outer;
  return { code: String(code ?? outer.code ?? ""), constraint: constraint ?? constraint_name };
}

/**
 * Whether rows were on their way to the default partition when a partition of their own was made:
 * a check violation that names no constraint. Another try finds the new partition.
 */
function isReroute(error: unknown): boolean {
  const { code, constraint } = refusal(error);
  return code === "23514" && !constraint;
}

/**
 * SQLSTATEs of a database that would refuse anything: 25 transaction state, 28 authorization, 3D and
 * 3F no such database and schema, 42 no such table or no right to it, 58 the system fails.
 */
const REFUSES_ANYTHING = /^(?:25|28|3D|3F|42|58)...$/;

/** Whether an error speaks against what was to be stored: other records may fare better. */
export function speaksAgainstRecords(error: unknown): boolean {
  return classify(error).kind === "permanent" && !(error instanceof PositionError) &&
    !isReroute(error) && !REFUSES_ANYTHING.test(refusal(error).code);
}
