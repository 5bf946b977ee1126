/**
 * The collector's own log: lines on stderr, short, and the same one not again and again.
 *
 * @module
 */

import { reasonOf } from "./reason.ts";

/** How bad it is. */
export type LogLevel = "info" | "warn" | "error";

/** What belongs to a line, as `name=value`. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Writes one line: time, level, what happened, and `name=value` of what belongs to it. */
export type Log = (level: LogLevel, message: string, fields?: LogFields) => void;

/** Options of {@linkcode createLog}. */
export interface LogOptions {
  /** Takes a line without its line break. */
  readonly write: (line: string) => void;
  /** Milliseconds since 1970, for the line. */
  readonly now: () => number;
  /** A monotonic clock in ms, for the rate. */
  readonly clock: () => number;
  /** How often the same message is written, in ms. @default {10_000} */
  readonly everyMs?: number;
}

/** Messages that are remembered; with more, the one that was written longest ago is forgotten. */
const MAX_MESSAGES = 1_000;
const MAX_VALUE = 500;

/** When a message was written, and how often it was not since. */
interface Written {
  readonly at: number;
  omitted: number;
}

/**
 * Makes a log. The same message of the same level about the same `destination` is written once in
 * `everyMs`; the next line of it says with `repeated` how many were left out. So messages are
 * constant, and what varies is a field.
 *
 * @example Said twice, written once
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const lines: string[] = [];
 * const log = createLog({ write: (line) => lines.push(line), now: () => 0, clock: () => 0 });
 * log("warn", "cannot deliver", { destination: "vendor" });
 * log("warn", "cannot deliver", { destination: "vendor" });
 * assert.deepEqual(lines, ["1970-01-01T00:00:00.000Z warn cannot deliver destination=vendor"]);
 * ```
 */
export function createLog({ write, now, clock, everyMs = 10_000 }: LogOptions): Log {
  const written = new Map<string, Written>();
  return (level, message, fields = {}) => {
    const said = `${level} ${message}`;
    const key = `${said} ${fields.destination}`;
    const before = written.get(key);
    const at = clock();
    if (before !== undefined && at - before.at < everyMs) {
      before.omitted++;
      return;
    }
    // Last in the map: what comes first was written longest ago.
    written.delete(key);
    written.set(key, { at, omitted: 0 });
    if (written.size > MAX_MESSAGES) written.delete(written.keys().next().value!);
    const repeated = before?.omitted || undefined;
    write(`${new Date(now()).toISOString()} ${said}${fieldsText({ ...fields, repeated })}`);
  };
}

/** The log on stderr. */
export const log: Log = createLog({
  write: (line) => console.error(line),
  now: Date.now,
  clock: () => performance.now(),
});

function fieldsText(fields: LogFields): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}=${shown(value)}`).join("");
}

function shown(value: unknown): string {
  const text = value instanceof Error ? reasonOf(value) : String(value);
  return /^[\w.:/@-]+$/.test(text) ? text : JSON.stringify(text.slice(0, MAX_VALUE));
}
