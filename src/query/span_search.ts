/**
 * Which spans are looked for: the options that searches of traces have in common.
 *
 * @module
 */

import { z } from "zod";
import { type Filter, KINDS, STATUSES } from "../filter.ts";
import { field, filterOf, words } from "./filters.ts";
import { FILTER_FIELD, TEXT_FIELD } from "./limits.ts";
import { RANGE_FIELDS, type RangeOptions } from "./range.ts";

/** The kinds of spans, as filters and results name them. */
export type SpanKindName =
  | "UNSPECIFIED"
  | "INTERNAL"
  | "SERVER"
  | "CLIENT"
  | "PRODUCER"
  | "CONSUMER";

/** The statuses of spans, as filters and results name them. */
export type SpanStatusName = "UNSET" | "OK" | "ERROR";

/** Which spans; conditions are joined by and. */
export interface SpanSearch extends RangeOptions {
  /** Resource attribute `service.name`. */
  readonly service?: string | undefined;
  /** Name of the span. */
  readonly operation?: string | undefined;
  /** Kind of the span. */
  readonly kind?: SpanKindName | undefined;
  /** Status of the span. */
  readonly status?: SpanStatusName | undefined;
  /** At least this long, in nanoseconds. */
  readonly minDurationNs?: bigint | undefined;
  /** At most this long, in nanoseconds. */
  readonly maxDurationNs?: bigint | undefined;
  /** Words that are in its name, status message, attributes or events. */
  readonly text?: string | undefined;
  /** Anything else, in the grammar of filters. */
  readonly filter?: string | undefined;
}

const duration = z.bigint().min(0n).max(2n ** 63n - 1n);
const kinds = KINDS as readonly SpanKindName[];
const statuses = STATUSES as readonly SpanStatusName[];

/** The fields of {@linkcode SpanSearch}, for the schemas of queries. */
export const SPAN_FIELDS = {
  ...RANGE_FIELDS,
  service: z.string().optional().describe("Resource attribute `service.name`"),
  operation: z.string().optional().describe("Name of the span"),
  kind: z.enum(kinds).optional().describe("Kind of the span"),
  status: z.enum(statuses).optional().describe("Status of the span"),
  minDurationNs: duration.optional().describe("At least this long, in nanoseconds"),
  maxDurationNs: duration.optional().describe("At most this long, in nanoseconds"),
  text: TEXT_FIELD.describe(
    "Words that are in the name, status message, attributes or events of the span",
  ),
  filter: FILTER_FIELD,
};

/**
 * The filter of a search.
 *
 * @throws {QueryError} `filter` is none, or `text` has no word in it.
 */
export function spanFilter(search: SpanSearch): Filter {
  const { service, operation, kind, status, minDurationNs, maxDurationNs, text } = search;
  return filterOf("traces", search.filter, [
    field("service", "=", service),
    field("operation", "=", operation),
    field("kind", "=", kind),
    field("status", "=", status),
    field("duration", ">=", minDurationNs),
    field("duration", "<=", maxDurationNs),
    words(text),
  ]);
}
