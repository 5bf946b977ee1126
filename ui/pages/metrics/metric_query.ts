/** Which metric the address asks for, and what of it. */

import { computed } from "@preact/signals";
import type { MetricPage } from "../../frame/answers.ts";
import type { Parameters } from "../../frame/api.ts";
import { parameter, withParameters } from "../../frame/location.ts";
import { nanosOf, range, rangeMs } from "../../frame/range.ts";
import { quoted } from "../../frame/value.ts";

/** A metric of the list. */
export type ListedMetric = MetricPage["metrics"][number];

/** Groups that are no attribute: all series as one, and each by itself. */
export const ALL_IN_ONE = "*";
export const EACH_SERIES = "each";
/** By what series are grouped unless the address says something else. */
const USUAL_GROUP = "service";

/** The metric that is shown: its name, and what tells it from others of that name. */
export const shownMetric = computed<Parameters>(() => ({
  metric: parameter("metric"),
  type: parameter("type"),
  unit: parameter("unit"),
  temporality: parameter("temporality"),
}));

/** By what its series are grouped. */
export const group = computed(() => parameter("group") || USUAL_GROUP);

/** What the address asks of the metric, as the API takes it. */
export function metricParameters(): Parameters {
  const groupBy = group.value === EACH_SERIES
    ? undefined
    : group.value === ALL_IN_ONE
    ? [""]
    : [quoted(group.value)];
  return {
    ...kindParameters(),
    function: parameter("function"),
    stepMs: stepMs(),
    ...groupBy && { groupBy },
  };
}

/** Which metric, which of its series, and when. */
export function kindParameters(): Parameters {
  const { metric: _metric, ...kind } = shownMetric.value;
  return { ...kind, filter: parameter("filter"), ...fixedRange() };
}

/** The range between two times, so that several questions have the same. */
export function fixedRange(): { since: string; until: string } {
  const [fromMs, toMs] = rangeMs(range.value);
  return { since: nanosOf(fromMs), until: nanosOf(toMs) };
}

/** How often most programs send their metrics, in ms. */
const USUAL_INTERVAL_MS = 60_000;

/**
 * How long the windows are, in ms: about so many in all, but where there is room for ten not shorter
 * than what lies between two points, as such windows have none or seem to have grown too fast.
 */
export function stepMs(windows: number = 100): number {
  const [fromMs, toMs] = rangeMs(range.value);
  const lengthMs = toMs - fromMs;
  const leastMs = Math.max(lengthMs / windows, Math.min(USUAL_INTERVAL_MS, lengthMs / 10));
  return Math.max(1, Math.ceil(leastMs / 1_000)) * 1_000;
}

/** The path of the metric that is shown in the API. */
export function metricPath(): string {
  return pathOf(String(shownMetric.value.metric));
}

/** The path of a metric of that name in the API. */
export function pathOf(name: string): string {
  return `/api/metrics/${encodeURIComponent(name)}`;
}

/** The address that shows a metric. */
export function metricAddress({ name, type, unit, temporality }: ListedMetric): string {
  const kind = { type, unit, temporality: temporality ?? "" };
  const shown = { metric: name, ...kind, name: parameter("name") };
  return withParameters("/charts", shown);
}

/** Whether a metric is the one that is shown. */
export function isShown({ name, type, unit, temporality }: ListedMetric): boolean {
  const shown = shownMetric.value;
  return shown.metric === name && shown.type === type && shown.unit === unit &&
    shown.temporality === (temporality ?? "");
}

const OF_NUMBERS = ["avg", "min", "max", "sum", "count", "last"];
const OF_GROWTH = ["rate", "increase"];
const OF_MEASUREMENTS = ["quantile", "rate", "increase", "avg", "sum", "count"];

/** The functions that have a meaning for a type, the usual one first. */
export function functionsOf(type: string, temporality: string): readonly string[] {
  if (type === "gauge") return OF_NUMBERS;
  if (type === "sum") return [...OF_GROWTH, ...OF_NUMBERS];
  return temporality === "DELTA" ? [...OF_MEASUREMENTS, "min", "max"] : OF_MEASUREMENTS;
}
