/**
 * Why a request of OTLP is not taken: it is no valid OTLP, or it is too large.
 *
 * @module
 */

/**
 * The bytes or the text are no valid OTLP.
 *
 * @example Where the error is
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const error = new OtlpDecodeError("expected an array, got string", "scopeSpans");
 * assert.equal(error.within("resourceSpans[0]").path, "resourceSpans[0].scopeSpans");
 * assert.equal(
 *   error.message,
 *   "Cannot decode OTLP at scopeSpans: expected an array, got string",
 * );
 * ```
 */
export class OtlpDecodeError extends Error {
  /** Always `OtlpDecodeError`. */
  override readonly name = "OtlpDecodeError";
  /** What is wrong, without the path. */
  readonly reason: string;
  /** Where, by the field names of OTLP JSON: `resourceSpans[0].scopeSpans[0].spans[3].traceId`. */
  readonly path: string;

  /**
   * Makes an error.
   *
   * @param reason What was expected and what came.
   * @param path Where; empty for the request as a whole.
   * @param options The cause, if another error told of it.
   */
  constructor(reason: string, path = "", options?: ErrorOptions) {
    super(`Cannot decode OTLP${path && ` at ${path}`}: ${reason}`, options);
    this.reason = reason;
    this.path = path;
  }

  /**
   * The same error seen from the message around: paths are built on the way out, so that decoding
   * what is valid costs nothing.
   *
   * @param step The field that was being read, with its index if it is repeated.
   * @returns A new error whose path begins with `step`.
   */
  within(step: string): OtlpDecodeError {
    const path = this.path === "" ? step : `${step}.${this.path}`;
    return new OtlpDecodeError(this.reason, path, { cause: this.cause });
  }
}

/**
 * A valid request that is too large to be taken at once.
 *
 * @example What to do about it
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const error = new OtlpTooLargeError("send fewer at a time");
 * assert.equal(error.message, "Cannot take the OTLP request: send fewer at a time");
 * ```
 */
export class OtlpTooLargeError extends Error {
  /** Always `OtlpTooLargeError`. */
  override readonly name = "OtlpTooLargeError";

  /**
   * Makes an error.
   *
   * @param reason What is too large, and what to do.
   */
  constructor(reason: string) {
    super(`Cannot take the OTLP request: ${reason}`);
  }
}
