/** What a replaced timer was asked for. */
interface Timer {
  readonly run: () => void;
  readonly ms: number;
}

/**
 * Replaces `setTimeout` and `performance.now` until disposed: a timer fires at once and moves the
 * clock by what was asked, so that a test sees every wait and waits for none.
 */
export class InstantTime implements Disposable {
  /** The waits that were begun, in ms. */
  readonly waits: number[] = [];
  /** While true, timers are set but do not fire. */
  holding = false;
  /** Called when a timer has been set, before it fires. */
  onTimer: () => void = () => {};
  #now = 0;
  #lastId = 0;
  readonly #timers = new Map<number, Timer>();
  readonly #real = { setTimeout, clearTimeout, now: performance.now };

  constructor() {
    const set = (run: () => void, ms = 0): number => {
      const id = ++this.#lastId;
      this.waits.push(ms);
      this.#timers.set(id, { run, ms });
      if (!this.holding) queueMicrotask(() => this.#fire(id));
      this.onTimer();
      return id;
    };
    globalThis.setTimeout = set as unknown as typeof setTimeout;
    globalThis.clearTimeout = ((id: number) => this.#timers.delete(+id)) as typeof clearTimeout;
    performance.now = () => this.#now;
  }

  /** Timers neither fired nor cleared. */
  get pending(): number {
    return this.#timers.size;
  }

  #fire(id: number): void {
    const timer = this.#timers.get(id);
    if (timer === undefined || !this.#timers.delete(id)) return;
    this.#now += timer.ms;
    timer.run();
  }

  [Symbol.dispose](): void {
    globalThis.setTimeout = this.#real.setTimeout;
    globalThis.clearTimeout = this.#real.clearTimeout;
    performance.now = this.#real.now;
  }
}
