/**
 * Telemetry in the shape that services send it, made from a seed: 11 attributes a span of which 7 take
 * few values and 4 many, an event on every fifth, 20 operations, ten spans a trace that arrive among
 * those of others, one resource a request.
 */

import { encodeRequest } from "../src/otlp.ts";
import type {
  ExportTraceServiceRequest,
  InstrumentationScope,
  KeyValue,
  Resource,
  Span,
} from "../src/record.ts";

/** A generator of numbers from 0 to 1 (mulberry32). */
export function seeded(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** What telemetry is made of. */
export interface Shape {
  /** Services, each on four hosts. */
  readonly services: number;
  /** Whether every text of an attribute is a new one, where otherwise most repeat. */
  readonly distinct: boolean;
}

/** What services usually send. */
export const TYPICAL: Shape = { services: 10, distinct: false };

/** Where values come from. */
export class Mint {
  readonly random: () => number;
  readonly shape: Shape;

  constructor(random: () => number, shape: Shape = TYPICAL) {
    this.random = random;
    this.shape = shape;
  }

  /** A whole number below a bound. */
  below(bound: number): number {
    return this.random() * bound | 0;
  }

  /** One of these. */
  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  /** Hex digits that no other value has. */
  fresh(digits: number): string {
    return Array.from({ length: digits }, () => this.below(16).toString(16)).join("");
  }

  /** A double that hardly another value has, near the given one. */
  freshDouble(near: number): number {
    return near * (1 + this.random() / 16);
  }

  /** A whole number of which hardly another is the same. */
  freshInt(): bigint {
    return BigInt(this.below(1e9));
  }

  /** A time. */
  time(unixNano: bigint): bigint {
    return unixNano;
  }

  /** An attribute whose values repeat. */
  text(key: string, value: string): KeyValue {
    const stringValue = this.shape.distinct ? `${value}-${this.fresh(8)}` : value;
    return { key, value: { stringValue } };
  }

  /** An attribute that is new at each record. */
  unique(key: string, stringValue: string): KeyValue {
    return { key, value: { stringValue } };
  }

  /** An attribute that is a whole number. */
  int(key: string, value: number): KeyValue {
    // Encoded requests are sent again with other texts, and with these numbers.
    const intValue = BigInt(this.shape.distinct ? value * 1_000_000 + this.below(1e6) : value);
    return { key, value: { intValue } };
  }

  /** What the request of that number comes from. */
  resource(request: number): Resource {
    const service = request % this.shape.services;
    const host = Math.floor(request / this.shape.services) % 4;
    const text = (key: string, stringValue: string) => ({ key, value: { stringValue } });
    return {
      attributes: [
        text("service.name", `shop-${service}`),
        text("service.version", "1.4.2"),
        text("host.name", `node-${host}`),
        text("telemetry.sdk.language", "webjs"),
      ],
      droppedAttributesCount: 0,
      entityRefs: [],
    };
  }
}

/** A scope. */
export function scope(name: string): InstrumentationScope {
  return { name, version: "2.1.0", attributes: [], droppedAttributesCount: 0 };
}

/** Between two records of a request there are so many nanoseconds, on average. */
export const RECORD_NANOS = 1_000_000;

/** Spans of other traces between two of one. */
const OPEN_TRACES = 20;
const SPANS_A_TRACE = 10;

/**
 * The request of that number.
 *
 * @param startUnixNano When the first span starts.
 */
export function traceRequest(
  mint: Mint,
  request: number,
  spans: number,
  startUnixNano: bigint,
): ExportTraceServiceRequest {
  let now = startUnixNano;
  const traces = Array.from({ length: OPEN_TRACES }, () => ({ id: mint.fresh(32), parent: "" }));
  const span = (): Span => {
    now += BigInt(mint.below(2 * RECORD_NANOS));
    const at = mint.below(OPEN_TRACES);
    if (mint.random() < 1 / SPANS_A_TRACE) traces[at] = { id: mint.fresh(32), parent: "" };
    const trace = traces[at]!;
    const spanId = mint.fresh(16);
    const parentSpanId = trace.parent;
    trace.parent = spanId;
    const failed = mint.random() < 0.02;
    return {
      traceId: trace.id,
      spanId,
      traceState: "",
      parentSpanId,
      flags: 0x101,
      name: `${mint.pick(METHODS)} ${mint.pick(ROUTES)}`,
      kind: 1 + mint.below(5),
      startTimeUnixNano: mint.time(now),
      endTimeUnixNano: mint.time(now + BigInt(mint.below(80_000_000))),
      attributes: [
        mint.text("http.request.method", mint.pick(METHODS)),
        mint.text("http.route", mint.pick(ROUTES)),
        mint.int("http.response.status_code", failed ? 500 : 200),
        mint.text("url.scheme", "https"),
        mint.text("server.address", `shop-${mint.below(8)}.internal`),
        mint.int("server.port", 8443),
        mint.text("network.protocol.version", "1.1"),
        mint.unique("url.path", `/api/orders/${mint.fresh(6)}/items`),
        mint.text("enduser.id", `user-${mint.below(100_000)}`),
        mint.unique(
          "session.id",
          `${mint.fresh(8)}-${mint.fresh(4)}-${mint.fresh(4)}-${mint.fresh(12)}`,
        ),
        { key: "app.cart.total", value: { doubleValue: Math.round(mint.random() * 1e5) / 100 } },
      ],
      droppedAttributesCount: 0,
      events: mint.random() < 0.2
        ? [{
          timeUnixNano: mint.time(now + 1000n),
          name: "cache.miss",
          attributes: [mint.unique("cache.key", `item:${mint.fresh(6)}`)],
          droppedAttributesCount: 0,
        }]
        : [],
      droppedEventsCount: 0,
      links: [],
      droppedLinksCount: 0,
      status: { code: failed ? 2 : 0, message: failed ? "upstream timed out" : "" },
    };
  };
  return {
    resourceSpans: [{
      resource: mint.resource(request),
      scopeSpans: [{
        scope: scope("http"),
        spans: Array.from({ length: spans }, span),
        schemaUrl: "",
      }],
      schemaUrl: "",
    }],
  };
}

/**
 * Bodies of `POST /v1/traces`.
 *
 * @param requests How many bodies.
 * @param spans Spans in each.
 * @param startUnixNano When the first span of each starts.
 */
export function traceBodies(
  requests: number,
  spans: number,
  startUnixNano: bigint,
  random: () => number = seeded(1),
): Uint8Array[] {
  const mint = new Mint(random);
  return Array.from(
    { length: requests },
    (_, n) => encodeRequest("traces", traceRequest(mint, n, spans, startUnixNano)),
  );
}

/** Methods of HTTP. */
export const METHODS = ["GET", "POST", "PUT", "DELETE"];
/** What is asked for. */
export const ROUTES = [
  "/api/orders/:id/items",
  "/api/cart",
  "/api/users/:id",
  "/api/search",
  "/healthz",
];
