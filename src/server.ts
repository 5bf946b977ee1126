/**
 * OTLP/HTTP over a store: a function from Request to Response for `Deno.serve` or any other server
 * that speaks web standards.
 *
 * | path | answers |
 * | --- | --- |
 * | `POST /v1/traces`, `/v1/logs`, `/v1/metrics` | 200 once the records are stored, an `Export…ServiceResponse` |
 * | `GET /healthz` | 200 while the process lives |
 * | `GET /readyz` | 200 while the store says that it is well, else 503 |
 * | those of `page.ts`, `POST /api/login`, `/api/logout` | the web page, and its sessions |
 * | those of `admin_routes.ts` | for the subcommands of the collector and for Prometheus |
 *
 * A request is checked before its body is read: path and method (404, 405), token (401), Host and
 * Origin (403), content type and encoding (415), room in the store (503). Then the body is read
 * within the bounds of {@linkcode RequestBodies} (400, 408, 413) and given to the store (400, 503,
 * 500). An error is a `google.rpc.Status` in the request's encoding, of the paths that read what is
 * stored problem details; 503 comes with `Retry-After`.
 *
 * Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp
 *
 * @module
 */

import type { Admin } from "./admin.ts";
import { adminRoutes } from "./admin_routes.ts";
import { apiRoutes } from "./api.ts";
import { problem } from "./api_problems.ts";
import { tailRoute } from "./api_tail.ts";
import { refuseGrpc, speaksGrpc } from "./grpc_refusal.ts";
import { checkHandlerOptions, type HandlerOptions } from "./handler_options.ts";
import { encodeResponse, encodeStatus, type Encoding, jsonToProtobuf } from "./otlp.ts";
import { OtlpDecodeError, OtlpTooLargeError } from "./otlp_error.ts";
import { pageRoutes } from "./page.ts";
import { loginRoutes } from "./page_login.ts";
import type { Signal } from "./record.ts";
import { RequestBodies } from "./request_body.ts";
import { RequestError } from "./request_error.ts";
import { type ConnectionInfo, RequestGuard } from "./request_guard.ts";
import { compressionOf, CONTENT_TYPES, encodingOf } from "./request_headers.ts";
import type { Route } from "./route.ts";

export type {
  Admin,
  DamagedLetter,
  DeadLetterOps,
  Letter,
  LetterFilter,
  LetterHead,
  LetterList,
  LetterReplay,
  Replay,
  ReplayCalls,
  ReplayProgress,
  ReplayRequest,
} from "./admin.ts";
export type { ContentEncoding } from "./decompress.ts";
export { type BodyLimits, RequestBodies } from "./request_body.ts";
export type { OpenDatabase } from "./api.ts";
export type { OpenLogTail, TailEvent } from "./api_tail.ts";
export type { HandlerOptions, Store } from "./handler_options.ts";
export type { Page, PageFile } from "./page.ts";
export type {
  CopyColumn,
  CopyTable,
  CopyType,
  Database,
  Queryable,
  Row,
  SqlValue,
  Transaction,
} from "./postgres/database.ts";
export type { ConnectionInfo } from "./request_guard.ts";
export type { Signal } from "./record.ts";

const QUERY_TIMEOUT_MS = 30_000;
/** How long the store may take to say how it is, in milliseconds. */
const HEALTH_TIMEOUT_MS = 5_000;
/** The `google.rpc.Code` that says what an HTTP status says. */
const RPC_CODES: ReadonlyMap<number, number> = new Map([
  [400, 3],
  [401, 16],
  [403, 7],
  [404, 5],
  [405, 12],
  [408, 4],
  [413, 3],
  [415, 3],
  [422, 15],
  [499, 1],
  [503, 14],
]);
const RPC_INTERNAL = 13;

