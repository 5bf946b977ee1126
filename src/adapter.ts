/**
 * The storage API: OTLP in, rows in the user's own Postgres and the same bytes to other OTLP
 * destinations, typed reads back.
 *
 * {@linkcode OTelStorageAdapter} puts the parts in their order. A request goes through
 *
 *     write -> intake -> journal -> deliveries, each breaker( retry( timeout( sink )))
 *
 * and what it guarantees is what those guarantee: what was acknowledged is kept, and is in the database
 * exactly once and at each other destination at least once, however often that has to be tried; a
 * request that is sent again within 10 minutes is not stored again; everything that waits is bounded.
 * With a `dataDir` a request is acknowledged when it is synced to the journal there; without one, when
 * the database has committed it.
 *
 * @module
 */

import { hasRoom, type Health, healthOf } from "./adapter_health.ts";
import {
  type AdapterSettings,
  adapterSettings,
  type OTelStorageOptions,
} from "./adapter_options.ts";
import { type AdapterParts, assemble, reach, resend, unavailable } from "./adapter_parts.ts";
import type { AdapterStats } from "./adapter_stats.ts";
import type { DeadLetterStats } from "./dead_letters.ts";
import { followLogs, type LogTailing } from "./followed_logs.ts";
import type { WriteResult } from "./intake.ts";
import { LetterBox } from "./letter_box.ts";
import { type LogData, logRequest } from "./log_data.ts";
import { type MetricData, metricRequests } from "./metric_data.ts";
import type { Database } from "./postgres/database.ts";
import { chooseWidth } from "./postgres/partition_width.ts";
import type { UpkeepReport } from "./postgres/partitions.ts";
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
import type { LogTailOptions } from "./query/log_tail.ts";
import { reasonOf } from "./reason.ts";
import type { ExportRequests, LogRecord, Metric, Signal, Span } from "./record.ts";
import { UnstoredRecordsError } from "./record_buffer.ts";
import { spanRequest, type TraceData } from "./trace_data.ts";

export type { AdapterEvent } from "./adapter_events.ts";
export type { Health } from "./adapter_health.ts";
export type { ForwardSettings, OTelStorageOptions } from "./adapter_options.ts";
export type { AdapterStats, DestinationStats, JournalNumbers } from "./adapter_stats.ts";
export type {
  DamagedLetter,
  DeadLetterStats,
  Letter,
  LetterFilter,
  LetterHead,
  LetterList,
} from "./dead_letters.ts";
export type { DeliveryStateKind, DeliveryStats, LedgerCounts } from "./delivery.ts";
export type { LogTailEvent, LogTailing } from "./followed_logs.ts";
export { UnavailableError, type WriteResult } from "./intake.ts";
export type { Counts, JournalStats } from "./journal.ts";
export type { LogData } from "./log_data.ts";
export type { MetricData } from "./metric_data.ts";
export { type BufferStats, UnstoredRecordsError } from "./record_buffer.ts";
export { type Fault, RecordError } from "./record_error.ts";
export type { Attributes, AttributeValue, TimeValue } from "./record_fields.ts";
export type { SpanKindValue, SpanStatusValue, TraceData } from "./trace_data.ts";
export type { LogTailStats } from "./log_tail.ts";
export type { LogTailOptions } from "./query/log_tail.ts";
export { LetterBox, type LetterOutcome } from "./letter_box.ts";
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

/** How long numbers wait for a disk that hangs, in milliseconds: then they are those kept before. */
const TALLY_MS = 1_000;
/** How long `maintain` may take, in milliseconds. Sealing large partitions does take long. */
const MAINTAIN_MS = 3_600_000;

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
 *
 * @example Store plain objects
 * ```ts
 * import assert from "node:assert/strict";
 * import { OTelStorageAdapter } from "@oneiric/otel-storage/adapter";
 *
 * await using storage = new OTelStorageAdapter({ pgliteDir: "memory://" });
 * await storage.init();
 * const traceId = "5b8efff798038103d269b633813fc60c";
 * await storage.storeTrace({ traceId, name: "checkout", startTime: new Date(), durationMs: 250, service: "shop" });
 * await storage.storeLog({ traceId, level: "WARN", message: "out of stock", service: "shop" });
 * await storage.storeMetrics([{ name: "orders", type: "counter", value: 1, labels: { paid: true } }]);
 * await storage.flush();
 * assert.equal((await storage.getTrace(traceId)).length, 1);
 * assert.equal((await storage.getLogs({ traceId })).length, 1);
 * ```
 */
export class OTelStorageAdapter implements AsyncDisposable {
  readonly #settings: AdapterSettings;
  readonly #closing = new AbortController();
  #opening: Promise<Opened> | undefined;
  #ready: Opened | undefined;
  #closed: Promise<void> | undefined;

