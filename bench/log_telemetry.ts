/**
 * Log records in the shape that services send them: a text made from one of eight templates, 6
 * attributes of which 4 take few values, two in five within a trace.
 */

import type { ExportLogsServiceRequest, LogRecord } from "../src/record.ts";
import { METHODS, type Mint, RECORD_NANOS, ROUTES, scope } from "./telemetry.ts";

/**
 * The request of that number.
 *
 * @param startUnixNano When the first record was written.
 */
export function logRequest(
  mint: Mint,
  request: number,
  records: number,
  startUnixNano: bigint,
): ExportLogsServiceRequest {
  let now = startUnixNano;
  const record = (): LogRecord => {
    now += BigInt(mint.below(2 * RECORD_NANOS));
    const traced = mint.random() < 0.4;
    const [severityText, severityNumber] = mint.pick(SEVERITIES);
    return {
      timeUnixNano: mint.time(now),
      observedTimeUnixNano: mint.time(now + BigInt(mint.below(1_000_000))),
      severityNumber,
      severityText,
      body: { stringValue: mint.pick(MESSAGES)(mint) },
      attributes: [
        mint.text("log.logger", `shop.${mint.pick(MODULES)}.service`),
        mint.text("thread.name", `worker-${mint.below(16)}`),
        mint.text("http.request.method", mint.pick(METHODS)),
        mint.text("http.route", mint.pick(ROUTES)),
        mint.text("enduser.id", `user-${mint.below(100_000)}`),
        mint.unique("request.id", mint.fresh(16)),
      ],
      droppedAttributesCount: 0,
      flags: traced ? 1 : 0,
      traceId: traced ? mint.fresh(32) : "",
      spanId: traced ? mint.fresh(16) : "",
      eventName: "",
    };
  };
  return {
    resourceLogs: [{
      resource: mint.resource(request),
      scopeLogs: [{
        scope: scope("shop.logging"),
        logRecords: Array.from({ length: records }, record),
        schemaUrl: "",
      }],
      schemaUrl: "",
    }],
  };
}

const MODULES = ["cart", "orders", "payment", "search", "users"];

/** As often as they come. */
const SEVERITIES: readonly (readonly [string, number])[] = [
  ...Array<readonly [string, number]>(14).fill(["INFO", 9]),
  ["DEBUG", 5],
  ["DEBUG", 5],
  ["WARN", 13],
  ["WARN", 13],
  ["WARN", 13],
  ["ERROR", 17],
];

const MESSAGES: readonly ((mint: Mint) => string)[] = [
  (mint) => `order ${mint.fresh(12)} accepted in ${mint.below(900)} ms`,
  (mint) => `user user-${mint.below(100_000)} signed in from 10.${mint.below(256)}.4.17`,
  (mint) => `cache miss for item:${mint.fresh(6)}, reading from the database`,
  (mint) => `payment ${mint.fresh(16)} of ${mint.below(50_000)} cents authorised`,
  (mint) => `slow query took ${mint.below(9_000)} ms: select * from orders where id = $1`,
  (mint) => `retrying upstream call, attempt ${1 + mint.below(5)} of 5, request ${mint.fresh(8)}`,
  () => "connection returned to the pool",
  (mint) => `search for "${mint.fresh(5)}" found ${mint.below(400)} items`,
];
