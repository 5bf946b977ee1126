/**
 * Who may ask: the token, and what keeps the pages of a browser out.
 *
 * A page from anywhere can make a browser on this machine send requests to this machine. Two headers
 * tell them apart, and pages cannot forge them: `Origin`, which says where the page came from, and
 * `Host`, which shows a name that was made to point here after the page was loaded (DNS rebinding).
 *
 * @module
 */

import { createHash, timingSafeEqual } from "node:crypto";
import { PageSession } from "./page_session.ts";
import { RequestError } from "./request_error.ts";

/** Who sent a request, as `Deno.serve` tells it. */
export interface ConnectionInfo {
  /** Address of the peer. */
  readonly remoteAddr: { readonly transport: string; readonly hostname?: string };
}

/** Who may ask for something. */
export type Audience =
  /** Everybody: it says nothing. */
  | "anybody"
  /** Who asks for the page or for a session: nobody needs a token for that. */
  | "page"
  /** Who has the token, pages of the allowed origin included. */
  | "clients"
  /** Who has the token, or a session, or without a token is on this machine; of pages our own. */
  | "machine";

/** The settings of {@linkcode RequestGuard}. */
export interface GuardOptions {
  /** What to send as `Authorization: Bearer …`. */
  readonly token?: string | undefined;
  /** Whose pages may send telemetry: an origin, or `*`. */
  readonly corsOrigin?: string | undefined;
  /** Under which name clients come, besides those of the loopback. */
  readonly host?: string | undefined;
}

/** Browsers ask again after this many seconds whether they may send. */
const PREFLIGHT_SECONDS = 600;

const LOOPBACK_NAME = /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/;
const LOOPBACK_ADDRESS = /^((::ffff:)?127(\.\d{1,3}){3}|::1)$/;

/**
 * Checks requests.
 *
 * @example A page that does not belong here
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const guard = new RequestGuard({});
 * const request = new Request("http://localhost/v1/traces", {
 *   headers: { origin: "https://example.org" },
 * });
 * assert.throws(() => guard.check(request, "clients"), { status: 403 });
 * ```
 */
export class RequestGuard {
  readonly #tokenHash: Uint8Array | undefined;
  readonly #session: PageSession | undefined;
  readonly #corsOrigin: string | undefined;
  readonly #host: string | undefined;

  /** @param options Who may ask. */
  constructor(options: GuardOptions) {
    this.#tokenHash = options.token === undefined ? undefined : sha256(options.token);
    this.#session = options.token === undefined ? undefined : new PageSession(options.token);
    this.#corsOrigin = options.corsOrigin;
    this.#host = options.host === undefined ? undefined : hostnameOf(options.host);
  }

