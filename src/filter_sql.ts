/**
 * Filters as SQL conditions on the rows that `postgres/stored.ts` selects.
 *
 * A comparison with what a record lacks is null, which WHERE takes for false, and `not` makes false
 * before it turns it round. Services, operations and resources are looked up by what is asked of them
 * and compared by id: once each instead of for every row, and so that an index on the id can be used.
 * Names and values travel as parameters, always.
 *
 * @module
 */

import {
  type Filter,
  type FilterField,
  type FilterTarget,
  KINDS,
  STATUSES,
  wordsOf,
} from "./filter.ts";
import type { SqlValue } from "./postgres/database.ts";
import type { Signal } from "./record.ts";

/** A filter asks for what the records of this signal do not have. */
export class FilterFieldError extends Error {
  override readonly name = "FilterFieldError";

  constructor(field: FilterField, signal: Signal) {
    super(`Cannot filter ${signal} by ${field}: they have none`);
  }
}

/** A filter of one condition. */
export type Condition = Extract<Filter, { kind: "exists" | "compare" }>;

/** Adds a parameter and returns how SQL names it, e.g. `$3`. */
export type AddParameter = (value: SqlValue) => string;

/** The SQL of each field by signal: what it is compared as, and whether that is a number. */
const FIELDS: Readonly<Record<Signal, Partial<Record<FilterField, string>>>> = {
  traces: {
    kind: `(array['${KINDS.join("','")}'])[t.kind + 1]`,
    status: `(array['${STATUSES.join("','")}'])[coalesce(t.status, 0) + 1]`,
    duration: "t.duration_ns",
    text:
      `concat_ws(e'\\n', (select name from otel_data.names where id = t.name_id), t.status_message,
      ${
        texts(
          "otel_data.attributes(t.attributes, a.attributes, a.own_keys, a.own_json, t.attribute_values)",
        )
      },
      ${texts("t.events")})`,
  },
  logs: {
    severity: "nullif(t.severity_number, 0)",
    text: "t.body #>> '{}'",
  },
  metrics: { metric: "m.name" },
};

/** All texts and numbers in a jsonb, a line each. */
function texts(jsonb: string): string {
  return `(select string_agg(v #>> '{}', e'\\n') from jsonb_path_query(${jsonb},
    'strict $.** ? (@.type() == "string" || @.type() == "number")') v)`;
}

/** Fields that are the `name` of another table's row. */
const NAMES: Readonly<Record<Signal, Partial<Record<FilterField, Dimension>>>> = {
  traces: {
    service: { id: "t.service_id", table: "services" },
    operation: { id: "t.name_id", table: "names" },
  },
  logs: { service: { id: "t.service_id", table: "services" } },
  metrics: { service: { id: "e.service_id", table: "services" } },
};

interface Dimension {
  readonly id: string;
  readonly table: string;
}

/**
 * The condition of a filter.
 *
 * @param signal Whose rows, under the aliases of `SELECT_SPANS`, `SELECT_LOGS` or `SELECT_POINTS`.
 * @throws {FilterFieldError} It names a field that these records do not have.
 */
export function filterSql(filter: Filter, signal: Signal, add: AddParameter): string {
  switch (filter.kind) {
    case "and":
    case "or": {
      if (filter.parts.length === 0) return "true";
      const parts = filter.parts.map((part) => filterSql(part, signal, add));
      return `(${parts.join(` ${filter.kind} `)})`;
    }
    case "not":
      return `not coalesce(${filterSql(filter.part, signal, add)}, false)`;
    case "exists":
      return of(filter.target, signal, add, (sql) => `${sql} is not null`);
    case "compare":
      return of(filter.target, signal, add, (sql) => comparisonSql(sql, filter, add));
  }
}

