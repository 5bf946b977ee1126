/**
 * What is wrong with a command line.
 *
 * @module
 */

/** The command line or the environment says what cannot be. */
export class UsageError extends Error {
  /** Always `UsageError`. */
  override readonly name = "UsageError";
}