/**
 * Makes the function that answers requests.
 *
 * @param options Where the records go and who may send them.
 * @returns The function. It never rejects.
 * @throws {RangeError} An option is unknown or invalid; the message names it and its value, but no
 * token.
 *
 * @example A store that keeps nothing
 * ```ts
 * import { handler } from "@oneiric/otel-storage/server";
 * import assert from "node:assert/strict";
 *
 * const answer = handler({
 *   store: {
 *     room: async () => {},
 *     write: async () => ({ rejected: 0, message: "" }),
 *     health: async () => ({ ok: true }),
 *   },
 * });
 * const response = await answer(
 *   new Request("http://localhost:4318/v1/traces", {
 *     method: "POST",
 *     headers: { "content-type": "application/json" },
 *     body: '{"resourceSpans":[]}',
 *   }),
 * );
 * assert.equal(response.status, 200);
 * assert.deepEqual(await response.json(), {});
 * ```
 *
 * @example A part of your own server
 * ```ts
 * import { handler } from "@oneiric/otel-storage/server";
 * import assert from "node:assert/strict";
 *
 * const telemetry = handler({
 *   store: {
 *     room: async () => {},
 *     write: async () => ({ rejected: 0, message: "" }),
 *     health: async () => ({ ok: true }),
 *   },
 *   prefix: "/otel",
 * });
 * await using server = Deno.serve({ port: 0, onListen() {} }, (request, info) =>
 *   new URL(request.url).pathname.startsWith("/otel/")
 *     ? telemetry(request, info)
 *     : new Response("the shop"));
 * const response = await fetch(`http://localhost:${server.addr.port}/otel/healthz`);
 * assert.deepEqual(await response.json(), { status: "ok" });
 * ```
 */
export function handler(
  options: HandlerOptions,
): (request: Request, info?: ConnectionInfo) => Promise<Response> {
  checkHandlerOptions(options);
  const server = new Server(options);
  return (request, info) => server.answer(request, info);
}

class Server {
  readonly #options: HandlerOptions;
  readonly #guard: RequestGuard;
  readonly #bodies: RequestBodies;
  readonly #prefix: string;
  readonly #routes: ReadonlyMap<string, Route>;
  /** Those whose last part is a parameter, by what stands before it. */
  readonly #parameterized: ReadonlyMap<string, Route>;

  constructor(options: HandlerOptions) {
    this.#options = options;
    this.#guard = new RequestGuard(options);
    this.#bodies = options.bodies ?? new RequestBodies();
    this.#prefix = options.prefix ?? "";
    this.#routes = new Map(this.#routesFor(options.admin));
    this.#parameterized = new Map(
      [...this.#routes].filter(([path]) => path.endsWith("}"))
        .map(([path, route]) => [path.slice(0, path.lastIndexOf("/")), route]),
    );
  }

