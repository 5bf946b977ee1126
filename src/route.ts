/**
 * What a path of the server is: who may ask, and how it is answered.
 *
 * @module
 */

import type { RequestError } from "./request_error.ts";
import type { Audience } from "./request_guard.ts";

/** How a path is answered. */
export interface Route {
  /** Which methods it knows. */
  readonly methods: readonly string[];
  /** Who may ask. */
  readonly audience: Audience;
  /** Answers a request that may ask. */
  readonly answer: (request: Request) => Promise<Response>;
  /** Says what went wrong. @default {undefined} As OTLP says it */
  readonly refuse?: (error: RequestError) => Response;
}
