/**
 * The sink of a journal that is a Postgres: what {@linkcode PostgresSink} stores, told apart.
 *
 * A batch that the database refuses for what is in it is halved until a request stands alone, and that
 * one is taken apart into its records. Which of them it is that the database refuses is found in
 * transactions that are rolled back; then one transaction stores the others and moves the position, and
 * those become dead letters.
 *
 * @module
 */

import type { JournalRecord } from "../journal.ts";
import { splitRequest } from "../otlp_split.ts";
import type { Signal } from "../record.ts";
import { type Bury, type DeadLetter, type Delivered, noCounts, type Sink } from "../sink.ts";
import { Batch } from "./batch.ts";
import { type PostgresSink, speaksAgainstRecords } from "./sink.ts";
import type { Transcoder } from "./transcode.ts";

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
  readonly #transcoder: Transcoder;
  readonly #batch = new Batch();

  constructor(sink: PostgresSink, transcoder: Transcoder) {
    this.#sink = sink;
    this.#transcoder = transcoder;
  }

  /** Where the database stands in this journal, undefined when it has never heard of it. */
  async position(signal: AbortSignal): Promise<bigint | undefined> {
    return await this.#sink.position(signal);
  }

  /** @inheritdoc */
  async deliver(
    records: readonly JournalRecord[],
    signal: AbortSignal,
    bury: Bury,
  ): Promise<Delivered> {
    const { next } = records.at(-1)!;
    try {
      const batch = this.#fill(records);
      await this.#sink.store(batch, next, signal);
      return { next, delivered: countsOf(batch), dead: [] };
    } catch (error) {
      if (!speaksAgainstRecords(error)) throw error;
      if (records.length === 1) return await this.#apart(records[0]!, signal, bury);
    }
    const half = records.length >> 1;
    const first = await this.deliver(records.slice(0, half), signal, bury);
    if (first.failure !== undefined) return first;
    try {
      return joined(first, await this.deliver(records.slice(half), signal, bury));
    } catch (failure) {
      // The first half is settled, whatever becomes of the second.
      return { ...first, failure };
    }
  }

  /** A request that the database does not take as a whole. */
  async #apart(record: JournalRecord, signal: AbortSignal, bury: Bury): Promise<Delivered> {
    const parts = splitRequest(record.signal, record.body)
      .map((body, index) => ({ index, body }))
      .filter(({ body }) => this.#accepts(record, body));
    const poisons: Poison[] = [];
    let good = parts;
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
    const batch = this.#fill(good.map(({ body }) => ({ ...record, body })));
    await this.#sink.store(batch, record.next, signal);
    return { next: record.next, delivered: countsOf(batch), dead };
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
      await this.#sink.probe(this.#fill(parts.map(({ body }) => ({ ...record, body }))), signal);
      return undefined;
    } catch (error) {
      if (speaksAgainstRecords(error)) return error;
      throw error;
    }
  }

  /** Whether a part is a valid record: those that are not were rejected when the request came. */
  #accepts(record: JournalRecord, body: Uint8Array): boolean {
    return this.#fill([{ ...record, body }]).count === 1;
  }

  #fill(
    records: readonly Pick<JournalRecord, "signal" | "body" | "arrivalUnixNano">[],
  ): Batch {
    const batch = this.#batch;
    batch.clear();
    for (const { signal, body, arrivalUnixNano } of records) {
      this.#transcoder.transcode(signal, body, arrivalUnixNano, batch);
    }
    return batch;
  }
}

function countsOf(batch: Batch): Record<Signal, number> {
  const { traces, logs, metrics } = batch;
  return { traces: traces.count, logs: logs.count, metrics: metrics.count };
}

function joined(first: Delivered, second: Delivered): Delivered {
  const delivered = noCounts();
  for (const part of [first, second]) {
    for (const signal of Object.keys(delivered) as Signal[]) {
      delivered[signal] += part.delivered[signal];
    }
  }
  return { ...second, delivered, dead: [...first.dead, ...second.dead] };
}

function letterOf(record: JournalRecord, { index, body, error }: Poison): DeadLetter {
  const { position, signal, arrivalUnixNano } = record;
  const reason = error instanceof Error ? error.message : String(error);
  return { position, index, signal, count: 1, arrivalUnixNano, reason, body };
}
