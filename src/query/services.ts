/**
 * Services, and what they do.
 *
 * @module
 */

import { z } from "zod";
import { Conditions } from "../conditions.ts";
import { KINDS } from "../filter.ts";
import type { Database } from "../postgres/database.ts";
import { limitField } from "./limits.ts";
import { checked } from "./query_error.ts";
import { RANGE_FIELDS, rangeOf, type RangeOptions, type TimeRange } from "./range.ts";
import { reading, type ReadOptions } from "./reading.ts";
import type { SpanKindName } from "./span_search.ts";

/** Which services. */
export interface ServiceSearch extends RangeOptions {
  /** A part of their name, in either case. */
  readonly name?: string | undefined;
  /** How many at most, 1 to 1,000. @default {1_000} */
  readonly limit?: number | undefined;
}

/** The options of {@linkcode listServices}. */
export const SERVICE_SEARCH = z.object({
  ...RANGE_FIELDS,
  name: z.string().max(4_096).optional().describe("A part of their name, in either case"),
  limit: limitField(1_000),
});

/** Services by name. */
export interface ServiceList {
  /** Something of theirs arrived in it, or before and after. */
  readonly range: TimeRange;
  /** The services. */
  readonly services: readonly ServiceInfo[];
}

/** A service. */
export interface ServiceInfo {
  /** Resource attribute `service.name`. */
  readonly service: string;
  /** Resource attribute `service.namespace`, empty for none. */
  readonly namespace: string;
  /** When its first record arrived, in nanoseconds since 1970. */
  readonly firstSeen: bigint;
  /** When its latest record arrived, in nanoseconds since 1970, to the minute. */
  readonly lastSeen: bigint;
}

/** Whose operations. */
export interface OperationSearch extends RangeOptions {
  /** Resource attribute `service.name`. */
  readonly service: string;
  /** How many at most, 1 to 1,000. @default {1_000} */
  readonly limit?: number | undefined;
}

/** The options of {@linkcode listOperations}. */
export const OPERATION_SEARCH = z.object({
  ...RANGE_FIELDS,
  service: z.string().describe("Resource attribute `service.name`"),
  limit: limitField(1_000),
});

/** Operations by name and kind. */
export interface OperationList {
  /** When their spans were. */
  readonly range: TimeRange;
  /** The operations. */
  readonly operations: readonly OperationInfo[];
}

/** An operation: the name and kind of spans. */
export interface OperationInfo {
  /** Name of its spans. */
  readonly operation: string;
  /** Kind of its spans. */
  readonly kind: SpanKindName;
  /** How many spans there are in the range. */
  readonly spanCount: number;
}

/**
 * The services that sent something within a time range, by name. One that was there before and after
 * counts as well.
 *
 * @throws {QueryError} An option is wrong.
 * @throws {QueryTimeoutError} It took too long.
 *
 * @example None yet
 * ```ts
 * import { pglite } from "../postgres/pglite.ts";
 * import { migrate } from "../postgres/migrate.ts";
 * import assert from "node:assert/strict";
 *
 * await using database = pglite("memory://");
 * await migrate(database);
 * assert.deepEqual((await listServices(database)).services, []);
 * ```
 */
export async function listServices(
  database: Database,
  options: ServiceSearch = {},
  read: ReadOptions = {},
): Promise<ServiceList> {
  const search = checked(SERVICE_SEARCH, options);
  const range = rangeOf(search);
  const where = new Conditions();
  // Seen to the minute.
  where.addSql(`t.last_seen >= ${where.timestamp(range.since)} - interval '1 minute'`);
  where.addSql(`t.first_seen < ${where.timestamp(range.until)}`);
  if (search.name !== undefined) {
    where.addSql(`strpos(lower(t.name), lower(${where.parameter(search.name)}::text)) > 0`);
  }
  const rows = await reading(
    database,
    read,
    (reader) =>
      reader.query<{ name: string; namespace: string | null; first: bigint; last: bigint }>(
        `select to_json(t.name)::text as name, to_json(t.namespace)::text as namespace,
         (extract(epoch from t.first_seen) * 1000000)::bigint as first,
         (extract(epoch from t.last_seen) * 1000000)::bigint as last
       from otel_data.services t ${where.sql}
       order by t.name collate "C", t.namespace collate "C" nulls first
       limit ${where.parameter(search.limit)}::int`,
        where.parameters,
      ),
  );
  return {
    range,
    services: rows.map(({ name, namespace, first, last }) => ({
      service: JSON.parse(name),
      namespace: namespace === null ? "" : JSON.parse(namespace),
      firstSeen: first * 1_000n,
      lastSeen: last * 1_000n,
    })),
  };
}

/**
 * The operations of a service, by name and kind.
 *
 * @throws {QueryError} An option is wrong.
 * @throws {QueryTimeoutError} It took too long.
 *
 * @example None yet
 * ```ts
 * import { pglite } from "../postgres/pglite.ts";
 * import { migrate } from "../postgres/migrate.ts";
 * import assert from "node:assert/strict";
 *
 * await using database = pglite("memory://");
 * await migrate(database);
 * assert.deepEqual((await listOperations(database, { service: "shop" })).operations, []);
 * ```
 */
export async function listOperations(
  database: Database,
  options: OperationSearch,
  read: ReadOptions = {},
): Promise<OperationList> {
  const search = checked(OPERATION_SEARCH, options);
  const range = rangeOf(search);
  const where = new Conditions();
  where.time(range);
  where.add(serviceIs("t"), search.service);
  const rows = await reading(
    database,
    read,
    (reader) =>
      reader.query<{ name: string | null; kind: number; count: bigint }>(
        `select to_json(n.name)::text as name, g.kind, sum(g.count)::bigint as count from (
         select t.name_id, t.kind, count(*) as count from otel_data.spans t ${where.sql}
         group by t.name_id, t.kind
       ) g left join otel_data.names n on n.id = g.name_id
       group by n.name, g.kind order by n.name collate "C", g.kind
       limit ${where.parameter(search.limit)}::int`,
        where.parameters,
      ),
  );
  return {
    range,
    operations: rows.map(({ name, kind, count }) => ({
      operation: name === null ? "" : JSON.parse(name),
      kind: kindOf(kind),
      spanCount: Number(count),
    })),
  };
}

/** Rows of that alias of the service whose name `$` is; its ids are found first, for indexes on them. */
export function serviceIs(alias: string): string {
  return `${alias}.service_id = any (array(select id from otel_data.services where name = $))`;
}

/** The name of a kind; of one that is unknown `UNSPECIFIED`. */
export function kindOf(kind: number): SpanKindName {
  return (KINDS[kind] ?? "UNSPECIFIED") as SpanKindName;
}
