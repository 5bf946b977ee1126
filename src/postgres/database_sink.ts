/**
 * The sink of a journal that is a Postgres: what {@linkcode PostgresSink} stores, told apart.
 *
 * What it is given is a slice, and it asks for more of them to store them side by side. A slice that
 * the database refuses for what is in it is halved until a request stands alone, and that one is taken apart into its records.
 * Which of them it is that the database refuses is found in transactions that are rolled back; then
 * one transaction stores the others and moves the position, and those become dead letters.
 *
 * @module
 */

import { inspect } from "node:util";
import { z } from "zod";
import type { JournalRecord } from "../journal.ts";
import { splitRequest } from "../otlp_split.ts";
import {
  type Bury,
  type Counts,
  type DeadLetter,
  type Delivered,
  joined,
  type More,
  noCounts,
  type Sink,
} from "../sink.ts";
import { Batch } from "./batch.ts";
import { isReroute, type PostgresSink, rerouted, speaksAgainstRecords } from "./sink.ts";
import type { RequestOfJournal } from "./prepared_rows.ts";
import { type BodyOf, countsOf, fill, type RowMaker, Streams } from "./streams.ts";

/** Options of {@linkcode DatabaseSink}. */
export interface DatabaseSinkOptions {
  /**
   * Slices that are under way at a time, each on a connection of its own, 1 to 8. An embedded database
   * has one connection and gets one. Default 3.
   */
  readonly streams?: number;
  /** Gives the body of a request that may have been read without it. Default: it has one. */
  readonly bodyOf?: BodyOf;
}

const OPTIONS = z.strictObject({
  streams: z.int().min(1).max(8).default(3),
  bodyOf: z.custom<BodyOf>((given) => typeof given === "function")
    .default((): BodyOf => ({ body }) => Promise.resolve(body)),
});

/** One record of a request, as a request of its own. */
interface Part {
  /** Its place among the records of the request. */
  readonly index: number;
  readonly body: Uint8Array;
}

/** A part that the database will never take, and what it said. */
interface Poison extends Part {
  readonly error: unknown;
}

/** Delivers to a database. */
export class DatabaseSink implements Sink {
  readonly #sink: PostgresSink;
  readonly #rows: RowMaker;
  readonly #bodyOf: BodyOf;
  readonly #batch: Batch;
  readonly #streams: Streams;

  /**
   * @param options See {@linkcode DatabaseSinkOptions}.
   * @throws {RangeError} An option is unknown or out of range; the message names it and its value.
   */
  constructor(
    sink: PostgresSink,
    rows: RowMaker,
    options: DatabaseSinkOptions = {},
  ) {
    const { streams, bodyOf } = checked(options);
    this.#sink = sink;
    this.#rows = rows;
    this.#bodyOf = bodyOf;
    const length = sink.isEmbedded ? 1 : streams;
    const batches = Array.from({ length }, () => new Batch());
    this.#batch = batches[0]!;
    this.#streams = new Streams(sink, rows, bodyOf, batches);
  }

  /**
   * Where the database stands in this journal, undefined when it has never heard of it. Waits for a
   * transaction whose outcome is open.
   */
  async position(signal: AbortSignal): Promise<bigint | undefined> {
    // It may be another database by now, or an older copy: what it has is not known any more.
    this.#rows.forget();
    return await this.#sink.position(signal);
  }

  /** Whether the rows of the request at a position are there, so that its body need not be read. */
  knows(position: bigint): boolean {
    return this.#rows.knows(position);
  }

  /** @inheritdoc */
  async deliver(
    records: readonly JournalRecord[],
    signal: AbortSignal,
    bury: Bury,
    more?: More,
  ): Promise<Delivered> {
    let isFirst = true;
    let untold: Delivered | undefined;
    const next: More = async (stored) => {
      if (!isFirst && more !== undefined) return await more(stored);
      // There is nobody to be told before the end.
      untold = stored;
      const first = isFirst ? records : [];
      isFirst = false;
      return first;
    };
    const { settled: last, left, failure } = await this.#streams.store(next, signal);
    const settled = last ?? untold;
    const [refused, ...others] = left;
    if (refused === undefined) return settled ?? this.#nothing;
    // What can be helped is helped in one stream; then it goes on.
    const isRefused = speaksAgainstRecords(failure) || isReroute(failure);
    return await inTurn([
      ...settled === undefined ? [] : [() => Promise.resolve(settled)],
      () => isRefused ? this.#alone(refused, signal, bury) : Promise.reject(failure),
      ...others.map((slice) => () => this.deliver(slice, signal, bury)),
    ]);
  }

  /** There is nothing to say that was not said. */
  get #nothing(): Delivered {
    return { next: this.#sink.at, delivered: noCounts(), dead: [] };
  }

