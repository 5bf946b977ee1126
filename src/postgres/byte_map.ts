/**
 * A bounded map from byte strings to values, for keys that lie inside a larger buffer.
 *
 * Looking up copies nothing. When full it forgets everything and counts that: what it caches can
 * be made again, and no order has to be kept.
 *
 * @module
 */

interface Entry<V> {
  readonly key: DataView;
  readonly value: V;
  /** The next entry with the same hash. */
  readonly next: Entry<V> | undefined;
}

/** A cache keyed by bytes. */
export class ByteMap<V> {
  readonly #entries = new Map<number, Entry<V>>();
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  #size = 0;
  #bytes = 0;
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
    let entry = this.#entries.get(hashBytes(source, from, to));
    while (entry !== undefined && !equal(entry.key, source, from, to)) entry = entry.next;
    return entry?.value;
  }

  /** Adds a key that is not in the map; the bytes are copied. */
  add(source: DataView, from: number, to: number, value: V): void {
    if (this.#size >= this.#maxEntries || this.#bytes + to - from > this.#maxBytes) {
      if (this.#size > 0) this.forgotten++;
      this.clear();
    }
    const code = hashBytes(source, from, to);
    this.#entries.set(code, {
      key: new DataView(source.buffer.slice(source.byteOffset + from, source.byteOffset + to)),
      value,
      next: this.#entries.get(code),
    });
    this.#size++;
    this.#bytes += to - from;
  }

  /** Forgets everything. */
  clear(): void {
    this.#entries.clear();
    this.#size = 0;
    this.#bytes = 0;
  }
}

/**
 * A hash of `source[from, to)`: FNV-1a over four bytes at a time, mixed once more, kept within the small
 * integers of the engine.
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

function equal(key: DataView, source: DataView, from: number, to: number): boolean {
  const length = to - from;
  if (key.byteLength !== length) return false;
  let i = 0;
  for (; i <= length - 4; i += 4) {
    if (key.getInt32(i, true) !== source.getInt32(from + i, true)) return false;
  }
  for (; i < length; i++) if (key.getUint8(i) !== source.getUint8(from + i)) return false;
  return true;
}
