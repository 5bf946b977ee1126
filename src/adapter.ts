/**
 * The storage API: OTLP in, rows in the user's own Postgres, typed reads back.
 *
 * {@linkcode OTelStorageAdapter} puts the parts in their order. A request goes through
 *
 *     write -> transcode -> buffer -> breaker( retry( timeout( COPY ) ) ) -> committed
 *
 * and what it guarantees is what those guarantee: `write` resolves once the records are committed,
 * each batch is stored exactly once however often it had to be tried, everything that waits is
 * bounded, and a request that is refused was not stored.
 *
 * @module
 */

import * as z from "zod";
import { CircuitBreaker, CircuitBreakerOpenError, type CircuitState } from "./breaker.ts";
import { connect, type GivenClient } from "./postgres/connect.ts";
import type { Database } from "./postgres/database.ts";
import { Dimensions } from "./postgres/dimensions.ts";
import { migrate } from "./postgres/migrate.ts";
import { chooseWidth, type PartitionWidth } from "./postgres/partition_width.ts";
import { Partitions, type UpkeepReport } from "./postgres/partitions.ts";
import { PostgresSink } from "./postgres/sink.ts";
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

/** Settings of {@linkcode OTelStorageAdapter}. One of the first three says where the database is. */
export interface OTelStorageOptions {
  /** A `postgres://` or `postgresql://` URL. */
  readonly connectionString?: string;
  /** The folder of an embedded PGlite, or `memory://`. Only one process may have it open. */
  readonly pgliteDir?: string;
  /**
   * A client of yours: a `Pool` of `npm:pg`, a PGlite, an `npm:postgres` client or a `Pool` of
   * `@db/postgres`. It stays open when the adapter is closed.
   */
  readonly client?: GivenClient;
  /** The width of partitions. @default the finest from a day up that makes fewer than 50 */
  readonly partition?: PartitionWidth;
  /** How long telemetry is kept, in days, 1 to 3,650. @default {30} */
  readonly retentionDays?: number;
  /** How often a batch is tried before its requests are refused, 1 to 10. @default {3} */
  readonly maxRetries?: number;
  /** How long one try may take, in milliseconds, 100 to 600,000. @default {30_000} */
  readonly attemptTimeoutMs?: number;
  /** Batches that fail in a row before the database is left alone for a while, 1 to 100. @default {5} */
  readonly circuitBreakerThreshold?: number;
  /** How long that while is, in milliseconds, 1 to 3,600,000. @default {60_000} */
  readonly circuitBreakerCooldownMs?: number;
  /** Bytes of rows that wait or are being stored, at least 1 MiB. @default {67_108_864} */
  readonly maxBufferBytes?: number;
  /** Records that wait or are being stored, at least 1. @default {500_000} */
  readonly maxBufferRecords?: number;
  /** How long a request waits behind others before it is refused, in milliseconds. @default {30_000} */
  readonly maxBufferAgeMs?: number;
  /** How long a request waits for room in a full buffer, in milliseconds. @default {5_000} */
  readonly maxRoomWaitMs?: number;
}

