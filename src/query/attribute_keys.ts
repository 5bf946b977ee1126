/**
 * Which attributes there are: what filters can name.
 *
 * @module
 */

import { z } from "zod";
import { Conditions } from "../conditions.ts";
import type { Database } from "../postgres/database.ts";
import { limitField } from "./limits.ts";
import { checked } from "./query_error.ts";
import { RANGE_FIELDS, rangeOf, type RangeOptions, type TimeRange } from "./range.ts";
import { reading, type ReadOptions } from "./reading.ts";

/** Whose attributes. */
export interface AttributeSearch extends RangeOptions {
  /** Of spans, or of log records. @default {"traces"} */
  readonly signal?: "traces" | "logs" | undefined;
  /** Resource attribute `service.name`. Default: those of all services. */
  readonly service?: string | undefined;
  /** How many at most, 1 to 1,000. @default {1_000} */
  readonly limit?: number | undefined;
}

/** The options of {@linkcode listAttributes}. */
export const ATTRIBUTE_SEARCH = z.object({
  ...RANGE_FIELDS,
  signal: z.enum(["traces", "logs"]).default("traces").describe("Of spans, or of log records"),
  service: z.string().optional().describe("Resource attribute `service.name`"),
  limit: limitField(1_000),
});

/** Attributes by key. */
export interface AttributeList {
  /** When the records were that have them. */
  readonly range: TimeRange;
  /** Those of records, then those of resources. */
  readonly attributes: readonly AttributeInfo[];
}

/** An attribute. */
export interface AttributeInfo {
  /** What has it: a span or log record, or the resource of one. */
  readonly of: "record" | "resource";
  /** Its key. */
  readonly key: string;
}

/** The newest records that are looked at of the one service that is asked for. */
const OF_ONE = 5_000;
/** The newest of each service otherwise, and of how many services: those seen last. */
const OF_EACH = 200;
const SERVICES = 200;

const TABLES = { traces: "otel_data.spans", logs: "otel_data.logs" } as const;

/**
 * The keys of the attributes that the newest records have.
 *
 * However much is stored, it looks at 5,000 spans or log records of the service that is named, or at
 * 200 of each of the 200 services that were seen last. A key that only others have is left out.
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
 * assert.deepEqual((await listAttributes(database, { service: "shop" })).attributes, []);
 * ```
 */
export async function listAttributes(
  database: Database,
  options: AttributeSearch = {},
  read: ReadOptions = {},
): Promise<AttributeList> {
  const { signal, service, limit, ...given } = checked(ATTRIBUTE_SEARCH, options);
  const range = rangeOf(given);
  const where = new Conditions();
  where.time(range);
  const each = where.parameter(service === undefined ? OF_EACH : OF_ONE);
  const newest = (ofService: string) =>
    `(select t.attribute_set_id, t.attributes, t.resource_id from ${TABLES[signal]} t
      ${where.sql} and t.service_id ${ofService} order by t.time desc limit ${each}::int)`;
  const services = service === undefined
    ? `select id from otel_data.services order by last_seen desc limit ${SERVICES}`
    : `select id from otel_data.services where name = ${where.parameter(service)}`;
  const rows = await reading(
    database,
    read,
    (reader) =>
      reader.query<{ of: AttributeInfo["of"]; key: string }>(
        `with newest as materialized (
           select n.* from (${services}) s cross join lateral ${newest("= s.id")} n
           ${service === undefined ? `union all ${newest("is null")}` : ""}
         ), sets as (
           select a.attributes, a.own_keys from otel_data.attribute_sets a
           where a.id in (select attribute_set_id from newest)
         ), keys as (
           select 'record' as of, jsonb_object_keys(attributes) as key from sets
           union select 'record', unnest(own_keys) from sets
           union select 'record', jsonb_object_keys(attributes) from newest
           union select 'resource', jsonb_object_keys(r.attributes) from otel_data.resources r
             where r.id in (select resource_id from newest)
         )
         select k.of, to_json(k.key)::text as key from keys k order by k.of, k.key collate "C"
         limit ${where.parameter(limit)}::int`,
        where.parameters,
      ),
  );
  return { range, attributes: rows.map(({ of, key }) => ({ of, key: JSON.parse(key) })) };
}
