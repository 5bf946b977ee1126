/**
 * Where the collector forwards to, as the command line says it: `--forward NAME=URL` with
 * `--forward-header NAME:KEY=VALUE`, or the variables of the same content.
 *
 * @module
 */

import type { Env } from "./collector_flags.ts";
import { Destination, type DestinationOptions } from "./forward_request.ts";
import { UsageError } from "./usage_error.ts";

/** A destination that everything is forwarded to. */
export interface Forward {
  /** What keys its cursor. */
  readonly name: string;
  /** The base URL; `/v1/<signal>` is appended. */
  readonly url: string;
  /** Sent with each request. */
  readonly headers: Readonly<Record<string, string>>;
}

/** The flags that say where to forward to, which may stand there several times. */
export const FORWARD_FLAGS = {
  forward: {
    value: "NAME=URL",
    env: "OTEL_STORAGE_FORWARD",
    about: "forward to this OTLP/HTTP base URL; repeatable, NAME is its host unless said",
  },
  "forward-header": {
    value: "NAME:K=V",
    env: "OTEL_STORAGE_FORWARD_HEADERS",
    about: "send this header to the destination NAME; repeatable",
  },
} as const;

const NAME = /^[A-Za-z0-9_.-]{1,64}$/;
/** The delivery that is always there. */
const TAKEN = "postgres";

/** Where a value was said. */
interface Said {
  /** `--forward`, or the variable. */
  readonly where: string;
  readonly values: readonly string[];
  /** Whether values are percent-encoded, as those of OTEL_EXPORTER_OTLP_HEADERS. */
  readonly encoded: boolean;
}

/**
 * Reads the destinations.
 *
 * @param flags What the command line says; each wins over its variable as a whole.
 * @param env Reads a variable: values separated by commas, those of headers percent-encoded.
 * @param own Where this process will listen: it does not forward to itself.
 * @throws {UsageError} Naming the flag or variable and the destination, but no URL and no header.
 */
export function readForwards(
  flags: Readonly<Record<keyof typeof FORWARD_FLAGS, readonly string[] | undefined>>,
  env: Env,
  own?: DestinationOptions["own"],
): Forward[] {
  const destinations = said("forward", flags.forward, env);
  const forwards = new Map<string, { url: string; headers: Record<string, string> }>();
  for (const value of destinations.values) {
    const { name, url } = parseForward(value, destinations.where);
    if (forwards.has(name)) {
      throw new UsageError(
        `Cannot use ${destinations.where} "${name}" twice: give each destination a NAME of its own`,
      );
    }
    forwards.set(name, { url, headers: {} });
  }
  addHeaders(forwards, said("forward-header", flags["forward-header"], env));
  for (const [name, { url, headers }] of forwards) {
    check(destinations.where, name, { url, headers, ...own === undefined ? {} : { own } });
  }
  return [...forwards].map(([name, forward]) => ({ name, ...forward }));
}

/**
 * Says why a destination cannot be one.
 *
 * @param name How it is called; empty when not even that can be read.
 * @throws {UsageError} Naming the flag and the destination, but no header's value.
 */
export function check(where: string, name: string, options: DestinationOptions): void {
  try {
    new Destination(options);
  } catch (error) {
    const reason = (error as Error).message.replace(/^Cannot forward with 'url': /, "")
      .replace(/^Cannot forward with 'headers\.(.*?)': /, "its header $1: ");
    const what = name === "" ? where : `${where} "${name}"`;
    throw new UsageError(`Cannot use ${what}: ${reason}`, { cause: error });
  }
}

/**
 * Splits `KEY=VALUE` of a header at its first `=`; undefined when there is none, or no KEY.
 */
export function parseHeader(text: string): [key: string, value: string] | undefined {
  const [, key, value] = /^\s*([^=:\s]+)\s*=(.*)$/s.exec(text) ?? [];
  return key === undefined ? undefined : [key.toLowerCase(), value!.trim()];
}

function said(
  flag: keyof typeof FORWARD_FLAGS,
  values: readonly string[] | undefined,
  env: Env,
): Said {
  if (values !== undefined) return { where: `--${flag}`, values, encoded: false };
  const where = FORWARD_FLAGS[flag].env;
  const parts = (env(where) ?? "").split(",").map((part) => part.trim()).filter(Boolean);
  return { where, values: parts, encoded: true };
}

function parseForward(text: string, where: string): { name: string; url: string } {
  // A URL may have a "=" in its query, but no name has a "://".
  const isBare = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) || !text.includes("=");
  const at = isBare ? -1 : text.indexOf("=");
  const url = text.slice(at + 1).trim();
  const name = isBare ? hostName(url) : text.slice(0, at).trim();
  if (name === undefined) {
    // It may hold a password, so it is not repeated.
    throw new UsageError(`Cannot use ${where}: must be NAME=URL or an http:// or https:// URL`);
  }
  if (name === TAKEN || !NAME.test(name)) {
    throw new UsageError(
      `Cannot use ${where} "${name}": the name of a destination must be up to 64 of A-Z, a-z, 0-9, ` +
        `"_", "." and "-", and not "${TAKEN}"; say NAME=URL`,
    );
  }
  return { name, url };
}

/** The host and port of a URL, in the letters of a name. */
function hostName(url: string): string | undefined {
  return URL.parse(url)?.host.replace(/[[\]]/g, "").replace(/[^\w.-]/g, "_") || undefined;
}

function addHeaders(
  forwards: ReadonlyMap<string, { readonly headers: Record<string, string> }>,
  { where, values, encoded }: Said,
): void {
  for (const text of values) {
    const at = text.indexOf(":");
    const header = at < 1 ? undefined : parseHeader(text.slice(at + 1));
    if (header === undefined) throw new UsageError(`Cannot use ${where}: must be NAME:KEY=VALUE`);
    const name = text.slice(0, at).trim();
    const forward = forwards.get(name);
    if (forward === undefined) {
      const names = [...forwards.keys()].join(", ") || "none";
      throw new UsageError(`Cannot use ${where} "${name}": no such destination; there is ${names}`);
    }
    const [key, value] = header;
    forward.headers[key] = encoded ? decoded(value, `${where} "${name}"`) : value;
  }
}

function decoded(value: string, where: string): string {
  try {
    return decodeURIComponent(value);
  } catch (cause) {
    throw new UsageError(`Cannot use ${where}: a value is not percent-encoded`, { cause });
  }
}
