/**
 * Log records as they arrive, of which the latest are kept.
 *
 * They are shown once a frame. While paused they are received but not shown; the latest 5,000 wait. Of
 * what came and can be shown no more the number is told, as of what the collector dropped. A lost
 * connection is made again after 1 s, then twice as long each time up to 30 s, and leaves a row that
 * says how long it was lost.
 */

import { batch, signal } from "@preact/signals";
import type { StoredLog } from "../../frame/answers.ts";
import { address, type Parameters } from "../../frame/api.ts";

/** The most rows. */
export const MAX_ROWS = 5_000;
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 30_000;
/** How often the rate is told. */
const RATE_MS = 1_000;

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
  /** What has come since. */
  readonly pending = signal(0);
  /** Records received since it began. */
  readonly received = signal(0);
  /** Records that will not be shown: dropped by the collector, or too many while paused. */
  readonly dropped = signal(0);
  /** Whether records are also missing that nobody has counted. */
  readonly dropsUncounted = signal(false);
  /** Records received in the last second. */
  readonly rate = signal(0);
  /** Connected; or when, in ms since 1970, it is tried again. */
  readonly retryAtMs = signal<number | undefined>(undefined);
  readonly connected = signal(false);

  readonly #parameters: Parameters;
  #source: EventSource | undefined;
  #lastId = "";
  #lostMs: number | undefined;
  #retryMs = FIRST_RETRY_MS;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  /** Not shown yet, the oldest first. */
  #waiting: TailRow[] = [];
  #number = 0;
  #frame: number | undefined;
  #receivedNow = 0;
  #droppedNow = 0;
  #rateTimer: ReturnType<typeof setInterval> | undefined;

  /** @param parameters Which records, as the API takes them. */
  constructor(parameters: Parameters) {
    this.#parameters = parameters;
  }

  /** Begins to follow. */
  start(): void {
    this.#connect();
    let before = 0;
    this.#rateTimer = setInterval(() => {
      this.rate.value = (this.#receivedNow - before) * 1000 / RATE_MS;
      before = this.#receivedNow;
    }, RATE_MS);
  }

  /** Follows no longer. */
  stop(): void {
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
    this.#waiting = [];
    batch(() => {
      this.shown.value = [];
      this.pending.value = 0;
    });
  }

  #connect(): void {
    const after = this.#lastId === "" ? {} : { after: this.#lastId };
    const source = new EventSource(address("/api/logs/tail", { ...this.#parameters, ...after }));
    this.#source = source;
    source.onopen = () => this.#opened();
    source.onmessage = ({ data, lastEventId }) => {
      this.#lastId = lastEventId;
      this.#receivedNow++;
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
    });
  }

  #lost(source: EventSource): void {
    // It would connect again by itself, always after the same time.
    source.close();
    this.#lostMs ??= Date.now();
    batch(() => {
      this.connected.value = false;
      this.retryAtMs.value = Date.now() + this.#retryMs;
    });
    this.#retryTimer = setTimeout(() => this.#connect(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
  }

  #add(row: TailRow): void {
    this.#waiting.push(row);
    // Cut in large pieces: it costs a move of all that stay.
    if (this.#waiting.length >= 2 * MAX_ROWS) this.#cut();
    this.#later();
  }

  #cut(): void {
    const excess = this.#waiting.splice(0, this.#waiting.length - MAX_ROWS);
    this.#droppedNow += excess.filter(({ kind }) => kind === "log").length;
  }

  #later(): void {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined;
      this.#show();
    });
  }

  #show(): void {
    if (this.#waiting.length > MAX_ROWS) this.#cut();
    batch(() => {
      this.received.value = this.#receivedNow;
      this.dropped.value = this.#droppedNow;
      if (this.paused.value) {
        this.pending.value = this.#waiting.length;
        return;
      }
      this.pending.value = 0;
      if (this.#waiting.length === 0) return;
      this.shown.value = [...this.#waiting.reverse(), ...this.shown.value].slice(0, MAX_ROWS);
      this.#waiting = [];
    });
  }
}
