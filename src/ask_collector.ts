/**
 * Asking a collector that runs on this machine.
 *
 * @module
 */

// Not fetch: that one goes through the proxies of the environment, which do not know this machine.
import { type IncomingMessage, request } from "node:http";

/** Which collector, and what it wants to see. */
export interface CollectorAddress {
  /** As its lock file says: `http://127.0.0.1:4318`. */
  readonly url: string;
  /** Its token, if it has one. */
  readonly token?: string | undefined;
}

/** What it answered with 200. */
export interface CollectorAnswer {
  readonly body: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** The collector answered, but not with 200. */
export class CollectorRefusalError extends Error {
  /** Always `CollectorRefusalError`. */
  override readonly name = "CollectorRefusalError";
  /** The HTTP status. */
  readonly status: number;
  /** What it said. */
  readonly reason: string;

  /** Made by {@linkcode askCollector} and {@linkcode followCollector}. */
  constructor(url: string, status: number, reason: string) {
    super(`The collector at ${url} answered: ${reason}`);
    this.status = status;
    this.reason = reason;
  }
}

/** Answers that keep us waiting for longer than this are given up, in milliseconds. */
const TIMEOUT_MS = 120_000;

/**
 * Asks a running collector.
 *
 * @param path Such as `/api/query`.
 * @param command Sent as JSON with POST; without one it is a GET.
 * @throws {CollectorRefusalError} With its message when it refuses.
 * @throws {Error} When it cannot be reached, or takes longer than two minutes.
 */
export async function askCollector(
  address: CollectorAddress,
  path: string,
  command?: unknown,
): Promise<CollectorAnswer> {
  const response = await open(address, path, command, AbortSignal.timeout(TIMEOUT_MS));
  return { body: await textOf(address, response), headers: response.headers };
}

/**
 * Sends a command that is answered bit by bit, for as long as that takes.
 *
 * @param signal Ends it, for the collector as well.
 * @returns The lines of the answer, without their line breaks.
 * @throws {CollectorRefusalError} With its message when it refuses.
 * @throws {Error} When it cannot be reached, or is cut off.
 */
export async function* followCollector(
  address: CollectorAddress,
  path: string,
  command: unknown,
  signal?: AbortSignal,
): AsyncGenerator<string> {
  const response = await open(address, path, command, signal);
  let rest = "";
  for await (const text of textsOf(address, response)) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== "") yield rest;
}

/** Resolves with the answer, its body unread. */
async function open(
  { url, token }: CollectorAddress,
  path: string,
  command: unknown,
  signal: AbortSignal | undefined,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const call = request(new URL(path, url), {
    method: command === undefined ? "GET" : "POST",
    headers: {
      ...command === undefined ? {} : { "content-type": "application/json" },
      ...token === undefined ? {} : { authorization: `Bearer ${token}` },
    },
    ...signal === undefined ? {} : { signal },
  }, resolve);
  call.on("error", (cause) => reject(unreachable(url, cause)));
  call.end(command === undefined ? undefined : JSON.stringify(command));
  const response = await promise;
  if (response.statusCode === 200) return response;
  const body = await textOf({ url }, response);
  throw new CollectorRefusalError(url, response.statusCode!, messageOf(body));
}

async function textOf(address: CollectorAddress, response: IncomingMessage): Promise<string> {
  let body = "";
  for await (const text of textsOf(address, response)) body += text;
  return body;
}

async function* textsOf(
  { url }: CollectorAddress,
  response: IncomingMessage,
): AsyncGenerator<string> {
  response.setEncoding("utf8");
  try {
    yield* response;
  } catch (cause) {
    throw unreachable(url, cause as Error);
  }
}

function unreachable(url: string, cause: Error): Error {
  return new Error(`Cannot reach the collector at ${url}: ${cause.message}`, { cause });
}

/** The message of a `google.rpc.Status`, or the detail of a problem, or whatever came instead. */
function messageOf(body: string): string {
  try {
    const { message, detail } = JSON.parse(body);
    return String(message ?? detail);
  } catch {
    return body.slice(0, 200);
  }
}
