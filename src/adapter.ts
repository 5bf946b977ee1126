/**
 * The storage API: OTLP in, rows in the user's own Postgres, typed reads back.
 *
 * {@linkcode OTelStorageAdapter} puts the parts in their order. A request goes through
 *
 *     write -> transcode -> buffer -> breaker( retry( timeout( COPY ) ) ) -> committed
 *
 * and what it guarantees is what those guarantee: `write` resolves once the records are committed,
 * each batch is stored exactly once however often it had to be tried, everything that waits is
 * bounded, and a request that is refused was not stored. (One case is open until there is a journal:
 * a connection that breaks at commit and does not come back while the batch is tried. Its requests are
 * refused, and may have been stored.)
 *
 * @module
 */

import {
  type AdapterSettings,
  adapterSettings,
  type OTelStorageOptions,
} from "./adapter_options.ts";
import { CircuitBreaker, type CircuitState } from "./breaker.ts";
import type { Batch } from "./postgres/batch.ts";
import { connect } from "./postgres/connect.ts";
import type { Database } from "./postgres/database.ts";
import { Dimensions } from "./postgres/dimensions.ts";
import { migrate, SCHEMA_VERSION } from "./postgres/migrate.ts";
import { chooseWidth } from "./postgres/partition_width.ts";
import { Partitions, type UpkeepReport } from "./postgres/partitions.ts";
import { PositionError, PostgresSink, speaksAgainstRecords } from "./postgres/sink.ts";
import { Transcoder } from "./postgres/transcode.ts";
import {
  BatchWriter,
  UnavailableError,
  type WriteResult,
  type WriterStats,
} from "./postgres/writer.ts";
import {
  exportStored,
  getLogs,
  getMetricPoints,
  getTrace,
  type LogFilter,
  type PointFilter,
  type ReadOptions,
  type Stored,
} from "./query.ts";
import type { ExportRequests, LogRecord, Metric, Signal, Span } from "./record.ts";
import { classify, withRetry } from "./retry.ts";

export type { OTelStorageOptions } from "./adapter_options.ts";
export type {
  DenoPostgresClient,
  DenoPostgresColumns,
  DenoPostgresPool,
  PostgresJs,
  PostgresJsOptions,
  PostgresJsQuery,
  PostgresJsStatements,
} from "./postgres/client.ts";
export type { GivenClient } from "./postgres/connect.ts";
export type * from "./postgres/database.ts";
export type { PartitionWidth } from "./postgres/partition_width.ts";
export type { CreateReport, Postponed, UpkeepReport } from "./postgres/partitions.ts";
export type { PgClient, PgPool, PgQuery } from "./postgres/pg.ts";
export type {
  PGliteInstance,
  PGliteQueryOptions,
  PGliteStatements,
} from "./postgres/pglite_instance.ts";
export { UnavailableError, type WriteResult, type WriterStats } from "./postgres/writer.ts";

/** How the adapter is. */
export interface Health {
  /** Whether the database answers and its schema is the one this version needs. */
  readonly ok: boolean;
  /** Which client talks to the database. */
  readonly driver: string;
  /** Blocks of `schema.sql` that the database has; 0 when it cannot be asked. */
  readonly schemaVersion: number;
  /** What is wrong with the database, empty when nothing is. */
  readonly error: string;
  /** State of the breaker round the storage path. */
  readonly breaker: CircuitState;
  /** Records that wait or are being stored. */
  readonly bufferedRecords: number;
}

/** Numbers about an adapter since it began. */
export interface AdapterStats extends WriterStats {
  /** State of the breaker round the storage path. */
  readonly breaker: CircuitState;
  /** Batches that failed in a row. */
  readonly failures: number;
}

