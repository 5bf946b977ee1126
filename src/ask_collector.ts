/**
 * Asking a collector that runs on this machine.
 *
 * @module
 */

// Not fetch: that one goes through the proxies of the environment, which do not know this machine.
import { request } from "node:http";

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

/** Answers that keep us waiting for longer than this are given up, in milliseconds. */
const TIMEOUT_MS = 120_000;

/**
 * Sends a command to a running collector.
 *
 * @param path `/api/query` or `/api/maintain`.
 * @param command Sent as JSON.
 * @throws {Error} With its message when it refuses, or when it cannot be reached.
 */
export async function askCollector(
  { url, token }: CollectorAddress,
  path: string,
  command: unknown,
): Promise<CollectorAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<CollectorAnswer>();
  const call = request(new URL(path, url), {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...token === undefined ? {} : { authorization: `Bearer ${token}` },
    },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }, async (response) => {
    try {
      response.setEncoding("utf8");
      let body = "";
      for await (const text of response) body += text;
      if (response.statusCode === 200) resolve({ body, headers: response.headers });
      else reject(new Error(`The collector at ${url} answered: ${messageOf(body)}`));
    } catch (error) {
      reject(error);
    }
  });
  call.on("error", (cause) => {
    reject(new Error(`Cannot reach the collector at ${url}: ${cause.message}`, { cause }));
  });
  call.end(JSON.stringify(command));
  return await promise;
}

/** The message of a `google.rpc.Status`, or whatever came instead. */
function messageOf(body: string): string {
  try {
    return String(JSON.parse(body).message);
  } catch {
    return body.slice(0, 200);
  }
}
