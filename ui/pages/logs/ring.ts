/** The latest of what came, up to a bound. */

/**
 * Keeps so many; each one more takes the place of the oldest.
 *
 * @example The oldest goes
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const ring = new Ring<string>(2);
 * assert.deepEqual(["a", "b", "c"].map((one) => ring.push(one)), [undefined, undefined, "a"]);
 * assert.deepEqual(ring.newestFirst(), ["c", "b"]);
 * ```
 */
export class Ring<T> {
  readonly #size: number;
  #items: T[] = [];
  /** Where the oldest is, once it is full. */
  #oldest = 0;

  constructor(size: number) {
    this.#size = size;
  }

  /** Keeps one; returns the one that had to go for it. */
  push(item: T): T | undefined {
    if (this.#items.length < this.#size) {
      this.#items.push(item);
      return undefined;
    }
    const gone = this.#items[this.#oldest];
    this.#items[this.#oldest] = item;
    this.#oldest = (this.#oldest + 1) % this.#size;
    return gone;
  }

  newestFirst(): T[] {
    return [...this.#items.slice(this.#oldest), ...this.#items.slice(0, this.#oldest)].reverse();
  }

  clear(): void {
    this.#items = [];
    this.#oldest = 0;
  }
}