/** How long `close` lets those read on who still do when all is stored, in milliseconds. */
const READ_GRACE_MS = 1_000;
/** How long `health` waits for the database, in milliseconds. */
const HEALTH_MS = 5_000;
/** How long `maintain` may take, in milliseconds. Sealing large partitions does take long. */
const MAINTAIN_MS = 3_600_000;
/** When to come back if nobody knows better, in milliseconds. */
const RETRY_AFTER_MS = 1_000;

/**
 * Stores OTLP requests in Postgres and reads them back.
 *
 * @example Store a request and read a trace
 * ```ts
 * import assert from "node:assert/strict";
 * import { OTelStorageAdapter } from "@oneiric/otel-storage/adapter";
 *
 * await using storage = new OTelStorageAdapter({ pgliteDir: "memory://" });
 * await storage.init();
 * const body = new Uint8Array(); // an ExportTraceServiceRequest in protobuf, here without spans
 * assert.deepEqual(await storage.write("traces", body), { accepted: 0, rejected: 0, message: "" });
 * assert.deepEqual(await storage.getTrace("5b8efff798038103d269b633813fc60c"), []);
 * ```
 */
export class OTelStorageAdapter implements AsyncDisposable {
  readonly #settings: AdapterSettings;
  readonly #breaker: CircuitBreaker;
  readonly #closing = new AbortController();
  #opening: Promise<Opened> | undefined;
  #open = false;
  #closed: Promise<void> | undefined;

