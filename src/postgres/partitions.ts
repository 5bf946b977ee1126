/**
 * Upkeep of the time partitions: made ahead and on demand, sealed when closed, dropped when expired.
 *
 * The work is done by the functions of `sql/partitions.sql`. None of them waits longer than a second
 * for a lock, because whoever comes after a waiting lock waits too; here such a call is made again
 * after a pause. What still fails is left for the next `maintain` and named in the report: nothing
 * depends on it, because the default partition takes whatever has no partition of its own.
 *
 * @module
 */

import { setTimeout } from "node:timers/promises";
import type { Signal } from "../record.ts";
import { withRetry } from "../retry.ts";
import type { Database } from "./database.ts";
import type { PartitionWidth } from "./partition_width.ts";
import { sign } from "./signing.ts";

/** Settings of {@linkcode Partitions}. */
export interface PartitionsOptions {
  /** The width of partitions to come; existing ones stay as they are. See `chooseWidth`. */
  readonly width: PartitionWidth;
  /** How long telemetry is kept, in days. */
  readonly retentionDays: number;
  /** Milliseconds since 1970. @default {Date.now} */
  readonly clock?: () => number;
  /** How often `maintain` tries to get a lock before it leaves the work for later. @default {5} */
  readonly lockAttempts?: number;
  /**
   * For which part of the time `maintain` keeps the database busy with sealing, above 0 and up to 1: after
   * each step it rests, so that records that come in meanwhile have most of the machine. @default {0.25}
   */
  readonly sealingShare?: number;
}

/** Something that could not be done and is left for the next `maintain`. */
export interface Postponed {
  /** What could not be done yet. */
  readonly action: "create" | "seal" | "expire" | "sign";
  /** The partition, or the table and the time that it is to be made for; what is signed. */
  readonly name: string;
  /** What the database answered. */
  readonly error: unknown;
}

/** What became of making partitions. */
export interface CreateReport {
  /** The partitions that were made, by name. */
  readonly created: string[];
  /** What could not be done. */
  readonly postponed: Postponed[];
}

/** What `maintain` did. */
export interface UpkeepReport extends CreateReport {
  /** How many signatures were made, by which rows are found. */
  readonly signed: number;
  /** The closed partitions that were finished: dense indexes, those on errors and durations, statistics. */
  readonly sealed: string[];
  /** The partitions that were dropped. */
  readonly expired: string[];
  /** How many services, resources, scopes, names, attribute sets, metrics and series were deleted with them. */
  readonly expiredDimensions: number;
}

/** Each signal and the table of its records in schema `otel_data`. */
const TABLES: Readonly<Record<Signal, string>> = {
  traces: "spans",
  logs: "logs",
  metrics: "metric_points",
};
const SIGNALS = Object.keys(TABLES) as Signal[];

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Partitions are made for times up to this far ahead; `expire_dimensions` relies on it. */
const AHEAD_MS = 2 * DAY_MS;
/** A partition counts as closed this long after its end: most late records have come by then. */
const CLOSED_AFTER_MS = HOUR_MS;
/** After a failure records go to the default partition for that long before they are asked for again. */
const ON_DEMAND_AGAIN_MS = 60_000;
/** Ingest waits for what is made on demand, so it tries less often than `maintain`. */
const ON_DEMAND_ATTEMPTS = 2;
const LOCK_ATTEMPTS = 5;
const SEALING_SHARE = 0.25;
/** Between two attempts others get their turn, so the pause is never much shorter. */
const PAUSE = { initialDelayMs: 250, maxDelayMs: 1_000, jitter: 0.5 };
/** At most so many hours a call, which bounds how long it holds its locks. */
const HOURS_PER_CALL = 168;

/** What every call takes. */
interface Abortable {
  readonly signal?: AbortSignal;
}

/** A time range in milliseconds since 1970; its end does not belong to it. */
interface Range {
  readonly start: number;
  readonly end: number;
}

