/**
 * Dead letters as people deal with them: look, try again, throw away.
 *
 * @module
 */

import type { DeadLetters, Letter, LetterFilter, LetterList } from "./dead_letters.ts";

/** What became of a letter that was tried again. */
export interface LetterOutcome {
  /** `replayed`: its destination has it now, and the letter is gone. `refused`: it stays. */
  readonly outcome: "replayed" | "refused";
  /** What the destination said; empty when it took it. */
  readonly reason: string;
}

/** Gives a letter to its destination once more. */
export type Resend = (letter: Letter, signal?: AbortSignal) => Promise<LetterOutcome>;

/** The dead letters of an adapter. */
export class LetterBox {
  readonly #letters: DeadLetters;
  readonly #resend: Resend;

  /**
   * Made by `OTelStorageAdapter.deadLetters`.
   *
   * @param letters Where they are.
   * @param resend Knows the destinations.
   */
  constructor(letters: DeadLetters, resend: Resend) {
    this.#letters = letters;
    this.#resend = resend;
  }

  /** The heads of letters, by destination and position. */
  async list(filter: LetterFilter = {}): Promise<LetterList> {
    return await this.#letters.list(filter);
  }

  /**
   * A letter with its body.
   *
   * @throws {RangeError} There is no such letter.
   * @throws {DamagedLetterError} Its file is damaged.
   */
  async read(name: string): Promise<Letter> {
    return await this.#letters.read(name);
  }

  /**
   * Gives a letter to its destination once more, and drops it when that takes it. The database has it
   * once however often this is done; another destination may get it twice if this process ends
   * between the two.
   *
   * @throws {RangeError} There is no such letter, or its destination is not configured.
   * @throws {DamagedLetterError} Its file is damaged.
   * @throws The destination's error when it cannot be reached; the letter stays.
   */
  async replay(
    name: string,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<LetterOutcome> {
    const letter = await this.#letters.read(name);
    const outcome = await this.#resend(letter, options.signal);
    if (outcome.outcome === "replayed") await this.#letters.drop(name);
    return outcome;
  }

  /**
   * Removes a letter for good.
   *
   * @returns Whether there was one.
   */
  async drop(name: string): Promise<boolean> {
    return await this.#letters.drop(name);
  }
}