  /** Stores records in one stream. */
  async #alone(
    records: readonly JournalRecord[],
    signal: AbortSignal,
    bury: Bury,
  ): Promise<Delivered> {
    try {
      return { ...await this.#store(records, records.at(-1)!.next, signal), dead: [] };
    } catch (error) {
      if (!speaksAgainstRecords(error)) throw error;
      if (records.length === 1) return await this.#apart(records[0]!, signal, bury);
    }
    const half = records.length >> 1;
    return await inTurn([
      () => this.#alone(records.slice(0, half), signal, bury),
      () => this.#alone(records.slice(half), signal, bury),
    ]);
  }

  async #store(
    requests: readonly RequestOfJournal[],
    next: bigint,
    signal: AbortSignal,
  ): Promise<{ readonly next: bigint; readonly delivered: Counts }> {
    const batch = await this.#fill(requests, signal);
    const from = this.#sink.at;
    await rerouted(() => this.#sink.storeSlice(batch, { from, to: next, signal }));
    return { next, delivered: countsOf(batch) };
  }

  /** A request that the database does not take as a whole. */
  async #apart(record: JournalRecord, signal: AbortSignal, bury: Bury): Promise<Delivered> {
    const parts: Part[] = [];
    const whole = await this.#bodyOf(record);
    for (const [index, body] of splitRequest(record.signal, whole).entries()) {
      const part = { index, body };
      // Those that are invalid were rejected when the request came.
      const { count } = await this.#fill([requestOf(record, part)], signal);
      if (count === 1) parts.push(part);
    }
    const poisons: Poison[] = [];
    let good: readonly Part[] = parts;
    for (;;) {
      const found = await this.#poisons(record, good, signal);
      if (found.length === 0) break;
      poisons.push(...found);
      const refused = new Set(found.map(({ index }) => index));
      good = good.filter(({ index }) => !refused.has(index));
    }
    const dead = poisons.map((poison) => letterOf(record, poison));
    // Before the position moves past them: once it has, nothing brings them back.
    await bury(dead);
    const requests = good.map((part) => requestOf(record, part));
    return { ...await this.#store(requests, record.next, signal), dead };
  }

  /** Those parts that the database refuses, found by halves. */
  async #poisons(
    record: JournalRecord,
    parts: readonly Part[],
    signal: AbortSignal,
  ): Promise<Poison[]> {
    const error = await this.#refusal(record, parts, signal);
    if (error === undefined) return [];
    if (parts.length === 1) return [{ ...parts[0]!, error }];
    const half = parts.length >> 1;
    const found = [
      ...await this.#poisons(record, parts.slice(0, half), signal),
      ...await this.#poisons(record, parts.slice(half), signal),
    ];
    if (found.length > 0) return found;
    // Good by halves and bad together: the one gives way that cannot join those before it.
    let taken = half;
    let refused = parts.length;
    while (refused - taken > 1) {
      const middle = (taken + refused) >> 1;
      if (await this.#refusal(record, parts.slice(0, middle), signal) === undefined) taken = middle;
      else refused = middle;
    }
    return [{ ...parts[refused - 1]!, error }];
  }

  /** What the database has against these parts together, undefined when it takes them. */
  async #refusal(
    record: JournalRecord,
    parts: readonly Part[],
    signal: AbortSignal,
  ): Promise<unknown> {
    if (parts.length === 0) return undefined;
    try {
      const requests = parts.map((part) => requestOf(record, part));
      await this.#sink.probe(await this.#fill(requests, signal), signal);
      return undefined;
    } catch (error) {
      if (speaksAgainstRecords(error)) return error;
      throw error;
    }
  }

  async #fill(requests: readonly RequestOfJournal[], signal: AbortSignal): Promise<Batch> {
    return await fill(this.#batch, { rows: this.#rows, bodyOf: this.#bodyOf }, requests, signal);
  }
}

/** What became of all parts, or of those before the first that failed. At least one part. */
async function inTurn(parts: readonly (() => Promise<Delivered>)[]): Promise<Delivered> {
  let settled: Delivered | undefined;
  for (const part of parts) {
    try {
      const delivered = await part();
      settled = joined(settled, delivered);
    } catch (failure) {
      if (settled === undefined) throw failure;
      // Those before are settled, whatever becomes of this one.
      return { ...settled, failure };
    }
    if (settled.failure !== undefined) break;
  }
  return settled!;
}

function checked(options: DatabaseSinkOptions): z.output<typeof OPTIONS> {
  const parsed = OPTIONS.safeParse(options, { reportInput: true });
  if (parsed.success) return parsed.data;
  const { path: [option = "options"], message, input } = parsed.error.issues[0]!;
  throw new RangeError(`Cannot store with '${String(option)}': ${inspect(input)} (${message})`, {
    cause: parsed.error,
  });
}

/** A part as a request of its own, which has no place in the journal. */
function requestOf(
  { signal, arrivalUnixNano }: JournalRecord,
  { body }: Part,
): RequestOfJournal {
  return { signal, arrivalUnixNano, body };
}

function letterOf(record: JournalRecord, { index, body, error }: Poison): DeadLetter {
  const { position, signal, arrivalUnixNano } = record;
  const reason = error instanceof Error ? error.message : String(error);
  return { position, index, signal, count: 1, arrivalUnixNano, reason, body };
}
