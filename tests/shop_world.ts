/**
 * A small shop's telemetry of three days, made from a seed, and a database that holds it.
 *
 * Among it is what goes wrong: parents that are missing, circles, spans without a start, services
 * without a name, texts of all kinds.
 *
 * @module
 */

import { randomUUID } from "node:crypto";
import { encodeRequest } from "../src/otlp.ts";
import { Batch } from "../src/postgres/batch.ts";
import type { Database } from "../src/postgres/database.ts";
import { Dimensions } from "../src/postgres/dimensions.ts";
import { PostgresSink } from "../src/postgres/sink.ts";
import { Transcoder } from "../src/postgres/transcode.ts";
import type {
  ExportRequests,
  LogRecord,
  Metric,
  Resource,
  Signal,
  Span,
  SpanLink,
} from "../src/record.ts";
import {
  attribute,
  event,
  exemplar,
  gauge,
  link,
  log,
  logs,
  metrics,
  point,
  resource,
  span,
  TIME,
  traces,
} from "./one_record.ts";
import { migratedDatabase, type TestDriver } from "./postgres.ts";
import { ARRIVAL } from "./transcode_store.ts";

export const HOUR = 3_600_000_000_000n;
/** When the first of it was. */
export const FIRST = TIME;
/** After the last of it. */
export const END = TIME + 72n * HOUR;

/** A record and where it comes from. */
export interface Told<T> {
  readonly service: string;
  readonly record: T;
}

const SERVICES = ["shop", "cart", "payment", "d'ata\";base", ""];
const OPERATIONS = ["GET /", "POST /cart", "charge", "select", "émoji 🛒"];
const MESSAGES = [
  "disk full on node 7",
  "user 4711 timed out after 250 ms",
  "Timeout of order 42",
  "état: ошибка",
  "",
];

let seed = 42;
/** The next number below `below`. */
function next(below: number): number {
  seed = (seed * 1103515245 + 12345) % 2147483648;
  return Math.floor(seed / 65536) % below;
}

function id(digits: number): string {
  return Array.from({ length: digits / 4 }, () => (next(65535) + 1).toString(16).padStart(4, "0"))
    .join("");
}

/** What the next span of a trace links to: what took part before it, twice, and what is nowhere. */
function linksOf(own: readonly Span[], parent: Span | undefined): SpanLink[] {
  if (SPANS.length % 3 !== 0) return [];
  const linked = [own.at(-1), own.at(-2), own.at(-2), parent, SPANS.at(-40)?.record]
    .filter((one) => one !== undefined);
  return [
    ...linked.map(({ traceId, spanId }) => link({ traceId, spanId })),
    link({ spanId: "f".repeat(16) }),
    link({ traceId: "", spanId: "" }),
    link({ traceId: "5b8e", spanId: "5b8e" }),
  ];
}

/** All spans. */
export const SPANS: Told<Span>[] = [];
/** All log records. */
export const LOGS: Told<LogRecord>[] = [];
/** A metric with exemplars. */
export const METRICS: Metric[] = [];

