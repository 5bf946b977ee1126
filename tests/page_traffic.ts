/**
 * Traffic of a small shop in the last minutes, for pages that show who calls whom.
 *
 * @module
 */

import assert from "node:assert/strict";

/** Who calls whom: each service but the first by one other. */
export const CALLS: readonly (readonly [caller: string, callee: string])[] = [
  ["web", "api"],
  ["api", "cart"],
  ["api", "payments"],
  ["api", "search"],
  ["cart", "redis"],
  ["payments", "ledger"],
];

interface Sent {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status?: { readonly code: number };
}

function hex(value: number, length: number): string {
  return value.toString(16).padStart(length, "0");
}

/**
 * An OTLP request of traces in which each service is asked once, spread over some minutes up to now. Of
 * every tenth `payments` fails.
 */
export function trafficRequest(
  traces: number,
  minutes = 30,
): { readonly resourceSpans: unknown[] } {
  const services = new Map<string, Sent[]>();
  const now = Date.now();
  for (let trace = 0; trace < traces; trace++) {
    const startMs = now - (trace + 1) / traces * minutes * 60_000;
    const ids = new Map<string, string>();
    const add = (service: string, parent: string | undefined, depth: number) => {
      const spanId = hex(trace * 100 + ids.size + 1, 16);
      ids.set(service, spanId);
      const start = BigInt(Math.floor(startMs)) * 1_000_000n + BigInt(depth) * 1_000_000n;
      const lengthNs = BigInt(40 - depth * 10 + trace % 17) * 1_000_000n;
      const span: Sent = {
        traceId: hex(trace + 1, 32),
        spanId,
        ...parent === undefined ? {} : { parentSpanId: parent },
        name: `${service}.${trace % 3 === 0 ? "write" : "read"}`,
        kind: 2,
        startTimeUnixNano: String(start),
        endTimeUnixNano: String(start + lengthNs),
        ...service === "payments" && trace % 10 === 0 ? { status: { code: 2 } } : {},
      };
      services.set(service, [...services.get(service) ?? [], span]);
    };
    add("web", undefined, 0);
    for (const [caller, callee] of CALLS) {
      if (!ids.has(callee)) add(callee, ids.get(caller)!, callee === "api" ? 1 : 2);
    }
  }
  const resourceSpans = [...services].map(([service, spans]) => ({
    resource: { attributes: [{ key: "service.name", value: { stringValue: service } }] },
    scopeSpans: [{ spans }],
  }));
  return { resourceSpans };
}

/** Sends it. */
export async function sendTraffic(url: string, traces: number, minutes = 30): Promise<void> {
  const response = await fetch(`${url}/v1/traces`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(trafficRequest(traces, minutes)),
  });
  assert.equal(response.status, 200, await response.text());
}
