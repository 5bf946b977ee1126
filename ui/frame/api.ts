/** Asks the HTTP API. */

import { signal } from "@preact/signals";

/** Whether the token has to be shown first. */
export const needsToken = signal(false);

/** What the API said instead of an answer. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  /** HTTP status; 0 when nothing was answered. */
  readonly status: number;
  /** The parameter that is wrong, if one is. */
  readonly parameter: string | undefined;

  constructor(status: number, message: string, parameter?: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
    this.parameter = parameter;
  }
}

/** Parameters of a question; lists are given several times, what is empty or absent not at all. */
export type Parameters = Readonly<
  Record<string, string | number | boolean | readonly string[] | undefined>
>;

/** The address of a question. */
export function address(path: string, parameters: Parameters = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined || value === "") continue;
    for (const one of Array.isArray(value) ? value : [value]) query.append(name, String(one));
  }
  const text = query.toString();
  return text === "" ? path : `${path}?${text}`;
}

/**
 * Asks, and reads the JSON of the answer.
 *
 * @throws {ApiError} There is none.
 */
export async function get<T>(
  path: string,
  parameters: Parameters,
  signal: AbortSignal,
): Promise<T> {
  const response = await send(address(path, parameters), { signal });
  return await response.json();
}

/**
 * Sends a command as JSON.
 *
 * @throws {ApiError} It was refused.
 */
export async function post(
  path: string,
  body: unknown,
  signal: AbortSignal = AbortSignal.timeout(60_000),
): Promise<Response> {
  return await send(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
}

/**
 * Why a question is refused whose answer is a stream; undefined when it is not.
 *
 * @throws The reason of the signal.
 */
export async function refusalOf(
  path: string,
  parameters: Parameters,
  signal: AbortSignal,
): Promise<ApiError | undefined> {
  try {
    const response = await send(address(path, parameters), { signal });
    await response.body?.cancel();
    return undefined;
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
}

async function send(url: string, init: RequestInit & { signal: AbortSignal }): Promise<Response> {
  let response: Response;
  try {
    // Nothing is kept of answers; and a question does not wait for the same one that hangs.
    response = await fetch(url, { ...init, cache: "no-store" });
  } catch (cause) {
    init.signal.throwIfAborted();
    throw new ApiError(0, "The collector does not answer: is it still running?", undefined, {
      cause,
    });
  }
  if (response.ok) return response;
  if (response.status === 401) needsToken.value = true;
  throw await errorOf(response);
}

/** Problem details, or the status of OTLP, or whatever stood in between. */
async function errorOf(response: Response): Promise<ApiError> {
  const text = await response.text();
  try {
    const { detail, message, parameter } = JSON.parse(text);
    return new ApiError(response.status, String(detail ?? message ?? text), parameter);
  } catch {
    return new ApiError(response.status, text.slice(0, 500) || response.statusText);
  }
}
