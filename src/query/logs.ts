/**
 * Searches log records, and counts them over time.
 *
 * @module
 */

import { z } from "zod";
import type { Filter } from "../filter.ts";
import type { Database } from "../postgres/database.ts";
import { logOf, type Stored } from "../postgres/stored.ts";
import type { LogRecord } from "../record.ts";
import { cursorOf, positionOf } from "./cursor.ts";
import { field, filterOf, words } from "./filters.ts";
import { CURSOR_FIELD, FILTER_FIELD, limitField, SPAN_ID, TEXT_FIELD, TRACE_ID } from "./limits.ts";
import { checked } from "./query_error.ts";
import { RANGE_FIELDS, rangeOf, type RangeOptions, type TimeRange } from "./range.ts";
import { reading, type ReadOptions } from "./reading.ts";
import { fromOf, rowsWhere, scan } from "./scan.ts";
import { scanKey, scanKeyLength } from "./scan_key.ts";
import { START_NANOS } from "./trace_summaries.ts";
import { STEP_FIELD, stepOf } from "./steps.ts";

/** Which log records; conditions are joined by and. */
export interface LogChoice extends RangeOptions {
  /** Resource attribute `service.name`. */
  readonly service?: string | undefined;
  /** At least this severity number, 1 to 24. */
  readonly minSeverity?: number | undefined;
  /** Words that are in the message, in any order and either case. */
  readonly text?: string | undefined;
  /** 32 hex digits. With it and without a range, records of any time. */
  readonly traceId?: string | undefined;
  /** 16 hex digits. */
  readonly spanId?: string | undefined;
  /** Anything else, in the grammar of filters. */
  readonly filter?: string | undefined;
}

const CHOICE_FIELDS = {
  ...RANGE_FIELDS,
  service: z.string().optional().describe("Resource attribute `service.name`"),
  minSeverity: z.int().min(1).max(24).optional().describe("At least this severity, 1 to 24"),
  text: TEXT_FIELD.describe("Words that are in the message, in any order and either case"),
  traceId: TRACE_ID.optional(),
  spanId: SPAN_ID.optional(),
  filter: FILTER_FIELD,
};

/** Options of {@linkcode searchLogs}. */
export interface LogSearch extends LogChoice {
  /** How many at most, 1 to 1,000. @default {100} */
  readonly limit?: number | undefined;
  /**
   * The {@linkcode LogPage.cursor} of the page before, of the same time range: that may be left out. All
   * other options but `limit` have to be the same.
   */
  readonly cursor?: string | undefined;
}

/** The options of {@linkcode searchLogs}. */
export const LOG_SEARCH = z.object({
  ...CHOICE_FIELDS,
  limit: limitField(100),
  cursor: CURSOR_FIELD,
});

/** Log records, newest first. */
export interface LogPage {
  /** What was searched. */
  readonly range: TimeRange;
  /** The records. */
  readonly logs: readonly Stored<LogRecord>[];
  /** For the next page; absent on the last one. */
  readonly cursor?: string;
}

/** Options of {@linkcode countLogs}. */
export interface LogCounting extends LogChoice {
  /** Width of a step in milliseconds; the range has at most 1,000. Default: so that it has about 60. */
  readonly stepMs?: number | undefined;
}

/** The options of {@linkcode countLogs}. */
export const LOG_COUNTING = z.object({ ...CHOICE_FIELDS, stepMs: STEP_FIELD });

/** How many log records there are, over time. */
export interface LogCounts {
  /** What was counted. */
  readonly range: TimeRange;
  /** Width of a step, in milliseconds. The last one may be cut. */
  readonly stepMs: number;
  /** All steps, the first one begins with the range. */
  readonly steps: readonly LogCount[];
}

/** What is in a step. */
export interface LogCount {
  /** When it begins, in nanoseconds since 1970. */
  readonly since: bigint;
  /** Records by severity: `TRACE`, `DEBUG`, `INFO`, `WARN`, `ERROR`, `FATAL`, `UNSPECIFIED`. */
  readonly counts: Readonly<Partial<Record<string, number>>>;
}

const SEVERITIES = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

