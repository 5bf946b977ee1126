/** Questions that are not urgent: they take turns, so that they delay none that somebody waits for. */

/** Lets so many be under way at a time. */
export class Turns {
  #free: number;
  readonly #waiting = new Set<() => void>();

  /** @param most At a time. */
  constructor(most: number) {
    this.#free = most;
  }

  /**
   * Asks when it is its turn, in the order in which they came.
   *
   * @throws The reason of the signal, when nobody wants to know any longer.
   */
  async take<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free--;
    else await this.#turn(signal);
    try {
      return await ask();
    } finally {
      this.#pass();
    }
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const begin = () => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = () => {
        this.#waiting.delete(begin);
        reject(signal.reason);
      };
      this.#waiting.add(begin);
      signal.addEventListener("abort", leave, { once: true });
    });
  }

  #pass(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free++;
    } else {
      this.#waiting.delete(next);
      next();
    }
  }
}
