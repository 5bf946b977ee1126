/**
 * Tells requests that are sent again: a client that timed out sends what is already stored.
 *
 * The keys of the last minutes are kept in typed arrays, a ring in the order of arrival and a hash
 * table of places in the ring: 56 bytes a key, 56 MiB for a million, in memory that grows as needed.
 * (Strings in a `Map` take three times that.) A key is forgotten when it is older than the window,
 * or earlier, which is counted, when there are too many.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** Bytes of a key. */
const KEY_BYTES = 32;

/** Bounds of a {@linkcode ResendWindow}. */
export interface ResendBounds {
  /** How long a key is known, in ms. */
  readonly windowMs: number;
  /** How many keys are known at a time. */
  readonly maxKeys: number;
  /** A monotonic clock in ms. */
  readonly clock: () => number;
}

/** A key that is known. */
export interface KnownKey {
  /** SHA-256 of signal and body. */
  readonly key: Uint8Array;
  /** Where the request is in the journal. */
  readonly position: bigint;
  /** When it arrived, by the clock of the window. */
  readonly arrivalMs: number;
}

/** The keys of the requests that came lately, and of those that are just arriving. */
export class ResendWindow {
  readonly #bounds: ResendBounds;
  /** Requests that are not stored yet. */
  readonly #arriving = new Map<string, Promise<bigint>>();
  /** The ring: place `(#first + n) % #capacity` for the n-th oldest key. */
  #capacity = 0;
  #first = 0;
  #size = 0;
  #keys = new Uint8Array();
  #positions = new BigUint64Array();
  #arrivals = new Float64Array();
  /** Places plus 1 by hash, 0 for none; twice the capacity, probed linearly. */
  #table = new Int32Array();
  #evictedEarly = 0;

  /** @param bounds How many keys for how long. */
  constructor(bounds: ResendBounds) {
    this.#bounds = bounds;
  }

  /** Keys known now. */
  get size(): number {
    this.#forgetOld();
    return this.#size;
  }

  /** Position of the oldest request whose key is known. */
  get oldest(): bigint | undefined {
    this.#forgetOld();
    return this.#size === 0 ? undefined : this.#positions[this.#first];
  }

  /** Keys forgotten before their time because there were too many. */
  get evictedEarly(): number {
    return this.#evictedEarly;
  }

  /** Bytes of memory taken by keys. */
  get memoryBytes(): number {
    return this.#keys.byteLength + this.#positions.byteLength + this.#arrivals.byteLength +
      this.#table.byteLength;
  }

  /**
   * Stores a request unless it is stored already. Who comes while the first copy is being stored
   * waits for it: if that fails, the next copy is tried.
   *
   * @param store Stores it, calls {@linkcode add}, and gives its position.
   * @param signal Ends the wait for another copy.
   */
  async once(
    key: Uint8Array,
    store: () => Promise<bigint>,
    signal?: AbortSignal,
  ): Promise<{ position: bigint; duplicate: boolean }> {
    const name = Buffer.from(key).toString("latin1");
    for (;;) {
      const position = this.find(key);
      if (position !== undefined) return { position, duplicate: true };
      const first = this.#arriving.get(name);
      if (first === undefined) break;
      // What became of it is asked above.
      await settled(first, signal);
    }
    const storing = store();
    this.#arriving.set(name, storing);
    try {
      return { position: await storing, duplicate: false };
    } finally {
      this.#arriving.delete(name);
    }
  }

