/**
 * Turns OTLP requests into COPY tuples, straight from protobuf bytes to the bytes Postgres reads.
 *
 * Nothing is built for a record in between; that is what makes it several times as fast as decoding
 * alone. What is decoded: the walk over resources and scopes (here) and one file for each kind of
 * record. Each record is checked as it is written; an invalid one is taken back out of the rows and
 * counted, and the rest is kept. Bytes that are no OTLP at all take back the whole request.
 *
 * @module
 */

import { decodeRequest, encodeRequest } from "../otlp.ts";
import { OtlpDecodeError } from "../otlp_error.ts";
import { message } from "../otlp_fields.ts";
import { fromProtobuf } from "../otlp_protobuf.ts";
import type { Signal } from "../record.ts";
import type { Batch, SignalRows } from "./batch.ts";
import { Cursor, IrregularError, knownFields, MalformedError } from "./cursor.ts";
import type { Dimensions, ResourceDimension } from "./dimensions.ts";
import { Instant } from "./instant.ts";
import { Ranges } from "./ranges.ts";
import { type RecordTranscoder, reject, type Surroundings } from "./surroundings.ts";
import { LogTranscoder } from "./transcode_log.ts";
import { MetricTranscoder } from "./transcode_metric.ts";
import { SpanTranscoder } from "./transcode_span.ts";

/** What became of the records of a request. */
export interface Transcoded {
  /** Records that are now rows. */
  readonly accepted: number;
  /** Records the protocol calls invalid. */
  readonly rejected: number;
  /** Why, in words for the client; empty when nothing was rejected. */
  readonly message: string;
}

const TOO_DEEP = "an attribute of the resource or scope nests deeper than 128 levels";
const NAMES: Readonly<Record<Signal, string>> = {
  traces: "spans",
  logs: "log records",
  metrics: "data points",
};

/** Export…ServiceRequest, Resource… and Scope… messages number their fields alike in all signals. */
const REQUEST = knownFields(1);
const CONTAINER = knownFields(1, 2, 3);

/** Nothing is stored of those that no record belongs to, but they have to be well-formed. */
const RESOURCE = message("Resource");
const SCOPE = message("InstrumentationScope");

/**
 * Bytes that the rows of one request may take. Ordinary records take little more than they have as
 * protobuf; millions of empty ones take fifty times that, which no limit on the body would bound.
 */
const MAX_ROWS_BYTES = 256 << 20;

/** Stands where there is no resource or scope yet; no record is written under it. */
const NONE: ResourceDimension = {
  lo: 0,
  hi: 0,
  tooDeep: false,
  row: undefined,
  shape: 0,
  service: undefined,
};

/** Transcodes requests; one instance serves one writer at a time. */
export class Transcoder {
  readonly #dimensions: Dimensions;
  readonly #cursor = new Cursor();
  readonly #scopes = new Ranges();
  readonly #records = new Ranges();
  readonly #transcoders: Readonly<Record<Signal, RecordTranscoder>>;

