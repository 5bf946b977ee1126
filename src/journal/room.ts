/**
 * The line of those who wait until a journal has space.
 *
 * @module
 */

/** What a {@linkcode Room} is told. */
export interface RoomRules {
  /** Whether there is space now. */
  readonly hasRoom: () => boolean;
  /** Looks whether there is space, and makes some if it can. Called while somebody waits. */
  readonly look: () => Promise<void>;
  /** How long one waits, in ms. */
  readonly maxWaitMs: number;
  /** What one is refused with. */
  readonly refusal: () => Error;
}

/** How often it is looked while somebody waits, in ms: the disk does not say when it has space. */
const LOOK_EVERY_MS = 100;

/** Lets in who comes while there is space, and lets others wait for it for a while. */
export class Room {
  readonly #rules: RoomRules;
  readonly #waiters = new Set<() => void>();
  #looking: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param rules See {@linkcode RoomRules}. */
  constructor(rules: RoomRules) {
    this.#rules = rules;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** Whether one would be let in at once. */
  get isOpen(): boolean {
    return this.#waiters.size === 0 && this.#rules.hasRoom();
  }

  /**
   * Resolves when there is space, and all who came before have been let in.
   *
   * @throws The refusal, after `maxWaitMs`.
   * @throws The reason of `signal` when it is aborted.
   */
  async enter(signal?: AbortSignal): Promise<void> {
    await this.take(() => {}, signal);
  }

  /**
   * Lets in one who takes space.
   *
   * @param work Called when {@linkcode Room.enter} would resolve. What it takes at once is not there for
   * those who come behind: they are let in if some is left.
   * @returns What `work` returns.
   * @throws What `work` and {@linkcode Room.enter} throw.
   */
  async take<T>(work: () => T | Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    if (this.isOpen) return await work();
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const letIn = () => resolve(Promise.try(work));
    const abort = () => reject(signal!.reason);
    const timer = setTimeout(() => reject(this.#rules.refusal()), this.#rules.maxWaitMs);
    signal?.addEventListener("abort", abort);
    this.#waiters.add(letIn);
    this.wake();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      this.#waiters.delete(letIn);
      if (this.#waiters.size === 0) clearTimeout(this.#timer);
    }
  }

  /** Looks whether those who wait can be let in. To be called when something has changed. */
  wake(): void {
    if (this.#waiters.size > 0) this.#looking ??= this.#look();
  }

  /** Lets everybody in. */
  open(): void {
    for (const letIn of this.#waiters) letIn();
    this.#waiters.clear();
  }

  async #look(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#rules.look();
    this.#looking = undefined;
    for (const letIn of this.#waiters) {
      if (!this.#rules.hasRoom()) break;
      this.#waiters.delete(letIn);
      letIn();
    }
    if (this.#waiters.size === 0) return;
    this.#timer = setTimeout(() => this.wake(), LOOK_EVERY_MS);
  }
}