  /** Where the request with this key is stored, if it came within the window. */
  find(key: Uint8Array): bigint | undefined {
    this.#forgetOld();
    if (this.#size === 0) return undefined;
    const place = this.#table[this.#slotOf(key)]! - 1;
    return place < 0 ? undefined : this.#positions[place];
  }

  /** Knows a key from now on. One that is known stays as it is. Positions only grow. */
  add({ key, position, arrivalMs }: KnownKey): void {
    const newest = this.#size === 0 ? -Infinity : this.#arrivals[this.#place(this.#size - 1)]!;
    // The ring is in the order of arrival; a clock that was set back must not break that.
    const arrival = Math.max(arrivalMs, newest);
    if (this.#isOld(arrival) || this.find(key) !== undefined) return;
    if (this.#size === this.#bounds.maxKeys) {
      this.#forgetOldest();
      this.#evictedEarly++;
    }
    if (this.#size === this.#capacity) this.#grow();
    const place = this.#place(this.#size++);
    this.#keys.set(key, place * KEY_BYTES);
    this.#positions[place] = position;
    this.#arrivals[place] = arrival;
    this.#table[this.#slotOf(key)] = place + 1;
  }

  /** The keys of requests from one position up to another, oldest first. */
  *between(from: bigint, to: bigint): Generator<KnownKey> {
    this.#forgetOld();
    for (let n = 0; n < this.#size; n++) {
      const place = this.#place(n);
      const position = this.#positions[place]!;
      if (position >= to) return;
      if (position < from) continue;
      yield { key: this.#key(place), position, arrivalMs: this.#arrivals[place]! };
    }
  }

  #isOld(arrivalMs: number): boolean {
    return this.#bounds.clock() - arrivalMs >= this.#bounds.windowMs;
  }

  #place(n: number): number {
    return (this.#first + n) % this.#capacity;
  }

  #key(place: number): Uint8Array {
    return this.#keys.subarray(place * KEY_BYTES, (place + 1) * KEY_BYTES);
  }

  #forgetOld(): void {
    while (this.#size > 0 && this.#isOld(this.#arrivals[this.#first]!)) this.#forgetOldest();
  }

  #forgetOldest(): void {
    this.#free(this.#slotOf(this.#key(this.#first)));
    this.#first = this.#place(1);
    this.#size--;
  }

  /** The slot where the search for a key begins. The bytes of a hash are a hash. */
  #homeOf(key: Uint8Array): number {
    const hash = key[0]! | key[1]! << 8 | key[2]! << 16 | key[3]! << 24;
    return hash & (this.#table.length - 1);
  }

  /** The slot that holds a key, or the empty one where it belongs. */
  #slotOf(key: Uint8Array): number {
    const mask = this.#table.length - 1;
    for (let slot = this.#homeOf(key);; slot = (slot + 1) & mask) {
      const place = this.#table[slot]! - 1;
      if (place < 0 || equal(this.#keys, place * KEY_BYTES, key)) return slot;
    }
  }

  /** Empties a slot and moves those behind it up, so that no search ends too early. */
  #free(slot: number): void {
    const mask = this.#table.length - 1;
    let hole = slot;
    for (let next = (slot + 1) & mask; this.#table[next] !== 0; next = (next + 1) & mask) {
      const home = this.#homeOf(this.#key(this.#table[next]! - 1));
      // It may move if its home is not between the hole and itself.
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      this.#table[hole] = this.#table[next]!;
      hole = next;
    }
    this.#table[hole] = 0;
  }

  #grow(): void {
    const capacity = Math.max(this.#capacity * 2, 1024);
    const keys = new Uint8Array(capacity * KEY_BYTES);
    const positions = new BigUint64Array(capacity);
    const arrivals = new Float64Array(capacity);
    for (let n = 0; n < this.#size; n++) {
      const place = this.#place(n);
      keys.set(this.#key(place), n * KEY_BYTES);
      positions[n] = this.#positions[place]!;
      arrivals[n] = this.#arrivals[place]!;
    }
    this.#capacity = capacity;
    this.#first = 0;
    this.#keys = keys;
    this.#positions = positions;
    this.#arrivals = arrivals;
    this.#table = new Int32Array(capacity * 2);
    for (let n = 0; n < this.#size; n++) this.#table[this.#slotOf(this.#key(n))] = n + 1;
  }
}

function equal(keys: Uint8Array, at: number, key: Uint8Array): boolean {
  for (let n = 0; n < KEY_BYTES; n++) if (keys[at + n] !== key[n]) return false;
  return true;
}

/** Resolves when a promise is settled, either way; rejects when the signal aborts first. */
async function settled(promise: Promise<unknown>, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  const abort = () => reject(signal!.reason);
  signal?.addEventListener("abort", abort);
  promise.then(() => resolve(), () => resolve());
  try {
    await done;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}