/** Keeps the partitions of one database. Any number of processes may do so at once. */
export class Partitions {
  readonly #database: Database;
  readonly #width: PartitionWidth;
  readonly #retentionMs: number;
  readonly #clock: () => number;
  readonly #lockAttempts: number;
  readonly #sealingShare: number;
  /** The ranges known to have a partition, newest first. */
  readonly #known: Record<Signal, readonly Range[]> = { traces: [], logs: [], metrics: [] };
  /** Until when records that lack a partition go to the default one. */
  readonly #notBefore: Record<Signal, number> = { traces: 0, logs: 0, metrics: 0 };

  /** @throws {RangeError} If `retentionDays` is not a positive number, or `sealingShare` out of range. */
  constructor(database: Database, options: PartitionsOptions) {
    const { width, retentionDays, clock, lockAttempts, sealingShare = SEALING_SHARE } = options;
    if (!(retentionDays > 0)) {
      throw new RangeError(
        `Cannot keep partitions: retentionDays is ${retentionDays}, not above 0`,
      );
    }
    if (!(sealingShare > 0 && sealingShare <= 1)) {
      throw new RangeError(
        `Cannot keep partitions: sealingShare is ${sealingShare}, not above 0 and up to 1`,
      );
    }
    this.#database = database;
    this.#width = width;
    this.#retentionMs = retentionDays * DAY_MS;
    this.#clock = clock ?? Date.now;
    this.#lockAttempts = lockAttempts ?? LOCK_ATTEMPTS;
    this.#sealingShare = sealingShare;
  }

  /**
   * Sees to it that records of these hours have a partition. Asks the database nothing while the
   * hours are known to. Hours before the retention or more than two days ahead get none, and neither
   * do those whose partition cannot be made now: the default partition takes their records, and
   * `maintain` moves them when it can.
   *
   * To be awaited before the transaction that writes the records, not within it.
   *
   * @param signal Whose records.
   * @param hours Whole hours since 1970, UTC.
   * @throws If the database cannot be reached.
   */
  async ensureFor(
    signal: Signal,
    hours: Iterable<number>,
    abort: Abortable = {},
  ): Promise<CreateReport> {
    const now = this.#clock();
    const missing = this.#missing(signal, hours, now);
    if (missing.length === 0 || now < this.#notBefore[signal]) {
      return { created: [], postponed: [] };
    }
    const report = await this.#create(signal, missing, ON_DEMAND_ATTEMPTS, abort);
    if (report.postponed.length > 0) this.#notBefore[signal] = now + ON_DEMAND_AGAIN_MS;
    return report;
  }

