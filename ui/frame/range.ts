/** The time range: a while up to now, or between two times; it stands in the address. */

import { computed, signal } from "@preact/signals";
import { parameter, setParameters } from "./location.ts";

/** Grows when everything is to be asked again. */
export const refreshes = signal(0);

/** A time range. Times are nanoseconds since 1970, or how long ago: `1h`. */
export interface Range {
  readonly since: string;
  /** Empty for now. */
  readonly until: string;
}

/** Ranges to choose from. */
export const CHOICES: readonly string[] = ["5m", "15m", "1h", "3h", "12h", "1d", "3d", "7d", "30d"];

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** The range that the address says. */
export const range = computed<Range>(() => ({
  since: parameter("since") || "1h",
  until: parameter("until"),
}));

/** As parameters of a question. */
export function rangeParameters(): { since: string; until: string } {
  return { since: range.value.since, until: range.value.until };
}

/** A text that changes with the range. */
export function rangeKey(): string {
  return `${range.value.since}-${range.value.until}`;
}

/** Chooses a range. */
export function setRange({ since, until }: Range): void {
  setParameters({ since: since === "1h" && until === "" ? "" : since, until });
}

/** Its ends in milliseconds since 1970, by the clock of this browser. */
export function rangeMs({ since, until }: Range, nowMs: number = Date.now()): [number, number] {
  return [timeMs(since, nowMs), until === "" ? nowMs : timeMs(until, nowMs)];
}

/** The range between two times: ends that are times already stay as they are. */
export function fixedRange(now: Range): Range {
  const [fromMs, toMs] = rangeMs(now);
  const fixed = (text: string, ms: number) => /^\d{18,20}$/.test(text) ? text : nanosOf(ms);
  return { since: fixed(now.since, fromMs), until: fixed(now.until, toMs) };
}

function timeMs(text: string, nowMs: number): number {
  const [, count, unit] = /^(\d+)([smhdw])$/.exec(text) ?? [];
  if (count !== undefined) return nowMs - Number(count) * UNIT_MS[unit!]!;
  if (/^\d{18,20}$/.test(text)) return Number(BigInt(text) / 1_000_000n);
  return /^\d+$/.test(text) ? Number(text) : Date.parse(text);
}

/** A time in milliseconds as the API takes it. */
export function nanosOf(ms: number): string {
  return String(BigInt(Math.round(ms)) * 1_000_000n);
}

/** A range three times as long with the same end or middle. */
export function widened(now: Range): Range {
  const next = CHOICES[CHOICES.indexOf(now.since) + 2];
  if (now.until === "" && next !== undefined) return { since: next, until: "" };
  const [from, to] = rangeMs(now);
  return { since: nanosOf(from - (to - from)), until: nanosOf(to + (to - from)) };
}

/** What a range is called. */
export function rangeName({ since, until }: Range): string {
  const [, count, unit] = /^(\d+)([smhdw])$/.exec(since) ?? [];
  if (count !== undefined && until === "") {
    const names = { s: "second", m: "minute", h: "hour", d: "day", w: "week" };
    const name = names[unit as keyof typeof names];
    return count === "1" ? `Last ${name}` : `Last ${count} ${name}s`;
  }
  return "Custom";
}
