/**
 * The sender, a process of its own: reads runs as lines of JSON, does them one after the other, and
 * answers each with a line. It ends when its input ends.
 *
 * In a closed loop each connection sends its next request when the last one is answered. In an open
 * loop requests are due at a fixed rate, and how long one took counts from when it was due, so that a
 * server that stalls does not slow down its own examination.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import process from "node:process";
import { createInterface } from "node:readline";
import { gzipSync } from "node:zlib";
import type { Signal } from "../src/record.ts";
import { HttpConnection } from "./http_connection.ts";
import { RECORD_NANOS, seeded, type Shape } from "./telemetry.ts";
import { varyingBodies, type VaryingBody } from "./varying_body.ts";

/** What is sent. */
export interface Form {
  readonly signal: Signal;
  readonly encoding: "protobuf" | "json";
  readonly compression: "identity" | "gzip";
  /** Records of a request. */
  readonly batch: number;
  readonly shape: Shape;
  /** When the records happened, in nanoseconds since 1970 as text. */
  readonly startUnixNano: string;
  /** Of how many days before that every tenth request is. @default {0} none is late */
  readonly lateDays?: number;
}

/** One run. */
export interface LoadRun {
  readonly url: string;
  readonly form: Form;
  readonly requests: number;
  readonly connections: number;
  /** In an open loop; absent in a closed one. */
  readonly requestsPerSecond?: number;
}

/** What became of a run. */
export interface LoadReport {
  readonly records: number;
  /** Bytes of bodies. */
  readonly bytes: number;
  /** From the first request to the last answer. */
  readonly seconds: number;
  /** Requests that were answered with 429 or 503, and sent again later. */
  readonly refused: number;
  /** Of acknowledgements, in milliseconds. */
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number };
}

/** What the process is told and tells, line by line. */
export interface LoadCommand {
  /** Encode what can be before the clock runs; or send what was prepared. */
  readonly kind: "prepare" | "send";
  readonly run: LoadRun;
}

/** Records of the bodies that are made; they are sent again and again with other values. */
const DISTINCT_RECORDS = 16_384;
const MAX_BODIES = 2_048;
const LATE_EVERY = 10;
const DAY_NANOS = 86_400e9;
/** A refused request is sent again after so long, unless the answer says otherwise. */
const REFUSED_MS = 100;

/** What is sent in one request. */
interface Message {
  readonly length: number;
  write(target: Uint8Array, offset: number): void;
}

/** Bodies of one form. */
interface Prepared {
  readonly bodies: readonly VaryingBody[];
  /** How much later than the bodies say the next request happened. */
  laterNanos(): number;
}

/** Two ways of sending are compared in turn, so the bodies of two forms are kept. */
const MAX_PREPARED = 2;

/** The messages of the run that was prepared last. */
class Messages {
  readonly #prepared = new Map<string, Prepared>();
  #current: Prepared | undefined;
  #compressed: Uint8Array[] = [];
  readonly #random = seeded(Date.now());

  /** Encodes what can be before the clock runs. */
  prepare({ form, requests }: LoadRun): void {
    const { compression, ...options } = form;
    const key = JSON.stringify(options);
    const prepared = this.#prepared.get(key) ?? prepare(form, requests);
    this.#current = prepared;
    this.#prepared.delete(key);
    this.#prepared.set(key, prepared);
    const [oldest] = this.#prepared.keys();
    if (this.#prepared.size > MAX_PREPARED) this.#prepared.delete(oldest!);

    this.#compressed = [];
    if (compression === "identity") return;
    // What is compressed cannot be varied any more, so all of it is made before.
    for (let n = 0; n < requests; n++) {
      const { length, write } = this.of(n);
      const plain = new Uint8Array(length);
      write(plain, 0);
      this.#compressed.push(gzipSync(plain));
    }
  }

  /** The message of a request. */
  of(request: number): Message {
    const bytes = this.#compressed[request];
    if (bytes !== undefined) {
      return { length: bytes.length, write: (target, offset) => target.set(bytes, offset) };
    }
    const { bodies, laterNanos } = this.#current!;
    const body = bodies[request % bodies.length]!;
    const later = laterNanos();
    return {
      length: body.bytes.length,
      write: (target, offset) => body.write(this.#random, later, target, offset),
    };
  }
}

/** How much later than the earliest one the request of that number is. */
export function laterNanos(
  request: number,
  { batch, shape, lateDays = 0 }: Pick<Form, "batch" | "shape" | "lateDays">,
): number {
  // Each service goes on in time where its last request ended.
  const progress = Math.floor(request / shape.services) * batch * RECORD_NANOS;
  const isLate = lateDays > 0 && request % LATE_EVERY === 0;
  const day = isLate ? request / LATE_EVERY % lateDays : lateDays;
  return progress + day * DAY_NANOS;
}

function prepare(form: Form, requests: number): Prepared {
  const { signal, encoding, batch: records, shape, startUnixNano, lateDays = 0 } = form;
  const bodies = Math.max(Math.ceil(DISTINCT_RECORDS / records), 4 * shape.services);
  let sent = 0;
  return {
    bodies: varyingBodies({
      signal,
      encoding,
      bodies: Math.min(bodies, MAX_BODIES, requests),
      records,
      shape,
      // The earliest that is sent: bodies are only ever made later.
      startUnixNano: BigInt(startUnixNano) - BigInt(lateDays * DAY_NANOS),
    }),
    laterNanos: () => laterNanos(sent++, form),
  };
}

/** Sends what was prepared. */
async function send(messages: Messages, run: LoadRun): Promise<LoadReport> {
  const { url, form, requests, connections, requestsPerSecond } = run;
  const path = `/v1/${form.signal}`;
  const headers = {
    "content-type": form.encoding === "json" ? "application/json" : "application/x-protobuf",
    ...form.compression === "gzip" && { "content-encoding": "gzip" },
  };
  const latencies = new Float64Array(requests);
  let [next, bytes, refused] = [0, 0, 0];
  const started = performance.now();

  const client = async () => {
    using connection = await HttpConnection.open(url);
    for (let request; (request = next++) < requests;) {
      const message = messages.of(request);
      let due = performance.now();
      if (requestsPerSecond !== undefined) {
        due = started + request * 1000 / requestsPerSecond;
        const waitMs = due - performance.now();
        if (waitMs > 0) await delay(waitMs);
      }
      for (;;) {
        const { status, retryAfterMs, body } = await connection.post(
          path,
          headers,
          message.length,
          (target, offset) => message.write(target, offset),
        );
        if (status === 200 && (body === "" || body === "{}")) break;
        if (status !== 429 && status !== 503) {
          throw new Error(`Cannot go on: the collector answered ${status}: ${body}`);
        }
        refused++;
        await delay(retryAfterMs ?? REFUSED_MS);
      }
      latencies[request] = performance.now() - due;
      bytes += message.length;
    }
  };
  await Promise.all(Array.from({ length: Math.min(connections, requests) }, client));

  const seconds = (performance.now() - started) / 1000;
  latencies.sort();
  const at = (share: number) => latencies[Math.ceil(share * requests) - 1]!;
  return {
    records: requests * form.batch,
    bytes,
    seconds,
    refused,
    latencyMs: { p50: at(0.5), p99: at(0.99), max: at(1) },
  };
}

if (import.meta.main) {
  const messages = new Messages();
  for await (const line of createInterface({ input: process.stdin })) {
    const { kind, run } = JSON.parse(line) as LoadCommand;
    if (kind === "prepare") messages.prepare(run);
    const report = kind === "send" ? await send(messages, run) : null;
    console.log(JSON.stringify(report));
  }
}
