/**
 * One OTLP/HTTP request to a destination, and what its answer means.
 *
 * | answer | means |
 * | --- | --- |
 * | 2xx | taken, whatever its body says or does; what the destination rejected of it is counted |
 * | 400, 413, 415, 422, 500 | this body is refused and would be again |
 * | 429, 502, 503, 504 and 408 | come back later, after `Retry-After` if there is one |
 * | any other, redirects among them | the destination is not set up to be sent to: come back when it is |
 * | none: refused, cut, timed out | come back later |
 *
 * The OTLP specification lets 401 or 404 drop the data. A wrong token says nothing about the data, so
 * here it waits in the journal until somebody mends it. Redirects are not followed: the headers may
 * hold a token that belongs to this destination alone.
 *
 * Requests are made with the `fetch` of the runtime. Deno traces it when `OTEL_DENO` is set: a process
 * that also receives its own telemetry would then forward for ever what forwarding makes.
 *
 * Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp-response
 *
 * @module
 */

import { inspect } from "node:util";
import { z } from "zod";
import { isOwnAddress } from "./forward_address.ts";
import { decodeResponse, decodeStatus, type Encoding } from "./otlp.ts";
import type { Signal } from "./record.ts";

/** Options of {@linkcode Destination}. */
export interface DestinationOptions {
  /**
   * The base URL, `http:` or `https:`. `/v1/<signal>` is appended to its path, its query is kept. No
   * user and password: a header says it.
   */
  readonly url: string;
  /** Sent with each request and never written anywhere. Default none. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Compress bodies. Default false. */
  readonly gzip?: boolean;
  /** How long an answer may take, in ms. Default 10 000, as the specification has it for exporters. */
  readonly timeoutMs?: number;
  /** Where this process listens: a URL that leads there is refused. */
  readonly own?: {
    /** The name or address listened on. */
    readonly host: string;
    /** The port listened on. */
    readonly port: number;
    /** Further names and addresses of this machine. */
    readonly addresses?: readonly string[];
  };
  /** Milliseconds since 1970, for a `Retry-After` that is a date. Default `Date.now`. */
  readonly now?: () => number;
}

/** What became of a body that was answered for. */
export type Answer =
  /** The destination has it. It says that it rejected some records of it, or something else. */
  | { readonly kind: "taken"; readonly rejected: number; readonly note: string }
  /** It refuses this body, and would again. */
  | { readonly kind: "refused"; readonly reason: string };

/** The destination has not taken what was sent, for a reason that says nothing about it. */
export class ForwardError extends Error {
  /** Always `ForwardError`. */
  override readonly name = "ForwardError";
  /** The HTTP status, if there was an answer. */
  readonly status: number | undefined;
  /** When to come back, in ms from now, if the destination said so. */
  readonly retryAfterMs: number | undefined;

