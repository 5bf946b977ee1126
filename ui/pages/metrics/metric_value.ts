/** Values of metrics with their unit. */

import { bytes, count, duration, number } from "../../frame/format.ts";

/** Nanoseconds of the units of time. */
const TIME_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  ms: 1e6,
  s: 1e9,
  min: 60e9,
  h: 3_600e9,
};

/** How many nanoseconds a unit is; undefined when it is none of time. */
export function nsOf(unit: string): number | undefined {
  return TIME_NS[unit];
}

/** What a function gives: values of the metric, such values a second, or how many. */
export interface ValueKind {
  readonly unit: string;
  readonly isRate: boolean;
}

/** Beyond this there are no names for so many. */
const HUGE = 1e15;
const OF_COUNTS = new Set(["rate", "increase", "count"]);

/**
 * What a function gives of a metric.
 *
 * @example Requests a second, whatever unit their duration has
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(kindOf("histogram", "s", "rate"), { unit: "", isRate: true });
 * assert.equal(valueText(12.5, kindOf("histogram", "s", "rate")), "12.5/s");
 * assert.equal(valueText(0.0125, kindOf("histogram", "s", "quantile")), "12.5ms");
 * assert.equal(valueText(2048, kindOf("sum", "By", "rate")), "2.00 KiB/s");
 * assert.equal(valueText(1024, kindOf("gauge", "By", "avg")), "1.00 KiB");
 * ```
 */
export function kindOf(type: string, unit: string, name: string): ValueKind {
  const isCount = name === "count" ||
    (type !== "gauge" && type !== "sum" && OF_COUNTS.has(name));
  return { unit: isCount ? "" : unit, isRate: name === "rate" };
}

/** A value as it is read. */
export function valueText(value: number, { unit, isRate }: ValueKind): string {
  return unitText(value, unit) + (isRate ? "/s" : "");
}

function unitText(value: number, unit: string): string {
  if (!Number.isFinite(value)) return value.toLocaleString("en");
  if (Math.abs(value) >= HUGE) return `${value.toExponential(2)} ${unit}`.trim();
  const ns = TIME_NS[unit];
  if (ns !== undefined) return duration(value * ns);
  if (unit === "By") return value < 0 ? `−${bytes(-value)}` : bytes(shortBytes(value));
  // Annotations of UCUM, `{request}`, are no unit; `1` is none either.
  const name = unit === "1" ? "" : unit.replace(/\{[^}]*\}/g, "");
  const text = Math.abs(value) >= 1e4 ? count(value) : number(value);
  return name === "" ? text : name === "%" ? `${text}%` : `${text} ${name}`;
}

/** In three digits below a KiB, as larger ones are written anyway: 1,024 bytes are one, not 1,020. */
function shortBytes(value: number): number {
  return value < 1024 ? Number(value.toPrecision(3)) : value;
}

/**
 * How the values of an axis are read: all in the unit of the largest.
 *
 * @example One unit
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const text = axisText(1.5, { unit: "s", isRate: false });
 * assert.deepEqual([0, 0.5, 1].map(text), ["0s", "0.5s", "1s"]);
 * ```
 */
export function axisText(largest: number, kind: ValueKind): (value: number) => string {
  const ns = TIME_NS[kind.unit];
  if (ns === undefined) return (value) => valueText(value, kind);
  const [unit, name] = ([[1e9, "s"], [1e6, "ms"], [1e3, "µs"]] as const)
    .find(([least]) => largest * ns >= least) ?? [1, "ns"];
  const end = kind.isRate ? `${name}/s` : name;
  return (value) => Number((value * ns / unit).toPrecision(6)).toLocaleString("en") + end;
}
