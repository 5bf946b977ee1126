/**
 * Log records as they arrive, of which the latest are kept.
 *
 * They are shown once a frame. While paused they are received but not shown. Of what came and can be
 * shown no more the number is told, as of what the collector dropped. A lost connection is made again
 * after 1 s, then twice as long each time up to 30 s, and goes on behind what was received; it leaves a
 * row that says how long it was lost. A question that is wrong is not asked again.
 */

import { batch, signal } from "@preact/signals";
import type { StoredLog } from "../../frame/answers.ts";
import { address, type ApiError, type Parameters, refusalOf } from "../../frame/api.ts";
import { Ring } from "./ring.ts";

/** The most rows. */
export const MAX_ROWS = 5_000;
const PATH = "/api/logs/tail";
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 30_000;
/** How often the rate is told. */
const RATE_MS = 1_000;
const BAD_REQUEST = 400;

/** A record, or a time without connection. */
export type TailRow =
  | { readonly kind: "log"; readonly log: StoredLog; readonly number: number }
  | { readonly kind: "gap"; readonly lostMs: number; readonly number: number };

/** Follows the logs. */
export class Tail {
  /** What is shown, newest first. */
  readonly shown = signal<readonly TailRow[]>([]);
  /** Whether nothing new is shown. */
  readonly paused = signal(false);
  /** Records that have come since and can be shown. */
  readonly pending = signal(0);
  /** Records received since it began. */
  readonly received = signal(0);
  /** Records that were not shown and cannot be: dropped by the collector, or too many at a time. */
  readonly dropped = signal(0);
  /** Whether records are also missing that nobody has counted. */
  readonly dropsUncounted = signal(false);
  /** Records received in the last second. */
  readonly rate = signal(0);
  readonly connected = signal(false);
  /** When, in ms since 1970, it is tried again. */
  readonly retryAtMs = signal<number | undefined>(undefined);
  /** What the collector said instead of following, if it said anything. */
  readonly refusal = signal<ApiError | undefined>(undefined);

  readonly #parameters: Parameters;
  readonly #ended = new AbortController();
  #source: EventSource | undefined;
  #lastId = "";
  #lostMs: number | undefined;
  #retryMs = FIRST_RETRY_MS;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #rows = new Ring<TailRow>(MAX_ROWS);
  /** The number of the next row, and of the first that was not shown yet. */
  #number = 0;
  #unshown = 0;
  #frame: number | undefined;
  #receivedNow = 0;
  #droppedNow = 0;
  #pendingNow = 0;
  #rateTimer: ReturnType<typeof setInterval> | undefined;

  /** @param parameters Which records, as the API takes them. */
  constructor(parameters: Parameters) {
    this.#parameters = parameters;
  }

  /** Begins to follow. */
  start(): void {
    this.#connect();
    let before = 0;
    let beforeMs = performance.now();
    this.#rateTimer = setInterval(() => {
      const nowMs = performance.now();
      this.rate.value = (this.#receivedNow - before) * 1000 / (nowMs - beforeMs);
      before = this.#receivedNow;
      beforeMs = nowMs;
    }, RATE_MS);
  }

  /** Follows no longer. */
  stop(): void {
    this.#ended.abort(new Error("no longer needed"));
    this.#source?.close();
    clearTimeout(this.#retryTimer);
    clearInterval(this.#rateTimer);
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
  }

  pause(): void {
    this.paused.value = true;
  }

  /** Shows the latest. */
  resume(): void {
    this.paused.value = false;
    this.#show();
  }

  /** Forgets what came until now. */
  clear(): void {
    this.#rows.clear();
    this.#unshown = this.#number;
    this.#pendingNow = 0;
    batch(() => {
      this.shown.value = [];
      this.pending.value = 0;
    });
  }

  /** Does not wait for the next try. */
  retry(): void {
    clearTimeout(this.#retryTimer);
    this.#connect();
  }

  #question(): Parameters {
    return { ...this.#parameters, after: this.#lastId };
  }

  #connect(): void {
    const source = new EventSource(address(PATH, this.#question()));
    this.#source = source;
    source.onopen = () => this.#opened();
    source.onmessage = ({ data, lastEventId }) => {
      this.#lastId = lastEventId;
      this.#receivedNow++;
      this.#pendingNow++;
      this.#add({ kind: "log", log: JSON.parse(data), number: this.#number++ });
    };
    source.addEventListener("dropped", ({ data }) => {
      const { count } = JSON.parse(data);
      if (count === null) this.dropsUncounted.value = true;
      else this.#droppedNow += count;
      this.#later();
    });
    source.onerror = () => this.#lost(source);
  }

  #opened(): void {
    if (this.#lostMs !== undefined) {
      this.#add({ kind: "gap", lostMs: Date.now() - this.#lostMs, number: this.#number++ });
    }
    this.#lostMs = undefined;
    this.#retryMs = FIRST_RETRY_MS;
    batch(() => {
      this.connected.value = true;
      this.retryAtMs.value = undefined;
      this.refusal.value = undefined;
    });
  }

  #lost(source: EventSource): void {
    const isRefused = source.readyState === EventSource.CLOSED;
    // It would connect again by itself, always after the same time.
    source.close();
    this.#lostMs ??= Date.now();
    batch(() => {
      this.connected.value = false;
      this.retryAtMs.value = Date.now() + this.#retryMs;
    });
    this.#retryTimer = setTimeout(() => this.#connect(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
    if (isRefused) this.#askWhy();
  }

  /** An EventSource does not tell what was answered instead of events. */
  async #askWhy(): Promise<void> {
    const { signal } = this.#ended;
    try {
      const refusal = await refusalOf(PATH, this.#question(), signal);
      if (signal.aborted || this.connected.peek()) return;
      const isFinal = refusal?.status === BAD_REQUEST;
      if (isFinal) clearTimeout(this.#retryTimer);
      batch(() => {
        this.refusal.value = refusal;
        if (isFinal) this.retryAtMs.value = undefined;
      });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  #add(row: TailRow): void {
    const gone = this.#rows.push(row);
    if (gone?.kind === "log" && gone.number >= this.#unshown) {
      this.#droppedNow++;
      this.#pendingNow--;
    }
    this.#later();
  }

  #later(): void {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined;
      this.#show();
    });
  }

  #show(): void {
    batch(() => {
      this.received.value = this.#receivedNow;
      this.dropped.value = this.#droppedNow;
      if (!this.paused.value && this.#unshown < this.#number) {
        this.shown.value = this.#rows.newestFirst();
        this.#unshown = this.#number;
        this.#pendingNow = 0;
      }
      this.pending.value = this.#pendingNow;
    });
  }
}
