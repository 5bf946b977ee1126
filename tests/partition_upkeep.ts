/**
 * Upkeep of the partitions of a database, whose clock a test sets, and what is in them.
 *
 * @module
 */

import type { Database, Queryable } from "../src/postgres/database.ts";
import type { PartitionWidth } from "../src/postgres/partition_width.ts";
import { Partitions, type PartitionsOptions } from "../src/postgres/partitions.ts";

/** An hour. */
export const HOUR_MS = 3_600_000;
/** A day. */
export const DAY_MS = 24 * HOUR_MS;

/** A Monday. */
export const NOW = Date.parse("2026-11-23T12:30:00Z");

/** The hour since 1970 in which a time lies. */
export function hourOf(time: string): number {
  return Math.floor(Date.parse(time) / HOUR_MS);
}

/** Upkeep whose clock is `clock.now`. */
export function upkeep(
  database: Database,
  options: Partial<PartitionsOptions> = {},
): { partitions: Partitions; clock: { now: number } } {
  const clock = { now: NOW };
  const partitions = new Partitions(database, {
    width: "day",
    retentionDays: 30,
    clock: () => clock.now,
    ...options,
  });
  return { partitions, clock };
}

/** The partitions of a table as `name start end`, newest first. */
export async function listed(database: Queryable, table = "spans"): Promise<string[]> {
  const rows = await database.query<{ line: string }>(
    `select concat_ws(' ', name, to_char(range_start at time zone 'UTC', 'MM-DD"T"HH24'),
       to_char(range_end at time zone 'UTC', 'MM-DD"T"HH24')) as line from otel_data.list($1)`,
    [table],
  );
  return rows.map(({ line }) => line);
}

/** Calls the function of the database that makes partitions. */
export async function ensure(
  database: Queryable,
  from: string,
  to: string,
  width: PartitionWidth,
): Promise<string[]> {
  const rows = await database.query<{ name: string }>(
    "select otel_data.ensure('spans', $1::timestamptz, $2::timestamptz, $3) as name",
    [from, to, width],
  );
  return rows.map(({ name }) => name);
}

/** Stores a span of each of these times. */
export async function insertSpans(database: Queryable, ...times: string[]): Promise<void> {
  await database.query(
    `insert into otel_data.spans (trace_id, span_id, time, duration_ns, resource_id, scope_id,
       name_id, service_id, flags, time_frac, kind, status)
     select gen_random_uuid(), 1, time::timestamptz, 1, 1, 1, 1, 1, 0, 0, 1, 2
     from unnest($1::text[]) time`,
    [times],
  );
}

/** How many rows a table has. */
export async function count(database: Queryable, table: string): Promise<number> {
  const [row] = await database.query<{ count: number }>(
    `select count(*)::int as count from ${table}`,
  );
  return row!.count;
}

/** The database, with a look at each statement before it is sent. */
export function observed(
  database: Database,
  observe: (sql: string) => Promise<void> | void,
): Database {
  return new Proxy(database, {
    get(target, key) {
      const member = Reflect.get(target, key, target);
      if (key === "query") {
        return async (...args: Parameters<Database["query"]>) => {
          await observe(args[0]);
          return await target.query(...args);
        };
      }
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}
