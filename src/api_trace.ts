/**
 * A trace over HTTP: as a tree, or as it would be sent.
 *
 * @module
 */

import { z } from "zod";
import { textOf } from "./api_answers.ts";
import { requestToJson } from "./otlp.ts";
import type { Database } from "./postgres/database.ts";
import {
  getTraceTree,
  QueryError,
  type ReadOptions,
  TRACE_QUERY,
  type TraceQuery,
  type TraceTree,
} from "./query.ts";
import { checked } from "./query/query_error.ts";
import type { ExportRequests } from "./record.ts";

/** The options of {@linkcode readTrace}. */
export const TRACE_PARAMETERS = TRACE_QUERY.extend({
  format: z.enum(["tree", "otlp"]).default("tree").describe(
    "`otlp`: the spans alone, as an ExportTraceServiceRequest in OTLP JSON. Default: tree",
  ),
});

/**
 * Reads a trace. As OTLP it is whole or refused, as nothing in it could say that spans are left out.
 *
 * @returns Undefined when nothing is stored of it.
 * @throws {QueryError} An option is wrong, or OTLP is asked for with a cursor or of more than `maxSpans`.
 * @throws {QueryTimeoutError} It took too long.
 */
export async function readTrace(
  database: Database,
  options: TraceQuery & { readonly format?: "tree" | "otlp" },
  read: ReadOptions,
): Promise<TraceTree | ExportRequests["traces"] | undefined> {
  const { format, ...query } = checked(TRACE_PARAMETERS, options);
  if (format === "tree") return await getTraceTree(database, query, read);
  if (query.cursor !== undefined) {
    throw new QueryError("cursor", query.cursor, "as OTLP a trace comes whole: leave it out");
  }
  const tree = await getTraceTree(database, { ...query, maxLogs: 0, maxPoints: 0 }, read);
  if (tree?.hasMoreSpans) {
    throw new QueryError(
      "maxSpans",
      query.maxSpans,
      "the trace has more spans: as OTLP it comes whole",
    );
  }
  return tree && {
    resourceSpans: tree.spans.map((span) => ({
      resource: span.resource,
      schemaUrl: span.resourceSchemaUrl,
      scopeSpans: [{ scope: span.scope, schemaUrl: span.scopeSchemaUrl, spans: [span.record] }],
    })),
  };
}

/** What {@linkcode readTrace} gives, as JSON. */
export function traceText(answer: TraceTree | ExportRequests["traces"]): string {
  return "resourceSpans" in answer ? requestToJson("traces", answer) : textOf(answer);
}
