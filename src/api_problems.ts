/**
 * What the API says when it cannot answer: problem details (RFC 9457).
 *
 * @module
 */

import { UnavailableError } from "./intake.ts";
import { QueryError, QueryTimeoutError } from "./query.ts";
import { RequestError } from "./request_error.ts";
import { classify } from "./retry.ts";

const RETRY_AFTER_MS = 5_000;
const TITLES: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  499: "Client Closed Request",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

/** What went wrong, as what the client is told. */
export async function told(request: Request, answer: () => Promise<Response>): Promise<Response> {
  try {
    return await answer();
  } catch (error) {
    if (error instanceof RequestError || request.signal.aborted) throw error;
    // It says itself when to come again.
    if (error instanceof UnavailableError) throw error;
    if (error instanceof QueryError) {
      throw new RequestError(400, error.message, { cause: error });
    }
    if (error instanceof QueryTimeoutError) {
      throw new RequestError(504, error.message, { cause: error });
    }
    if (classify(error).kind === "permanent") throw error;
    throw new RequestError(503, "Cannot reach the database: ask again later", {
      retryAfterMs: RETRY_AFTER_MS,
      cause: error,
    });
  }
}

/** An error as problem details. */
export function problem({ status, message, cause }: RequestError): Response {
  const details = {
    type: "about:blank",
    title: TITLES[status] ?? "Internal Server Error",
    status,
    detail: message,
    ...cause instanceof QueryError && { parameter: cause.parameter },
  };
  return Response.json(details, {
    status,
    headers: { "content-type": "application/problem+json", "cache-control": "no-store" },
  });
}
