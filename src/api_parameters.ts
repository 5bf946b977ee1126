/**
 * The parameters of a URL as the options of a query.
 *
 * @module
 */

import type { z } from "zod";
import { QueryError } from "./query/query_error.ts";
import { isRelativeTime, parseTime, TIME_FORMS } from "./time_argument.ts";

/** Parameters that are times: they are taken in all the forms of a command line. */
export const TIMES: ReadonlySet<string> = new Set(["since", "until"]);

/** The parameter that says which page. */
const CURSOR = "cursor";

/** What a field takes, without what makes it optional. */
export function innerType(field: z.core.$ZodType): z.core.$ZodType {
  const { type, innerType: inner } = field._zod.def as {
    readonly type: string;
    readonly innerType?: z.core.$ZodType;
  };
  return (type === "optional" || type === "default") && inner !== undefined
    ? innerType(inner)
    : field;
}

/**
 * The options that a URL gives; their values are as the schema takes them, but not checked yet.
 *
 * Of the next page "two hours ago" is the one of the first page, which its cursor knows: it is left out.
 *
 * @param nowMs Now, in ms since 1970.
 * @throws {QueryError} A parameter is unknown, given twice, or not of its kind.
 *
 * @example A list without members
 * ```ts
 * import { METRIC_QUERY } from "./query.ts";
 * import assert from "node:assert/strict";
 *
 * const { searchParams } = new URL("http://localhost/api/metrics/requests?groupBy=");
 * assert.deepEqual(optionsFrom(METRIC_QUERY, searchParams), { groupBy: [] });
 * ```
 *
 * @example Texts, numbers and times
 * ```ts
 * import { LOG_SEARCH } from "./query.ts";
 * import assert from "node:assert/strict";
 *
 * const { searchParams } = new URL("http://localhost/api/logs?service=shop&limit=5&since=2h");
 * assert.deepEqual(optionsFrom(LOG_SEARCH, searchParams, 7_200_001), {
 *   service: "shop",
 *   limit: 5,
 *   since: 1_000_000n,
 * });
 * ```
 */
export function optionsFrom(
  schema: z.ZodObject,
  parameters: URLSearchParams,
  nowMs: number = Date.now(),
): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  for (const name of new Set(parameters.keys())) {
    const field = Object.hasOwn(schema.shape, name) ? schema.shape[name] : undefined;
    if (field === undefined) {
      const names = Object.keys(schema.shape).join(", ");
      throw new QueryError(
        name,
        parameters.get(name),
        `there is no such parameter: there are ${names}`,
      );
    }
    const texts = parameters.getAll(name);
    const isOfCursor = TIMES.has(name) && CURSOR in schema.shape && parameters.has(CURSOR) &&
      texts.length === 1 && isRelativeTime(texts[0]!);
    if (isOfCursor) continue;
    const { type } = innerType(field)._zod.def;
    if (type === "array") {
      const { element } = innerType(field)._zod.def as unknown as { element: z.core.$ZodType };
      // Given once and empty it is a list without members, which is something else than none.
      options[name] = texts.length === 1 && texts[0] === ""
        ? []
        : texts.map((text) => valueOf(name, element, text, nowMs));
    } else if (texts.length > 1) {
      throw new QueryError(name, texts, "it can be given once");
    } else {
      options[name] = valueOf(name, field, texts[0]!, nowMs);
    }
  }
  return options;
}

function valueOf(name: string, field: z.core.$ZodType, text: string, nowMs: number): unknown {
  switch (innerType(field)._zod.def.type) {
    case "bigint": {
      if (TIMES.has(name)) {
        const time = parseTime(text, nowMs);
        if (time === undefined) throw new QueryError(name, text, `it has to be ${TIME_FORMS}`);
        return time;
      }
      if (!/^\d{1,20}$/.test(text)) throw new QueryError(name, text, "it has to be a whole number");
      return BigInt(text);
    }
    case "number":
      if (!/^-?\d{1,20}(\.\d{1,20})?(e-?\d{1,3})?$/i.test(text)) {
        throw new QueryError(name, text, "it has to be a number");
      }
      return Number(text);
    case "boolean":
      if (text !== "true" && text !== "false") {
        throw new QueryError(name, text, "it has to be true or false");
      }
      return text === "true";
    default:
      return text;
  }
}
