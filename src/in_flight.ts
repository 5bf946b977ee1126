/**
 * Knowing when everybody has an answer.
 *
 * @module
 */

/** The requests that have not been answered yet. */
export class InFlight {
  readonly #answers = new Set<Promise<Response>>();

  /** How many there are. */
  get count(): number {
    return this.#answers.size;
  }

  /** Counts `answer` until it settles. */
  async track(answer: Promise<Response>): Promise<Response> {
    this.#answers.add(answer);
    try {
      return await answer;
    } finally {
      this.#answers.delete(answer);
    }
  }

  /** Resolves when there are none. */
  async answered(): Promise<void> {
    while (this.count > 0) await Promise.allSettled(this.#answers);
  }
}
