/**
 * Filters of queries: the grammar's text and single options, joined into one.
 *
 * @module
 */

import { type Filter, type FilterField, type FilterOperator, parseFilter } from "../filter.ts";
import { filterSql } from "../filter_sql.ts";
import type { Signal } from "../record.ts";
import { QueryError } from "./query_error.ts";

/**
 * A condition on a field, as the grammar would give it.
 *
 * @param value Nanoseconds for `duration`, 1 to 24 for `severity`, upper case for `kind` and `status`.
 */
export function field(
  name: FilterField,
  operator: FilterOperator,
  value: string | number | bigint,
): Filter {
  return {
    kind: "compare",
    target: { kind: "field", name },
    operator,
    value: String(value),
    isNumber: typeof value !== "string",
  };
}

/**
 * What a text in the grammar and further conditions choose together.
 *
 * @throws {QueryError} The text is no filter, or asks for what records of this signal do not have.
 */
export function filterOf(
  signal: Signal,
  text: string | undefined,
  parts: readonly (Filter | undefined)[] = [],
): Filter {
  try {
    const filter: Filter = {
      kind: "and",
      parts: [...parts.filter((part) => part !== undefined), parseFilter(text ?? "")],
    };
    filterSql(filter, signal, () => "$1");
    return filter;
  } catch (error) {
    throw new QueryError("filter", text, (error as Error).message, { cause: error });
  }
}
