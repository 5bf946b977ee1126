/**
 * Terms of granules that this process has stored and that may be in no signature yet.
 *
 * Who makes a signature has to know the terms that it takes from the database. Most are its own, and
 * to read those back takes seven bytes of memory for each of their four, and as much time as the
 * signature. What is not here is read, so nothing depends on it.
 *
 * @module
 */

/** Bytes of terms that are remembered: of two signatures. */
const MAX_BYTES = 4 << 20;

/** What the rows of a signal are found by. */
export interface SignalTerms {
  readonly signal: string;
  readonly parts: readonly { readonly granule: number; readonly terms: Int32Array }[];
}

/** Terms by the rows of `otel_data.granule_terms` that have them. */
export class FreshTerms {
  readonly #maxBytes: number;
  /** By key, the oldest first. */
  readonly #terms = new Map<string, Int32Array[]>();
  #bytes = 0;

  /** @param maxBytes How much is remembered; the oldest is forgotten. */
  constructor(maxBytes: number = MAX_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes that are remembered. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Remembers the terms of rows that are committed.
   *
   * @param transaction The id of the transaction that stored them, as `pg_current_xact_id` gives it.
   */
  remember(transaction: bigint, signals: readonly SignalTerms[]): void {
    const xmin = BigInt.asUintN(32, transaction);
    for (const { signal, parts } of signals) {
      for (const { granule, terms } of parts) {
        const key = `${signal} ${xmin} ${granule}`;
        const told = this.#terms.get(key);
        if (told === undefined) this.#terms.set(key, [terms]);
        else told.push(terms);
        this.#bytes += terms.byteLength;
      }
    }
    for (const key of this.#terms.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.forget([key]);
    }
  }

  /** What is remembered now, by `signal xmin granule` of its rows, as the database writes them. */
  now(): ReadonlyMap<string, readonly Int32Array[]> {
    return new Map(this.#terms);
  }

  /** Forgets what nobody will ask for again. */
  forget(keys: Iterable<string>): void {
    for (const key of keys) {
      for (const { byteLength } of this.#terms.get(key) ?? []) this.#bytes -= byteLength;
      this.#terms.delete(key);
    }
  }
}
