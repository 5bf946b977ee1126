/**
 * Rows of dimensions on their way to the database.
 *
 * A row waits until it is committed, and each batch that names it meanwhile carries it: so no batch
 * depends on another one's success, and a row that the database refuses fails nobody but those who
 * name it.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { Database } from "./database.ts";

/** A row by column; `bytea` as hexadecimal and `jsonb` as JSON text, `int8` as decimal text. */
export type DimensionValues = Readonly<Record<string, string | number | boolean | null>> & {
  readonly id: string;
};

/** A row and where it stands. */
export interface DimensionRow {
  readonly table: DimensionTable;
  /** What is to be written; `undefined` once it is committed. */
  values: DimensionValues | undefined;
  /** How many of its texts have had NUL or invalid UTF-8 replaced. */
  readonly replaced: number;
  /** Where it was last added to. */
  gathering: symbol | undefined;
}

/** The dimension tables of schema `otel_data`. */
export type DimensionTable =
  | "services"
  | "resources"
  | "scopes"
  | "names"
  | "attribute_sets"
  | "metrics"
  | "series";

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
  attribute_sets: { attributes: "jsonb", own_keys: "text[]", own_types: "text", own_json: "text" },
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
/** Rows a statement writes at most. */
const ROWS_PER_STATEMENT = 2_000;
/** Where a statement ends, in characters: its JSON must stay far below what a string can hold. */
const LENGTH_PER_STATEMENT = 8 << 20;

/** How many rows there are, to go back to. */
export interface DimensionRowsMark {
  readonly count: number;
  readonly bytes: number;
  readonly replaced: number;
}

/** The rows that have to be there before the records of a batch. */
export class DimensionRows {
  readonly #rows = new Map<string, DimensionRow>();
  /** Its keys, in the order in which they came. */
  readonly #keys: string[] = [];
  #gathering = Symbol();
  #length = 0;
  #replaced = 0;

  /** How many there are. */
  get count(): number {
    return this.#rows.size;
  }

  /** All of them. */
  get all(): DimensionRow[] {
    return [...this.#rows.values()];
  }

  /** About how many bytes they take. */
  get bytes(): number {
    return this.#length;
  }

  /** Texts in them in which NUL or invalid UTF-8 became U+FFFD. */
  get replaced(): number {
    return this.#replaced;
  }

  /** Adds a row unless it is committed or here already. */
  add(row: DimensionRow): void {
    if (row.values === undefined || row.gathering === this.#gathering) return;
    row.gathering = this.#gathering;
    // A cache that forgot it may have made it anew: one statement cannot write an id twice.
    const key = `${row.table} ${row.values.id}`;
    const isNew = !this.#rows.has(key);
    this.#rows.set(key, row);
    // Another batch may have gathered it meanwhile, so that it does not look like one of these.
    if (!isNew) return;
    this.#keys.push(key);
    this.#replaced += row.replaced;
    for (const value of Object.values(row.values)) {
      this.#length += typeof value === "string" ? value.length : 8;
    }
  }

  /** Where the rows stand. */
  mark(): DimensionRowsMark {
    return { count: this.#rows.size, bytes: this.#length, replaced: this.#replaced };
  }

  /** Takes back what was added since. */
  rewind({ count, bytes, replaced }: DimensionRowsMark): void {
    while (this.#keys.length > count) {
      const key = this.#keys.pop()!;
      this.#rows.get(key)!.gathering = undefined;
      this.#rows.delete(key);
    }
    this.#length = bytes;
    this.#replaced = replaced;
  }

  /** Forgets the rows. */
  clear(): void {
    this.#rows.clear();
    this.#keys.length = 0;
    this.#length = 0;
    this.#replaced = 0;
    this.#gathering = Symbol();
  }

  /**
   * Commits the rows in a transaction of their own. Calling it again does nothing.
   *
   * @throws The driver's error; the rows go on waiting.
   */
  async flush(database: Database, signal?: AbortSignal): Promise<void> {
    const waiting = [...this.#rows.values()].flatMap((row) =>
      row.values === undefined ? [] : [{ row, values: row.values }]
    );
    if (waiting.length === 0) return;
    const today = new Date().toISOString().slice(0, 10);
    await database.transaction(async (transaction) => {
      for (const table of TABLES) {
        const rows = waiting.filter(({ row }) => row.table === table).map(({ values }) => values);
        for (const json of statements(rows)) await transaction.query(upsert(table), [json, today]);
      }
    }, signal === undefined ? {} : { signal });
    for (const { row, values } of waiting) {
      // What has been renewed since is written by whoever names it next.
      if (row.values === values) row.values = undefined;
    }
  }
}

/** The rows as JSON arrays for one statement each; sorted throughout, so that no writers deadlock. */
function* statements(rows: readonly DimensionValues[]): Generator<string> {
  const sorted = rows.map((values) => ({ values, id: BigInt(values.id) }))
    .sort((a, b) => a.id < b.id ? -1 : 1);
  let part: string[] = [];
  let length = 0;
  for (const { values } of sorted) {
    const json = JSON.stringify(values);
    if (
      part.length === ROWS_PER_STATEMENT ||
      (part.length > 0 && length + json.length > LENGTH_PER_STATEMENT)
    ) {
      yield `[${part.join()}]`;
      part = [];
      length = 0;
    }
    part.push(json);
    length += json.length;
  }
  if (part.length > 0) yield `[${part.join()}]`;
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

/**
 * The id of a dimension: the first 8 bytes of the SHA-256 of its content, in halves and as text.
 *
 * @param kind Tells dimensions apart whose content is the same.
 */
export function contentId(
  kind: string,
  content: Uint8Array,
): { lo: number; hi: number; text: string } {
  const digest = createHash("sha256").update(`${kind}\0`).update(content).digest();
  const hi = digest.readInt32BE(0);
  const lo = digest.readInt32BE(4);
  return { lo, hi, text: digest.readBigInt64BE(0).toString() };
}
