/**
 * The collector's own log: lines on stderr.
 *
 * @module
 */

/** Writes one line: time, level, what happened, and `name=value` of what belongs to it. */
export function log(
  level: "info" | "warn" | "error",
  message: string,
  fields: Readonly<Record<string, unknown>> = {},
): void {
  const parts = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}=${shown(value)}`);
  console.error(`${new Date().toISOString()} ${level} ${message}${parts.join("")}`);
}

function shown(value: unknown): string {
  const text = value instanceof Error ? reasonOf(value) : String(value);
  return /^[\w.:/@-]+$/.test(text) ? text : JSON.stringify(text.slice(0, 500));
}

/** What an error says, in one line or more. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const inner = error instanceof AggregateError ? error.errors.map(reasonOf).join("; ") : "";
  return error.message || inner || error.name;
}
