/** What is searched for: it stands in the address. */

import { computed } from "@preact/signals";
import { parseDuration } from "../../../src/duration.ts";
import type { Parameters } from "../../frame/api.ts";
import { parameter, setParameters } from "../../frame/location.ts";
import { rangeParameters } from "../../frame/range.ts";

/** Which traces; empty is any. */
export interface TraceSearch {
  readonly service: string;
  readonly operation: string;
  /** In the grammar of filters. */
  readonly query: string;
  /** Durations as they were typed: `250ms`. */
  readonly min: string;
  readonly max: string;
  readonly errors: boolean;
}

/** The names of what narrows a search. */
export const NARROWING = ["service", "operation", "query", "min", "max", "errors"] as const;

/** What the address says. */
export const search = computed<TraceSearch>(() => ({
  service: parameter("service"),
  operation: parameter("operation"),
  query: parameter("query"),
  min: parameter("min"),
  max: parameter("max"),
  errors: parameter("errors") !== "",
}));

/** The order unless the address says another. */
const USUAL_SORT = "newest";

/** The column that the list is sorted by: `newest`, or `-newest` for the reverse. */
export const sort = computed(() => parameter("sort") || USUAL_SORT);

/** Sorts by another. */
export function setSort(to: string): void {
  setParameters({ sort: to === USUAL_SORT ? "" : to, show: "" });
}

/** Traces of a page. */
export const PAGE_SIZE = 200;
const MAX_SHOWN = 100_000;

/** How many traces are to be shown: some pages of them. */
export const shown = computed<number>(() => {
  const pages = Math.ceil(Number(parameter("show")) / PAGE_SIZE) || 1;
  return Math.max(1, Math.min(pages, MAX_SHOWN / PAGE_SIZE)) * PAGE_SIZE;
});

/** Whether anything narrows the search. */
export const isNarrowed = computed(() => NARROWING.some((name) => Boolean(search.value[name])));

/** Searches for something else, from the first page on. */
export function setSearch(next: Partial<TraceSearch>): void {
  const { errors, ...texts } = next;
  setParameters({
    ...texts,
    ...errors !== undefined && { errors: errors ? "1" : "" },
    show: "",
    selected: "",
  });
}

/** Lets go of all that narrows the search. */
export function clearSearch(): void {
  setSearch({ service: "", operation: "", query: "", min: "", max: "", errors: false });
}

/** The search as the API takes it. */
export function searchParameters(): Parameters {
  const { service, operation, query, min, max, errors } = search.value;
  return {
    ...rangeParameters(),
    service,
    operation,
    filter: query,
    minDurationNs: nanosOfDuration(min),
    maxDurationNs: nanosOfDuration(max),
    status: errors ? "ERROR" : "",
    order: sort.value === "slowest" ? "slowest" : USUAL_SORT,
  };
}

/** A duration that was typed; as it is when it is none, for the API to say so. */
function nanosOfDuration(text: string): string {
  return String(parseDuration(text.replaceAll(" ", "")) ?? text);
}