  *#routesFor(admin: Admin | undefined): Generator<[string, Route]> {
    for (const signal of ["traces", "logs", "metrics"] as const) {
      yield [`/v1/${signal}`, {
        methods: ["POST"],
        audience: "clients",
        answer: (request) => this.#receive(signal, request),
      }];
    }
    const check = { methods: ["GET", "HEAD"], audience: "anybody" } as const;
    yield ["/healthz", { ...check, answer: () => Promise.resolve(json(200, { status: "ok" })) }];
    yield ["/readyz", { ...check, answer: () => this.#ready() }];
    if (admin !== undefined) yield* adminRoutes(admin);
    const { database, tailLogs, page, queryTimeoutMs = QUERY_TIMEOUT_MS } = this.#options;
    if (database !== undefined) yield* apiRoutes(database, queryTimeoutMs);
    if (tailLogs !== undefined) yield tailRoute(tailLogs, queryTimeoutMs);
    if (page === undefined) return;
    yield* loginRoutes(this.#guard);
    yield* pageRoutes(page);
  }

  async answer(request: Request, info: ConnectionInfo | undefined): Promise<Response> {
    const path = this.#pathOf(request);
    const route = path === undefined ? undefined : this.#routeOf(path);
    let response: Response;
    try {
      if (path === undefined) {
        throw new RequestError(400, "Cannot read the request: its Host is none");
      }
      response = await this.#answer(route, request, info);
    } catch (error) {
      const isRead = this.#options.database !== undefined && path?.startsWith("/api/");
      const refuse = route === undefined && isRead ? problem : route?.refuse;
      response = this.#refuse(request, error, refuse);
    }
    if (route?.audience === "clients") this.#guard.share(request, response);
    return response;
  }

  /** Behind the prefix: empty for one that is not ours, undefined where the URL is none. */
  #pathOf(request: Request): string | undefined {
    const path = URL.parse(request.url)?.pathname;
    if (path === undefined || path.startsWith(`${this.#prefix}/`)) {
      return path?.slice(this.#prefix.length);
    }
    return "";
  }

  /** A last part that no path has may be a parameter. */
  #routeOf(path: string): Route | undefined {
    return this.#routes.get(path) ?? this.#parameterized.get(path.slice(0, path.lastIndexOf("/")));
  }

  async #answer(
    route: Route | undefined,
    request: Request,
    info: ConnectionInfo | undefined,
  ): Promise<Response> {
    if (route === undefined) {
      if (speaksGrpc(request)) return refuseGrpc();
      const paths = [...this.#routes.keys()].map((path) => this.#prefix + path).join(", ");
      throw new RequestError(404, `Cannot find the path: there are ${paths}`);
    }
    if (!route.methods.includes(request.method)) {
      const preflight = route.audience === "clients" ? this.#guard.preflight(request) : undefined;
      if (preflight !== undefined) return preflight;
      const allow = route.methods.join(", ");
      throw new RequestError(405, `Cannot answer this method: use ${allow}`, {
        headers: { allow },
      });
    }
    this.#guard.check(request, route.audience, info);
    return await route.answer(request);
  }

  async #receive(signal: Signal, request: Request): Promise<Response> {
    const encoding = encodingOf(request);
    if (encoding === undefined) {
      throw new RequestError(
        415,
        "Cannot read the body: its Content-Type must be application/x-protobuf or application/json",
      );
    }
    const compression = compressionOf(request);
    const { store } = this.#options;
    await store.room({ signal: request.signal });
    const { rejected, message } = await this.#bodies.receive(
      request,
      compression,
      (body) => {
        const protobuf = encoding === "json" ? toProtobuf(signal, body) : body;
        return store.write(signal, protobuf, { signal: request.signal });
      },
    );
    return reply(200, encodeResponse(signal, { rejected, message }, encoding), encoding);
  }

  async #ready(): Promise<Response> {
    const late = Promise.withResolvers<{ ok: boolean }>();
    const timer = setTimeout(() => late.resolve({ ok: false }), HEALTH_TIMEOUT_MS);
    try {
      const { ok } = await Promise.race([this.#options.store.health(), late.promise]);
      if (ok) return json(200, { status: "ready" });
    } catch {
      // What is wrong is for the log of the store; who asks here may be anybody.
    } finally {
      clearTimeout(timer);
    }
    return json(503, { status: "unavailable" });
  }

  #refuse(request: Request, error: unknown, refuse: Route["refuse"]): Response {
    const refusal = this.#refusal(request, error, refuse === undefined ? "store" : "answer");
    const { retryAfterMs, headers } = refusal;
    const response = refuse?.(refusal) ?? otlpStatus(request, refusal);
    for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
    if (retryAfterMs !== undefined) {
      response.headers.set("retry-after", String(Math.max(1, Math.ceil(retryAfterMs / 1000))));
    }
    return response;
  }

  #refusal(request: Request, error: unknown, what: "store" | "answer"): RequestError {
    if (error instanceof RequestError) return error;
    if (request.signal.aborted) {
      return new RequestError(499, "Cannot answer: the client is gone", { cause: error });
    }
    if (error instanceof OtlpDecodeError) return new RequestError(400, error.message);
    if (error instanceof OtlpTooLargeError) return new RequestError(413, error.message);
    if (isUnavailable(error)) {
      const { message, retryAfterMs } = error;
      return new RequestError(503, message, { retryAfterMs, cause: error });
    }
    try {
      this.#options.onError?.(error);
    } catch {
      // An observer must not change what the client is told.
    }
    // Errors of databases quote the data.
    return new RequestError(500, `Cannot ${what} the request: see the log of the collector`);
  }
}

function otlpStatus(request: Request, { status, message }: RequestError): Response {
  const code = RPC_CODES.get(status) ?? RPC_INTERNAL;
  const encoding = encodingOf(request) ?? "json";
  return reply(status, encodeStatus({ code, message }, encoding), encoding);
}

function toProtobuf(signal: Signal, body: Uint8Array): Uint8Array {
  return jsonToProtobuf(signal, new TextDecoder().decode(body));
}

function isUnavailable(error: unknown): error is Error & { readonly retryAfterMs: number } {
  return error instanceof Error && "retryAfterMs" in error &&
    typeof error.retryAfterMs === "number";
}

function json(status: number, value: Readonly<Record<string, string | number>>): Response {
  return Response.json(value, { status });
}

function reply(status: number, body: Uint8Array, encoding: Encoding): Response {
  return new Response(body as Uint8Array<ArrayBuffer>, {
    status,
    headers: { "content-type": CONTENT_TYPES[encoding] },
  });
}
