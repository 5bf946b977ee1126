/**
 * How an option is refused.
 *
 * @module
 */

import { inspect } from "node:util";
import type { ZodError } from "zod";

/**
 * An error that names the first option that is wrong, and its value.
 *
 * @param action What cannot be done: `create an exporter`.
 * @param secrets Names of options whose values are not shown.
 */
export function refusedOption(
  action: string,
  error: ZodError,
  options: unknown,
  secrets: ReadonlySet<PropertyKey> = new Set(),
): RangeError {
  const { path, message } = error.issues[0]!;
  const value = path.reduce<unknown>(
    (from, name) => (Object(from) as Record<PropertyKey, unknown>)[name],
    options,
  );
  const isSecret = value === undefined || path.some((name) => secrets.has(name));
  const shown = isSecret ? "" : `: ${inspect(value, { depth: 0 })}`;
  const what = path.length === 0 ? "" : ` with '${path.map(String).join(".")}'${shown}`;
  return new RangeError(`Cannot ${action}${what} (${message})`);
}