  /** Made by {@linkcode Destination.post}. The message holds no header, no query and no password. */
  constructor(
    message: string,
    options: ErrorOptions & { readonly status?: number; readonly retryAfterMs?: number } = {},
  ) {
    const { status, retryAfterMs, ...rest } = options;
    super(message, rest);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** About the body itself. */
const REFUSED: ReadonlySet<number> = new Set([400, 413, 415, 422, 500]);
/** About the moment. */
const BUSY: ReadonlySet<number> = new Set([408, 429, 502, 503, 504]);

/** What is read of an answer. */
const MAX_ANSWER_BYTES = 64 * 1024;
/** What is kept of what a destination says. */
const MAX_TEXT = 300;
/** Shorter words of a header are no secrets, and would blot out half of a message. */
const MIN_SECRET = 6;

/** Headers that say what the body is: not for the user to set. */
const OURS: ReadonlySet<string> = new Set(["content-type", "content-encoding", "content-length"]);

/** What runtimes say of bytes that are no answer of HTTP/1.1. */
const NO_HTTP = /invalid HTTP version/i;
const NO_HTTP_ADVICE = "what answers does not speak HTTP/1.1; if that is the port for gRPC, give " +
  "the one for OTLP over HTTP";

const OPTIONS = z.strictObject({
  url: z.string(),
  headers: z.record(z.string(), z.string()).default({}),
  gzip: z.boolean().default(false),
  timeoutMs: z.number().positive().max(2 ** 31 - 1).default(10_000),
  own: z.strictObject({
    host: z.string(),
    port: z.number(),
    addresses: z.array(z.string()).default([]),
  }).optional(),
  now: z.custom<() => number>((value) => typeof value === "function", "expected a function")
    .default(() => () => Date.now()),
});

/**
 * A place that takes OTLP/HTTP.
 *
 * @example A URL without a secret for messages
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const destination = new Destination({ url: "https://otlp.example.org/in?key=secret" });
 * assert.equal(destination.name, "https://otlp.example.org/in");
 * ```
 */
export class Destination {
  readonly #url: URL;
  readonly #headers: Headers;
  readonly #gzip: boolean;
  readonly #timeoutMs: number;
  readonly #now: () => number;
  /** What must not get into any message. */
  readonly #secrets: readonly string[];

  /** The URL for people: without query. */
  readonly name: string;

  /**
   * Checks the options; nothing is sent yet.
   *
   * @throws {RangeError} An option is unknown or wrong; the message names it, but no header's value.
   */
  constructor(options: DestinationOptions) {
    const parsed = OPTIONS.safeParse(options);
    if (!parsed.success) {
      const { path, message } = parsed.error.issues[0]!;
      // The value is left out: it may be a header's.
      throw refusal(path.map(String).join(".") || "options", message, { cause: parsed.error });
    }
    const { headers, gzip, timeoutMs, own, now } = parsed.data;
    this.#url = baseOf(parsed.data.url);
    this.name = `${this.#url.origin}${this.#url.pathname}`.replace(/\/$/, "");
    if (own && isOwnAddress(this.#url, own.host, own.port, own.addresses)) {
      throw refusal("url", `${inspect(this.name)} is where this process listens itself`);
    }
    this.#headers = headersOf(headers, gzip);
    this.#gzip = gzip;
    this.#timeoutMs = timeoutMs;
    this.#now = now;
    this.#secrets = secretsOf(headers, this.#url);
  }

  /**
   * Sends one body.
   *
   * @param signal Where to: `/v1/<signal>`.
   * @param body OTLP protobuf.
   * @param abort Gives up.
   * @returns What the destination answered about this body.
   * @throws {ForwardError} It said nothing about this body.
   * @throws The reason of `abort` when it aborted before there was an answer.
   */
  async post(signal: Signal, body: Uint8Array, abort: AbortSignal): Promise<Answer> {
    const late = new AbortController();
    const timer = setTimeout(() => {
      const message = `no answer within ${this.#timeoutMs} ms`;
      late.abort(new DOMException(message, "TimeoutError"));
    }, this.#timeoutMs);
    try {
      const response = await this.#send(signal, body, AbortSignal.any([abort, late.signal]));
      const answer = await readStart(response);
      return this.#judge(signal, response, answer);
    } catch (error) {
      abort.throwIfAborted();
      if (error instanceof ForwardError) throw error;
      throw this.#unreachable(late.signal.aborted ? late.signal.reason : error);
    } finally {
      clearTimeout(timer);
    }
  }

  async #send(signal: Signal, body: Uint8Array, ended: AbortSignal): Promise<Response> {
    const url = new URL(this.#url);
    url.pathname = `${url.pathname.replace(/\/$/, "")}/v1/${signal}`;
    return await fetch(url, {
      method: "POST",
      headers: this.#headers,
      body: (this.#gzip ? await gzipped(body) : body) as Uint8Array<ArrayBuffer>,
      redirect: "manual",
      signal: ended,
    });
  }

  #judge(signal: Signal, { status, ok, headers }: Response, answer: Start): Answer {
    if (ok) return this.#taken(signal, headers, answer);
    const said = this.#clean(saidBy(headers, answer.bytes));
    const says = `${status}${said === "" ? "" : `: ${said}`}`;
    if (REFUSED.has(status)) return { kind: "refused", reason: `${this.name} answered ${says}` };
    const message = `Cannot forward to ${this.name}/v1/${signal}: it answered ${says}`;
    if (!BUSY.has(status)) throw new ForwardError(`${message} (${adviceOn(status)})`, { status });
    const retryAfterMs = retryAfter(headers.get("retry-after"), this.#now());
    throw new ForwardError(
      message,
      retryAfterMs === undefined ? { status } : { status, retryAfterMs },
    );
  }

  #taken(signal: Signal, headers: Headers, { bytes, cut }: Start): Answer {
    if (cut !== undefined) {
      return {
        kind: "taken",
        rejected: 0,
        note: this.#clean(`its answer could not be read: ${cut}`),
      };
    }
    try {
      const { rejected, message } = decodeResponse(signal, bytes, encodingOf(headers, bytes));
      return { kind: "taken", rejected, note: this.#clean(message) };
    } catch {
      return { kind: "taken", rejected: 0, note: "its answer is no OTLP" };
    }
  }

  #unreachable(error: unknown): ForwardError {
    const { name, message, cause } = error instanceof Error ? error : new Error(String(error));
    // The runtime says what it was about in the cause, if it gives one.
    const said = this.#clean(cause instanceof Error ? cause.message : message);
    const advice = NO_HTTP.test(said) ? ` (${NO_HTTP_ADVICE})` : "";
    // A copy: the original holds the URL with its query.
    const copy = Object.assign(new Error(this.#clean(message)), { name });
    return new ForwardError(`Cannot forward to ${this.name}: ${said}${advice}`, { cause: copy });
  }

  /** One line, not too long, without what is secret. */
  #clean(text: string): string {
    const open = this.#secrets.reduce((rest, secret) => rest.replaceAll(secret, "…"), text);
    // deno-lint-ignore no-control-regex
    const line = open.replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, " ").trim();
    return line.length > MAX_TEXT ? `${line.slice(0, MAX_TEXT)}…` : line;
  }
}

function refusal(option: string, message: string, options?: ErrorOptions): RangeError {
  return new RangeError(`Cannot forward with '${option}': ${message}`, options);
}

function baseOf(text: string): URL {
  const url = URL.parse(text);
  // A text that is no URL may still hold a password.
  if (url === null) throw refusal("url", "it is no URL, such as https://otlp.example.org");
  if (!/^https?:$/.test(url.protocol)) {
    throw refusal("url", `expected http: or https:, got ${url.protocol}`);
  }
  if (url.username !== "" || url.password !== "") {
    throw refusal("url", "it holds a user or password, send them in the header 'authorization'");
  }
  return url;
}

function headersOf(given: Readonly<Record<string, string>>, gzip: boolean): Headers {
  const headers = new Headers({ "user-agent": "otel-storage" });
  for (const [name, value] of Object.entries(given)) {
    if (OURS.has(name.toLowerCase())) {
      throw refusal(`headers.${name}`, "it says what the body is and is set by us");
    }
    try {
      headers.set(name, value);
    } catch {
      throw refusal(`headers.${name}`, "its name or value is no valid header");
    }
  }
  headers.set("content-type", "application/x-protobuf");
  if (gzip) headers.set("content-encoding", "gzip");
  return headers;
}

/** Longest first, so that no part of one is left when another was taken out of it. */
function secretsOf(headers: Readonly<Record<string, string>>, url: URL): string[] {
  const whole = [...Object.values(headers), url.search, ...url.searchParams.values()];
  const words = whole.flatMap((text) => [text, ...text.split(/[\s=,;:&]+/)])
    .filter((text) => text.length >= MIN_SECRET);
  const written = url.search === "" ? [] : [url.search];
  return [...new Set([...written, ...words])].sort((a, b) => b.length - a.length);
}

async function gzipped(body: Uint8Array): Promise<Uint8Array> {
  const plain = new Blob([body as Uint8Array<ArrayBuffer>]).stream();
  return await new Response(plain.pipeThrough(new CompressionStream("gzip"))).bytes();
}

/** The beginning of an answer's body, and why there is no more of it, if it did not end. */
interface Start {
  readonly bytes: Uint8Array;
  readonly cut: string | undefined;
}

/** Once there is a status, nothing that happens to the body changes what it says. */
async function readStart(response: Response): Promise<Start> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  let cut: string | undefined;
  try {
    for await (const chunk of response.body ?? []) {
      chunks.push(chunk);
      size += chunk.length;
      // Leaving the loop cancels the rest.
      if (size > MAX_ANSWER_BYTES) {
        cut = `it has more than ${MAX_ANSWER_BYTES} bytes`;
        break;
      }
    }
  } catch (error) {
    cut = error instanceof Error ? error.message : String(error);
  }
  return { bytes: await new Blob(chunks).bytes(), cut };
}

function encodingOf(headers: Headers, bytes: Uint8Array): Encoding {
  const type = headers.get("content-type") ?? "";
  if (/^application\/json\b/i.test(type)) return "json";
  // Many answer with an empty body of whatever type.
  if (type === "" || bytes.length === 0 || /^application\/x-protobuf\b/i.test(type)) {
    return "protobuf";
  }
  throw new TypeError(`Cannot read an answer of type ${inspect(type)}: expected OTLP`);
}

/** What an error's body says: a `google.rpc.Status` if it is one, else its text. */
function saidBy(headers: Headers, bytes: Uint8Array): string {
  try {
    return decodeStatus(bytes, encodingOf(headers, bytes)).message;
  } catch {
    // Not what it says it is: then it is text.
  }
  return new TextDecoder().decode(bytes.subarray(0, 4 * MAX_TEXT));
}

function adviceOn(status: number): string {
  if (status === 401 || status === 403) return "check the headers: a token is missing or wrong";
  if (status >= 300 && status < 400) return "redirects are not followed, give the final URL";
  return "check the URL: this is not where OTLP/HTTP is taken";
}

/**
 * Seconds or an HTTP date; undefined when it is neither.
 *
 * Source: https://www.rfc-editor.org/rfc/rfc9110.html#name-retry-after
 */
function retryAfter(value: string | null, now: number): number | undefined {
  if (value === null) return undefined;
  if (/^\d+$/.test(value)) return Math.min(Number(value) * 1000, Number.MAX_SAFE_INTEGER);
  const at = /^[A-Za-z]+, ?\d|^[A-Za-z]{3} [A-Za-z]{3} /.test(value) ? Date.parse(value) : NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}