  /**
   * Makes the partitions of the coming two days, and those of rows that wait in the default
   * partition.
   *
   * @throws If the database cannot be reached.
   */
  async makeAhead(abort: Abortable = {}): Promise<CreateReport> {
    const now = this.#clock();
    const ahead = Array.from(
      { length: AHEAD_MS / HOUR_MS },
      (_, n) => Math.floor(now / HOUR_MS) + n,
    );
    const reports: CreateReport[] = [];
    for (const signal of SIGNALS) {
      await this.#load(signal, abort);
      const waiting = await this.#hoursInDefault(signal, now, abort);
      const missing = this.#missing(signal, [...ahead, ...waiting], now);
      reports.push(await this.#create(signal, missing, this.#lockAttempts, abort));
    }
    return {
      created: reports.flatMap(({ created }) => created),
      postponed: reports.flatMap(({ postponed }) => postponed),
    };
  }

  /**
   * Makes partitions ahead, drops those that are wholly older than the retention, signs what came in, and
   * at last seals those that closed an hour ago or earlier. Sealing on a server holds nobody up, but waits for
   * every transaction that was under way: `signal` bounds it.
   *
   * @throws If the database cannot be reached.
   */
  async maintain(abort: Abortable = {}): Promise<UpkeepReport> {
    const now = this.#clock();
    const { created, postponed } = await this.makeAhead(abort);
    const expired: string[] = [];
    const sealed: string[] = [];
    for (const signal of SIGNALS) {
      expired.push(
        ...await this.#expire(signal, now - this.#retentionMs, postponed, abort),
      );
      await this.#load(signal, abort);
    }
    const [deleted] = await this.#database.query<{ count: bigint }>(
      "select otel_data.expire_dimensions($1::timestamptz) as count",
      [timestamp(now - this.#retentionMs)],
      abort,
    );
    const signed = await attempt(
      { action: "sign", name: "granules" },
      postponed,
      { maxAttempts: 1, ...abort },
      () => sign(this.#database, abort),
    ) ?? 0;
    for (const signal of SIGNALS) {
      sealed.push(...await this.#seal(signal, now - CLOSED_AFTER_MS, postponed, abort));
    }
    if (this.#embedded) await this.#standInForAutovacuum(abort);
    const expiredDimensions = Number(deleted?.count ?? 0);
    return { created, signed, sealed, expired, expiredDimensions, postponed };
  }

  /** Whether the database is ours alone: nobody waits for our locks, nobody else looks after it. */
  get #embedded(): boolean {
    return this.#database.driver === "pglite";
  }

  /** The hours that may have a partition and are not known to. */
  #missing(signal: Signal, hours: Iterable<number>, now: number): number[] {
    const known = this.#known[signal];
    const missing: number[] = [];
    for (const hour of hours) {
      const start = hour * HOUR_MS;
      if (start + HOUR_MS <= now - this.#retentionMs || start >= now + AHEAD_MS) continue;
      if (!known.some((range) => range.start <= start && start < range.end)) missing.push(hour);
    }
    return missing;
  }

  async #load(signal: Signal, abort: Abortable): Promise<void> {
    this.#known[signal] = await this.#database.query<Range & Record<string, unknown>>(
      `select (extract(epoch from range_start) * 1000)::float8 as start,
         (extract(epoch from range_end) * 1000)::float8 as "end"
       from otel_data.list($1)`,
      [TABLES[signal]],
      abort,
    );
  }

  async #hoursInDefault(signal: Signal, now: number, abort: Abortable): Promise<number[]> {
    const rows = await this.#database.query<{ hour: number }>(
      `select distinct floor(extract(epoch from time) / 3600)::float8 as hour
       from otel_data.${TABLES[signal]}_default
       where time >= $1::timestamptz and time < $2::timestamptz`,
      [timestamp(now - this.#retentionMs), timestamp(now + AHEAD_MS)],
      abort,
    );
    return rows.map(({ hour }) => hour);
  }

  async #create(
    signal: Signal,
    hours: readonly number[],
    attempts: number,
    abort: Abortable,
  ): Promise<CreateReport> {
    const created: string[] = [];
    const postponed: Postponed[] = [];
    for (const { start, end } of runs(hours)) {
      const what = { action: "create", name: `${TABLES[signal]} ${timestamp(start)}` } as const;
      const rows = await attempt(
        what,
        postponed,
        { maxAttempts: attempts, ...abort },
        () =>
          this.#database.query<{ name: string }>(
            "select otel_data.ensure($1, $2::timestamptz, $3::timestamptz, $4) as name",
            [TABLES[signal], timestamp(start), timestamp(end), this.#width],
            abort,
          ),
      );
      for (const { name } of rows ?? []) created.push(name);
    }
    if (hours.length > 0) await this.#load(signal, abort);
    return { created, postponed };
  }

  async #expire(
    signal: Signal,
    cutoff: number,
    postponed: Postponed[],
    abort: Abortable,
  ): Promise<string[]> {
    const expired: string[] = [];
    let maxAttempts = this.#lockAttempts;
    for (const name of await this.#endedBefore(signal, cutoff, "true", abort)) {
      const what = { action: "expire", name } as const;
      const rows = await attempt(
        what,
        postponed,
        { maxAttempts, ...abort },
        () =>
          this.#database.query<{ dropped: boolean }>(
            "select otel_data.expire($1, $2::timestamptz) as dropped",
            [name, timestamp(cutoff)],
            abort,
          ),
      );
      // Where one could not be dropped the next hardly can, and each attempt holds up all others.
      if (rows === undefined) maxAttempts = 1;
      if (rows?.[0]?.dropped) expired.push(name);
    }
    return expired;
  }

  async #seal(
    signal: Signal,
    closedBefore: number,
    postponed: Postponed[],
    abort: Abortable,
  ): Promise<string[]> {
    const sealed: string[] = [];
    for (const name of await this.#endedBefore(signal, closedBefore, "not sealed", abort)) {
      if (postponed.some(({ action, name: late }) => action === "expire" && late === name)) {
        continue;
      }
      const steps = await attempt({ action: "seal", name }, postponed, abort, async () => {
        const steps = await this.#database.query<{ step: string }>(
          "select otel_data.seal_steps($1, $2) as step",
          [name, !this.#embedded],
          abort,
        );
        // One by one and outside of a transaction, so that they lock nobody out.
        for (const { step } of steps) {
          const began = performance.now();
          await this.#database.query(step, [], abort);
          const restMs = (performance.now() - began) * (1 / this.#sealingShare - 1);
          await setTimeout(restMs, undefined, abort);
        }
        return steps.length;
      });
      if (steps) sealed.push(name);
    }
    return sealed;
  }

  /** The partitions that ended at a time or before, oldest first. */
  async #endedBefore(
    signal: Signal,
    end: number,
    condition: "true" | "not sealed",
    abort: Abortable,
  ): Promise<string[]> {
    const rows = await this.#database.query<{ name: string }>(
      `select name from otel_data.list($1)
       where range_end <= $2::timestamptz and ${condition} order by range_end`,
      [TABLES[signal], timestamp(end)],
      abort,
    );
    return rows.map(({ name }) => name);
  }

  /**
   * Takes statistics of what has changed, and tells the indexes on time of pages that are new: what
   * those do not know, every read of a time range has to look through.
   */
  async #standInForAutovacuum(abort: Abortable): Promise<void> {
    // Counts of changes are otherwise a second behind.
    await this.#database.query("select pg_stat_force_next_flush()", [], abort);
    const tables = await this.#database.query<{ statement: string }>(
      `select format('analyze otel_data.%I', relname) as statement from pg_stat_user_tables
       where schemaname = 'otel_data' and n_mod_since_analyze > 0`,
      [],
      abort,
    );
    for (const { statement } of tables) await this.#database.query(statement, [], abort);
    await this.#database.query(
      `select brin_summarize_new_values(c.oid) from pg_class c join pg_am a on a.oid = c.relam
       where c.relnamespace = 'otel_data'::regnamespace and c.relkind = 'i' and a.amname = 'brin'`,
      [],
      abort,
    );
  }
}

