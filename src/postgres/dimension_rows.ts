/**
 * The rows of dimensions that are still to be written.
 *
 * @module
 */

import type { Database } from "./database.ts";

/** A row by column; `bytea` as hexadecimal and `jsonb` as JSON text, `int8` as decimal text. */
export type DimensionRow = Readonly<Record<string, string | number | boolean | null>> & {
  readonly id: string;
};

/** The dimension tables of schema `otel_data`. */
export type DimensionTable = "services" | "resources" | "scopes" | "names" | "metrics" | "series";

/** The columns of each table beside `id` and `last_used`, with the types they travel as. */
const COLUMNS: Readonly<Record<DimensionTable, Readonly<Record<string, string>>>> = {
  services: {
    name: "text",
    namespace: "text",
    first_seen: "timestamptz",
    last_seen: "timestamptz",
  },
  resources: { service_id: "bigint", attributes: "jsonb", schema_url: "text", otlp: "bytea" },
  scopes: { name: "text", version: "text", attributes: "jsonb", schema_url: "text", otlp: "bytea" },
  names: { name: "text" },
  metrics: {
    name: "text",
    type: "smallint",
    unit: "text",
    description: "text",
    temporality: "smallint",
    is_monotonic: "boolean",
    otlp: "bytea",
  },
  series: {
    metric_id: "bigint",
    resource_id: "bigint",
    scope_id: "bigint",
    service_id: "bigint",
    attributes: "jsonb",
    otlp: "bytea",
  },
};

const TABLES = Object.keys(COLUMNS) as DimensionTable[];
/** Rows a statement writes at most: one JSON parameter must stay far below Postgres' 1 GB. */
const ROWS_PER_STATEMENT = 2_000;

/** Gathers rows and writes each once. As many wait at most as the requests in the buffer name. */
export class DimensionRows {
  #pending = noRows();

  /** How many rows wait. */
  get pending(): number {
    return TABLES.reduce((sum, table) => sum + this.#pending[table].size, 0);
  }

  /** Adds a row, or replaces the one of that id. */
  add(table: DimensionTable, row: DimensionRow): void {
    this.#pending[table].set(row.id, row);
  }

  /**
   * Commits the rows that wait; when it fails they go on waiting.
   *
   * @param lastUsed The day that the rows say they were last used.
   */
  async flush(database: Database, lastUsed: Date, signal?: AbortSignal): Promise<void> {
    if (this.pending === 0) return;
    const writing = this.#pending;
    this.#pending = noRows();
    const day = lastUsed.toISOString().slice(0, 10);
    try {
      await database.transaction(async (transaction) => {
        for (const table of TABLES) {
          const rows = [...writing[table].values()];
          for (let from = 0; from < rows.length; from += ROWS_PER_STATEMENT) {
            const part = JSON.stringify(rows.slice(from, from + ROWS_PER_STATEMENT));
            await transaction.query(upsert(table), [part, day]);
          }
        }
      }, signal === undefined ? {} : { signal });
    } catch (error) {
      for (const table of TABLES) {
        for (const [id, row] of writing[table]) {
          if (!this.#pending[table].has(id)) this.#pending[table].set(id, row);
        }
      }
      throw error;
    }
  }
}

function noRows(): Record<DimensionTable, Map<string, DimensionRow>> {
  return Object.fromEntries(TABLES.map((table) => [table, new Map()])) as Record<
    DimensionTable,
    Map<string, DimensionRow>
  >;
}

function upsert(table: DimensionTable): string {
  const columns = Object.entries(COLUMNS[table]);
  const names = columns.map(([name]) => name);
  // bytea travels as hexadecimal text, jsonb as text, so that JSON never reads their numbers.
  const travel = columns.map(([name, type]) =>
    `${name} ${type === "bytea" || type === "jsonb" ? "text" : type}`
  );
  const values = columns.map(([name, type]) =>
    type === "bytea" ? `decode(${name}, 'hex')` : type === "jsonb" ? `${name}::jsonb` : name
  );
  const update = table === "services"
    ? `last_seen = greatest(t.last_seen, excluded.last_seen),
       last_used = greatest(t.last_used, excluded.last_used)`
    : "last_used = excluded.last_used where t.last_used < excluded.last_used";
  return `insert into otel_data.${table} as t (id, ${names.join(", ")}, last_used)
    select id, ${values.join(", ")}, $2::date
    from json_to_recordset($1::json) as r (id bigint, ${travel.join(", ")})
    order by id
    on conflict (id) do update set ${update}`;
}