  /**
   * Checks the options; nothing is opened yet.
   *
   * @throws {RangeError} An option is unknown or out of range; the message names it and its value, but
   * no connection string.
   */
  constructor(options: OTelStorageOptions) {
    this.#settings = adapterSettings(options);
    const { circuitBreakerThreshold, circuitBreakerCooldownMs } = this.#settings;
    this.#breaker = new CircuitBreaker({
      failureThreshold: circuitBreakerThreshold,
      cooldownMs: circuitBreakerCooldownMs,
      // Records that the database refuses say nothing about whether it works.
      isFailure: (error) => !speaksAgainstRecords(error),
    });
  }

  /** Why the partitions asked for will make queries slow; empty when they will not. */
  get warning(): string {
    return chooseWidth(this.#settings.partition, this.#settings.retentionDays).warning ?? "";
  }

  /**
   * Connects, migrates the schema and makes partitions. Safe to call again, also after it failed, and
   * in several processes at once.
   *
   * @throws The driver's error when the database cannot be reached.
   * @throws {UnsupportedDatabaseError} The database is too old, from a newer version, or not UTF-8.
   */
  async init(): Promise<void> {
    if (this.#closed !== undefined) throw new TypeError("Cannot open the adapter: it is closed");
    const opening = this.#opening ??= this.#connect();
    try {
      await opening;
    } catch (error) {
      if (this.#opening === opening) this.#opening = undefined;
      throw error;
    }
  }

  async #connect(): Promise<Opened> {
    const { connectionString, pgliteDir, client, partition, retentionDays } = this.#settings;
    const { signal } = this.#closing;
    const database = await connect(
      connectionString ?? (pgliteDir === undefined ? client! : { pgliteDir }),
      { closeGraceMs: READ_GRACE_MS },
    );
    // Not every step takes the signal, and a migration may have to wait long for its turn.
    const stop = () => void database.close();
    signal.addEventListener("abort", stop);
    try {
      signal.throwIfAborted();
      await migrate(database);
      const { width } = chooseWidth(partition, retentionDays);
      const partitions = new Partitions(database, { width, retentionDays });
      await partitions.makeAhead({ signal });
      signal.throwIfAborted();
      this.#open = true;
      return { database, partitions, writer: this.#writer(database, partitions) };
    } catch (cause) {
      await database.close();
      if (!signal.aborted) throw cause;
      throw new TypeError("Cannot open the adapter: it was closed meanwhile", { cause });
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  #writer(database: Database, partitions: Partitions): BatchWriter {
    const dimensions = new Dimensions();
    const newSink = () => new PostgresSink(database, partitions, crypto.randomUUID());
    let sink = newSink();
    const store = async (batch: Batch, to: bigint) => {
      try {
        await this.#guarded((signal) => sink.store(batch, to, signal));
      } catch (error) {
        // The database was restored, or a standby that lacks the latest took over: begin anew there.
        if (error instanceof PositionError) {
          sink = newSink();
          dimensions.forget();
        }
        throw error;
      }
    };
    return new BatchWriter(new Transcoder(dimensions), { store }, this.#settings);
  }

  /** The order of the guards: the timeout limits a try, the breaker counts what retries could not mend. */
  async #guarded(attempt: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { attemptTimeoutMs, maxRetries } = this.#settings;
    const { signal } = this.#closing;
    await this.#breaker.call(() =>
      withRetry(async () => {
        const late = new AbortController();
        const timer = setTimeout(() => {
          const message = `The database has not stored a batch within ${attemptTimeoutMs} ms`;
          late.abort(new DOMException(message, "TimeoutError"));
        }, attemptTimeoutMs);
        try {
          await attempt(AbortSignal.any([signal, late.signal]));
        } finally {
          clearTimeout(timer);
        }
      }, { maxAttempts: maxRetries, signal })
    );
  }

  /** What `init` has made; also when it is closed, for those who can be told to come back later. */
  async #opened(): Promise<Opened> {
    if (this.#opening === undefined) {
      throw new TypeError(
        this.#closed === undefined
          ? "Cannot use the adapter: await init() first"
          : "Cannot use the adapter: it is closed",
      );
    }
    return await this.#opening;
  }

  async #usable(): Promise<Opened> {
    if (this.#closed !== undefined) throw new TypeError("Cannot use the adapter: it is closed");
    return await this.#opened();
  }

  /** The database, for SQL of your own: `otel.spans`, `otel.logs`, `otel.metric_points`, … */
  async database(): Promise<Database> {
    return (await this.#usable()).database;
  }

  /**
   * Resolves when the buffer has room; to be awaited before a large request is read.
   *
   * @throws {UnavailableError} If it has none for `maxRoomWaitMs`.
   */
  async room(options: ReadOptions = {}): Promise<void> {
    const { writer } = await this.#opened();
    await writer.room(options.signal);
  }

  /**
   * Stores the records of an OTLP request. Resolves when they are committed.
   *
   * Aborting takes the request back unless it is already being stored.
   *
   * @param body An `ExportTraceServiceRequest`, `ExportLogsServiceRequest` or
   * `ExportMetricsServiceRequest` in protobuf. It is read before the first wait but one for room; it
   * may not be changed before the promise settles.
   * @throws {OtlpDecodeError} The body is none; nothing is stored.
   * @throws {OtlpTooLargeError} Its rows take more than 256 MiB; nothing is stored.
   * @throws {UnavailableError} Nothing is stored; send it again after `retryAfterMs`.
   * @throws The database's error when it refuses these records; nothing is stored.
   */
  async write(
    signal: Signal,
    body: Uint8Array,
    options: ReadOptions = {},
  ): Promise<WriteResult> {
    const { writer } = await this.#opened();
    try {
      return await writer.write(signal, body, options.signal);
    } catch (error) {
      const givenUp = options.signal?.aborted && error === options.signal.reason;
      if (givenUp || error instanceof UnavailableError || speaksAgainstRecords(error)) throw error;
      throw unavailable(error);
    }
  }

  /** Resolves when everything written so far is committed or refused. */
  async flush(): Promise<void> {
    await (await this.#opened()).writer.flush();
  }

  /** Makes partitions ahead, seals closed ones and drops those older than the retention. */
  async maintain(options: ReadOptions = {}): Promise<UpkeepReport> {
    const signals = [this.#closing.signal, AbortSignal.timeout(MAINTAIN_MS)];
    if (options.signal !== undefined) signals.push(options.signal);
    const { partitions } = await this.#usable();
    return await partitions.maintain({ signal: AbortSignal.any(signals) });
  }

  /** Asks the database how it is, for 5 s at most. Never rejects because of the database. */
  async health(): Promise<Health> {
    const { database, writer } = await this.#usable();
    let schemaVersion = 0;
    let error = "";
    try {
      const [row] = await database.query<{ version: number }>(
        "select coalesce(max(version), 0) as version from otel_data.migrations",
        [],
        { signal: AbortSignal.timeout(HEALTH_MS) },
      );
      schemaVersion = row!.version;
      if (schemaVersion < SCHEMA_VERSION) {
        error = `The schema has version ${schemaVersion}, not ${SCHEMA_VERSION}: migrate it`;
      }
    } catch (cause) {
      error = reasonOf(cause);
    }
    return {
      ok: error === "",
      driver: database.driver,
      schemaVersion,
      error,
      breaker: this.#breaker.state,
      bufferedRecords: writer.stats.bufferedRecords,
    };
  }

  /** Counters since the adapter was opened. */
  async stats(): Promise<AdapterStats> {
    const { writer } = await this.#usable();
    return {
      ...writer.stats,
      breaker: this.#breaker.state,
      failures: this.#breaker.failureCount,
    };
  }

  /** All spans of a trace. See `getTrace` of `query.ts`. */
  async getTrace(traceId: string, options: ReadOptions = {}): Promise<Stored<Span>[]> {
    return await getTrace((await this.#usable()).database, traceId, options);
  }

  /** Log records, newest first. See `getLogs` of `query.ts`. */
  async getLogs(filter: LogFilter, options: ReadOptions = {}): Promise<Stored<LogRecord>[]> {
    return await getLogs((await this.#usable()).database, filter, options);
  }

  /** Points of a metric, oldest first. See `getMetricPoints` of `query.ts`. */
  async getMetricPoints(
    filter: PointFilter,
    options: ReadOptions = {},
  ): Promise<Stored<Metric>[]> {
    return await getMetricPoints((await this.#usable()).database, filter, options);
  }

  /** Everything stored of a signal as OTLP. See `exportStored` of `query.ts`. */
  async exportStored<S extends Signal>(
    signal: S,
    range: { readonly since?: bigint; readonly until?: bigint } = {},
    options: ReadOptions = {},
  ): Promise<ExportRequests[S]> {
    return await exportStored((await this.#usable()).database, signal, range, options);
  }

  /**
   * Takes no more, stores what waits, and closes the database unless the client was handed in. What is
   * not stored after `closeGraceMs` is refused; what is being opened or maintained is given up.
   * Idempotent.
   */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    const giveUp = () => this.#closing.abort();
    if (!this.#open) giveUp();
    const opened = await this.#opening?.catch(() => undefined);
    if (opened === undefined) return;
    const timer = setTimeout(giveUp, this.#settings.closeGraceMs);
    await opened.writer.close();
    clearTimeout(timer);
    giveUp();
    await opened.database.close();
  }

  /** The same as {@linkcode close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

interface Opened {
  readonly database: Database;
  readonly partitions: Partitions;
  readonly writer: BatchWriter;
}

/** What the sender of a request is told when the fault is not in its records. */
function unavailable(cause: unknown): UnavailableError {
  const failure = classify(cause);
  const why = {
    shutdown: "shutting down",
    transient: "the database cannot be reached",
    permanent: "the database takes no records",
  }[failure.kind];
  const wait = failure.kind === "transient" ? failure.retryAfterMs : undefined;
  return new UnavailableError(
    `Cannot store the request: ${why}; send it again later`,
    wait || RETRY_AFTER_MS,
    { cause },
  );
}

/** What an error says; connecting to several addresses gives one that says it only in its parts. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const parts = error instanceof AggregateError ? error.errors.map(reasonOf).join("; ") : "";
  return error.message || parts || error.name;
}
