/**
 * The OpenAPI document of the API, made from the schemas that requests are read with.
 *
 * @module
 */

import { z } from "zod";
import { PROBLEM, TAIL_EVENTS } from "./api_answers.ts";
import { innerType, TIMES } from "./api_parameters.ts";
import { API_QUERIES, type ApiQuery, pathParameter } from "./api_queries.ts";
import { HEARTBEAT_MS, LOG_TAIL_PATH } from "./api_tail.ts";
import { LOG_TAIL } from "./query.ts";
import { TIME_FORMS } from "./time_argument.ts";

/** A JSON Schema. */
type JsonSchema = Readonly<Record<string, unknown>>;

const PROBLEMS = {
  400: "A parameter is wrong",
  401: "The token is missing or another one",
  403: "This Host, Origin or peer may not ask",
  404: "It is not stored",
  405: "Only GET is answered",
  499: "The client is gone",
  500: "It cannot be read; the log of the collector says why",
  503: "The database cannot be reached, or too many follow the logs; ask again later",
  504: "It took too long; ask for less",
};

/**
 * OpenAPI 3.1.
 *
 * @example It has all paths
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.ok("/api/traces/{traceId}" in (openApiDocument().paths as object));
 * ```
 */
export function openApiDocument(): Readonly<Record<string, unknown>> {
  return {
    openapi: "3.1.0",
    info: {
      title: "OpenTelemetry storage",
      version: "1",
      description: "Reads traces, logs and metrics. Times are nanoseconds since 1970 as decimal " +
        "strings; 64-bit numbers are strings, bytes are base64, as in OTLP JSON.",
    },
    components: {
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
      schemas: { Problem: schemaOf(PROBLEM, "output") },
    },
    security: [{}, { token: [] }],
    paths: Object.fromEntries([
      ...API_QUERIES.map((query) => {
        const content = { "application/json": { schema: schemaOf(query.answer, "output") } };
        return [query.path, { get: operation(query, content) }];
      }),
      [LOG_TAIL_PATH, { get: tailOperation() }],
    ]),
  };
}

function tailOperation(): JsonSchema {
  const described = {
    path: LOG_TAIL_PATH,
    summary: "Log records as they are acknowledged: server-sent events, and a comment every " +
      `${HEARTBEAT_MS / 1_000} s. The schema is of one event: its fields, and its data as JSON`,
    parameters: LOG_TAIL,
  };
  const { parameters, ...operated } = operation(described, {
    "text/event-stream": {
      schema: { oneOf: Object.entries(TAIL_EVENTS).map(([name, data]) => eventSchema(name, data)) },
    },
  });
  const lastEventId = {
    name: "Last-Event-ID",
    in: "header",
    required: false,
    description: "As `after`; browsers send it when they come back",
    schema: schemaOf(innerType(LOG_TAIL.shape.after), "input"),
  };
  return { ...operated, parameters: [...parameters as JsonSchema[], lastEventId] };
}

/** An event as clients get it: without a name it is a `message`, and those alone have an id. */
function eventSchema(name: string, data: z.core.$ZodType): JsonSchema {
  const isMessage = name === "message";
  return {
    type: "object",
    properties: {
      event: { const: name, ...isMessage && { description: "The default: it is not written" } },
      ...isMessage && { id: schemaOf(innerType(LOG_TAIL.shape.after), "input") },
      data: {
        type: "string",
        contentMediaType: "application/json",
        contentSchema: schemaOf(data, "output"),
      },
    },
    required: isMessage ? ["event", "id", "data"] : ["event", "data"],
    additionalProperties: false,
  };
}

function operation(
  { path, summary, parameters }: Pick<ApiQuery, "path" | "summary" | "parameters">,
  content: JsonSchema,
): JsonSchema {
  const inPath = pathParameter(path);
  const problem = {
    "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } },
  };
  const given = Object.entries(parameters.shape).map(([name, field]) => ({
    name,
    in: name === inPath ? "path" : "query",
    required: name === inPath || !field.safeParse(undefined).success,
    description: field.description ?? "",
    schema: parameterSchema(name, field),
  }));
  return {
    summary,
    parameters: given,
    responses: {
      200: {
        description: "The answer",
        content,
      },
      ...Object.fromEntries(
        Object.entries(PROBLEMS).map(([status, description]) => [
          status,
          { description, content: problem },
        ]),
      ),
    },
  };
}

/** What a parameter looks like in a URL. */
function parameterSchema(name: string, field: z.core.$ZodType): JsonSchema {
  if (TIMES.has(name)) return { type: "string", description: TIME_FORMS };
  if (innerType(field)._zod.def.type === "bigint") {
    return { type: "string", pattern: "^\\d{1,20}$" };
  }
  return schemaOf(innerType(field), "input");
}

function schemaOf(type: z.core.$ZodType, io: "input" | "output"): JsonSchema {
  const { $schema: _, ...schema } = z.toJSONSchema(type as z.ZodType, {
    io,
    unrepresentable: "any",
  });
  return schema;
}
