/**
 * Filters of queries: the grammar's text and single options, joined into one.
 *
 * @module
 */

import {
  type Filter,
  type FilterField,
  type FilterOperator,
  parseFilter,
  wordsOf,
} from "../filter.ts";
import { filterSql } from "../filter_sql.ts";
import type { Signal } from "../record.ts";
import { QueryError } from "./query_error.ts";

/**
 * A condition on a field, as the grammar would give it; none when there is no value.
 *
 * @param value Nanoseconds for `duration`, 1 to 24 for `severity`, upper case for `kind` and `status`.
 */
export function field(
  name: FilterField,
  operator: FilterOperator,
  value: string | number | bigint | undefined,
): Filter | undefined {
  if (value === undefined) return undefined;
  return {
    kind: "compare",
    target: { kind: "field", name },
    operator,
    value: String(value),
    isNumber: typeof value !== "string",
  };
}

/**
 * The condition that records have all words of a text.
 *
 * @throws {QueryError} There is no word in it.
 */
export function words(text: string | undefined): Filter | undefined {
  if (text !== undefined && wordsOf(text).length === 0) {
    throw new QueryError("text", text, "it has to have a word in it: letters, digits or _");
  }
  return field("text", "has", text);
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
