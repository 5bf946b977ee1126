/**
 * The bare OTLP sink: records of the journal as OTLP/HTTP requests to one destination.
 *
 * Of the records of one batch, those of one signal are joined to requests of up to 4 MiB: protobuf
 * messages joined by concatenation are one message. So each signal arrives in the order of the
 * journal, and a batch in which the signals alternate takes three requests and not one a record.
 *
 * A joined request that is refused is halved until the body that is refused stands alone; that one is
 * a dead letter, the others go through. A body is never split: what arrived as one request leaves as
 * one, and the destination's partial success is final.
 *
 * What was settled behind a record that is not is remembered, so that trying again sends nothing
 * twice as long as the process lives. After a crash the records since the cursor are sent again.
 *
 * @module
 */

import { type Answer, Destination, type DestinationOptions } from "./forward_request.ts";
import type { JournalRecord } from "./journal.ts";
import type { Signal } from "./record.ts";
import { type Counts, type DeadLetter, type Delivered, noCounts, type Sink } from "./sink.ts";

export { type Answer, type DestinationOptions, ForwardError } from "./forward_request.ts";

/** Something worth a line in a log. It may come with each request: who logs limits the rate. */
export type ForwardEvent =
  /** The destination took a request, but not all records of it. */
  | {
    readonly kind: "rejected";
    readonly signal: Signal;
    /** How many it rejected. */
    readonly count: number;
    readonly message: string;
  }
  /** It took a request and had something to say, or its answer was not what it should be. */
  | { readonly kind: "note"; readonly signal: Signal; readonly message: string };

/** Options of {@linkcode ForwardSink}. */
export interface ForwardOptions extends DestinationOptions {
  /** Bytes up to which bodies are joined. A larger body travels alone. Default 4 MiB. */
  readonly maxJoinedBytes?: number;
  /** Told of what is worth a line in a log. Default: nobody is. */
  readonly onEvent?: (event: ForwardEvent) => void;
}

/** Numbers about a sink since it began. */
export interface ForwardStats {
  /** Requests that were answered for: taken or refused. */
  readonly requests: number;
  /** Records that the destination took no part of in requests it took; among the delivered. */
  readonly rejected: Counts;
  /** Answers of 2xx that were no OTLP, were cut, or said something. */
  readonly notes: number;
}

const MAX_JOINED_BYTES = 4 * 1024 * 1024;

/** What became of a record: delivered, or dead for a reason. */
type Settled = { readonly kind: "delivered" } | { readonly kind: "dead"; readonly reason: string };

/**
 * Forwards to one destination. See the module for what is joined, split and sent again.
 *
 * @example Made from a base URL
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const sink = new ForwardSink({
 *   url: "https://otlp.example.org",
 *   headers: { authorization: "Bearer of news" },
 *   gzip: true,
 * });
 * assert.equal(sink.name, "https://otlp.example.org");
 * assert.equal(sink.stats.requests, 0);
 * ```
 */
export class ForwardSink implements Sink {
  readonly #destination: Destination;
  readonly #maxJoinedBytes: number;
  readonly #onEvent: (event: ForwardEvent) => void;
  /** By position: what was settled and not yet said. At most the records of one batch. */
  readonly #settled = new Map<bigint, Settled>();
  #requests = 0;
  readonly #rejected = noCounts();
  #notes = 0;

  /**
   * Checks the options; nothing is sent yet.
   *
   * @throws {RangeError} An option is unknown or wrong; the message names it, but no header's value.
   */
  constructor(options: ForwardOptions) {
    const { maxJoinedBytes = MAX_JOINED_BYTES, onEvent = () => {}, ...destination } = options;
    if (!Number.isSafeInteger(maxJoinedBytes) || maxJoinedBytes < 0) {
      throw new RangeError(
        `Cannot forward with 'maxJoinedBytes': expected a whole number from 0, got ${maxJoinedBytes}`,
      );
    }
    this.#destination = new Destination(destination);
    this.#maxJoinedBytes = maxJoinedBytes;
    this.#onEvent = onEvent;
  }

  /** The URL it sends to, without query. */
  get name(): string {
    return this.#destination.name;
  }