for (let n = 0; n < 120; n++) {
  const traceId = id(32);
  const began = FIRST + BigInt(next(72 * 60)) * 60_000_000_000n + BigInt(next(3) * 500);
  const own: Span[] = [];
  for (let k = 0; k <= next(9); k++) {
    const parent = own[next(own.length)];
    const start = began + BigInt(k) * 1_000_000n + BigInt(next(5));
    const failed = next(7) === 0;
    const record = span({
      traceId,
      spanId: id(16),
      parentSpanId: parent === undefined ? "" : next(12) === 0 ? id(16) : parent.spanId,
      name: OPERATIONS[next(OPERATIONS.length)]!,
      kind: next(6),
      startTimeUnixNano: next(40) === 0 ? 0n : start,
      endTimeUnixNano: start + BigInt(next(2_000)) * 1_000_000n,
      attributes: [
        attribute("http.route", next(2) === 0 ? "/a" : "/b"),
        ...next(2) === 0 ? [attribute("order.id", id(8))] : [],
        ...next(3) === 0 ? [{ key: "tries", value: { intValue: BigInt(next(4)) } }] : [],
      ],
      events: failed && next(2) === 0
        ? [event({
          name: "exception",
          timeUnixNano: start,
          attributes: [
            attribute("exception.type", next(2) === 0 ? "TypeError" : "RangeError"),
            attribute("exception.message", MESSAGES[next(MESSAGES.length)]!),
          ],
        })]
        : [],
      links: linksOf(own, parent),
      ...failed && { status: { code: 2, message: MESSAGES[next(MESSAGES.length)]! } },
    });
    own.push(record);
    SPANS.push({ service: SERVICES[next(SERVICES.length)]!, record });
  }
  // A circle: the first span becomes a child of the last one.
  if (n % 15 === 0 && own.length > 1) own[0]!.parentSpanId = own.at(-1)!.spanId;
  for (let k = 0; k < next(4); k++) {
    LOGS.push({
      service: SERVICES[next(SERVICES.length)]!,
      record: log({
        timeUnixNano: next(30) === 0 ? 0n : began + BigInt(k) * 77n,
        severityNumber: next(25),
        body: { stringValue: MESSAGES[next(MESSAGES.length)]! },
        traceId: next(3) === 0 ? "" : traceId,
        spanId: next(3) === 0 ? "" : own[0]!.spanId,
        attributes: [attribute("thread", String(next(3)))],
      }),
    });
  }
  if (n % 10 === 0) {
    METRICS.push(gauge([
      point({ timeUnixNano: began, asDouble: n, exemplars: [exemplar({ traceId, asDouble: n })] }),
    ], { name: "latency" }));
  }
}

METRICS.push({
  name: "size",
  unit: "By",
  description: "",
  metadata: [],
  histogram: {
    aggregationTemporality: 1,
    dataPoints: [{
      attributes: [],
      startTimeUnixNano: FIRST,
      timeUnixNano: FIRST + 1_000_000_000n,
      count: 3n,
      bucketCounts: [1n, 2n],
      explicitBounds: [1_024],
      exemplars: [],
      flags: 0,
    }],
  },
});

/** When a record is in the database's order: its time, or its arrival. */
export function timeOf(record: Span | LogRecord): bigint {
  const time = "startTimeUnixNano" in record ? record.startTimeUnixNano : record.timeUnixNano;
  return time === 0n ? ARRIVAL : time;
}

/** A resource of a service; the empty one names none. */
function of(service: string): { resource: Resource } {
  return { resource: resource(service === "" ? [] : [attribute("service.name", service)]) };
}

/** A database with all of it, in partitions of a day. It goes with the process. */
export async function shopDatabase(driver: TestDriver): Promise<Database> {
  const { database } = await migratedDatabase(driver);
  for (const table of ["spans", "logs", "metric_points"]) {
    await database.query(
      `select otel_data.ensure($1, otel_data.to_timestamptz($2::bigint), otel_data.to_timestamptz($3::bigint), 'day')`,
      [table, FIRST, END],
    );
  }
  const partitions = { ensureFor: () => Promise.resolve({ created: [], postponed: [] }) };
  const sink = new PostgresSink(database, partitions, randomUUID());
  const transcoder = new Transcoder(new Dimensions());
  const batch = new Batch();
  const add = <S extends Signal>(signal: S, request: ExportRequests[S]) =>
    transcoder.transcode(signal, encodeRequest(signal, request), ARRIVAL, batch);
  for (const { service, record } of SPANS) {
    add("traces", traces([record], of(service)));
  }
  for (const { service, record } of LOGS) {
    add("logs", logs([record], of(service)));
  }
  add("metrics", metrics(METRICS));
  await sink.store(batch, 1n);
  return database;
}
