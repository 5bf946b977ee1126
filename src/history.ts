/**
 * Stored history as OTLP requests again, for somebody who was not there when it came in.
 *
 * Records come in order of time, as many to a request as fit. Within a request those of one resource
 * and scope share their containers, and points of one metric their metric, so that it is about as large
 * as what came in, however the records of many services alternate.
 *
 * @module
 */

import { z } from "zod";
import { inspect } from "node:util";
import { historyPages, type HistoryRange, selection } from "./history_pages.ts";
import { encodeRequest } from "./otlp.ts";
import type { Database, Row } from "./postgres/database.ts";
import { logOf, metricOf, spanOf, type Stored } from "./postgres/stored.ts";
import type { InstrumentationScope, Metric, Resource, Signal } from "./record.ts";

export type { HistoryRange } from "./history_pages.ts";

/** Options of {@linkcode readHistory}. */
export interface HistoryOptions extends HistoryRange {
  /** Bytes of a request at most, unless a single record has more. Default 1 MiB. */
  readonly maxBytes?: number;
}

/** Some of the stored records of a signal. */
export interface HistoryRequest {
  /** Which signal. */
  readonly signal: Signal;
  /** An Export…ServiceRequest in protobuf. */
  readonly body: Uint8Array<ArrayBuffer>;
  /** Records in it: spans, log records or points. */
  readonly count: number;
  /**
   * Time of the last of them, in nanoseconds since 1970; of a record without one, its arrival. More of
   * the same time may follow in the next request.
   */
  readonly lastUnixNano: bigint;
}

const MAX_BYTES = 1024 * 1024;
/** Up to what the planner calls a million pages read, some seconds, records are counted. */
const MAX_COUNT_COST = 1_000_000;

const OPTIONS = z.object({ maxBytes: z.int().min(1).default(MAX_BYTES) });

/**
 * Reads stored records in order of time, as requests. Nothing is read ahead, and no transaction lasts
 * from one request to the next, so the reader may take any time between them.
 *
 * Each record is there once, however many share one time. Those that are stored meanwhile are there if
 * nothing near their time was read yet; with a collector that is storing, name `until`.
 *
 * @throws {FilterFieldError} The filter names a field that the records of this signal do not have.
 * @throws {RangeError} A bound is no time, or `maxBytes` no whole number from 1.
 * @throws The reason of `abort` when it aborted; the database's error.
 *
 * @example The sizes of all requests
 * ```ts
 * import { pglite } from "./postgres/pglite.ts";
 * import { migrate } from "./postgres/migrate.ts";
 * import assert from "node:assert/strict";
 *
 * await using database = pglite("memory://");
 * await migrate(database);
 * const sizes: number[] = [];
 * for await (const { body } of readHistory(database, "traces")) sizes.push(body.length);
 * assert.deepEqual(sizes, []);
 * ```
 */
export async function* readHistory(
  database: Database,
  signal: Signal,
  options: HistoryOptions = {},
): AsyncGenerator<HistoryRequest> {
  const parsed = OPTIONS.safeParse(options, { reportInput: true });
  if (!parsed.success) {
    const { path: [option = "options"], message, input } = parsed.error.issues[0]!;
    throw new RangeError(
      `Cannot read history with '${String(option)}': ${inspect(input)} (${message})`,
      { cause: parsed.error },
    );
  }
  const { maxBytes } = parsed.data;
  for await (const rows of historyPages(database, signal, options, maxBytes)) {
    yield* requestsOf(signal, rows, maxBytes);
  }
}

/**
 * How many records {@linkcode readHistory} gives: exactly where counting takes some seconds at most,
 * else as many as the planner of the database expects, which is good for time ranges and a guess for
 * filters.
 *
 * @throws {FilterFieldError} The filter names a field that the records of this signal do not have.
 * @throws {RangeError} A bound is no time.
 */
export async function countHistory(
  database: Database,
  signal: Signal,
  range: HistoryRange = {},
): Promise<bigint> {
  const abort = range.abort ? { signal: range.abort } : {};
  const { sql, parameters } = selection(signal, range, { from: range.since, to: range.until });
  const [plan] = await database.query(`explain ${sql}`, parameters, abort);
  const line = String(Object.values(plan!)[0]);
  const [, cost, rows] = /cost=[\d.]+\.\.([\d.]+) rows=(\d+)/.exec(line) ?? [];
  if (cost === undefined || rows === undefined) {
    throw new Error(`Cannot read the plan of a count: ${inspect(line)}`);
  }
  if (Number(cost) > MAX_COUNT_COST) return BigInt(rows);
  const [counted] = await database.query<{ n: bigint }>(
    `select count(*) as n from (${sql}) as history`,
    parameters,
    abort,
  );
  return counted!.n;
}