/**
 * Log records, newest first.
 *
 * @throws {QueryError} An option is wrong.
 * @throws {QueryTimeoutError} It took too long.
 *
 * @example Warnings that have a word
 * ```ts
 * import { pglite } from "../postgres/pglite.ts";
 * import { migrate } from "../postgres/migrate.ts";
 * import assert from "node:assert/strict";
 *
 * await using database = pglite("memory://");
 * await migrate(database);
 * const { logs } = await searchLogs(database, { minSeverity: 13, text: "timeout" });
 * assert.deepEqual(logs, []);
 * ```
 */
export async function searchLogs(
  database: Database,
  options: LogSearch = {},
  read: ReadOptions = {},
): Promise<LogPage> {
  const search = checked(LOG_SEARCH, options);
  const { limit, cursor, traceId, spanId } = search;
  const question = { query: "logs", options };
  const position = cursor === undefined ? undefined : positionOf(question, cursor, scanKeyLength());
  const range = position?.range ?? logRange(search);
  const filter = logFilter(search);
  return await reading(database, read, async (reader) => {
    const rows = await scan(reader, {
      signal: "logs",
      filter,
      range,
      traceId,
      spanId,
      limit: limit + 1,
      before: position?.key,
    });
    const logs = rows.slice(0, limit).map(logOf);
    if (rows.length <= limit) return { range, logs };
    return { range, logs, cursor: cursorOf(question, { range, key: scanKey(rows[limit - 1]!) }) };
  });
}

/**
 * Counts log records by step and severity.
 *
 * @throws {QueryError} An option is wrong.
 * @throws {QueryTimeoutError} It took too long.
 *
 * @example The last hour, minute by minute
 * ```ts
 * import { pglite } from "../postgres/pglite.ts";
 * import { migrate } from "../postgres/migrate.ts";
 * import assert from "node:assert/strict";
 *
 * await using database = pglite("memory://");
 * await migrate(database);
 * const { steps } = await countLogs(database, { stepMs: 60_000 });
 * assert.equal(steps.length, 60);
 * assert.deepEqual(steps[0]!.counts, {});
 * ```
 */
export async function countLogs(
  database: Database,
  options: LogCounting = {},
  read: ReadOptions = {},
): Promise<LogCounts> {
  const search = checked(LOG_COUNTING, options);
  const range = logRange(search);
  const { stepMs, begins } = stepOf(range, search.stepMs);
  const { traceId, spanId } = search;
  const where = rowsWhere({ signal: "logs", filter: logFilter(search), traceId, spanId }, range);
  const step = `div(${START_NANOS} - ${where.parameter(range.since)}::numeric, ${
    where.parameter(BigInt(stepMs) * 1_000_000n)
  }::numeric)::int`;
  const severity = `case when t.severity_number between 1 and 24
    then (t.severity_number + 3) / 4 else 0 end`;
  const rows = await reading(
    database,
    read,
    (reader) =>
      reader.query<{ step: number; severity: number; count: bigint }>(
        `select ${step} as step, ${severity} as severity, count(*) as count
       ${fromOf("logs")} ${where.sql} group by 1, 2`,
        where.parameters,
      ),
  );
  const steps = begins.map((since) => ({ since, counts: {} as Record<string, number> }));
  for (const { step, severity, count } of rows) {
    steps[step]!.counts[SEVERITIES[severity - 1] ?? "UNSPECIFIED"] = Number(count);
  }
  return { range, stepMs, steps };
}

/** With a trace, and no range named, all of time. */
function logRange({ since, until, lastMs, traceId }: LogChoice): TimeRange {
  const isNamed = since !== undefined || until !== undefined || lastMs !== undefined;
  if (traceId !== undefined && !isNamed) return { since: 0n, until: 2n ** 64n - 1n };
  return rangeOf({ since, until, lastMs });
}

/** What they choose, as one filter. */
export function logFilter({ service, minSeverity, text, filter }: LogChoice): Filter {
  return filterOf("logs", filter, [
    field("service", "=", service),
    field("severity", ">=", minSeverity),
    words(text),
  ]);
}
