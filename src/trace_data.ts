/**
 * A span as a plain object, for programs that have no OpenTelemetry SDK.
 *
 * @module
 */

import * as z from "zod";
import { encodeRequest } from "./otlp.ts";
import type { Span } from "./record.ts";
import { encodeRecord } from "./record_error.ts";
import {
  ATTRIBUTES,
  type Attributes,
  keyValues,
  NAME,
  randomId,
  resourceOf,
  SPAN_ID,
  TIME,
  type TimeValue,
  TRACE_ID,
  withAttribute,
} from "./record_fields.ts";
import { spanTimes } from "./span_times.ts";

/** The roles of a span in its trace. */
export type SpanKindValue = "INTERNAL" | "SERVER" | "CLIENT" | "PRODUCER" | "CONSUMER";
/** How a span ended. */
export type SpanStatusValue = "UNSET" | "OK" | "ERROR";

/**
 * A span. Two of `startTime`, `endTime` and `durationMs` have to be there, and `name` or `operation`.
 * Fields that are not listed are refused, so that none is lost by a misspelt name.
 */
export interface TraceData {
  /** 32 hex digits, not all 0. @default a random one */
  readonly traceId?: string | undefined;
  /** 16 hex digits, not all 0. @default a random one */
  readonly spanId?: string | undefined;
  /** 16 hex digits, not all 0. @default none: a root */
  readonly parentSpanId?: string | undefined;
  /** Name of the span. @default `operation` */
  readonly name?: string | undefined;
  /** In capitals or not. @default {"INTERNAL"} */
  readonly kind?: SpanKindValue | Lowercase<SpanKindValue> | undefined;
  /** When it began. */
  readonly startTime?: TimeValue | undefined;
  /** When it ended, not before it began. */
  readonly endTime?: TimeValue | undefined;
  /** How long it took, in milliseconds, 0 or more. Up to 1 ms of rounding is put up with. */
  readonly durationMs?: number | undefined;
  /** In capitals or not. @default {"UNSET"} */
  readonly status?: SpanStatusValue | Lowercase<SpanStatusValue> | undefined;
  /** What went wrong, for people. */
  readonly statusMessage?: string | undefined;
  /** Resource attribute `service.name`. @default none */
  readonly service?: string | undefined;
  /** Kept as the attribute `operation`. @default none */
  readonly operation?: string | undefined;
  /** What else describes it. @default none */
  readonly attributes?: Attributes | undefined;
}

const KINDS = ["INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"] as const;
const STATUSES = ["UNSET", "OK", "ERROR"] as const;

/** Of the fields that spans have, and logs written as spans. */
export const SPAN_FIELDS = {
  traceId: TRACE_ID.optional(),
  spanId: SPAN_ID.optional(),
  name: NAME.optional(),
  kind: capitals(KINDS).optional(),
  startTime: TIME.optional(),
  endTime: TIME.optional(),
  durationMs: z.number("has to be a number").min(0, "has to be 0 or more")
    .max(1e13, "has to be up to 300 years").optional(),
  status: capitals(STATUSES).optional(),
  service: NAME.optional(),
  operation: NAME.optional(),
  attributes: ATTRIBUTES.default({}),
};

const SCHEMA = z.strictObject({
  ...SPAN_FIELDS,
  parentSpanId: SPAN_ID.optional(),
  statusMessage: z.string("has to be a text").optional(),
}, "has to be an object").refine(
  ({ name, operation }) => name !== undefined || operation !== undefined,
  { path: ["name"], message: "is missing: give it or operation" },
);

function capitals<const T extends readonly string[]>(words: T): z.ZodType<T[number], string> {
  return z.string(`has to be one of ${words.join(", ")}`)
    .transform((word) => word.toUpperCase())
    .pipe(z.enum(words, `has to be one of ${words.join(", ")}`));
}

/**
 * Makes an `ExportTraceServiceRequest` of one span.
 *
 * @throws {RecordError} A field is missing, unknown, wrong, or contradicts another one.
 *
 * @example A span without ids gets random ones
 * ```ts
 * import assert from "node:assert/strict";
 * import { decodeRequest } from "./otlp.ts";
 *
 * const bytes = spanRequest({ name: "work", startTime: new Date(), durationMs: 20, service: "shop" });
 * const span = decodeRequest("traces", bytes).resourceSpans[0]?.scopeSpans[0]?.spans[0];
 * assert.match(span!.traceId, /^[0-9a-f]{32}$/);
 * ```
 */
export function spanRequest(data: TraceData): Uint8Array {
  return encodeRecord("span", SCHEMA, encoded, data);
}

function encoded(data: z.output<typeof SCHEMA>): Uint8Array {
  const { start, end } = spanTimes(data);
  const { kind = "INTERNAL", status = "UNSET", statusMessage = "", operation } = data;
  const span: Span = {
    traceId: data.traceId ?? randomId(32),
    spanId: data.spanId ?? randomId(16),
    traceState: "",
    parentSpanId: data.parentSpanId ?? "",
    flags: 0,
    name: data.name ?? operation!,
    kind: KINDS.indexOf(kind) + 1,
    startTimeUnixNano: start,
    endTimeUnixNano: end,
    attributes: keyValues("attributes", withAttribute(data.attributes, "operation", operation)),
    droppedAttributesCount: 0,
    events: [],
    droppedEventsCount: 0,
    links: [],
    droppedLinksCount: 0,
    ...(status !== "UNSET" || statusMessage !== "") && {
      status: { code: STATUSES.indexOf(status), message: statusMessage },
    },
  };
  const scopeSpans = [{ spans: [span], schemaUrl: "" }];
  return encodeRequest("traces", {
    resourceSpans: [{ ...resourceOf(data.service), scopeSpans, schemaUrl: "" }],
  });
}
