/**
 * Why a request is not answered with 200.
 *
 * @module
 */

/** What an answer says besides status and message. */
export interface RequestErrorOptions extends ErrorOptions {
  /** When to send again, in milliseconds; leave it out when that would not help. */
  readonly retryAfterMs?: number;
  /** Headers of the answer. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * A request that is answered with an error: its status and what the client is told.
 *
 * @example Send again in two seconds
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const error = new RequestError(503, "Cannot store: the buffer is full", { retryAfterMs: 2000 });
 * assert.equal(error.status, 503);
 * assert.equal(error.retryAfterMs, 2000);
 * ```
 */
export class RequestError extends Error {
  /** Always `RequestError`. */
  override readonly name = "RequestError";
  /** The HTTP status. */
  readonly status: number;
  /** When to send again, in milliseconds; undefined when that would not help. */
  readonly retryAfterMs: number | undefined;
  /** Headers of the answer. */
  readonly headers: Readonly<Record<string, string>>;

  /**
   * @param status The HTTP status.
   * @param message What the client is told; nothing of what it sent.
   * @param options What else the answer says, and the cause.
   */
  constructor(status: number, message: string, options: RequestErrorOptions = {}) {
    super(message, options);
    this.status = status;
    this.retryAfterMs = options.retryAfterMs;
    this.headers = options.headers ?? {};
  }
}