/** The hours as ranges without gaps, in order. */
function runs(hours: readonly number[]): Range[] {
  const ranges: { start: number; end: number }[] = [];
  for (const hour of [...new Set(hours)].sort((a, b) => a - b)) {
    const start = hour * HOUR_MS;
    const last = ranges.at(-1);
    if (last?.end === start && start - last.start < HOURS_PER_CALL * HOUR_MS) {
      last.end += HOUR_MS;
    } else {
      ranges.push({ start, end: start + HOUR_MS });
    }
  }
  return ranges;
}

function timestamp(ms: number): string {
  return new Date(ms).toISOString();
}

/**
 * Makes a call, and makes it again when it did not get its locks. What the database refuses all the
 * same is noted for later.
 */
async function attempt<T>(
  what: Pick<Postponed, "action" | "name">,
  postponed: Postponed[],
  options: Abortable & { readonly maxAttempts?: number },
  call: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await withRetry(call, { ...PAUSE, ...options });
  } catch (error) {
    if (!isRefusal(error)) throw error;
    postponed.push({ ...what, error });
    return undefined;
  }
}

/** The database is there and said no: waiting for it to come back would be of no use. */
function isRefusal(error: unknown): boolean {
  const sqlState = String((error as { code?: unknown } | null)?.code ?? "");
  return /^(?!08|53|57P|E)[0-9A-Z]{5}$/.test(sqlState);
}
