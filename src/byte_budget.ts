/**
 * A bound on bytes held in memory: who wants some waits in line until they are free.
 *
 * @module
 */

/**
 * Bytes that are held until they are given back; more than once is once.
 *
 * @example Given back at the end of a block
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const budget = new ByteBudget(10);
 * {
 *   using lease = await budget.reserve(4);
 *   assert.equal(lease.bytes, 4);
 *   assert.equal(budget.used, 4);
 * }
 * assert.equal(budget.used, 0);
 * ```
 */
export interface ByteLease extends Disposable {
  /** How many bytes are held; 0 once they are given back. */
  readonly bytes: number;
}

interface Waiter {
  readonly bytes: number;
  readonly admit: (lease: ByteLease) => void;
}

/**
 * A semaphore that counts bytes. First come, first served: a large reservation at the head of the
 * line is not overtaken by small ones behind it, so it gets its turn.
 *
 * @example Two of three fit
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const budget = new ByteBudget(10);
 * const first = await budget.reserve(6);
 * const second = budget.reserve(6);
 * assert.deepEqual([budget.used, budget.waiting], [6, 1]);
 * first[Symbol.dispose]();
 * using lease = await second;
 * assert.deepEqual([lease.bytes, budget.used, budget.highWater], [6, 6, 6]);
 * ```
 */
export class ByteBudget {
  readonly #limit: number;
  readonly #waiters = new Set<Waiter>();
  #used = 0;
  #highWater = 0;

  /**
   * @param limit Bytes that may be held at a time.
   * @throws {RangeError} If `limit` is no positive integer.
   */
  constructor(limit: number) {
    if (!Number.isSafeInteger(limit) || limit < 1) {
      throw new RangeError(
        `Cannot create ByteBudget: limit must be a positive integer, got ${limit}`,
      );
    }
    this.#limit = limit;
  }

  /** Bytes that may be held at a time. */
  get limit(): number {
    return this.#limit;
  }

  /** Bytes that are held now. */
  get used(): number {
    return this.#used;
  }

  /** The most bytes that were ever held at a time. */
  get highWater(): number {
    return this.#highWater;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /**
   * Gives `bytes` if they are free and nobody waits.
   *
   * @returns The bytes, to be given back by disposing of it; undefined when somebody has to wait.
   */
  tryReserve(bytes: number): ByteLease | undefined {
    const isFree = bytes >= 0 && this.#waiters.size === 0 && this.#used + bytes <= this.#limit;
    return isFree ? this.#lease(bytes) : undefined;
  }

  /**
   * Waits until `bytes` are free and everybody who came before has got theirs.
   *
   * @param bytes How many; at most the limit.
   * @param signal Ends the wait.
   * @returns The bytes, to be given back by disposing of it.
   * @throws {RangeError} If `bytes` could never be free.
   * @throws The signal's reason when it aborts first.
   */
  async reserve(bytes: number, signal?: AbortSignal): Promise<ByteLease> {
    signal?.throwIfAborted();
    if (!(bytes >= 0 && bytes <= this.#limit)) {
      throw new RangeError(
        `Cannot reserve bytes: must be within 0 and ${this.#limit}, got ${bytes}`,
      );
    }
    const free = this.tryReserve(bytes);
    if (free !== undefined) return free;
    const { promise, resolve, reject } = Promise.withResolvers<ByteLease>();
    const waiter: Waiter = { bytes, admit: resolve };
    this.#waiters.add(waiter);
    const onAbort = () => {
      this.#waiters.delete(waiter);
      reject(signal!.reason);
      this.#admit();
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  #lease(bytes: number): ByteLease {
    this.#used += bytes;
    this.#highWater = Math.max(this.#highWater, this.#used);
    let held = bytes;
    return {
      get bytes() {
        return held;
      },
      [Symbol.dispose]: () => {
        this.#used -= held;
        held = 0;
        this.#admit();
      },
    };
  }

  #admit(): void {
    for (const waiter of this.#waiters) {
      if (this.#used + waiter.bytes > this.#limit) return;
      this.#waiters.delete(waiter);
      waiter.admit(this.#lease(waiter.bytes));
    }
  }
}
