/**
 * How the page gets a session, and ends it.
 *
 * | path | answers |
 * | --- | --- |
 * | `POST /api/login` | 204 with a cookie to who sends the token as `{"token": "…"}`, else 401 |
 * | `POST /api/logout` | 204, and the cookie is gone |
 *
 * @module
 */

import { z } from "zod";
import { problem } from "./api_problems.ts";
import { endedCookie } from "./page_session.ts";
import { RequestBodies } from "./request_body.ts";
import { RequestError } from "./request_error.ts";
import type { RequestGuard } from "./request_guard.ts";
import { compressionOf } from "./request_headers.ts";
import type { Route } from "./route.ts";

/** The longest token, in bytes of JSON. */
const TOKEN_BYTES = 64 * 1024;
const LOGIN = z.strictObject({ token: z.string().min(1) });

/** The paths and how they are answered. */
export function* loginRoutes(guard: RequestGuard): Generator<[string, Route]> {
  const bodies = new RequestBodies({ bodyBytes: TOKEN_BYTES });
  const route = (answer: Route["answer"]): Route => ({
    methods: ["POST"],
    audience: "page",
    refuse: problem,
    answer,
  });
  yield [
    "/api/login",
    route(async (request) => {
      // Forms of other pages cannot send this type.
      if (!/^application\/json\b/i.test(request.headers.get("content-type") ?? "")) {
        throw new RequestError(415, "Cannot read the token: send application/json");
      }
      const token = await bodies.receive(
        request,
        compressionOf(request),
        (body) => Promise.resolve(tokenOf(body)),
      );
      const cookie = guard.begin(request, token);
      return new Response(null, { status: 204, headers: cookie ? { "set-cookie": cookie } : {} });
    }),
  ];
  yield [
    "/api/logout",
    route((request) =>
      Promise.resolve(
        new Response(null, { status: 204, headers: { "set-cookie": endedCookie(request) } }),
      )
    ),
  ];
}

function tokenOf(body: Uint8Array): string {
  try {
    return LOGIN.parse(JSON.parse(new TextDecoder().decode(body))).token;
  } catch (cause) {
    // What was sent may be the token: nothing of it is said.
    throw new RequestError(400, 'Cannot read the token: send {"token": "…"}', { cause });
  }
}