  /**
   * Throws unless the request may be answered.
   *
   * @throws {RequestError} 401 without the token, 403 for a Host, Origin or peer that may not ask.
   */
  check(request: Request, audience: Audience, info?: ConnectionInfo): void {
    if (audience === "anybody") return;
    if (audience === "clients") this.#checkToken(request);
    if (audience === "machine") this.#checkMachine(request);
    this.#checkHost(request);
    this.#checkOrigin(request, audience);
    if (audience === "machine" && this.#tokenHash === undefined) checkPeer(info);
  }

  /**
   * The answer to a browser that asks whether a page may send, or undefined when it is none or may not.
   */
  preflight(request: Request): Response | undefined {
    const asks = request.method === "OPTIONS" &&
      request.headers.has("access-control-request-method");
    if (!asks || !this.#mayShare(request)) return undefined;
    // The origin is trusted, so what its exporter was told to send is, too.
    const headers = request.headers.get("access-control-request-headers") ?? "";
    return new Response(null, {
      status: 204,
      headers: {
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": headers,
        "access-control-max-age": String(PREFLIGHT_SECONDS),
      },
    });
  }

  /** Adds what a page needs to read the answer. */
  share(request: Request, response: Response): void {
    if (this.#corsOrigin === undefined) return;
    response.headers.append("vary", "origin");
    if (!this.#mayShare(request)) return;
    response.headers.set("access-control-allow-origin", request.headers.get("origin")!);
    response.headers.set("access-control-expose-headers", "retry-after");
  }

  #mayShare(request: Request): boolean {
    const origin = request.headers.get("origin");
    if (origin === null || this.#corsOrigin === undefined) return false;
    return this.#corsOrigin === "*" || this.#corsOrigin === origin;
  }

  /**
   * Begins a session of the page.
   *
   * @param token What it was asked for with.
   * @returns The value of `Set-Cookie`; undefined where no token is needed.
   * @throws {RequestError} 401 for another token.
   */
  begin(request: Request, token: string): string | undefined {
    if (this.#session === undefined) return undefined;
    if (!this.#isToken(token)) throw wrongToken();
    return this.#session.cookie(request);
  }

  #isToken(token: string): boolean {
    // Hashes have one length and tell nothing by the time it takes to compare them.
    return this.#tokenHash !== undefined && timingSafeEqual(sha256(token), this.#tokenHash);
  }

  /** A browser sends the cookie whoever makes it ask, so it counts for what the page itself asks. */
  #checkMachine(request: Request): void {
    const byCookie = !request.headers.has("authorization") && this.#session?.holds(request);
    if (!byCookie) return this.#checkToken(request);
    const site = request.headers.get("sec-fetch-site");
    const isReading = request.method === "GET" || request.method === "HEAD";
    const isOwn = site === null || site === "same-origin" || site === "none";
    if (isOwn && (isReading || request.headers.has("origin"))) return;
    throw new RequestError(
      403,
      "Cannot accept the request: it has a session of the page, but does not come from the page",
    );
  }

  #checkToken(request: Request): void {
    if (this.#tokenHash === undefined) return;
    const [, token] = /^bearer +(\S+) *$/i.exec(request.headers.get("authorization") ?? "") ?? [];
    if (token === undefined) {
      throw unauthorized("it has no token; send it as Authorization: Bearer TOKEN");
    }
    if (!this.#isToken(token)) throw wrongToken();
  }

  #checkHost(request: Request): void {
    // A page does not know the token, whatever name it came by.
    if (this.#tokenHash !== undefined) return;
    const hostname = hostnameOf(hostOf(request));
    if (hostname !== undefined && LOOPBACK_NAME.test(hostname)) return;
    if (hostname !== undefined && hostname === this.#host) return;
    throw new RequestError(
      403,
      "Cannot accept the request: its Host is neither a name of the loopback nor the configured " +
        "host; set a token to be reached under any name",
    );
  }

  #checkOrigin(request: Request, audience: Audience): void {
    const origin = request.headers.get("origin");
    if (origin === null) return;
    if (audience === "clients" && this.#mayShare(request)) return;
    if (URL.parse(origin)?.host === hostOf(request)) return;
    throw new RequestError(
      403,
      "Cannot accept the request: it comes from a page of another origin" +
        (audience === "clients" ? "; allow that origin to let it send" : ""),
    );
  }
}

function wrongToken(): RequestError {
  return unauthorized("its token is not the right one");
}

function unauthorized(reason: string): RequestError {
  return new RequestError(401, `Cannot accept the request: ${reason}`, {
    headers: { "www-authenticate": "Bearer" },
  });
}

function checkPeer(info: ConnectionInfo | undefined): void {
  const { transport, hostname } = info?.remoteAddr ?? {};
  if (transport === "unix" || LOOPBACK_ADDRESS.test(hostname ?? "")) return;
  throw new RequestError(
    403,
    "Cannot accept the request: without a token, only this machine may ask for this",
  );
}

/** The authority a request was sent to. */
function hostOf(request: Request): string {
  return request.headers.get("host") ?? new URL(request.url).host;
}

function hostnameOf(host: string): string | undefined {
  return URL.parse(`http://${host}`)?.hostname;
}

function sha256(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}
