/**
 * Stores batches of rows, each exactly once.
 *
 * The transaction that copies rows also moves the position of the journal they came from, by
 * compare-and-set, as its last statement. So what is in the database is always the journal up to its
 * position, whoever stored it. The outcome of a transaction whose connection was lost at commit is
 * unknown. Where it is moving the position, who asks for it waits; where its last statement has yet to
 * arrive, that and the next try both move the position from the same place, and the later one fails.
 *
 * @module
 */

import { classify } from "../retry.ts";
import type { Batch } from "./batch.ts";
import type { Copy, Database, Transaction } from "./database.ts";
import { GRANULE_PARTS } from "./granules.ts";
import type { Partitions } from "./partitions.ts";

/** The position of the journal is not where this writer has left it. Nothing was stored. */
export class PositionError extends Error {
  override readonly name = "PositionError";
  /** Where it is; undefined when the database does not know the journal. */
  readonly at: bigint | undefined;

  /** @param at Where it is. */
  constructor(message: string, at?: bigint) {
    super(message);
    this.at = at;
  }
}

/** A stretch of the journal, stored as one. */
export interface Slice {
  /** Where it begins: the position as it has to be by then. */
  readonly from: bigint;
  /** Where it ends. */
  readonly to: bigint;
  /** The slice before: the position moves when this has resolved, and never when it rejects. */
  readonly after?: Promise<unknown> | undefined;
  /** Called when the transaction has begun: what the rows name is committed, a connection is had. */
  readonly onBegun?: (() => void) | undefined;
  /** Gives it up. */
  readonly signal?: AbortSignal | undefined;
}

/** By compare-and-set. It fails where there is nothing to move: what it is sent with is not to commit. */
const MOVE = `with moved as (
    update otel_data.journal_position
    set at = $3, spans = spans + $4, logs = logs + $5, metric_points = metric_points + $6,
      replaced = replaced + $7, updated_at = now()
    where journal_id = $1 and at = $2
    returning journal_id
  )
  select pg_current_xact_id()::text::bigint as id, 1 / count(*) as moved from moved`;
const DIVISION_BY_ZERO = "22012";

/** How often a batch is copied again when partitions are made under it. */
const MAX_REROUTES = 5;

/** Writes batches in order. */
export class PostgresSink {
  readonly #database: Database;
  readonly #partitions: Pick<Partitions, "ensureFor">;
  readonly #journalId: string;
  readonly #onStored: (transaction: bigint, batch: Batch) => void;
  /** The database's position as far as this writer knows. */
  #at = 0n;
  /** Whether the database has ever been found to have some of the journal. */
  #known = false;
  #registered = false;

  /**
   * @param journalId A uuid that no other writer uses.
   * @param onStored Told of each batch that is committed, and of the id of its transaction.
   */
  constructor(
    database: Database,
    partitions: Pick<Partitions, "ensureFor">,
    journalId: string,
    onStored: (transaction: bigint, batch: Batch) => void = () => {},
  ) {
    this.#database = database;
    this.#partitions = partitions;
    this.#journalId = journalId;
    this.#onStored = onStored;
  }

  /** The position as far as this writer knows: 0 at first, then what it found or moved it to. */
  get at(): bigint {
    return this.#at;
  }

  /** Whether the database is embedded, which has one connection. */
  get isEmbedded(): boolean {
    return this.#database.driver === "pglite";
  }

