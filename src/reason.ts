/**
 * What an error says.
 *
 * @module
 */

/**
 * The message of an error. Connecting to several addresses gives one that says it only in its parts.
 *
 * @example An error without words of its own
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const error = new AggregateError([new Error("refused"), new Error("no route")]);
 * assert.equal(reasonOf(error), "refused; no route");
 * ```
 */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const parts = error instanceof AggregateError ? error.errors.map(reasonOf).join("; ") : "";
  return error.message || parts || error.name;
}
