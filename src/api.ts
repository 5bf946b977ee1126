/**
 * The HTTP API that reads what is stored: each path of `api_queries.ts`, and the document about them.
 *
 * Errors are problem details (RFC 9457).
 *
 * @module
 */

import { textOf } from "./api_answers.ts";
import { optionsFrom } from "./api_parameters.ts";
import { problem, told } from "./api_problems.ts";
import { API_QUERIES, type ApiQuery, pathParameter } from "./api_queries.ts";
import { openApiDocument } from "./openapi.ts";
import type { Database } from "./postgres/database.ts";
import { QueryError } from "./query.ts";
import { RequestError } from "./request_error.ts";
import type { Route } from "./route.ts";

/** The store that is read. */
export type OpenDatabase = (
  options: { readonly signal: AbortSignal },
) => Promise<Database>;

const JSON_TYPE = "application/json";

/**
 * The paths and how they are answered. A last part in braces stands for any one.
 *
 * @param timeoutMs How long a query may take, in ms.
 */
export function* apiRoutes(
  open: OpenDatabase,
  timeoutMs: number,
): Generator<[string, Route]> {
  const reading = { methods: ["GET"], audience: "machine", refuse: problem } as const;
  for (const query of API_QUERIES) {
    const answer = (request: Request) => told(request, () => ask(query, request, open, timeoutMs));
    yield [query.path, { ...reading, answer }];
  }
  const document = JSON.stringify(openApiDocument());
  yield ["/api/openapi.json", { ...reading, answer: () => Promise.resolve(json(document)) }];
}

async function ask(
  { path, parameters, ask, write = textOf }: ApiQuery,
  request: Request,
  open: OpenDatabase,
  timeoutMs: number,
): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  const inPath = pathParameter(path);
  if (inPath !== undefined) {
    if (searchParams.has(inPath)) {
      throw new QueryError(inPath, searchParams.get(inPath), "it is a part of the path");
    }
    searchParams.set(inPath, decoded(inPath, pathname.slice(pathname.lastIndexOf("/") + 1)));
  }
  const options = optionsFrom(parameters, searchParams);
  const { signal } = request;
  const database = await open({ signal });
  const answer = await ask(database, options as never, { signal, timeoutMs });
  if (answer === undefined) throw new RequestError(404, "Cannot find it: nothing is stored of it");
  return json(write(answer as never));
}

function decoded(parameter: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new QueryError(parameter, text, "its percent-encoding is broken", { cause });
  }
}

function json(body: string): Response {
  return new Response(body, {
    headers: { "content-type": JSON_TYPE, "cache-control": "no-store" },
  });
}
