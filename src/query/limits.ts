/**
 * How much one answer holds, in the schemas of queries.
 *
 * @module
 */

import { z } from "zod";
import { MAX_FILTER_LENGTH } from "../filter.ts";

/** Rows of a page at most: traces, log records, groups. */
export const MAX_LIMIT = 1_000;
/** Steps of a time range at most. */
export const MAX_STEPS = 1_000;

/** The field `limit`. */
export function limitField(byDefault: number): z.ZodDefault<z.ZodInt> {
  return z.int().min(1).max(MAX_LIMIT).default(byDefault).describe(
    `How many at most, 1 to ${MAX_LIMIT}. Default: ${byDefault}`,
  );
}

/** The field `cursor`. */
export const CURSOR_FIELD = z.string().optional().describe(
  "The page that follows the one this cursor came with, of the same time range: that may be left out. " +
    "All other options but `limit` have to be the same",
);

/** The field `filter`. */
export const FILTER_FIELD = z.string().max(MAX_FILTER_LENGTH).optional().describe(
  'A filter in the grammar of this project, e.g. `http.route ~ "^/api" and duration > 250ms`',
);

/** The same where it chooses series. */
export const SERIES_FILTER_FIELD: typeof FILTER_FIELD = FILTER_FIELD.describe(
  "Which series, in the grammar of filters: `service`, attributes of the points and the resource",
);

/** The field `text`. */
export const TEXT_FIELD = z.string().max(MAX_FILTER_LENGTH).optional();

/** A trace id. */
export const TRACE_ID = z.string().transform((text) => text.replaceAll("-", "").toLowerCase()).pipe(
  z.string().regex(/^[0-9a-f]{32}$/, "a trace id is 32 hex digits"),
).describe("Trace id: 32 hex digits; dashes are allowed");

/** A span id. */
export const SPAN_ID = z.string().toLowerCase().regex(
  /^[0-9a-f]{16}$/,
  "a span id is 16 hex digits",
).describe("Span id: 16 hex digits");

/** A span id as it is stored. */
export function storedSpanId(spanId: string): bigint {
  return BigInt.asIntN(64, BigInt(`0x${spanId}`));
}
