/**
 * The web page over HTTP: one document for all its paths, and the script and style it loads.
 *
 * Files are named for what is in them and may be kept for ever; the document is asked for anew. All of
 * it is loaded from where it came from, and it can load, send to and be framed by nothing else.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import type { Route } from "./route.ts";

/** A file of the page. */
export interface PageFile {
  /** Its name: `app-1a2b3c4d.js`. Another content has another name. */
  readonly name: string;
  /** Its content. */
  readonly text: string;
}

/** What a page is made of; `@oneiric/otel-storage/page` is one. */
export interface Page {
  /** The document, HTML. */
  readonly document: string;
  /** What it loads from `assets/`. */
  readonly files: readonly PageFile[];
}

/** The paths that the document is for; the page shows by them what is asked for. */
export const PAGE_PATHS: readonly string[] = [
  "/",
  "/traces",
  "/traces/{traceId}",
  "/logs",
  "/charts",
  "/services",
  "/pipeline",
];

const SECURITY = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
    "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};
const TYPES: Readonly<Record<string, string>> = {
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};
/** A year, in seconds: the longest that is usual. */
const FOR_EVER = "public, max-age=31536000, immutable";
/** Of 0 to 11: what is beyond costs ten times as much for a twentieth less. */
const BROTLI_QUALITY = 9;

const compressions: Readonly<Record<string, (text: string) => Promise<Uint8Array>>> = {
  br: (text) =>
    promisify(brotliCompress)(text, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY,
        [constants.BROTLI_PARAM_SIZE_HINT]: text.length,
      },
    }),
  gzip: (text) => promisify(gzip)(text),
};

/**
 * The paths of a page and how they are answered. A last part in braces stands for any one.
 *
 * @example The document may not be framed
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const routes = new Map(pageRoutes({ document: "<!doctype html>", files: [] }));
 * const response = await routes.get("/")!.answer(new Request("http://localhost:4318/"));
 * assert.equal(await response.text(), "<!doctype html>");
 * assert.match(response.headers.get("content-security-policy")!, /frame-ancestors 'none'/);
 * ```
 */
export function* pageRoutes({ document, files }: Page): Generator<[string, Route]> {
  const route = (answer: Route["answer"]): Route => ({
    methods: ["GET", "HEAD"],
    audience: "page",
    answer,
  });
  const answer = answering(document, "text/html; charset=utf-8", "no-cache");
  for (const path of PAGE_PATHS) yield [path, route(answer)];
  for (const { name, text } of files) {
    const type = TYPES[name.slice(name.lastIndexOf(".") + 1)] ?? "application/octet-stream";
    yield [`/assets/${name}`, route(answering(text, type, FOR_EVER))];
  }
}

/** Answers with a text, compressed once in each way that is asked for. */
function answering(text: string, type: string, caching: string): Route["answer"] {
  const tag = `"${createHash("sha256").update(text).digest("base64url").slice(0, 22)}"`;
  const compressed = new Map<string, Promise<Uint8Array>>();
  return async (request) => {
    const headers = new Headers({
      ...SECURITY,
      "content-type": type,
      "cache-control": caching,
      vary: "accept-encoding",
      etag: tag,
    });
    if (knows(request.headers.get("if-none-match"), tag)) {
      return new Response(null, { status: 304, headers });
    }
    const encoding = encodingOf(request.headers.get("accept-encoding") ?? "");
    if (encoding === undefined) return new Response(text, { headers });
    let body = compressed.get(encoding);
    if (body === undefined) compressed.set(encoding, body = compressions[encoding]!(text));
    headers.set("content-encoding", encoding);
    return new Response(await body as Uint8Array<ArrayBuffer>, { headers });
  };
}

/** Whether the client has it already. */
function knows(ifNoneMatch: string | null, tag: string): boolean {
  return ifNoneMatch?.split(",").some((one) => {
    const known = one.trim().replace(/^W\//, "");
    return known === tag || known === "*";
  }) ?? false;
}

/** The best compression that the client takes. */
function encodingOf(accepted: string): string | undefined {
  const taken = accepted.split(",").map((one) => one.trim().toLowerCase())
    .filter((one) => !/;\s*q=0(\.0*)?$/.test(one)).map((one) => one.replace(/\s*;.*/, ""));
  return Object.keys(compressions).find((name) => taken.includes(name));
}
