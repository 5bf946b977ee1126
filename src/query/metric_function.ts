/**
 * What can be asked of the points of a metric.
 *
 * @module
 */

import { type MeasurementFunction, measurements } from "./metric_measurements.ts";
import { type NumberFunction, numbers } from "./metric_numbers.ts";
import type { MetricDescriptor } from "./metric_series.ts";
import type { Across, Computation, MetricFunction } from "./metric_tally.ts";
import { QueryError } from "./query_error.ts";

/** All of them. */
export const METRIC_FUNCTIONS = [
  "rate",
  "increase",
  "avg",
  "min",
  "max",
  "sum",
  "count",
  "last",
  "quantile",
] as const satisfies readonly MetricFunction[];

const OF_NUMBERS = ["avg", "min", "max", "sum", "count", "last"] as const;
const OF_GROWTH = ["rate", "increase"] as const;
const OF_MEASUREMENTS = ["quantile", ...OF_GROWTH, "avg", "sum", "count"] as const;

/** The functions that have a meaning for a metric, the usual one first. */
export function functionsOf(
  { type, temporality, isMonotonic }: MetricDescriptor,
): readonly MetricFunction[] {
  const isKnown = temporality === "DELTA" || temporality === "CUMULATIVE";
  switch (type) {
    case "gauge":
      return OF_NUMBERS;
    case "sum":
      if (isMonotonic && isKnown) return [...OF_GROWTH, ...OF_NUMBERS];
      return ["last", ...OF_NUMBERS.slice(0, -1), ...isKnown ? OF_GROWTH : []];
    case "summary":
      return OF_MEASUREMENTS;
    default:
      if (!isKnown) return [];
      return temporality === "DELTA" ? [...OF_MEASUREMENTS, "min", "max"] : OF_MEASUREMENTS;
  }
}

/**
 * How to compute a function for a metric.
 *
 * @param wanted The function; the usual one when absent.
 * @param across How the values of several series become one; the usual one when absent.
 * @param since Start of the range, in nanoseconds since 1970.
 * @returns With what was chosen.
 * @throws {QueryError} It has no meaning for this metric.
 */
export function computationOf(
  metric: MetricDescriptor,
  wanted: MetricFunction | undefined,
  across: Across | undefined,
  since: bigint,
): { function: MetricFunction; across: Across; computation: Computation } {
  const known = functionsOf(metric);
  const chosen = wanted ?? known[0];
  if (chosen === undefined || !known.includes(chosen)) {
    const what = [metric.type, metric.temporality].filter(Boolean).join(" ");
    throw new QueryError(
      "function",
      wanted,
      `for ${metric.name}, a ${what}: ${known.join(", ") || "none"}; ` +
        "or choose another metric of that name by type, unit or temporality",
    );
  }
  if (metric.type === "gauge" || metric.type === "sum") {
    const by = across ?? usualAcross(chosen);
    const computation = numbers(metric, chosen as NumberFunction, by, since);
    return { function: chosen, across: by, computation };
  }
  if (across !== undefined && across !== "sum") {
    throw new QueryError("across", across, `sum for ${metric.name}, a ${metric.type}`);
  }
  const computation = measurements(metric, chosen as MeasurementFunction, since);
  return { function: chosen, across: "sum", computation };
}

function usualAcross(wanted: MetricFunction): Across {
  return wanted === "avg" || wanted === "min" || wanted === "max" ? wanted : "sum";
}
