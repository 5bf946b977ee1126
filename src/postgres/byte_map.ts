/**
 * A bounded map from byte strings to values, for keys that lie inside a larger buffer.
 *
 * Looking up copies nothing, and touches little memory: keys lie one behind the other, and a slot says
 * whether it is worth to look at one. When full it forgets everything and counts that: what it caches
 * can be made again, and no order has to be kept.
 *
 * @module
 */

/** Numbers a slot has: the hash, and where the entry is from 1 on; 0 when the slot is free. */
const SLOT = 2;
/** Slots at the beginning, a power of two; at least twice as many as entries later. */
const FIRST_SLOTS = 16;
const FIRST_BYTES = 256;

/** A cache keyed by bytes. */
export class ByteMap<V> {
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  #slots = new Int32Array(FIRST_SLOTS * SLOT);
  #values: V[] = [];
  /** Where the key of each entry begins; one more than there are entries, for the end of the last. */
  #starts = new Int32Array(FIRST_SLOTS / 2 + 1);
  #keys = new DataView(new ArrayBuffer(FIRST_BYTES));
  /** How often it was full and forgot everything. */
  forgotten = 0;

  /**
   * @param maxEntries Keys it holds at most.
   * @param maxBytes Bytes all its keys may have together.
   */
  constructor(maxEntries: number, maxBytes: number) {
    this.#maxEntries = maxEntries;
    this.#maxBytes = maxBytes;
  }

  /** The value of the key `source[from, to)`. */
  get(source: DataView, from: number, to: number): V | undefined {
    const slots = this.#slots;
    const mask = slots.length - 1;
    const code = hashBytes(source, from, to);
    for (let slot = (code << 1) & mask;; slot = (slot + SLOT) & mask) {
      const entry = slots[slot + 1]!;
      if (entry === 0) return undefined;
      if (slots[slot] === code && this.#isKey(entry - 1, source, from, to)) {
        return this.#values[entry - 1];
      }
    }
  }

  /** Adds a key that is not in the map; the bytes are copied. */
  add(source: DataView, from: number, to: number, value: V): void {
    let count = this.#values.length;
    if (count >= this.#maxEntries || this.#starts[count]! + to - from > this.#maxBytes) {
      if (count > 0) this.forgotten++;
      this.clear();
      count = 0;
    }
    if (count * 2 * SLOT >= this.#slots.length) this.#grow();
    const start = this.#starts[count]!;
    const end = start + to - from;
    if (end > this.#keys.byteLength) {
      const keys = new Uint8Array(Math.max(end, this.#keys.byteLength * 2));
      keys.set(new Uint8Array(this.#keys.buffer));
      this.#keys = new DataView(keys.buffer);
    }
    new Uint8Array(this.#keys.buffer).set(
      new Uint8Array(source.buffer, source.byteOffset + from, to - from),
      start,
    );
    this.#starts[count + 1] = end;
    this.#values.push(value);
    this.#place(hashBytes(source, from, to), count + 1);
  }

  /** Forgets everything. */
  clear(): void {
    this.#slots = new Int32Array(FIRST_SLOTS * SLOT);
    this.#values = [];
    this.#starts = new Int32Array(FIRST_SLOTS / 2 + 1);
    this.#keys = new DataView(new ArrayBuffer(FIRST_BYTES));
  }

  #isKey(entry: number, source: DataView, from: number, to: number): boolean {
    const start = this.#starts[entry]!;
    const length = to - from;
    if (this.#starts[entry + 1]! - start !== length) return false;
    const keys = this.#keys;
    const shift = start - from;
    let i = from;
    for (; i <= to - 4; i += 4) {
      if (keys.getInt32(i + shift, true) !== source.getInt32(i, true)) return false;
    }
    for (; i < to; i++) if (keys.getUint8(i + shift) !== source.getUint8(i)) return false;
    return true;
  }

  #place(code: number, entry: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = (code << 1) & mask;
    while (slots[slot + 1] !== 0) slot = (slot + SLOT) & mask;
    slots[slot] = code;
    slots[slot + 1] = entry;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Int32Array(old.length * 2);
    for (let slot = 0; slot < old.length; slot += SLOT) {
      if (old[slot + 1] !== 0) this.#place(old[slot]!, old[slot + 1]!);
    }
    const starts = new Int32Array(this.#slots.length / (2 * SLOT) + 1);
    starts.set(this.#starts);
    this.#starts = starts;
  }
}

/**
 * A hash of `source[from, to)`: FNV-1a over four bytes at a time, mixed once more, kept within the
 * small integers of the engine.
 */
export function hashBytes(source: DataView, from: number, to: number): number {
  let code = 0x811c9dc5 ^ (to - from);
  let i = from;
  for (; i <= to - 4; i += 4) {
    code = Math.imul(code ^ source.getInt32(i, true), 0x01000193);
    code ^= code >>> 15;
  }
  for (; i < to; i++) code = Math.imul(code ^ source.getUint8(i), 0x01000193);
  return (code ^ (code >>> 13)) >> 1;
}