const optionsSchema = z.strictObject({
  connectionString: z.string().regex(/^postgres(ql)?:\/\//, "has to be a postgres:// URL")
    .optional(),
  pgliteDir: z.string().min(1).optional(),
  client: z.custom<GivenClient>((value) => typeof value === "object" || typeof value === "function")
    .optional(),
  partition: z.enum(["hour", "day", "week", "month"]).optional(),
  retentionDays: z.number().int().min(1).max(3650).default(30),
  maxRetries: z.number().int().min(1).max(10).default(3),
  attemptTimeoutMs: z.number().int().min(100).max(600_000).default(30_000),
  circuitBreakerThreshold: z.number().int().min(1).max(100).default(5),
  circuitBreakerCooldownMs: z.number().int().min(1).max(3_600_000).default(60_000),
  maxBufferBytes: z.number().int().min(1 << 20).default(64 << 20),
  maxBufferRecords: z.number().int().min(1).default(500_000),
  maxBufferAgeMs: z.number().int().min(1).default(30_000),
  maxRoomWaitMs: z.number().int().min(0).default(5_000),
});

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

/** How long `close` waits for what is being stored, in milliseconds. */
const CLOSE_GRACE_MS = 8_000;

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
  readonly #options: z.infer<typeof optionsSchema>;
  readonly #breaker: CircuitBreaker;
  readonly #closing = new AbortController();
  #opening: Promise<Opened> | undefined;
  #closed: Promise<void> | undefined;

  /**
   * Checks the options; nothing is opened yet.
   *
   * @throws {RangeError} An option is unknown or out of range; the message names it.
   */
  constructor(options: OTelStorageOptions) {
    const parsed = optionsSchema.safeParse(options);
    if (!parsed.success) throw new RangeError(describe(parsed.error, options));
    const { connectionString, pgliteDir, client } = parsed.data;
    const given = [connectionString, pgliteDir, client].filter((value) => value !== undefined);
    if (given.length !== 1) {
      throw new RangeError(
        `Cannot use the options: give one of connectionString, pgliteDir and client, not ${given.length}`,
      );
    }
    this.#options = parsed.data;
    this.#breaker = new CircuitBreaker({
      failureThreshold: parsed.data.circuitBreakerThreshold,
      cooldownMs: parsed.data.circuitBreakerCooldownMs,
      // Records that the database refuses say nothing about whether it works.
      isFailure: (error) => classify(error).kind === "transient",
    });
  }

  /** Why the partitions asked for will make queries slow; empty when they will not. */
  get warning(): string {
    return chooseWidth(this.#options.partition, this.#options.retentionDays).warning ?? "";
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
    this.#opening ??= this.#open();
    try {
      await this.#opening;
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
  }

  async #open(): Promise<Opened> {
    const { connectionString, pgliteDir, client, partition, retentionDays } = this.#options;
    const database = await connect(
      connectionString ?? (pgliteDir === undefined ? client! : { pgliteDir }),
    );
    try {
      await migrate(database);
      const { width } = chooseWidth(partition, retentionDays);
      const partitions = new Partitions(database, { width, retentionDays });
      await partitions.makeAhead({ signal: this.#closing.signal });
      const dimensions = new Dimensions();
      const sink = new PostgresSink(database, dimensions, partitions, crypto.randomUUID());
      const writer = new BatchWriter(new Transcoder(dimensions), {
        prepare: ({ signals }) => this.#guarded((signal) => sink.prepare(signals, signal)),
        store: (part, to) => this.#guarded((signal) => sink.store(part, to, signal)),
      }, this.#options);
      return { database, partitions, writer };
    } catch (error) {
      await database.close();
      throw error;
    }
  }

  /** The order of the guards: the timeout limits a try, the breaker counts what retries could not mend. */
  async #guarded(attempt: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { attemptTimeoutMs, maxRetries } = this.#options;
    const { signal } = this.#closing;
    await this.#breaker.call(() =>
      withRetry(
        () => attempt(AbortSignal.any([signal, AbortSignal.timeout(attemptTimeoutMs)])),
        { maxAttempts: maxRetries, signal },
      )
    );
  }

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

  /** The database, for SQL of your own: `otel.spans`, `otel.logs`, `otel.metric_points`, … */
  async database(): Promise<Database> {
    return (await this.#opened()).database;
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
      if (error instanceof UnavailableError || options.signal?.aborted) throw error;
      const failure = classify(error);
      if (failure.kind === "permanent") throw error;
      const retryAfterMs = error instanceof CircuitBreakerOpenError
        ? error.remainingMs
        : failure.kind === "transient" && failure.retryAfterMs !== undefined
        ? failure.retryAfterMs
        : 1000;
      const why = failure.kind === "shutdown" ? "shutting down" : "the database cannot be reached";
      throw new UnavailableError(
        `Cannot store the request: ${why}; send it again later`,
        Math.max(1, retryAfterMs),
        { cause: error },
      );
    }
  }

  /** Resolves when everything written so far is committed or refused. */
  async flush(): Promise<void> {
    await (await this.#opened()).writer.flush();
  }

  /** Makes partitions ahead, seals closed ones and drops those older than the retention. */
  async maintain(options: ReadOptions = {}): Promise<UpkeepReport> {
    return await (await this.#opened()).partitions.maintain(options);
  }

  /** Asks the database how it is. Never rejects because of the database. */
  async health(): Promise<Health> {
    const { database, writer } = await this.#opened();
    const breaker = this.#breaker.state;
    const { bufferedRecords } = writer.stats;
    const { driver } = database;
    try {
      const [row] = await database.query<{ version: number }>(
        "select max(version) as version from otel_data.migrations",
        [],
        { signal: AbortSignal.timeout(5_000) },
      );
      const schemaVersion = row?.version ?? 0;
      return { ok: true, driver, schemaVersion, error: "", breaker, bufferedRecords };
    } catch (error) {
      const text = error instanceof Error ? error.message || error.name : String(error);
      return { ok: false, driver, schemaVersion: 0, error: text, breaker, bufferedRecords };
    }
  }

  /** Counters since the adapter was opened. */
  async stats(): Promise<AdapterStats> {
    const { writer } = await this.#opened();
    return {
      ...writer.stats,
      breaker: this.#breaker.state,
      failures: this.#breaker.failureCount,
    };
  }

  /** All spans of a trace. See `getTrace` of `query.ts`. */
  async getTrace(traceId: string, options: ReadOptions = {}): Promise<Stored<Span>[]> {
    return await getTrace((await this.#opened()).database, traceId, options);
  }

  /** Log records, newest first. See `getLogs` of `query.ts`. */
  async getLogs(filter: LogFilter, options: ReadOptions = {}): Promise<Stored<LogRecord>[]> {
    return await getLogs((await this.#opened()).database, filter, options);
  }

  /** Points of a metric, oldest first. See `getMetricPoints` of `query.ts`. */
  async getMetricPoints(
    filter: PointFilter,
    options: ReadOptions = {},
  ): Promise<Stored<Metric>[]> {
    return await getMetricPoints((await this.#opened()).database, filter, options);
  }

  /** Everything stored of a signal as OTLP. See `exportStored` of `query.ts`. */
  async exportStored<S extends Signal>(
    signal: S,
    range: { readonly since?: bigint; readonly until?: bigint } = {},
    options: ReadOptions = {},
  ): Promise<ExportRequests[S]> {
    return await exportStored((await this.#opened()).database, signal, range, options);
  }

  /**
   * Takes no more, stores what waits, and closes the database unless the client was handed in. What is
   * not stored after 8 s is refused. Idempotent.
   */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    const opened = await this.#opening?.catch(() => undefined);
    this.#opening = undefined;
    if (opened === undefined) return;
    const timer = setTimeout(() => this.#closing.abort(), CLOSE_GRACE_MS);
    try {
      await opened.writer.close();
    } finally {
      clearTimeout(timer);
      await opened.database.close();
    }
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

/** What is wrong with the options. The connection string may hold a password and is not repeated. */
function describe(error: z.ZodError, options: OTelStorageOptions): string {
  const issue = error.issues[0]!;
  if (issue.code === "unrecognized_keys") {
    return `Cannot use the options: unknown ${issue.keys.join(", ")}`;
  }
  const name = String(issue.path[0]);
  const value = name === "connectionString" || name === "client"
    ? ""
    : `: ${String((options as Record<string, unknown>)[name])}`;
  return `Cannot use the option ${name}${value}: ${issue.message}`;
}
