/**
 * Filters as SQL conditions on the rows that `postgres/stored.ts` selects.
 *
 * Every condition is true or false, never null, so that `not` means what it says. Names and values
 * travel as parameters, always.
 *
 * @module
 */

import { type Filter, type FilterField, type FilterTarget, KINDS, STATUSES } from "./filter.ts";
import type { SqlValue } from "./postgres/database.ts";
import type { Signal } from "./record.ts";

/** A filter asks for what the records of this signal do not have. */
export class FilterFieldError extends Error {
  override readonly name = "FilterFieldError";

  constructor(field: FilterField, signal: Signal) {
    super(`Cannot filter ${signal} by ${field}: they have none`);
  }
}

/** Adds a parameter and returns how SQL names it, e.g. `$3`. */
export type AddParameter = (value: SqlValue) => string;

/** The SQL of each field by signal: what it is compared as, and whether that is a number. */
const FIELDS: Readonly<Record<Signal, Partial<Record<FilterField, string>>>> = {
  traces: {
    service: service("t"),
    operation: "n.name",
    kind: `(array['${KINDS.join("','")}'])[t.kind + 1]`,
    status: `(array['${STATUSES.join("','")}'])[coalesce(t.status, 0) + 1]`,
    duration: "t.duration_ns",
  },
  logs: {
    service: service("t"),
    severity: "nullif(t.severity_number, 0)",
    text: "t.body #>> '{}'",
  },
  metrics: { service: service("e"), metric: "m.name" },
};

function service(alias: string): string {
  return `(select name from otel_data.services where id = ${alias}.service_id)`;
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
      return `not ${filterSql(filter.part, signal, add)}`;
    case "exists":
      return filter.target.kind === "field"
        ? `(${fieldSql(filter.target.name, signal)} is not null)`
        : `(${attributeSql(filter.target, signal, add)} is not null)`;
    case "compare":
      return `coalesce(${comparisonSql(filter, signal, add)}, false)`;
  }
}

function comparisonSql(
  { target, operator, value, isNumber }: Extract<Filter, { kind: "compare" }>,
  signal: Signal,
  add: AddParameter,
): string {
  if (target.kind === "field") {
    const sql = fieldSql(target.name, signal);
    return isNumber
      ? `${sql} ${operator} ${add(value)}::numeric`
      : textComparison(sql, operator, add(value));
  }
  const attribute = attributeSql(target, signal, add);
  const text = `(${attribute}) #>> '{}'`;
  if (!isNumber) return textComparison(text, operator, add(value));
  const number = `(${text})::numeric ${operator} ${add(value)}::numeric`;
  const other = operator === "=" || operator === "!="
    ? textComparison(text, operator, add(value))
    : "false";
  return `case jsonb_typeof(${attribute}) when 'number' then ${number} else ${other} end`;
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

/** One attribute as jsonb, null when there is none. */
function attributeSql(
  target: Exclude<FilterTarget, { kind: "field" }>,
  signal: Signal,
  add: AddParameter,
): string {
  const key = `${add(target.key)}::text`;
  if (target.of === "resource") return `(r.attributes -> ${key})`;
  if (signal === "metrics") return `(e.attributes -> ${key})`;
  return `otel_data.attribute(t.attributes, a.attributes, a.own_keys, a.own_types,
    t.attribute_values, ${key})`;
}
