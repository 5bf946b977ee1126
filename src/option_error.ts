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
  return optionError(
    action,
    message,
    path,
    path.some((name) => secrets.has(name)) ? undefined : value,
  );
}

/**
 * An error that names an option.
 *
 * @param action What cannot be done.
 * @param message Why.
 * @param path Where the option is; empty when it is about several.
 * @param value Its value; undefined when it is not shown.
 */
export function optionError(
  action: string,
  message: string,
  path: readonly PropertyKey[] = [],
  value?: unknown,
): RangeError {
  const shown = value === undefined ? "" : `: ${inspect(value, { depth: 0 })}`;
  const what = path.length === 0 ? "" : ` with '${path.map(String).join(".")}'${shown}`;
  return new RangeError(`Cannot ${action}${what} (${message})`);
}
