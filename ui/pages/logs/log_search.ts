/** The log records that are found, page by page as they are scrolled to. */

import { batch, type ReadonlySignal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { type Answer, useAnswer } from "../../frame/answer.ts";
import type { LogPage, StoredLog } from "../../frame/answers.ts";
import { get, type Parameters } from "../../frame/api.ts";
import { rangeKey, rangeParameters } from "../../frame/range.ts";
import { logQuery, logQueryKey } from "./log_query.ts";

/** Records a page. */
const LIMIT = 500;

/** What is found. */
export interface LogSearch {
  /** The first page. */
  readonly answer: Answer<LogPage>;
  /** All that were asked for so far, newest first. */
  readonly logs: ReadonlySignal<readonly StoredLog[]>;
  /** Whether there are more. */
  readonly hasMore: ReadonlySignal<boolean>;
  /** Why the next page did not come. */
  readonly moreError: ReadonlySignal<string | undefined>;
  /** Asks for the next page, unless that is under way. */
  more(): void;
}

/** Asks for what the address says. */
export function useLogSearch(): LogSearch {
  const key = `${logQueryKey.value} ${rangeKey()}`;
  const parameters = { ...logQuery.value, ...rangeParameters(), limit: LIMIT };
  const answer = useAnswer<LogPage>(key, (signal) => get("/api/logs", parameters, signal));
  const pages = useMemo(() => new FurtherPages(), []);
  const page = answer.data.value;
  useEffect(() => {
    pages.start(page, parameters);
    return () => pages.stop();
  }, [page]);
  return {
    answer,
    logs: pages.logs,
    hasMore: pages.hasMore,
    moreError: pages.error,
    more: () => pages.more(),
  };
}

class FurtherPages {
  readonly logs = signal<readonly StoredLog[]>([]);
  readonly hasMore = signal(false);
  readonly error = signal<string | undefined>(undefined);
  #parameters: Parameters = {};
  #cursor: string | undefined;
  #running: AbortController | undefined;

  start(page: LogPage | undefined, parameters: Parameters): void {
    this.stop();
    this.#parameters = parameters;
    batch(() => {
      this.logs.value = [];
      this.#add(page);
    });
  }

  stop(): void {
    this.#running?.abort(new Error("no longer needed"));
    this.#running = undefined;
  }

  more(): void {
    if (this.#cursor === undefined || this.#running !== undefined) return;
    const running = this.#running = new AbortController();
    const parameters = { ...this.#parameters, cursor: this.#cursor };
    get<LogPage>("/api/logs", parameters, running.signal).then(
      (page) => this.#end(running, () => this.#add(page)),
      (error) => this.#end(running, () => this.error.value = error.message),
    );
  }

  #end(running: AbortController, tell: () => void): void {
    if (running.signal.aborted) return;
    this.#running = undefined;
    batch(tell);
  }

  #add(page: LogPage | undefined): void {
    this.#cursor = page?.cursor;
    this.logs.value = [...this.logs.value, ...page?.logs ?? []];
    this.hasMore.value = this.#cursor !== undefined;
    this.error.value = undefined;
  }
}
