/** How much of a trace is read: what the address says, up to what the page holds. */

import { parameter } from "../../frame/location.ts";

/** So many spans are read at first, and each time more. */
export const SPANS = 10_000;
/** The most spans that the page holds. */
export const MAX_SPANS = 100_000;

const LOGS = 1_000;
/** The most log records that the API gives at once. */
export const MAX_LOGS = 10_000;

/** How many spans are read. */
export function maxSpans(): number {
  return wanted("spans", SPANS, MAX_SPANS);
}

/** How many log records are read. */
export function maxLogs(): number {
  return wanted("logs", LOGS, MAX_LOGS);
}

function wanted(name: string, least: number, most: number): number {
  const text = parameter(name);
  return /^\d+$/.test(text) ? Math.max(least, Math.min(most, Number(text))) : least;
}
