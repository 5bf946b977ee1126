/** Numbers and times as they are read. */

/** Three significant digits, without an exponent. */
function three(value: number): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return value.toFixed(digits);
}

const DURATIONS: readonly (readonly [number, string])[] = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]];

/**
 * A duration in nanoseconds: `845ns`, `12.3µs`, `4.56ms`, `1.23s`, `1m 04s`, `2h 03m`.
 *
 * @example Units
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const texts = [845, 12_345, 4_560_000, 1.23e9, 64e9, 7_380e9].map(duration);
 * assert.deepEqual(texts, ["845ns", "12.3µs", "4.56ms", "1.23s", "1m 04s", "2h 03m"]);
 * ```
 */
export function duration(ns: number): string {
  if (ns < 0) return `−${duration(-ns)}`;
  if (ns >= 3_599.5e9) return pair(Math.round(ns / 60e9), "h", "m");
  if (ns >= 59.95e9) return pair(Math.round(ns / 1e9), "m", "s");
  for (const [unit, name] of DURATIONS) {
    if (ns >= unit * 0.9995) return three(ns / unit) + name;
  }
  return `${Math.round(ns)}ns`;
}

function pair(value: number, high: string, low: string): string {
  return `${Math.floor(value / 60)}${high} ${String(value % 60).padStart(2, "0")}${low}`;
}

/** A count: `9,876`, `12.3k`, `4.56M`. */
export function count(value: number): string {
  if (Math.abs(value) < 10_000) return value.toLocaleString("en", { maximumFractionDigits: 0 });
  for (const [unit, name] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]] as const) {
    if (Math.abs(value) >= unit * 0.9995) return three(value / unit) + name;
  }
  return String(value);
}

/** Bytes: `512 B`, `1.50 KiB`. */
export function bytes(value: number): string {
  if (value < 1024) return `${value} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let at = -1;
  let size = value;
  do {
    size /= 1024;
    at++;
  } while (size >= 999.5 && at < units.length - 1);
  return `${three(size)} ${units[at]}`;
}

/** A part of a whole: `12.3%`, `<0.1%`, `—` of nothing. */
export function percent(part: number, whole: number): string {
  if (whole === 0) return "—";
  const value = part / whole * 100;
  if (value > 0 && value < 0.1) return "<0.1%";
  return `${value.toFixed(1)}%`;
}

/** Any number: as it is when short, else in three digits. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 10_000) return count(value);
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return Math.abs(value) >= 1
    ? three(Math.abs(value)).replace(/^/, value < 0 ? "−" : "")
    : String(Number(value.toPrecision(3)));
}

const two = (value: number) => String(value).padStart(2, "0");

/** A time, nanoseconds since 1970 as text, in the local zone: `2026-11-23 09:31:29.123`. */
export function time(nanos: string, digits: 0 | 3 | 9 = 3): string {
  const exact = BigInt(nanos);
  const ms = Number(exact / 1_000_000n);
  const date = new Date(ms);
  const fraction = String(exact % 1_000_000_000n).padStart(9, "0").slice(0, digits);
  return `${day(date)} ${clock(date)}${digits === 0 ? "" : `.${fraction}`}`;
}

/** The same without its date. */
export function timeOfDay(nanos: string): string {
  return time(nanos).slice(11);
}

/** The same in UTC, to the nanosecond: for titles. */
export function utc(nanos: string): string {
  const exact = BigInt(nanos);
  const date = new Date(Number(exact / 1_000_000n)).toISOString();
  return `${date.slice(0, 10)} ${date.slice(11, 19)}.${
    String(exact % 1_000_000_000n).padStart(9, "0")
  } UTC`;
}

/** The date, in the local zone. */
export function day(date: Date): string {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** The time of day, in the local zone. */
export function clock(date: Date): string {
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** How long ago: `3m 04s ago`. */
export function ago(ms: number, nowMs: number = Date.now()): string {
  return `${duration(Math.max(0, Math.round((nowMs - ms) / 1000)) * 1e9)} ago`;
}

/** The zone of this browser: `UTC+2`. */
export function zone(date: Date = new Date()): string {
  const minutes = -date.getTimezoneOffset();
  if (minutes === 0) return "UTC";
  const rest = Math.abs(minutes) % 60;
  return `UTC${minutes < 0 ? "−" : "+"}${Math.floor(Math.abs(minutes) / 60)}${
    rest === 0 ? "" : `:${two(rest)}`
  }`;
}