/** One request of all rows; if it is too large, those of each half. */
function* requestsOf(
  signal: Signal,
  rows: readonly Row[],
  maxBytes: number,
): Generator<HistoryRequest> {
  const body = BODIES[signal](rows);
  if (body.length > maxBytes && rows.length > 1) {
    const middle = rows.length >> 1;
    yield* requestsOf(signal, rows.slice(0, middle), maxBytes);
    yield* requestsOf(signal, rows.slice(middle), maxBytes);
    return;
  }
  const { time_micros, time_frac } = rows.at(-1)!;
  const lastUnixNano = (time_micros as bigint) * 1000n + BigInt(Math.max(Number(time_frac), 0));
  yield { signal, body: body as Uint8Array<ArrayBuffer>, count: rows.length, lastUnixNano };
}

const BODIES: Readonly<Record<Signal, (rows: readonly Row[]) => Uint8Array>> = {
  traces: (rows) =>
    encodeRequest("traces", {
      resourceSpans: grouped(rows, spanOf).map(({ scopes, ...resource }) => ({
        ...resource,
        scopeSpans: scopes.map(({ records, ...scope }) => ({ ...scope, spans: records })),
      })),
    }),
  logs: (rows) =>
    encodeRequest("logs", {
      resourceLogs: grouped(rows, logOf).map(({ scopes, ...resource }) => ({
        ...resource,
        scopeLogs: scopes.map(({ records, ...scope }) => ({ ...scope, logRecords: records })),
      })),
    }),
  metrics: (rows) =>
    encodeRequest("metrics", {
      resourceMetrics: grouped(rows, metricOf).map(({ scopes, ...resource }) => ({
        ...resource,
        scopeMetrics: scopes.map(({ records, rows, ...scope }) => ({
          ...scope,
          metrics: joined(records, rows),
        })),
      })),
    }),
};

interface ResourceGroup<T> {
  readonly resource: Resource;
  readonly schemaUrl: string;
  readonly scopes: ScopeGroup<T>[];
}

interface ScopeGroup<T> {
  readonly scope: InstrumentationScope;
  readonly schemaUrl: string;
  readonly records: T[];
  /** What each record is made from. */
  readonly rows: Row[];
}

/** By resource and scope, each with its schema url: an id stands for all of that. */
function grouped<T>(rows: readonly Row[], read: (row: Row) => Stored<T>): ResourceGroup<T>[] {
  const groups: ResourceGroup<T>[] = [];
  const resources = new Map<unknown, ResourceGroup<T>>();
  const scopes = new Map<string, ScopeGroup<T>>();
  for (const row of rows) {
    const stored = read(row);
    let resource = resources.get(row.resource_id);
    if (resource === undefined) {
      resource = { resource: stored.resource, schemaUrl: stored.resourceSchemaUrl, scopes: [] };
      resources.set(row.resource_id, resource);
      groups.push(resource);
    }
    const key = `${row.resource_id} ${row.scope_id}`;
    let scope = scopes.get(key);
    if (scope === undefined) {
      scope = { scope: stored.scope, schemaUrl: stored.scopeSchemaUrl, records: [], rows: [] };
      scopes.set(key, scope);
      resource.scopes.push(scope);
    }
    scope.records.push(stored.record);
    scope.rows.push(row);
  }
  return groups;
}

/** Metrics of one point each as metrics of all their points. */
function joined(metrics: readonly Metric[], rows: readonly Row[]): Metric[] {
  const joined = new Map<unknown, Metric>();
  metrics.forEach((metric, index) => {
    const id = rows[index]!.metric_id;
    const first = joined.get(id);
    if (first === undefined) joined.set(id, metric);
    else pointsOf(first).push(...pointsOf(metric));
  });
  return [...joined.values()];
}

function pointsOf(metric: Metric): unknown[] {
  const { gauge, sum, histogram, exponentialHistogram, summary } = metric;
  return (gauge ?? sum ?? histogram ?? exponentialHistogram ?? summary)!.dataPoints;
}