  /**
   * Stores the rows of a slice and moves the journal's position from where it begins to its end.
   *
   * @throws {PositionError} The position is elsewhere, or the slice would move it back.
   * @throws The driver's error, or that of the slice before.
   */
  async storeSlice(batch: Batch, slice: Slice): Promise<void> {
    const { from, to, after, onBegun, signal } = slice;
    const options = signal === undefined ? {} : { signal };
    if (to <= from) {
      throw new PositionError(
        `Cannot store a batch: it ends at ${to}, and journal ${this.#journalId} stands at ${from} ` +
          "(it is stored already; ask for the position)",
        from,
      );
    }
    await this.#prepare(batch, options);
    let id: bigint;
    try {
      id = await this.#database.transaction(async (transaction) => {
        onBegun?.();
        await copy(transaction, batch);
        await after;
        return await this.#moveAndCommit(transaction, batch, slice);
      }, options);
    } catch (error) {
      if (!(error instanceof Unmoved)) throw error;
      const at = await this.#read(options);
      throw new PositionError(
        `Cannot store a batch: journal ${this.#journalId} stands at ${at ?? "nothing"}, expected ` +
          `${from} (another process uses the same journal id, or the database was restored)`,
        at,
      );
    }
    this.#at = to;
    this.#known = true;
    this.#onStored(id, batch);
  }

  /**
   * Stores a batch and moves the journal's position to `to`. Calling it again with the same arguments
   * stores nothing twice.
   *
   * @param to A position above 0 and beyond the last one; gaps are allowed.
   * @throws The driver's error, or {@linkcode PositionError}.
   */
  async store(batch: Batch, to: bigint, signal?: AbortSignal): Promise<void> {
    while (this.#at < to) {
      try {
        await rerouted(() => this.storeSlice(batch, { from: this.#at, to, signal }));
      } catch (error) {
        const at = error instanceof PositionError ? error.at ?? 0n : 0n;
        if (at <= this.#at || at > to) throw error;
        // What moved it was a batch given up earlier, its outcome unknown: it did commit after all.
        this.#at = at;
      }
    }
  }

  /**
   * Where the database stands in this journal; waits for a transaction that is still moving it.
   *
   * @returns `undefined` when nothing of the journal has been stored; 0 when this writer knows that
   * something was, so that the database has lost it.
   */
  async position(signal?: AbortSignal): Promise<bigint | undefined> {
    const options = signal === undefined ? {} : { signal };
    // It may be another database by now, or an older copy.
    this.#registered = false;
    await this.#register(options);
    this.#at = await this.#read(options) ?? 0n;
    this.#known ||= this.#at > 0n;
    return this.#known ? this.#at : undefined;
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

  /** Waits for a transaction that is moving it. */
  async #read(options: { readonly signal?: AbortSignal }): Promise<bigint | undefined> {
    const [row] = await this.#database.transaction(
      (transaction) =>
        transaction.query<{ at: bigint }>(
          "select at from otel_data.journal_position where journal_id = $1 for update",
          [this.#journalId],
        ),
      options,
    );
    return row?.at;
  }

  /**
   * Until the next slice may do the same nothing of this process comes in between, which while it is busy
   * takes as long as the server does.
   *
   * @returns The id of the transaction.
   */
  async #moveAndCommit(
    transaction: Transaction,
    batch: Batch,
    { from, to }: Slice,
  ): Promise<bigint> {
    const { traces, logs, metrics, replaced } = batch;
    const counts = [traces.count, logs.count, metrics.count, replaced];
    try {
      const [moved] = await transaction.commitWith<{ id: bigint }>(MOVE, [
        this.#journalId,
        from,
        to,
        ...counts,
      ]);
      return moved!.id;
    } catch (error) {
      throw refusal(error).code === DIVISION_BY_ZERO ? new Unmoved() : error;
    }
  }
}

/**
 * Tries again when partitions are made under the rows.
 *
 * @throws What the last try threw.
 */
export async function rerouted(attempt: () => Promise<void>): Promise<void> {
  for (let reroutes = 0;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!isReroute(error) || ++reroutes > MAX_REROUTES) throw error;
    }
  }
}

async function copy(transaction: Transaction, batch: Batch): Promise<void> {
  const copies: Copy[] = batch.signals.filter(({ count }) => count > 0)
    .map(({ table, chunks }) => ({ table, rows: chunks }));
  const terms = batch.terms();
  if (terms.length > 0) copies.push({ table: GRANULE_PARTS, rows: [terms] });
  if (copies.length > 0) await transaction.copyIn(copies);
}

/** Ends a transaction that was only a trial. */
class RolledBack extends Error {}

/** The position was not where it should have been. */
class Unmoved extends Error {}

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
export function isReroute(error: unknown): boolean {
  const { code, constraint } = refusal(error);
  return code === "23514" && !constraint;
}

/**
 * SQLSTATEs of a database that would refuse anything: 25 transaction state, 28 authorization, 3D and
 * 3F no such database and schema, 42 no such table or no right to it, 55 not in a state for it (it takes
 * no connections while it is restored), 58 the system fails.
 */
const REFUSES_ANYTHING = /^(?:25|28|3D|3F|42|55|58)...$/;

/** Whether an error speaks against what was to be stored: other records may fare better. */
export function speaksAgainstRecords(error: unknown): boolean {
  return classify(error).kind === "permanent" && !(error instanceof PositionError) &&
    !isReroute(error) && !REFUSES_ANYTHING.test(refusal(error).code);
}