  /**
   * Checks the options; nothing is opened yet.
   *
   * @throws {RangeError} An option is unknown or out of range; the message names it and its value, but
   * no connection string.
   */
  constructor(options: OTelStorageOptions) {
    this.#settings = adapterSettings(options);
  }

  /** Why the partitions asked for will make queries slow; empty when they will not. */
  get warning(): string {
    return chooseWidth(this.#settings.partition, this.#settings.retentionDays).warning ?? "";
  }

  /**
   * Opens the journal, connects, migrates the schema and makes partitions. Safe to call again, also
   * after it failed, and in several processes at once but for one `dataDir`.
   *
   * With a `dataDir` it resolves though the database cannot be reached, or is not ready within two
   * seconds: what comes is kept in the journal, and the database is tried again until it comes.
   *
   * @throws {FolderLockedError} Another process uses the `dataDir`.
   * @throws {Error} The journal cannot be used; the message says why.
   * @throws {RangeError} The URL or a header of a forward is wrong.
   * @throws The driver's error when the database cannot be used.
   * @throws {UnsupportedDatabaseError} The database is too old, from a newer version, or not UTF-8.
   */
  async init(): Promise<void> {
    if (this.#closed !== undefined) throw new TypeError("Cannot open the adapter: it is closed");
    const opening = this.#opening ??= this.#open();
    try {
      await opening;
    } catch (error) {
      if (this.#opening === opening) this.#opening = undefined;
      throw error;
    }
  }

  async #open(): Promise<Opened> {
    await using opened = new AsyncDisposableStack();
    const { signal } = this.#closing;
    try {
      const parts = await assemble(this.#settings, opened);
      // Whoever closes does not wait for a database that does not answer.
      signal.addEventListener("abort", () => void parts.store.close(), { once: true });
      await reach(parts.store, this.#settings, signal);
      signal.throwIfAborted();
      return this.#ready = { ...parts, resources: opened.move() };
    } catch (cause) {
      if (!signal.aborted) throw cause;
      throw new TypeError("Cannot open the adapter: it was closed meanwhile", { cause });
    }
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

  /**
   * The database, for SQL of your own: `otel.spans`, `otel.logs`, `otel.metric_points`, …
   *
   * @throws The driver's error when it cannot be reached.
   */
  async database(options: ReadOptions = {}): Promise<Database> {
    const { store } = await this.#usable();
    return (await store.open(options.signal)).database;
  }

  /**
   * The dead letters: what a destination will never take.
   *
   * @throws {TypeError} There are none without a `dataDir`.
   */
  async deadLetters(): Promise<LetterBox> {
    const { letters, store, destinations } = await this.#usable();
    if (letters === undefined) {
      throw new TypeError("Cannot look at dead letters: they are kept in a dataDir, give one");
    }
    return new LetterBox(letters, (letter, signal) => resend(store, destinations, letter, signal));
  }

  /** Says in the lock file of the `dataDir` how this process can be asked: its URL, for example. */
  async announce(holder: Readonly<Record<string, string>>): Promise<void> {
    (await this.#usable()).lock?.describe(holder);
  }

  /**
   * Resolves when the journal has room; to be awaited before a large request is read.
   *
   * @throws {UnavailableError} If it has none for `maxRoomWaitMs`.
   */
  async room(options: ReadOptions = {}): Promise<void> {
    const { intake, destinations } = this.#ready ?? await this.#opened();
    if (this.#closed !== undefined) throw unavailable("shutting down");
    await intake.room(() => destinations.makeRoom(), options.signal);
  }

  /**
   * Takes the records of an OTLP request. Resolves when nothing of it can be lost any more.
   *
   * @param body An `ExportTraceServiceRequest`, `ExportLogsServiceRequest` or
   * `ExportMetricsServiceRequest` in protobuf, not to be changed before the promise settles.
   * @throws {OtlpDecodeError} The body is none; nothing is kept.
   * @throws {OtlpTooLargeError} Its rows take more than 256 MiB; nothing is kept.
   * @throws {UnavailableError} Send it again after `retryAfterMs`. If it was kept after all, it is not
   * stored twice.
   * @throws The reason of the signal; the request may have been kept.
   */
  async write(
    signal: Signal,
    body: Uint8Array,
    options: ReadOptions = {},
  ): Promise<WriteResult> {
    const { intake } = this.#ready ?? await this.#opened();
    // Looked at in the same turn as the call: what was asked for before it was closed is taken.
    if (this.#closed !== undefined) throw unavailable("shutting down");
    return await intake.write(signal, body, options.signal);
  }

  /**
   * Takes a span. Resolves when it is buffered; with up to `batchSize` others, or after
   * `batchIntervalMs`, it goes the way of {@linkcode write}. {@linkcode flush} says when it is stored.
   *
   * While the buffer is full it waits. A record that is equal to one of the last 10 minutes in everything,
   * ids and times included, may be taken for the same one.
   *
   * @throws {RecordError} A field is missing, unknown or wrong; the message names it and its value.
   * @throws {UnavailableError} There is no room for `maxRoomWaitMs`; it is not buffered.
   * @throws The reason of the signal; it is not buffered.
   */
  async storeTrace(data: TraceData, options: ReadOptions = {}): Promise<void> {
    await this.#buffer("traces", [spanRequest(data)], options);
  }

  /** Takes a log record, in the same way and with the same errors as {@linkcode storeTrace}. */
  async storeLog(data: LogData, options: ReadOptions = {}): Promise<void> {
    await this.#buffer("logs", [logRequest(data)], options);
  }

  /**
   * Takes measurements, in the same way as {@linkcode storeTrace}.
   *
   * @throws {AggregateError} Some are wrong: a {@linkcode RecordError} for each of them, with its index.
   * The others are buffered.
   * @throws {UnavailableError} There is no room for `maxRoomWaitMs`; none is buffered.
   * @throws The reason of the signal; none is buffered.
   */
  async storeMetrics(list: readonly MetricData[], options: ReadOptions = {}): Promise<void> {
    const { bodies, errors } = metricRequests(list);
    await this.#buffer("metrics", bodies, options);
    if (errors.length === 0) return;
    const what = `Cannot store ${errors.length} of ${list.length} metrics, the others are buffered`;
    throw new AggregateError(errors, `${what}: ${errors[0]!.message}`);
  }

  async #buffer(
    signal: Signal,
    bodies: readonly Uint8Array[],
    options: ReadOptions,
  ): Promise<void> {
    const { buffer } = this.#ready ?? await this.#opened();
    if (this.#closed !== undefined) throw unavailable("shutting down");
    await buffer.add(signal, bodies, options.signal);
  }

  /**
   * Resolves when everything buffered and acknowledged so far is in the database, or is a dead letter.
   * It may have to wait for that long.
   *
   * @throws {UnstoredRecordsError} The signal ends the wait, with its reason as the cause: as many records
   * are not stored yet, and are tried further. Or, without a `dataDir`, the database refuses as many
   * buffered ones for good.
   */
  async flush({ signal }: ReadOptions = {}): Promise<void> {
    const { destinations, intake, buffer } = await this.#opened();
    try {
      await buffer.flush(signal);
      await intake.idle(signal);
      await destinations.database.drain(signal);
    } catch (cause) {
      const { traces, logs, metrics } = destinations.database.stats.pending;
      const left = traces + logs + metrics + buffer.stats.records;
      if (left === 0) throw cause;
      throw new UnstoredRecordsError(left, `not stored yet: ${reasonOf(cause)}`, { cause });
    }
    await buffer.tell();
  }

  /** Makes partitions ahead, seals closed ones and drops those older than the retention. */
  async maintain(options: ReadOptions = {}): Promise<UpkeepReport> {
    const signals = [this.#closing.signal, AbortSignal.timeout(MAINTAIN_MS)];
    if (options.signal !== undefined) signals.push(options.signal);
    const signal = AbortSignal.any(signals);
    const { partitions } = await (await this.#usable()).store.open(signal);
    return await partitions.maintain({ signal });
  }

  /** Whether there is room for a request now, or within a second. Asks no database. */
  async hasRoom(): Promise<boolean> {
    return await hasRoom(await this.#usable());
  }

  /** Asks the database how it is, for 5 s at most. Never rejects because of the database. */
  async health(): Promise<Health> {
    return await healthOf(await this.#usable(), this.#settings);
  }

  /** Numbers as of this moment. */
  async stats(): Promise<AdapterStats> {
    const { intake, buffer, journal, tail, letters, destinations } = await this.#usable();
    await journal.keepTally(AbortSignal.timeout(TALLY_MS));
    // From here on nothing may come in between, so that the numbers fit together.
    const { id, oldest, head } = journal;
    const kind = this.#settings.dataDir === undefined ? "memory" : "disk";
    return {
      ...intake.counts,
      retentionDays: this.#settings.retentionDays,
      buffer: buffer.stats,
      journal: { ...journal.stats, id, kind, oldest, head },
      tail: tail.stats,
      deadLetters: letters?.stats ?? NO_LETTERS,
      destinations: destinations.stats,
    };
  }

  /** All spans of a trace. See `getTrace` of `query.ts`. */
  async getTrace(traceId: string, options: ReadOptions = {}): Promise<Stored<Span>[]> {
    return await getTrace(await this.database(options), traceId, options);
  }

  /** Log records, newest first. See `getLogs` of `query.ts`. */
  async getLogs(filter: LogFilter, options: ReadOptions = {}): Promise<Stored<LogRecord>[]> {
    return await getLogs(await this.database(options), filter, options);
  }

  /**
   * Follows the logs: each record when its request was acknowledged, at most 100 followers at a time. It
   * ends with `options.signal`, when the loop is left, or when the adapter closes. Who reads too slowly
   * misses the oldest records and is told how many.
   *
   * @param choice As of `searchLogs`, without regular expressions; and from where on.
   * @throws {QueryError} An option is wrong.
   * @throws {QueryTimeoutError} To read what is stored took longer than `options.timeoutMs`.
   * @throws {UnavailableError} There are too many followers, or it is closed.
   *
   * @example Errors of a service
   * ```ts
   * import assert from "node:assert/strict";
   * import { OTelStorageAdapter } from "@oneiric/otel-storage/adapter";
   * import { jsonToProtobuf } from "./otlp.ts";
   *
   * await using storage = new OTelStorageAdapter({ pgliteDir: "memory://" });
   * await storage.init();
   * const tail = await storage.tailLogs({ minSeverity: 17 });
   * const records = '[{"severityNumber":17,"body":{"stringValue":"disk full"}}]';
   * const text = `{"resourceLogs":[{"scopeLogs":[{"logRecords":${records}}]}]}`;
   * await storage.write("logs", jsonToProtobuf("logs", text));
   * for await (const [event] of tail) {
   *   assert.ok(event?.kind === "log" && event.log.record.body?.stringValue === "disk full");
   *   break;
   * }
   * ```
   */
  async tailLogs(choice: LogTailOptions = {}, options: ReadOptions = {}): Promise<LogTailing> {
    const { tail, intake, destinations } = await this.#usable();
    return await followLogs(
      tail,
      {
        flush: async (signal) => {
          await intake.idle(signal);
          await destinations.database.drain(signal);
        },
        open: (read) => this.database(read),
      },
      choice,
      options,
    );
  }

  /** Points of a metric, oldest first. See `getMetricPoints` of `query.ts`. */
  async getMetricPoints(
    filter: PointFilter,
    options: ReadOptions = {},
  ): Promise<Stored<Metric>[]> {
    return await getMetricPoints(await this.database(options), filter, options);
  }

  /** Everything stored of a signal as OTLP. See `exportStored` of `query.ts`. */
  async exportStored<S extends Signal>(
    signal: S,
    range: { readonly since?: bigint; readonly until?: bigint } = {},
    options: ReadOptions = {},
  ): Promise<ExportRequests[S]> {
    return await exportStored(await this.database(options), signal, range, options);
  }

  /**
   * Takes no more, delivers what can be delivered, and closes the database unless the client was handed
   * in. What is not delivered within `closeGraceMs` stays in the journal; without a `dataDir` it is
   * refused. What is being opened or maintained is given up. Idempotent.
   *
   * @throws {UnstoredRecordsError} All is closed, and as many buffered records are lost.
   */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    const { closeGraceMs, dataDir } = this.#settings;
    const isOpen = await isSettled(this.#opening);
    if (!isOpen) this.#closing.abort();
    const opened = await this.#opening?.catch(() => undefined);
    if (opened === undefined) return;
    const { intake, buffer, destinations, tail, resources } = opened;
    buffer.refuse();
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), closeGraceMs / 2);
    try {
      // What does not get there in time is told of below.
      await buffer.flush(late.signal).catch(() => {});
      // In memory a request is on its way until it is delivered.
      if (dataDir !== undefined) await intake.idle(late.signal);
      await destinations.settle(late.signal, { patient: dataDir === undefined });
    } finally {
      clearTimeout(timer);
      tail.close();
    }
    buffer.end();
    await destinations.close();
    this.#closing.abort();
    await resources.disposeAsync();
    await buffer.tell();
  }

  /** The same as {@linkcode close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

interface Opened extends AdapterParts {
  /** Closes them all. */
  readonly resources: AsyncDisposableStack;
}

const NO_LETTERS: DeadLetterStats = {
  letters: 0,
  bytes: 0,
  maxBytes: 0,
  written: 0,
  repeated: 0,
  dropped: 0,
};

async function isSettled(promise: Promise<unknown> | undefined): Promise<boolean> {
  if (promise === undefined) return false;
  const settled = promise.then(() => true, () => false);
  return await Promise.race([settled, Promise.resolve().then(() => false)]);
}
