/**
 * The session of the page: a browser that has shown the token gets a cookie for it, as pages cannot
 * send a header with every kind of request.
 *
 * The cookie is not the token and does not tell it: it is until when it holds, signed with the token.
 * Nothing is kept for it; another token ends all sessions.
 *
 * @module
 */

import { createHmac, timingSafeEqual } from "node:crypto";

/** How long a session holds. */
const SESSION_MS = 30 * 24 * 3_600_000;
/** What is signed says what for, should the token ever sign something else. */
const PURPOSE = "otel-storage page session until ";

/**
 * Makes cookies and knows them again.
 *
 * @example A cookie is known again, but not with another token
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const session = new PageSession("secret");
 * const login = new Request("http://localhost:4318/api/login");
 * const [cookie] = session.cookie(login).split(";");
 * const request = new Request("http://localhost:4318/api/logs", { headers: { cookie: cookie! } });
 * assert.equal(session.holds(request), true);
 * assert.equal(new PageSession("other").holds(request), false);
 * ```
 */
export class PageSession {
  readonly #token: string;

  /** @param token What it is signed with. */
  constructor(token: string) {
    this.#token = token;
  }

  /** The value of `Set-Cookie` that begins a session. */
  cookie(request: Request, nowMs: number = Date.now()): string {
    const until = String(nowMs + SESSION_MS);
    return cookieText(request, `${until}.${this.#sign(until)}`, SESSION_MS / 1000);
  }

  /** Whether a request comes with a cookie of a session that still holds. */
  holds(request: Request, nowMs: number = Date.now()): boolean {
    const name = nameOf(request);
    for (const pair of (request.headers.get("cookie") ?? "").split(";")) {
      const [key, value] = pair.trim().split("=", 2);
      if (key !== name) continue;
      const [, until, signature] = /^(\d{1,15})\.([\w-]{43})$/.exec(value ?? "") ?? [];
      if (until === undefined || Number(until) < nowMs) continue;
      if (timingSafeEqual(bytesOf(signature!), bytesOf(this.#sign(until)))) return true;
    }
    return false;
  }

  #sign(until: string): string {
    return createHmac("sha256", this.#token).update(PURPOSE + until).digest("base64url");
  }
}

/** The value of `Set-Cookie` that ends a session. */
export function endedCookie(request: Request): string {
  return cookieText(request, "", 0);
}

function cookieText(request: Request, value: string, seconds: number): string {
  const secure = new URL(request.url).protocol === "https:" ? "; Secure" : "";
  return `${
    nameOf(request)
  }=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Strict${secure}`;
}

/** Cookies of one host are for all its ports, which may be other collectors. */
function nameOf(request: Request): string {
  const { port } = new URL(`http://${request.headers.get("host") ?? new URL(request.url).host}`);
  return `otel_storage_${port || "80"}`;
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
