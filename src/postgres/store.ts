/**
 * The database that a journal is delivered to. It is opened when it can be reached, as often as that
 * has to be tried: connected, brought to this version's schema, given partitions ahead.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { LetterHead } from "../dead_letters.ts";
import type { Journal, JournalRecord } from "../journal.ts";
import type { Bury, Delivered, More, Sink } from "../sink.ts";
import { Batch } from "./batch.ts";
import { connect, type ConnectTarget } from "./connect.ts";
import type { Database } from "./database.ts";
import { DatabaseSink } from "./database_sink.ts";
import { Dimensions } from "./dimensions.ts";
import { migrate } from "./migrate.ts";
import type { PartitionWidth } from "./partition_width.ts";
import { Partitions } from "./partitions.ts";
import type { PreparedRows, RequestOfJournal } from "./prepared_rows.ts";
import { abortable } from "./session.ts";
import { Signer } from "./signing.ts";
import { PostgresSink } from "./sink.ts";
import { Transcoder } from "./transcode.ts";

/** Which database, and how it is kept. */
export interface StoreOptions {
  /** Where it is. */
  readonly target: ConnectTarget;
  /** The journal whose position it keeps. */
  readonly journal: Pick<Journal, "id" | "read">;
  /** What makes its rows. */
  readonly rows: PreparedRows;
  /** The width of partitions to come. */
  readonly width: PartitionWidth;
  /** How long telemetry is kept, in days. */
  readonly retentionDays: number;
  /** How long closing waits for what is in flight, in milliseconds. */
  readonly closeGraceMs: number;
}

/** What there is once it is open. */
export interface OpenStore {
  readonly database: Database;
  readonly partitions: Partitions;
}

interface Opened extends OpenStore {
  readonly sink: DatabaseSink;
  readonly signer: Signer;
}

/** A journal's database. */
export class PostgresStore implements Sink, AsyncDisposable {
  readonly #options: StoreOptions;
  readonly #closing = new AbortController();
  #opening: Promise<Opened> | undefined;
  #isOpen = false;

  constructor(options: StoreOptions) {
    this.#options = options;
  }

  /** Whether it was reached and is ready. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * Opens it, unless it is open. After it failed it can be tried again; those who ask at once share
   * one try.
   *
   * @param signal Ends the wait, but not the try.
   * @throws The driver's error when it cannot be reached.
   * @throws {UnsupportedDatabaseError} It is too old, from a newer version, or not UTF-8.
   */
  async open(signal?: AbortSignal): Promise<OpenStore> {
    return await this.#opened(signal);
  }

  /** Where it stands in the journal, undefined when it has never heard of it. */
  async position(signal: AbortSignal): Promise<bigint | undefined> {
    const { sink } = await this.#opened(signal);
    return await sink.position(signal);
  }

  /** Whether it has the rows of the request at a position. */
  knows(position: bigint): boolean {
    return this.#options.rows.knows(position);
  }

  /** @inheritdoc */
  async deliver(
    records: readonly JournalRecord[],
    signal: AbortSignal,
    bury: Bury,
    more?: More,
  ): Promise<Delivered> {
    const { sink, signer } = await this.#opened(signal);
    const next: More | undefined = more && (async (settled) => {
      if (settled !== undefined) signer.stored(settled.delivered);
      return await more(settled);
    });
    const delivered = await sink.deliver(records, signal, bury, next);
    signer.stored(delivered.delivered);
    return delivered;
  }

  /**
   * Stores a dead letter, once however often it is asked to: each letter has a position of its own in
   * the database.
   *
   * @throws The database's error, also when it still refuses the letter.
   */
  async storeLetter(
    { name, journal, signal, arrivalUnixNano }: LetterHead,
    body: Uint8Array,
    abort?: AbortSignal,
  ): Promise<void> {
    const { database, partitions } = await this.#opened(abort);
    const batch = new Batch();
    new Transcoder(new Dimensions()).transcode(signal, body, arrivalUnixNano, batch);
    const sink = new PostgresSink(database, partitions, letterId(journal, name));
    await sink.store(batch, 1n, abort);
  }

  /** Makes what is committed durable, where commits alone do not. */
  async secure(): Promise<void> {
    if (!this.#isOpen) throw new Error("Cannot sync the database: it is not open");
    const { database } = await this.#opening!;
    await database.secure();
  }

  /** Ends its connections, unless they were handed in. Idempotent, bounded. */
  async close(): Promise<void> {
    this.#closing.abort(new DOMException("Cannot use the database: it is closed", "AbortError"));
    const opened = await this.#opening?.catch(() => undefined);
    await opened?.database.close();
  }

  /** Closes it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #opened(signal?: AbortSignal): Promise<Opened> {
    this.#closing.signal.throwIfAborted();
    signal?.throwIfAborted();
    const opening = this.#opening ??= this.#open();
    // Everybody may have given up waiting for it.
    opening.catch(() => {});
    return await abortable(opening, signal === undefined ? [] : [signal]);
  }

  async #open(): Promise<Opened> {
    const { target, journal, rows, width, retentionDays, closeGraceMs } = this.#options;
    const { signal } = this.#closing;
    let database: Database | undefined;
    // Not every step takes the signal, and a migration may have to wait long for its turn.
    const stop = () => void database?.close();
    signal.addEventListener("abort", stop);
    try {
      database = await connect(target, { closeGraceMs });
      signal.throwIfAborted();
      await migrate(database);
      const partitions = new Partitions(database, { width, retentionDays });
      await partitions.makeAhead({ signal });
      signal.throwIfAborted();
      const signer = new Signer(database, this.#closing.signal);
      const slices = new PostgresSink(
        database,
        partitions,
        journal.id,
        (transaction, { signals }) => signer.remember(transaction, signals),
      );
      const sink = new DatabaseSink(slices, rows, {
        bodyOf: (request) => bodyOf(journal, request),
      });
      this.#isOpen = true;
      return { database, partitions, sink, signer };
    } catch (error) {
      this.#opening = undefined;
      await database?.close();
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }
}

async function bodyOf(
  journal: Pick<Journal, "read">,
  request: RequestOfJournal,
): Promise<Uint8Array> {
  const { position, isKnown = false } = request;
  if (position === undefined || !isKnown) return request.body;
  const [record] = await journal.read(position, { maxBytes: 1, maxRecords: 1 });
  if (record?.position === position) return record.body;
  throw new Error(`Cannot read the journal at ${position}: the record is not there any more`);
}

/** The id under which the database remembers that it has a letter. */
function letterId(journal: string, name: string): string {
  const hex = createHash("sha256").update(`dead letter ${journal} ${name}`).digest("hex");
  return hex.slice(0, 32).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