  constructor(dimensions: Dimensions) {
    this.#dimensions = dimensions;
    this.#transcoders = {
      traces: new SpanTranscoder(this.#cursor, dimensions),
      logs: new LogTranscoder(this.#cursor, dimensions),
      metrics: new MetricTranscoder(this.#cursor, dimensions),
    };
  }

  /** Forgets what the database has of what records name: the next rows bring all of it along. */
  forget(): void {
    this.#dimensions.forget();
  }

  /**
   * Appends the records of a request to a batch.
   *
   * @param body An Export…ServiceRequest in protobuf.
   * @param arrivalUnixNano When it arrived, in nanoseconds since 1970.
   * @throws {OtlpDecodeError} The body is no such message; the batch is as it was.
   * @throws {OtlpTooLargeError} Its rows take more than 256 MiB; the batch is as it was.
   */
  transcode(signal: Signal, body: Uint8Array, arrivalUnixNano: bigint, batch: Batch): Transcoded {
    const rows = batch.of(signal);
    const mark = rows.mark();
    rows.json.ceiling = mark.at + MAX_ROWS_BYTES;
    const dimensionsMark = batch.dimensions.mark();
    try {
      this.#dimensions.begin(batch.dimensions);
      const transcoded = this.#request(signal, body, arrivalUnixNano, rows);
      if (transcoded.accepted === 0) batch.dimensions.rewind(dimensionsMark);
      return transcoded;
    } catch (error) {
      rows.rewind(mark);
      batch.dimensions.rewind(dimensionsMark);
      if (error instanceof IrregularError) {
        return this.transcode(
          signal,
          encodeRequest(signal, decodeRequest(signal, body)),
          arrivalUnixNano,
          batch,
        );
      }
      // The slow decoder says where; should it find nothing wrong, the two disagree, which is ours.
      if (error instanceof MalformedError || error instanceof OtlpDecodeError) {
        decodeRequest(signal, body);
      }
      throw error;
    }
  }

  #request(
    signal: Signal,
    body: Uint8Array,
    arrivalUnixNano: bigint,
    rows: SignalRows,
  ): Transcoded {
    const arrival = new Instant();
    arrival.setNanos(arrivalUnixNano);
    const surroundings: Surroundings = {
      resource: NONE,
      scope: NONE,
      arrival,
      accepted: 0,
      rejected: 0,
      reason: "",
    };
    const cursor = this.#cursor;
    cursor.reset(body);
    while (cursor.at < body.length) {
      const tag = cursor.next(body.length);
      if (tag === 0x0a) {
        const { to } = cursor;
        cursor.at = cursor.from;
        this.#resource(to, surroundings, signal, rows);
      } else {
        cursor.unknown(tag, REQUEST);
      }
    }
    const { accepted, rejected, reason } = surroundings;
    const why = rejected === 0
      ? ""
      : `${rejected} of ${accepted + rejected} ${
        NAMES[signal]
      } rejected, the first one because ${reason}`;
    return { accepted, rejected, message: why };
  }

  /** ResourceSpans, ResourceLogs or ResourceMetrics: the resource may come after what it describes. */
  #resource(end: number, surroundings: Surroundings, signal: Signal, rows: SignalRows): void {
    const cursor = this.#cursor;
    const scopes = this.#scopes;
    const own = this.#container(end, scopes);
    if (scopes.count === 0) {
      fromProtobuf(RESOURCE, cursor.bytes.subarray(own.from, own.to));
      cursor.at = end;
      return;
    }
    surroundings.resource = this.#dimensions.resource(
      cursor.bytes,
      own.from,
      own.to,
      own.urlFrom,
      own.urlTo,
    );
    for (let n = 0; n < scopes.count; n++) {
      cursor.at = scopes.offsets[n * 2]!;
      this.#scope(scopes.offsets[n * 2 + 1]!, surroundings, signal, rows);
    }
    cursor.at = end;
  }

  /** ScopeSpans, ScopeLogs or ScopeMetrics. */
  #scope(end: number, surroundings: Surroundings, signal: Signal, rows: SignalRows): void {
    const cursor = this.#cursor;
    const records = this.#records;
    const own = this.#container(end, records);
    if (records.count === 0) {
      fromProtobuf(SCOPE, cursor.bytes.subarray(own.from, own.to));
      return;
    }
    surroundings.scope = this.#dimensions.scope(
      cursor.bytes,
      own.from,
      own.to,
      own.urlFrom,
      own.urlTo,
    );
    const tooDeep = surroundings.resource.tooDeep || surroundings.scope.tooDeep;
    const transcoder = this.#transcoders[signal];
    for (let n = 0; n < records.count; n++) {
      cursor.at = records.offsets[n * 2]!;
      const stop = records.offsets[n * 2 + 1]!;
      const { accepted } = surroundings;
      const mark = tooDeep ? rows.mark() : undefined;
      transcoder.record(stop, surroundings, rows);
      if (mark !== undefined) {
        const taken = surroundings.accepted - accepted;
        surroundings.accepted = accepted;
        rows.rewind(mark);
        reject(surroundings, taken, TOO_DEEP);
      }
    }
  }

  /** Finds field 1 (resource or scope), 2 (what is in it, into `children`) and 3 (schema url). */
  #container(
    end: number,
    children: Ranges,
  ): { from: number; to: number; urlFrom: number; urlTo: number } {
    const cursor = this.#cursor;
    const own = { from: 0, to: 0, urlFrom: 0, urlTo: 0 };
    let seen = false;
    children.clear();
    while (cursor.at < end) {
      const tag = cursor.next(end);
      if (tag === 0x12) {
        children.push(cursor.from, cursor.to);
      } else if (tag === 0x0a) {
        if (seen) throw new IrregularError("a resource or scope twice");
        seen = true;
        own.from = cursor.from;
        own.to = cursor.to;
      } else if (tag === 0x1a) {
        own.urlFrom = cursor.from;
        own.urlTo = cursor.to;
      } else {
        cursor.unknown(tag, CONTAINER);
      }
    }
    return own;
  }
}
