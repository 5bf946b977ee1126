/**
 * Telemetry in the shape that services send it, made from a seed: 11 attributes a span of which 7 take
 * few values and 4 many, an event on every fifth, 20 operations, one resource a request.
 */

import { encodeRequest } from "../src/otlp.ts";
import type { KeyValue, Span } from "../src/record.ts";

/** A generator of numbers from 0 to 1 (mulberry32). */
export function seeded(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/**
 * Bodies of `POST /v1/traces`.
 *
 * @param requests How many bodies.
 * @param spans Spans in each.
 * @param startUnixNano When the first span starts.
 */
export function traceBodies(
  requests: number,
  spans: number,
  startUnixNano: bigint,
  random: () => number = seeded(1),
): Uint8Array[] {
  let now = startUnixNano;
  const hex = (digits: number) =>
    Array.from({ length: digits }, () => (random() * 16 | 0).toString(16)).join("");
  const pick = (values: readonly string[]) => values[random() * values.length | 0]!;
  const span = (): Span => {
    now += BigInt(random() * 2_000_000 | 0);
    const name = `${pick(METHODS)} ${pick(ROUTES)}`;
    const failed = random() < 0.02;
    return {
      traceId: hex(32),
      spanId: hex(16),
      traceState: "",
      parentSpanId: random() < 0.1 ? "" : hex(16),
      flags: 0x101,
      name,
      kind: 1 + (random() * 5 | 0),
      startTimeUnixNano: now,
      endTimeUnixNano: now + BigInt(random() * 80_000_000 | 0),
      attributes: [
        text("http.request.method", pick(METHODS)),
        text("http.route", pick(ROUTES)),
        int("http.response.status_code", failed ? 500 : 200),
        text("url.scheme", "https"),
        text("server.address", `shop-${random() * 8 | 0}.internal`),
        int("server.port", 8443),
        text("network.protocol.version", "1.1"),
        text("url.path", `/api/orders/${random() * 1e6 | 0}/items`),
        text("enduser.id", `user-${random() * 100_000 | 0}`),
        text("session.id", `${hex(8)}-${hex(4)}-${hex(4)}-${hex(12)}`),
        { key: "app.cart.total", value: { doubleValue: Math.round(random() * 1e5) / 100 } },
      ],
      droppedAttributesCount: 0,
      events: random() < 0.2
        ? [{
          timeUnixNano: now + 1000n,
          name: "cache.miss",
          attributes: [text("cache.key", `item:${random() * 1e6 | 0}`)],
          droppedAttributesCount: 0,
        }]
        : [],
      droppedEventsCount: 0,
      links: [],
      droppedLinksCount: 0,
      status: { code: failed ? 2 : 0, message: failed ? "upstream timed out" : "" },
    };
  };
  return Array.from({ length: requests }, (_, n) =>
    encodeRequest("traces", {
      resourceSpans: [{
        resource: {
          attributes: [
            text("service.name", `shop-${n % 10}`),
            text("service.version", "1.4.2"),
            text("host.name", `node-${n % 4}`),
            text("telemetry.sdk.language", "webjs"),
          ],
          droppedAttributesCount: 0,
          entityRefs: [],
        },
        scopeSpans: [{
          scope: { name: "http", version: "2.1.0", attributes: [], droppedAttributesCount: 0 },
          spans: Array.from({ length: spans }, span),
          schemaUrl: "",
        }],
        schemaUrl: "",
      }],
    }));
}

const METHODS = ["GET", "POST", "PUT", "DELETE"];
const ROUTES = ["/api/orders/:id/items", "/api/cart", "/api/users/:id", "/api/search", "/healthz"];

function text(key: string, stringValue: string): KeyValue {
  return { key, value: { stringValue } };
}

function int(key: string, value: number): KeyValue {
  return { key, value: { intValue: BigInt(value) } };
}
