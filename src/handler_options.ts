/**
 * What `handler` of `server.ts` is given: where requests end up, who may send them, and what else there
 * is to ask for.
 *
 * @module
 */

import { inspect } from "node:util";
import { z } from "zod";
import type { Admin } from "./admin.ts";
import type { OpenDatabase } from "./api.ts";
import type { OpenLogTail } from "./api_tail.ts";
import type { Page } from "./page.ts";
import type { Signal } from "./record.ts";
import { RequestBodies } from "./request_body.ts";

/** Where the requests end up; `OTelStorageAdapter` is one. */
export interface Store {
  /**
   * Waits for room, before a body is read. Rejects like {@linkcode Store.write} when there is none.
   */
  room(options: { readonly signal: AbortSignal }): Promise<void>;
  /**
   * Stores a request, OTLP protobuf. Resolves when nothing of it can be lost any more.
   *
   * Rejects with an `OtlpDecodeError` when the bytes are no such request, with an error that has a
   * number `retryAfterMs` when nothing was stored and the request can be sent again, and with
   * anything else when it cannot be stored.
   */
  write(
    signal: Signal,
    body: Uint8Array,
    options: { readonly signal: AbortSignal },
  ): Promise<{ readonly rejected: number; readonly message: string }>;
  /** Whether the store can be reached. Rejecting means that it cannot. */
  health(): Promise<{ readonly ok: boolean }>;
}

/** Options of {@linkcode handler}. */
export interface HandlerOptions {
  /** Where the requests end up. */
  readonly store: Store;
  /**
   * What clients have to send as `Authorization: Bearer …`; at least one printable character. Health
   * checks need none.
   *
   * @default {undefined} Nothing
   */
  readonly token?: string | undefined;
  /**
   * The origin (`https://example.org`) whose pages may send telemetry, or `*` for any.
   *
   * @default {undefined} None
   */
  readonly corsOrigin?: string | undefined;
  /**
   * The name under which clients reach this server, besides those of the loopback. Without a token,
   * other Host headers are refused: they are how a web page reaches into a private network.
   *
   * @default {undefined} None
   */
  readonly host?: string | undefined;
  /**
   * What stands before every path, where this is a part of your own server: with `/otel`, spans are
   * taken at `/otel/v1/traces` and `/otel/healthz` tells of health. It goes without a `page`, which has
   * to be at the root.
   *
   * @default {""} Nothing
   */
  readonly prefix?: string | undefined;
  /** What bounds the bodies. @default {new RequestBodies()} */
  readonly bodies?: RequestBodies;
  /**
   * What the paths of `admin_routes.ts` do: `/api/query`, `/metrics` and others. They are for this
   * machine: without a token, for the loopback only, and never for the pages of `corsOrigin`.
   *
   * @default {undefined} There are no such paths
   */
  readonly admin?: Admin;
  /**
   * Opens the database that the paths of `api.ts` read: `/api/traces`, `/api/logs` and others, of which
   * `/api/openapi.json` tells. They are for this machine, as those of `admin`.
   *
   * @default {undefined} There are no such paths
   */
  readonly database?: OpenDatabase;
  /**
   * Follows the logs, for `/api/logs/tail`, which is for this machine as well.
   *
   * @default {undefined} There is no such path
   */
  readonly tailLogs?: OpenLogTail;
  /**
   * The web page, `page` of `@oneiric/otel-storage/page`. It needs the paths of `database`, and shows
   * more with those of `admin`. Who has no token gets the page, but nothing to show in it.
   *
   * @default {undefined} There is none
   */
  readonly page?: Page;
  /** How long a query of these paths may take, in milliseconds. @default {30_000} */
  readonly queryTimeoutMs?: number;
  /** Gets what was answered with 500. What it throws is ignored. */
  readonly onError?: (error: unknown) => void;
}

const methods = (...names: string[]) =>
  z.custom<object>(
    (value) =>
      names.every((name) =>
        typeof (value as Record<string, unknown> | null)?.[name] === "function"
      ),
    `must have the methods ${names.join(", ")}`,
  );

const optionsSchema = z.strictObject({
  store: methods("room", "write", "health"),
  token: z.string().regex(/^[\x21-\x7e]+$/, "must be printable ASCII without spaces").optional(),
  corsOrigin: z.string().refine(
    (text) => text === "*" || URL.parse(text)?.origin === text,
    'must be an origin such as "https://example.org", or "*"',
  ).optional(),
  host: z.string().min(1).optional(),
  // As a URL has it: nothing that is encoded, no "." and no "..".
  prefix: z.union([
    z.literal(""),
    z.string().regex(/^(\/[\w~-][\w.~-]*)+$/, 'must be a path such as "/otel"'),
  ], 'must be a path such as "/otel"').optional(),
  bodies: z.instanceof(RequestBodies).optional(),
  admin: methods("query", "maintain").optional(),
  database: z.custom((value) => typeof value === "function", "must be a function").optional(),
  tailLogs: z.custom((value) => typeof value === "function", "must be a function").optional(),
  page: z.custom<Page>(
    (value) => Array.isArray((value as Partial<Page> | null)?.files),
    "must have a document and files",
  ).optional(),
  queryTimeoutMs: z.int().min(1).max(3_600_000).optional(),
  onError: z.custom((value) => typeof value === "function", "must be a function").optional(),
});

/**
 * Refuses what is wrong.
 *
 * @param options See {@linkcode HandlerOptions}.
 * @throws {RangeError} An option is unknown or invalid; the message names it and its value, but no
 * token.
 *
 * @example A token that no header can carry
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const store = {
 *   room: async () => {},
 *   write: async () => ({ rejected: 0, message: "" }),
 *   health: async () => ({ ok: true }),
 * };
 * checkHandlerOptions({ store, token: "secret" });
 * assert.throws(() => checkHandlerOptions({ store, token: "two words" }), /'token': …/);
 * ```
 */
export function checkHandlerOptions(options: HandlerOptions): void {
  const parsed = optionsSchema.safeParse(options, { reportInput: true });
  if (!parsed.success) {
    const { path: [option = "options"], message, input } = parsed.error.issues[0]!;
    const value = option === "token" || option === "options" ? "…" : inspect(input, { depth: 0 });
    throw new RangeError(
      `Cannot create a handler with '${String(option)}': ${value} (${message})`,
      { cause: parsed.error },
    );
  }
  if (options.prefix && options.page !== undefined) {
    throw new RangeError(
      `Cannot create a handler with 'prefix': '${options.prefix}' (a page has to be at the root: ` +
        "leave one of them out)",
    );
  }
}
