/**
 * Which attributes there are: what filters can name.
 *
 * @module
 */

import { z } from "zod";
import type { Filter } from "../filter.ts";
import type { Database, Queryable } from "../postgres/database.ts";
import { field } from "./filters.ts";
import { limitField } from "./limits.ts";
import { checked } from "./query_error.ts";
import { RANGE_FIELDS, rangeOf, type RangeOptions, type TimeRange } from "./range.ts";
import { reading, type ReadOptions } from "./reading.ts";
import { scan } from "./scan.ts";
import type { ScannedRow } from "./scan_key.ts";

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

const EVERYTHING: Filter = { kind: "and", parts: [] };

/** The newest records that are looked at: of the service that is asked for, or of all. */
const OF_ONE = 5_000, OF_ALL = 10_000;
/** The newest of each service that has none among those, and of how many: those seen last. */
const OF_EACH = 200, SERVICES = 20;

/**
 * The keys of the attributes that the newest records have.
 *
 * However much is stored, it looks at the newest 5,000 spans or log records of the service that is named,
 * or at the newest 10,000 of all; of services that have none among those, at 200 of each of the 20 that
 * were seen last. A key that only others have is left out.
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
  const rows = await reading(database, read, async (reader) => {
    const search = { signal, range, columns: "attributes" } as const;
    const newest = service === undefined
      ? await scan(reader, { ...search, filter: EVERYTHING, limit: OF_ALL })
      : await scan(reader, { ...search, filter: of(service), limit: OF_ONE });
    if (service === undefined && newest.length === OF_ALL) {
      for (const name of await othersOf(reader, range, newest)) {
        newest.push(...await scan(reader, { ...search, filter: of(name), limit: OF_EACH }));
      }
    }
    return await keysOf(reader, newest, limit);
  });
  return { range, attributes: rows.map(({ of, key }) => ({ of, key: JSON.parse(key) })) };
}

function of(service: string): Filter {
  return field("service", "=", service)!;
}

/** The services seen last that have no row among these. */
async function othersOf(
  reader: Queryable,
  range: TimeRange,
  rows: readonly ScannedRow[],
): Promise<string[]> {
  const ids = new Set(rows.map(({ service_id }) => service_id as bigint | null));
  const others = await reader.query<{ name: string }>(
    `select to_json(s.name)::text as name from otel_data.services s
     where s.id <> all ($1::bigint[])
       and s.last_seen >= otel_data.to_timestamptz($2::bigint) - interval '1 minute'
     order by s.last_seen desc limit ${SERVICES}`,
    [[...ids].filter((id) => id !== null), BigInt.asIntN(64, range.since)],
  );
  return others.map(({ name }) => JSON.parse(name));
}

/** The keys that rows have, in order. */
async function keysOf(
  reader: Queryable,
  rows: readonly ScannedRow[],
  limit: number,
): Promise<{ of: AttributeInfo["of"]; key: string }[]> {
  const distinct = <T>(column: string) =>
    [...new Set(rows.map((row) => row[column] as T | null))].filter((value) => value !== null);
  const given = distinct<string>("given").flatMap((keys) => JSON.parse(keys) as string[]);
  return await reader.query(
    `with sets as (
       select a.attributes, a.own_keys from otel_data.attribute_sets a where a.id = any ($1::bigint[])
     ), keys as (
       select 'record' as of, jsonb_object_keys(attributes) as key from sets
       union select 'record', unnest(own_keys) from sets
       union select 'record', unnest($2::text[])
       union select 'resource', jsonb_object_keys(r.attributes) from otel_data.resources r
         where r.id = any ($3::bigint[])
     )
     select k.of, to_json(k.key)::text as key from keys k order by k.of, k.key collate "C"
     limit $4::int`,
    [distinct<bigint>("attribute_set_id"), given, distinct<bigint>("resource_id"), limit],
  );
}
