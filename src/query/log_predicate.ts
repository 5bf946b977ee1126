/**
 * Filters as conditions on log records that no database has yet: what `filter_sql.ts` is for rows.
 *
 * Both choose the same. Where Postgres asks the locale of the database, which letters beyond ASCII there
 * are and which of them are two cases of one, it is Unicode here. Regular expressions are those of
 * Postgres alone: whoever wrote one may not hold up all who send, so they are refused here.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { type Filter, type FilterOperator, type FilterTarget, wordsOf } from "../filter.ts";
import { FilterFieldError } from "../filter_sql.ts";
import { isJsonbNumber, jsonbText } from "../postgres/jsonb_text.ts";
import type { Stored } from "../postgres/stored.ts";
import type { KeyValue, LogRecord } from "../record.ts";
import { compareDecimals, type Decimal, decimalOf } from "./decimal.ts";
import { QueryError } from "./query_error.ts";

/** Whether a record is chosen. */
export type LogPredicate = (log: Stored<LogRecord>) => boolean;

type Comparison = Extract<Filter, { kind: "compare" }>;

/** What is compared: its text, and whether it is a number in jsonb; undefined where there is none. */
interface Compared {
  readonly text: string | undefined;
  readonly isNumber: boolean;
}

/**
 * The condition of a filter.
 *
 * @throws {QueryError} There is a regular expression in it.
 * @throws {FilterFieldError} It names a field that log records do not have.
 *
 * @example By severity
 * ```ts
 * import { parseFilter } from "../filter.ts";
 * import { jsonToProtobuf } from "../otlp.ts";
 * import { receivedLogs } from "../postgres/received.ts";
 * import assert from "node:assert/strict";
 *
 * const text = '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":17}]}]}]}';
 * const [log] = receivedLogs(jsonToProtobuf("logs", text));
 * assert.equal(logPredicate(parseFilter("severity >= error"))(log!), true);
 * ```
 */
export function logPredicate(filter: Filter): LogPredicate {
  switch (filter.kind) {
    case "and": {
      const parts = filter.parts.map(logPredicate);
      return (log) => parts.every((part) => part(log));
    }
    case "or": {
      const parts = filter.parts.map(logPredicate);
      // Of nothing it is true, as in SQL.
      return (log) => parts.length === 0 || parts.some((part) => part(log));
    }
    case "not": {
      const part = logPredicate(filter.part);
      return (log) => !part(log);
    }
    case "exists": {
      const read = reader(filter.target);
      // An attribute without a value is there, a field is not.
      const isField = filter.target.kind === "field";
      return (log) => {
        const compared = read(log);
        return compared !== undefined && (!isField || compared.text !== undefined);
      };
    }
    case "compare":
      return comparison(filter);
  }
}

/** How what is compared is read from a record. */
function reader(target: FilterTarget): (log: Stored<LogRecord>) => Compared | undefined {
  if (target.kind === "attribute") {
    const { of, key } = target;
    return (log) => valueOf((of === "record" ? log.record : log.resource).attributes, key);
  }
  switch (target.name) {
    case "service":
      return ({ resource }) => ({ text: serviceName(resource.attributes), isNumber: false });
    case "severity":
      return ({ record: { severityNumber } }) => {
        // 0 is none, and the column holds no more than this.
        const isKnown = severityNumber > 0 && severityNumber < 0x8000;
        return { text: isKnown ? String(severityNumber) : undefined, isNumber: true };
      };
    case "text":
      return ({ record: { body } }) => ({ text: body && jsonbText(body), isNumber: false });
    default:
      throw new FilterFieldError(target.name, "logs");
  }
}

function valueOf(attributes: readonly KeyValue[], key: string): Compared | undefined {
  const found = attributes.find((attribute) => attribute.key === key);
  if (found === undefined) return undefined;
  const value = found.value ?? {};
  return { text: jsonbText(value), isNumber: isJsonbNumber(value) };
}

/** The name of the service of a resource, as that table has it. */
function serviceName(attributes: readonly KeyValue[]): string | undefined {
  const value = attributes.find(({ key }) => key === "service.name")?.value;
  if (value === undefined) return undefined;
  const text = jsonbText(value);
  // The table has what is no text as JavaScript writes JSON.
  const isJson = isJsonbNumber(value) || (value.arrayValue ?? value.kvlistValue) !== undefined;
  return text === undefined || !isJson ? text : JSON.stringify(JSON.parse(text));
}

function comparison({ target, operator, value, isNumber }: Comparison): LogPredicate {
  if (operator === "~" || operator === "!~") {
    throw new QueryError(
      "filter",
      value,
      `a live tail takes no regular expression: use has, = or !=`,
    );
  }
  const read = reader(target);
  if (operator === "has") {
    const words = wordsOf(value).map(wordPattern);
    return (log) => {
      const text = read(log)?.text;
      return text !== undefined && words.every((word) => word.test(text));
    };
  }
  const bytes = Buffer.from(value);
  const byText = (text: string) =>
    operator === "=" || operator === "!="
      ? (text === value) === (operator === "=")
      : holds(Buffer.compare(Buffer.from(text), bytes), operator);
  if (!isNumber) {
    return (log) => {
      const text = read(log)?.text;
      return text !== undefined && byText(text);
    };
  }
  const number: Decimal = decimalOf(value);
  const isEquality = operator === "=" || operator === "!=";
  return (log) => {
    const compared = read(log);
    if (compared?.text === undefined) return false;
    if (compared.isNumber) {
      return holds(compareDecimals(decimalOf(compared.text), number), operator);
    }
    return isEquality && byText(compared.text);
  };
}

/** Whether an order of two is what the operator wants. */
function holds(order: number, operator: FilterOperator): boolean {
  switch (operator) {
    case "=":
      return order === 0;
    case "!=":
      return order !== 0;
    case "<":
      return order < 0;
    case "<=":
      return order <= 0;
    case ">":
      return order > 0;
    default:
      return order >= 0;
  }
}

const LETTER = "[\\p{L}\\p{N}_]";

/** A whole word, in either case. */
function wordPattern(word: string): RegExp {
  const letters = [...word].map((letter) => {
    const cases = new Set([letter, letter.toLowerCase(), letter.toUpperCase()]);
    // Those of more than one letter are none for Postgres.
    return `[${[...cases].filter((one) => [...one].length === 1).join("")}]`;
  });
  return new RegExp(`(?<!${LETTER})${letters.join("")}(?!${LETTER})`, "u");
}