  /** Counters. */
  get stats(): ForwardStats {
    return { requests: this.#requests, rejected: { ...this.#rejected }, notes: this.#notes };
  }

  /**
   * Sends records. Resolves with the failure when some were settled before it, else rejects with it.
   *
   * @throws {ForwardError} The destination cannot be reached, is busy or not set up.
   * @throws The signal's reason when it aborted.
   */
  async deliver(records: readonly JournalRecord[], signal: AbortSignal): Promise<Delivered> {
    const from = records[0]!.position;
    for (const position of this.#settled.keys()) {
      if (position < from) this.#settled.delete(position);
    }
    const left = records.filter(({ position }) => !this.#settled.has(position));
    let failure: unknown;
    try {
      for (const run of joinable(left, this.#maxJoinedBytes)) await this.#send(run, signal);
    } catch (error) {
      failure = error ?? new Error("Cannot forward: it was given up");
    }
    const report = this.#report(records);
    if (failure === undefined) return report;
    if (report.next === from) throw failure;
    return { ...report, failure };
  }

  /**
   * Sends one body by itself, in no order with the others: a dead letter that is tried again.
   *
   * @throws {ForwardError} The destination cannot be reached, is busy or not set up.
   * @throws The reason of `abort`.
   */
  async send(signal: Signal, body: Uint8Array, abort: AbortSignal): Promise<Answer> {
    const answer = await this.#destination.post(signal, body, abort);
    this.#requests++;
    return answer;
  }

  /** Sends records of one signal as one request; in halves if it is refused. */
  async #send(run: readonly JournalRecord[], abort: AbortSignal): Promise<void> {
    const { signal } = run[0]!;
    const answer = await this.#destination.post(signal, joined(run), abort);
    this.#requests++;
    if (answer.kind === "taken") {
      for (const { position } of run) this.#settled.set(position, { kind: "delivered" });
      return this.#note(run, answer.rejected, answer.note);
    }
    if (run.length === 1) {
      this.#settled.set(run[0]!.position, { kind: "dead", reason: answer.reason });
      return;
    }
    const middle = run.length >> 1;
    await this.#send(run.slice(0, middle), abort);
    await this.#send(run.slice(middle), abort);
  }

  #note(run: readonly JournalRecord[], rejected: number, message: string): void {
    const { signal } = run[0]!;
    // No more than were sent, whatever the answer says.
    const count = Math.min(rejected, run.reduce((sum, record) => sum + record.count, 0));
    if (count > 0) {
      this.#rejected[signal] += count;
      this.#onEvent({ kind: "rejected", signal, count, message });
    } else if (message !== "") {
      this.#notes++;
      this.#onEvent({ kind: "note", signal, message });
    }
  }

  /** What became of the first records, up to one that is not settled. */
  #report(records: readonly JournalRecord[]): Delivered {
    const delivered = noCounts();
    const dead: DeadLetter[] = [];
    let next = records[0]!.position;
    for (const record of records) {
      const settled = this.#settled.get(record.position);
      if (settled === undefined) break;
      this.#settled.delete(record.position);
      if (settled.kind === "dead") dead.push(letter(record, settled.reason));
      else delivered[record.signal] += record.count;
      next = record.next;
    }
    return { next, delivered, dead };
  }
}

function letter(record: JournalRecord, reason: string): DeadLetter {
  const { position, signal, count, arrivalUnixNano, body } = record;
  return { position, index: 0, signal, count, arrivalUnixNano, reason, body };
}

/** Records of one signal that travel together, in the order of the first of each. */
function joinable(records: readonly JournalRecord[], maxBytes: number): JournalRecord[][] {
  const runs: JournalRecord[][] = [];
  const open = new Map<Signal, { readonly run: JournalRecord[]; bytes: number }>();
  for (const record of records) {
    const last = open.get(record.signal);
    if (last !== undefined && last.bytes + record.body.length <= maxBytes) {
      last.run.push(record);
      last.bytes += record.body.length;
    } else {
      const run = [record];
      runs.push(run);
      open.set(record.signal, { run, bytes: record.body.length });
    }
  }
  return runs;
}

function joined(run: readonly JournalRecord[]): Uint8Array {
  if (run.length === 1) return run[0]!.body;
  const all = new Uint8Array(run.reduce((sum, { body }) => sum + body.length, 0));
  let at = 0;
  for (const { body } of run) {
    all.set(body, at);
    at += body.length;
  }
  return all;
}