/** A condition on a field or an attribute. */
function of(
  target: FilterTarget,
  signal: Signal,
  add: AddParameter,
  condition: (sql: string) => string,
): string {
  if (target.kind === "field") {
    const named = NAMES[signal][target.name];
    return named === undefined
      ? `(${condition(fieldSql(target.name, signal))})`
      : among(named, condition("name"));
  }
  if (target.of === "resource") {
    const resource = {
      id: signal === "metrics" ? "e.resource_id" : "t.resource_id",
      table: "resources",
    };
    return among(resource, condition(`(attributes -> ${add(target.key)}::text)`));
  }
  return `(${condition(attributeSql(target.key, signal, add))})`;
}

/**
 * The ids of operations or resources that a condition on them chooses.
 *
 * @param condition On the operation of spans, or an attribute of resources.
 * @throws {FilterFieldError} These records have no operation.
 */
export function dimensionIds(condition: Condition, signal: Signal, add: AddParameter): string {
  const { target } = condition;
  const [table, column] = target.kind === "field"
    ? [named(target.name, signal).table, "name"]
    : ["resources", `(attributes -> ${add(target.key)}::text)`];
  const chosen = condition.kind === "exists"
    ? `${column} is not null`
    : comparisonSql(column, condition, add);
  return `select id from otel_data.${table} where ${chosen}`;
}

function named(field: FilterField, signal: Signal): Dimension {
  const dimension = NAMES[signal][field];
  if (dimension === undefined) throw new FilterFieldError(field, signal);
  return dimension;
}

/** Those whose row in another table meets a condition. */
function among({ id, table }: Dimension, condition: string): string {
  const ids = `select id from otel_data.${table} where ${condition}`;
  // Few, and an index begins with them; others may be many, and are hashed.
  return table === "services" ? `(${id} = any (array(${ids})))` : `(${id} in (${ids}))`;
}

/** An attribute is jsonb. */
function comparisonSql(
  sql: string,
  { target, operator, value, isNumber }: Extract<Filter, { kind: "compare" }>,
  add: AddParameter,
): string {
  if (operator === "has") {
    const text = target.kind === "field" ? sql : `((${sql}) #>> '{}')`;
    return wordsOf(value).map((word) => `${text} ~* ${add(WORD(word))}::text`).join(" and ");
  }
  if (target.kind === "field") {
    return isNumber
      ? `${sql} ${operator} ${add(value)}::${integerType(value)}`
      : textComparison(sql, operator, add(value));
  }
  const text = `(${sql}) #>> '{}'`;
  if (!isNumber) return textComparison(text, operator, add(value));
  const number = `(${text})::numeric ${operator} ${add(value)}::numeric`;
  const other = operator === "=" || operator === "!="
    ? textComparison(text, operator, add(value))
    : "false";
  return `case jsonb_typeof(${sql}) when 'number' then ${number} else ${other} end`;
}

/** An index on bigints takes no other numbers. */
function integerType(value: string): string {
  return /^\d{1,18}$/.test(value) ? "bigint" : "numeric";
}

/** A whole word. It is letters, digits and `_`, so nothing in it is special. */
function WORD(word: string): string {
  return `(^|[^[:alnum:]_])${word}($|[^[:alnum:]_])`;
}

/** Text is ordered by code point, the same in every database. */
function textComparison(sql: string, operator: string, parameter: string): string {
  const ordered = operator.includes("<") || operator.includes(">") ? ' collate "C"' : "";
  return `${sql} ${operator} ${parameter}::text${ordered}`;
}

function fieldSql(field: FilterField, signal: Signal): string {
  const sql = FIELDS[signal][field];
  if (sql === undefined) throw new FilterFieldError(field, signal);
  return sql;
}

/** One attribute of a record as jsonb, null when there is none. */
function attributeSql(key: string, signal: Signal, add: AddParameter): string {
  const name = `${add(key)}::text`;
  return signal === "metrics"
    ? `(e.attributes -> ${name})`
    : `otel_data.attribute(t.attributes, a.attributes, a.own_keys, a.own_types,
    t.attribute_values, ${name})`;
}
