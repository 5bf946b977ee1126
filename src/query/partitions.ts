/**
 * The time partitions of the store, and what they hold.
 *
 * @module
 */

import { z } from "zod";
import type { Database } from "../postgres/database.ts";
import type { Signal } from "../record.ts";
import { limitField } from "./limits.ts";
import { checked } from "./query_error.ts";
import { reading, type ReadOptions } from "./reading.ts";

/** Which partitions. */
export interface PartitionQuery {
  /** Only those of this signal. */
  readonly signal?: Signal | undefined;
  /** How many at most, the latest, 1 to 1,000. @default {1_000} */
  readonly limit?: number | undefined;
}

/** The options of {@linkcode listPartitions}. */
export const PARTITION_QUERY = z.object({
  signal: z.enum(["traces", "logs", "metrics"]).optional().describe("Only those of this signal"),
  limit: limitField(1_000),
});

/** Partitions, latest first. */
export interface PartitionList {
  /** The default one of each signal, then those by time. */
  readonly partitions: readonly StoredPartition[];
  /** Whether there are more than were asked for. */
  readonly hasMorePartitions: boolean;
}

/** A partition. */
export interface StoredPartition {
  /** What it holds. */
  readonly signal: Signal;
  /** Name of its table in schema `otel_data`. */
  readonly name: string;
  /**
   * The earliest time it takes, in nanoseconds since 1970. Absent for the default partition, which
   * takes what fits in no other.
   */
  readonly since?: bigint;
  /** The end of its range, which itself belongs to the next. Absent for the default partition. */
  readonly until?: bigint;
  /** About how many rows it holds. */
  readonly rowsEstimate: number;
  /** Bytes on disk, with indexes. */
  readonly bytes: number;
  /** Whether it is closed and finished: indexes rebuilt densely, statistics taken. */
  readonly sealed: boolean;
}

interface PartitionRow extends Record<string, unknown> {
  readonly signal: Signal;
  readonly name: string;
  readonly since: string | null;
  readonly until: string | null;
  readonly rows: bigint;
  readonly bytes: bigint;
  readonly sealed: boolean;
}

/**
 * The partitions.
 *
 * @throws {QueryError} An option is wrong.
 * @throws {QueryTimeoutError} It took too long.
 *
 * @example A new store has the default ones
 * ```ts
 * import { pglite } from "../postgres/pglite.ts";
 * import { migrate } from "../postgres/migrate.ts";
 * import assert from "node:assert/strict";
 *
 * await using database = pglite("memory://");
 * await migrate(database);
 * const { partitions } = await listPartitions(database, { signal: "logs" });
 * assert.deepEqual(partitions.map(({ name }) => name), ["logs_default"]);
 * ```
 */
export async function listPartitions(
  database: Database,
  query: PartitionQuery = {},
  options: ReadOptions = {},
): Promise<PartitionList> {
  const { signal, limit } = checked(PARTITION_QUERY, query);
  const nanos = (column: string) => `div(extract(epoch from ${column}) * 1e9, 1)::text`;
  const rows = await reading(database, options, (reader) =>
    reader.query<PartitionRow>(
      `select p.signal, p.name, ${nanos("p.range_start")} as since,
         ${nanos("p.range_end")} as until, p.rows_estimate::bigint as rows, p.bytes, p.sealed
       from otel.partitions p where $1::text is null or p.signal = $1::text
       order by p.range_start desc nulls first, p.signal collate "C" limit $2::int`,
      [signal ?? null, limit + 1],
    ));
  return {
    partitions: rows.slice(0, limit).map(({ since, until, rows, bytes, ...row }) => ({
      ...row,
      ...since === null ? {} : { since: BigInt(since) },
      ...until === null ? {} : { until: BigInt(until) },
      rowsEstimate: Number(rows),
      bytes: Number(bytes),
    })),
    hasMorePartitions: rows.length > limit,
  };
}
