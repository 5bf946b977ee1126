/**
 * Rows on their way to the database: one buffer of COPY tuples for each signal.
 *
 * @module
 */

import type { Signal } from "../record.ts";
import { LOGS, METRIC_POINTS, SPANS } from "./columns.ts";
import type { CopyTable } from "./database.ts";
import { type DimensionRow, DimensionRows } from "./dimension_rows.ts";
import { type GranulePart, Granules, writeParts } from "./granules.ts";
import { JsonBuffer } from "./json_text.ts";

const HOUR_MICROS = 3_600_000_000;

/** Memory that the rows of a signal keep for the next batch; one odd request may take far more. */
const KEPT_BYTES = 32 << 20;

/** How far the rows of a signal have come, to go back to. */
export interface RowsMark {
  readonly at: number;
  readonly count: number;
  readonly replaced: number;
  readonly hours: number;
}

/** The rows of one request, taken out of a batch to be put into another one. */
export interface RequestRows {
  readonly signal: Signal;
  /** Its tuples. */
  readonly bytes: Uint8Array;
  /** Gives back their memory. */
  readonly release: () => void;
  readonly count: number;
  readonly replaced: number;
  /** Hours since 1970. */
  readonly hours: readonly number[];
  /** What they can be found by. */
  readonly parts: readonly GranulePart[];
  /** What they name and the database did not have yet. */
  readonly dimensions: readonly DimensionRow[];
}

/**
 * The rows of one signal.
 *
 * It has a buffer rather than being one: as long as all buffers are of one class, the engine makes
 * the writing of them half as fast again.
 */
export class SignalRows {
  readonly signal: Signal;
  readonly table: CopyTable;
  /** Where the tuples are written. */
  readonly json = new JsonBuffer();
  /** How many rows there are. */
  count = 0;
  /** The hours since 1970 that they fall into, so that their partitions can be made. */
  readonly hours = new Set<number>();
  /** What gathers what spans and log records can be found by. */
  readonly granules = new Granules();
  readonly #parts: GranulePart[] = [];
  /** Rows that were made before, where they are. */
  readonly #prepared: RequestRows[] = [];
  readonly #hoursInOrder: number[] = [];
  #lastHour = NaN;

  constructor(signal: Signal, table: CopyTable) {
    this.signal = signal;
    this.table = table;
  }

  /** The tuples that were written here, up to {@linkcode at}. */
  get bytes(): Uint8Array {
    return this.json.bytes;
  }

  /** How many bytes those take. */
  get at(): number {
    return this.json.at;
  }

  /** All tuples: those that were made before, and those that were written here. */
  get chunks(): readonly Uint8Array[] {
    const prepared = this.#prepared.map(({ bytes }) => bytes);
    return this.at === 0 ? prepared : [...prepared, this.bytes.subarray(0, this.at)];
  }

  /** Texts in which NUL or invalid UTF-8 became U+FFFD. */
  get replaced(): number {
    return this.json.replaced;
  }

  /** Counts a finished row at that time. */
  finish(micros: number): void {
    this.count++;
    const hour = Math.floor(micros / HOUR_MICROS);
    if (hour !== this.#lastHour) {
      this.#lastHour = hour;
      this.#addHour(hour);
    }
  }

  #addHour(hour: number): void {
    if (this.hours.has(hour)) return;
    this.hours.add(hour);
    this.#hoursInOrder.push(hour);
  }

  /** What the rows can be found by. */
  get parts(): readonly GranulePart[] {
    for (const part of this.granules.take()) this.#parts.push(part);
    return this.#parts;
  }

  /** Adds rows that were made before, which stay where they are until this is cleared. */
  append(rows: RequestRows): void {
    const { count, replaced, hours, parts } = rows;
    this.#prepared.push(rows);
    this.json.replaced += replaced;
    this.count += count;
    for (const hour of hours) this.#addHour(hour);
    for (const part of parts) this.#parts.push(part);
  }

  /** Where the rows stand. */
  mark(): RowsMark {
    return { at: this.at, count: this.count, replaced: this.replaced, hours: this.hours.size };
  }

  /** Takes back what was written since. */
  rewind({ at, count, replaced, hours }: RowsMark): void {
    this.json.at = at;
    this.json.replaced = replaced;
    this.count = count;
    while (this.#hoursInOrder.length > hours) this.hours.delete(this.#hoursInOrder.pop()!);
    this.#lastHour = NaN;
  }

  /** Forgets the rows and keeps the memory, up to 32 MiB. */
  clear(): void {
    this.rewind({ at: 0, count: 0, replaced: 0, hours: 0 });
    this.json.clear(KEPT_BYTES);
    for (const { release } of this.#prepared) release();
    this.#prepared.length = 0;
    this.granules.take();
    this.#parts.length = 0;
  }
}

/** The rows of all three signals, and what they name. */
export class Batch {
  readonly traces = new SignalRows("traces", SPANS);
  readonly logs = new SignalRows("logs", LOGS);
  readonly metrics = new SignalRows("metrics", METRIC_POINTS);
  /** What has to be in the database before them. */
  readonly dimensions = new DimensionRows();
  readonly #terms = new JsonBuffer(1024);

  /** The rows of one signal. */
  of(signal: Signal): SignalRows {
    return this[signal];
  }

  /**
   * A copy of all that is in it, which has to be the rows of one request.
   *
   * @param into Memory for the tuples, long enough.
   * @param release Gives it back.
   */
  copied(signal: Signal, into: Uint8Array, release: () => void): RequestRows {
    const { bytes, at, count, replaced, hours, parts } = this.of(signal);
    into.set(bytes.subarray(0, at));
    return {
      signal,
      bytes: into.subarray(0, at),
      release,
      count,
      replaced,
      hours: [...hours],
      parts: [...parts],
      dimensions: this.dimensions.all,
    };
  }

  /** Adds the rows of a request that were made before. */
  put(rows: RequestRows): void {
    this.of(rows.signal).append(rows);
    for (const row of rows.dimensions) this.dimensions.add(row);
  }

  /** All three. */
  get signals(): readonly SignalRows[] {
    return [this.traces, this.logs, this.metrics];
  }

  /** Rows of `otel_data.granule_terms`: what the rows of all signals can be found by. */
  terms(): Uint8Array {
    const buffer = this.#terms;
    buffer.clear(KEPT_BYTES);
    for (const { signal, parts } of this.signals) writeParts(buffer, signal, parts);
    return buffer.bytes.subarray(0, buffer.at);
  }

  /** How many rows there are. */
  get count(): number {
    return this.traces.count + this.logs.count + this.metrics.count;
  }

  /** Texts in them, and in what they name, in which NUL or invalid UTF-8 became U+FFFD. */
  get replaced(): number {
    return this.traces.replaced + this.logs.replaced + this.metrics.replaced +
      this.dimensions.replaced;
  }

  /** Forgets the rows and keeps the memory, up to 32 MiB a signal. */
  clear(): void {
    for (const rows of this.signals) rows.clear();
    this.dimensions.clear();
  }

  /** How many bytes they take, with what they name. */
  get bytes(): number {
    const chunks = this.signals.flatMap((rows) => rows.chunks);
    return chunks.reduce((sum, { length }) => sum + length, this.dimensions.bytes);
  }
}
