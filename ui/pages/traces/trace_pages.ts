/** Reads the traces of a search, page after page; what was read is not asked for again. */

import type { TracePage, TraceSummary } from "../../frame/answers.ts";
import { get, type Parameters } from "../../frame/api.ts";
import { PAGE_SIZE } from "./search.ts";

/** Pages that are read for each one to show at most, when most of their traces are too long. */
const READ_PAGES = 5;

/** Traces that were found so far. */
export interface FoundTraces {
  readonly range: TracePage["range"];
  readonly traces: readonly TraceSummary[];
  /** Whether there are more to read. */
  readonly hasMore: boolean;
  /** When the last one began that was read, and perhaps left out, in nanoseconds since 1970. */
  readonly lastRead?: string | undefined;
}

/** The traces of one search. */
export class TracePages {
  readonly #parameters: Parameters;
  #range: TracePage["range"] | undefined;
  #traces: readonly TraceSummary[] = [];
  #cursor: string | undefined;
  #pagesRead = 0;
  #lastRead: string | undefined;

  /** @param parameters As the API takes them. */
  constructor(parameters: Parameters) {
    this.#parameters = parameters;
  }

  /**
   * Reads on until there are so many, or until there was much to read and little to show. A search
   * means spans: of the traces it finds those that take longer than it says are left out.
   *
   * @throws {ApiError} The API has no answer.
   */
  async upTo(count: number, signal: AbortSignal): Promise<FoundTraces> {
    const maxNs = Number(this.#parameters.maxDurationNs || Infinity);
    const maxPages = READ_PAGES * Math.ceil(count / PAGE_SIZE);
    while (this.#pagesRead === 0 || this.#cursor !== undefined) {
      if (this.#traces.length >= count || this.#pagesRead >= maxPages) break;
      const page = await get<TracePage>("/api/traces", {
        ...this.#parameters,
        limit: PAGE_SIZE,
        cursor: this.#cursor,
      }, signal);
      this.#pagesRead++;
      this.#range = page.range;
      this.#cursor = page.cursor;
      this.#lastRead = page.traces.at(-1)?.startUnixNano ?? this.#lastRead;
      const fitting = page.traces.filter(({ durationNs }) => Number(durationNs) <= maxNs);
      this.#traces = [...this.#traces, ...fitting];
    }
    return {
      range: this.#range!,
      traces: this.#traces,
      hasMore: this.#cursor !== undefined,
      lastRead: this.#lastRead,
    };
  }
}
