/**
 * What the crash harness sends: requests of all three signals, in the forms that clients send, whose
 * records are numbered without a gap.
 *
 * @module
 */

import { gzipSync } from "node:zlib";
import { jsonToProtobuf } from "../src/otlp.ts";
import type { Signal } from "../src/record.ts";
import { oracleDecode } from "./oracle.ts";
import { spanId } from "./requests.ts";

/** The signals, in the order of their turns. */
export const SIGNALS: readonly Signal[] = ["traces", "logs", "metrics"];

/** Each record says by an attribute `lane` what its number leaves here: a mix-up shows. */
export const LANES = 16;

/** A request whose records are numbered from `first` on. */
export interface NumberedRequest {
  readonly signal: Signal;
  readonly first: number;
  readonly count: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** Makes requests of one to `maxRecords` records, small ones more often than large ones. */
export class RequestMaker {
  readonly #random: () => number;
  readonly #maxRecords: number;
  readonly #next = { traces: 1, logs: 1, metrics: 1 };
  #turn = 0;

  constructor(random: () => number, maxRecords: number) {
    this.#random = random;
    this.#maxRecords = maxRecords;
  }

  /** The next one. */
  next(): NumberedRequest {
    const signal = SIGNALS[this.#turn++ % SIGNALS.length]!;
    const count = Math.ceil(this.#maxRecords ** this.#random());
    const first = this.#next[signal];
    this.#next[signal] += count;
    return { signal, first, count, ...this.#encode(signal, requestText(signal, first, count)) };
  }

  /** As protobuf, the same compressed, or JSON. */
  #encode(signal: Signal, text: string): Pick<NumberedRequest, "headers" | "body"> {
    const form = this.#random();
    if (form < 0.25) {
      return {
        headers: { "content-type": "application/json" },
        body: new TextEncoder().encode(text),
      };
    }
    const plain = new Uint8Array(jsonToProtobuf(signal, text));
    const headers = { "content-type": "application/x-protobuf" };
    if (form < 0.75) return { headers, body: plain };
    return {
      headers: { ...headers, "content-encoding": "gzip" },
      body: new Uint8Array(gzipSync(plain)),
    };
  }
}

/** The numbers of the records of a request in protobuf, as the oracle reads it. */
export function numbersOf(signal: Signal, body: Uint8Array): number[] {
  switch (signal) {
    case "traces":
      return oracleDecode(signal, body).resourceSpans
        .flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
        .map((span) => Number(`0x${span.spanId}`));
    case "logs":
      return oracleDecode(signal, body).resourceLogs
        .flatMap(({ scopeLogs }) => scopeLogs.flatMap(({ logRecords }) => logRecords))
        .map(({ body }) => Number(body?.intValue));
    case "metrics":
      return oracleDecode(signal, body).resourceMetrics
        .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
        .flatMap(({ gauge }) => gauge?.dataPoints ?? [])
        .map(({ asInt }) => Number(asInt));
  }
}

function requestText(signal: Signal, first: number, count: number): string {
  const resource = {
    attributes: [{ key: "service.name", value: { stringValue: `service ${first % 5}` } }],
  };
  const time = String(BigInt(Date.now()) * 1_000_000n);
  const numbers = Array.from({ length: count }, (_, index) => first + index);
  switch (signal) {
    case "traces":
      return JSON.stringify({
        resourceSpans: [{
          resource,
          scopeSpans: [{
            scope: { name: "crash" },
            spans: numbers.map((number) => ({
              traceId: String(first).padStart(32, "0"),
              spanId: spanId(number),
              name: `operation ${number % 7}`,
              kind: 2,
              startTimeUnixNano: time,
              endTimeUnixNano: time,
              attributes: laneOf(number),
            })),
          }],
        }],
      });
    case "logs":
      return JSON.stringify({
        resourceLogs: [{
          resource,
          scopeLogs: [{
            logRecords: numbers.map((number) => ({
              timeUnixNano: time,
              severityNumber: 9,
              body: { intValue: String(number) },
              attributes: laneOf(number),
            })),
          }],
        }],
      });
    case "metrics":
      return JSON.stringify({
        resourceMetrics: [{
          resource,
          scopeMetrics: [{
            metrics: [{
              name: "numbers",
              gauge: {
                dataPoints: numbers.map((number) => ({
                  timeUnixNano: time,
                  asInt: String(number),
                  attributes: laneOf(number),
                })),
              },
            }],
          }],
        }],
      });
  }
}

function laneOf(number: number): unknown {
  return [{ key: "lane", value: { intValue: String(number % LANES) } }];
}
